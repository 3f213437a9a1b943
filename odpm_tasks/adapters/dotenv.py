"""Parse the text of a `.env` file. python-dotenv parses the lines; this module adds references and error checks."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from odpm_tasks.errors import DescriptionError

_LINE_END = re.compile(r"\r\n|\n|\r")


def read_env(text: str, where: str, process: Mapping[str, str]) -> dict[str, str]:
    """The variables that the text sets: the last line for a name wins, a name without `=` is ignored.

    `${NAME}` and `${NAME:-default}` are replaced by the value in `process`, else of a line above, else by the default or
    nothing. In single quotes they are literal text. Errors: DescriptionError with file and line for a line that is not
    NAME=value or contains a NUL byte.
    """
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text, newline="")):
        source = binding.original.string.lstrip()
        above = binding.original.string[: len(binding.original.string) - len(source)]
        location = f"{where}:{binding.original.line + len(_LINE_END.findall(above))}"
        if binding.error or "=" in (binding.key or ""):
            raise DescriptionError("a line is not NAME=value", where=location, todo="correct it, or put a # in front")
        if "\0" in source:
            raise DescriptionError("a line holds a NUL byte", where=location, todo="save the file as UTF-8 text")
        if binding.key is None or binding.value is None:
            continue
        known = {**values, **process}
        literal = source.partition("=")[2].lstrip().startswith("'")
        values[binding.key] = (
            binding.value if literal else "".join(atom.resolve(known) for atom in parse_variables(binding.value))
        )
    return values
