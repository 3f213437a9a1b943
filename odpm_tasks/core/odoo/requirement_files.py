"""The lines of a `requirements.txt`, and the files that it includes (`-r FILE`, `-c FILE`). Source: pip's req_file.py."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

REQUIREMENTS = "requirements.txt"
MOST_FILES = 20  # included files of one repository that are read
_INCLUSION = re.compile(
    r"(?:-(?P<short>[rc])\s*|--(?P<long>requirement|constraint)(?:\s+|\s*=\s*))(?P<quote>[\"']?)(?P<path>[^\"'#]+?)(?P=quote)\s*"
)


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers. A backslash at its end continues a line, but not a comment."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if parts else number
        comment = line.lstrip().startswith("#")
        parts.append(f" {line}" if comment else line.rstrip("\\"))
        if comment or not line.endswith("\\"):
            yield start, " ".join(parts) if len(parts) > 1 else line
            parts = []
    if parts:
        yield start, " ".join(parts)


def inclusion(line: str, file: str) -> tuple[str, bool] | None:
    """The path in the repository of the file that a line of `file` includes, and whether it has constraints.

    The path is relative to the folder of `file`. None for another line; an empty path for one outside of the repository.
    """
    found = _INCLUSION.fullmatch(re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip())
    if found is None:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), found["path"].strip()))
    outside = path.startswith(("/", "../")) or path in {"..", "."} or "://" in found["path"] or "\\" in path
    return "" if outside else path, (found["short"] or found["long"])[0] == "c"


def included_files(text: str, read: Callable[[list[str]], Mapping[str, str]]) -> dict[str, str]:
    """The files that a `requirements.txt` includes, also through each other: path -> text. `read` gives those that exist."""
    found: dict[str, str] = {}
    pending = {REQUIREMENTS: text}
    while pending:
        named = {
            target[0]
            for file, content in pending.items()
            for _, line in logical_lines(content)
            if (target := inclusion(line, file)) and target[0]
        }
        wanted = sorted(named - found.keys() - {REQUIREMENTS})[: MOST_FILES - len(found)]
        pending = dict(read(wanted)) if wanted else {}
        found |= pending
    return found
