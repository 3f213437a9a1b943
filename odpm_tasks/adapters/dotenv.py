"""The text of a `.env` file as names and values; python-dotenv knows the format, the rules of use are here."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from odpm_tasks.errors import DescriptionError

_LINE_END = re.compile(r"\r\n|\n|\r")


def read_env(text: str, where: str, process: Mapping[str, str]) -> dict[str, str]:
    """What the text sets; the last line for a name counts, a name without `=` sets nothing.

    `${NAME}` and `${NAME:-default}` stand for what `process` has, else for what a line above sets, else for the default or
    nothing; in single quotes they are plain text. Errors: DescriptionError with file and line for what is not
    NAME=value, or could be in no environment.
    """
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text, newline="")):
        written = binding.original.string.lstrip()
        above = binding.original.string[: len(binding.original.string) - len(written)]
        place = f"{where}:{binding.original.line + len(_LINE_END.findall(above))}"
        if binding.error or "=" in (binding.key or ""):
            raise DescriptionError("a line is not NAME=value", where=place, todo="correct it, or put a # in front")
        if "\0" in written:
            raise DescriptionError("a line holds a NUL byte", where=place, todo="save the file as UTF-8 text")
        if binding.key is None or binding.value is None:
            continue
        known = {**values, **process}
        literal = written.partition("=")[2].lstrip().startswith("'")
        values[binding.key] = (
            binding.value if literal else "".join(atom.resolve(known) for atom in parse_variables(binding.value))
        )
    return values
