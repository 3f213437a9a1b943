"""`oca_dependencies.txt`: the repositories that an OCA repository requires.

One per line: `NAME [URL [BRANCH [COMMIT]]]`; `#` starts a comment. Without a URL it is the OCA repository of that name, without
a branch the branch of the Odoo version.
"""

from __future__ import annotations

import re

from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.errors import DescriptionError

OCA = "https://github.com/OCA"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")


def parse_oca_dependencies(text: str, where: str) -> tuple[Link, ...]:
    """The links in the order of the lines, without duplicates. Errors: DescriptionError with every invalid line."""
    links: list[Link] = []
    invalid: list[str] = []
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        words = _COMMENT.sub("", line).split()
        if not words:
            continue
        try:
            links.append(_link(words))
        except DescriptionError as error:
            invalid.append(f"line {number}: {error.what}")
    if invalid:
        raise DescriptionError(
            f"{where} cannot be read",
            where=where,
            details=invalid,
            todo="fix it there (NAME [URL [BRANCH [COMMIT]]] on each line), or pin another commit of it in odpm.json",
        )
    return tuple(dict.fromkeys(links))


def _link(words: list[str]) -> Link:
    if len(words) > 4:
        raise DescriptionError("more than four words")
    if not _NAME.fullmatch(words[0]) or words[0].strip(".") == "":
        raise DescriptionError("the first word is not a repository name")
    return parse_link(" ".join(words[1:]) if len(words) > 1 else f"{OCA}/{words[0]}")
