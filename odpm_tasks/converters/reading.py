"""Read files of other tools: they can be large, broken, or links that lead out of the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import files
from odpm_tasks.errors import DescriptionError

MAX_SIZE = 1_000_000
"""The most bytes of one file; a description of a project has a few thousand."""


def text(root: Path, name: str) -> str | None:
    """The text of a file of a project, None if it does not exist.

    Errors: DescriptionError for a file that is too large or is not UTF-8, and for a link that leads out of the project.
    """
    path = root / name
    try:
        if not path.is_file():
            return None
        inside = path.resolve().is_relative_to(root.resolve())
        size = path.stat().st_size
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links
        raise DescriptionError(f"cannot read: {error}", where=str(path), todo=f"ls -l {quote(str(path))}") from None
    if not inside:
        raise DescriptionError(
            "the file is a link that leads out of the project",
            where=str(path),
            todo=f"replace it by a copy of its content, then run the same command again: ls -l {quote(str(path))}",
        )
    if size > MAX_SIZE:
        raise DescriptionError(
            f"the file has {size:,} bytes; at most {MAX_SIZE:,} are read",
            where=str(path),
            todo=f"use the right file with --from, or make it smaller: ls -l {quote(str(path))}",
        )
    return files.read_text(path)


def texts(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The texts of the files that exist, by name."""
    return dict(_texts(root, names))


def _texts(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        content = text(root, name)
        if content is not None:
            yield name, content
