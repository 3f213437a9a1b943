"""Which repositories of the graph the project trusts (SPEC: `trust`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.errors import DescriptionError


def is_trusted(trust: Iterable[str], link: Link, own: Sequence[Link]) -> bool:
    """Whether an entry of `trust` names a repository: its address, or its name if a link of odpm.json (`own`) names it.

    A name alone cannot trust a repository that a dependency asks for: the dependency chooses the address, and with it the
    name. With two repositories of one name in odpm.json, `OWNER-NAME` names one of them; an entry that fits two names none.
    Nor can an address trust a commit or a merge that a dependency chooses: a forge provides every commit of a fork and of a
    pull request under the address of the repository. Nor an unencrypted form of the address that a dependency chooses.
    """
    named = {mine.canonical for mine in own}
    for entry in trust:
        address = _address(entry)
        if address and address.canonical == link.canonical:
            plain = _is_plain(link) and not _is_plain(address)
            if link.canonical in named or not (link.commit or link.merges or plain):
                return True
        elif {mine.canonical for mine in own if entry in (mine.name, f"{mine.owner}-{mine.name}")} == {link.canonical}:
            return True
    return False


def _address(entry: str) -> Link | None:
    try:
        return parse_link(entry)
    except DescriptionError:
        return None


def _is_plain(link: Link) -> bool:
    """Whether what is fetched from a link can be changed on its way."""
    return link.url.startswith(("http://", "git://"))
