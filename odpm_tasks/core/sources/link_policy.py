"""The links that a cloned repository may contain. Its author is not trusted, and its links are fetched on this machine."""

from __future__ import annotations

from collections.abc import Iterable

from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import DescriptionError

MOST = 1000  # repositories of one stack; the whole OCA has a quarter of that


def check_links(links: Iterable[Link], label: str, ours: Iterable[Link], *, trusted: bool) -> None:
    """Refuse links of a cloned repository to folders of this machine, and those that disclose variables.

    A variable is allowed in a repository that the project trusts, and where a link of the manifest (`ours`) sends the same
    variable to the same host by the same scheme: `http` would send it unencrypted. Otherwise any repository of the graph
    could send a secret to a host of its author.
    Errors: DescriptionError.
    """
    sent = {(name, _target(link)) for link in ours for name in link.variables}
    for link in links:
        if link.is_file:
            raise DescriptionError(
                f"{label} requires a folder of this machine, {link.url}",
                where="odpm.json",
                todo="a cloned repository must not; add the repository that you want to the dependencies of odpm.json",
            )
        for name in sorted(link.variables):
            if not trusted and (name, _target(link)) not in sent:
                raise DescriptionError(
                    f"{label} would send the variable {name} to a host to which odpm.json does not send it",
                    where=f"{label}: odpm.json",
                    todo="if you trust it, add it to trust in odpm.json; or add the repository that you want to the dependencies there",
                )


def _target(link: Link) -> tuple[str, str]:
    """The scheme and the host to which a link sends what it contains."""
    scheme, separator, _ = link.url.partition("://")
    return scheme if separator else "ssh", link.host
