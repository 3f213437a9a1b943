"""Which repositories of the graph the project trusts (SPEC: `trust`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.errors import DescriptionError


def is_trusted(trust: Iterable[str], link: Link, own: Sequence[Link]) -> bool:
    """Whether an entry of `trust` names a repository: its address, or its name if a link of odpm.json (`own`) names it.

    A name alone cannot trust a repository that a dependency asks for: the dependency chooses the address, and with it the
    name. With two repositories of one name in odpm.json, `OWNER-NAME` names one of them; an entry that fits two names none.
    Nor can an address trust a commit that a dependency chooses: a forge provides every commit of a fork and of a pull
    request under the address of the repository.
    """
    named = {mine.canonical for mine in own}
    for entry in trust:
        if _address(entry) == link.canonical:
            if link.canonical in named or link.commit is None:
                return True
        elif {mine.canonical for mine in own if entry in (mine.name, f"{mine.owner}-{mine.name}")} == {link.canonical}:
            return True
    return False


def _address(entry: str) -> str | None:
    try:
        return parse_link(entry).canonical
    except DescriptionError:
        return None
