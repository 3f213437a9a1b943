"""The links that a cloned repository may contain. Its author is not trusted, and its links are fetched on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import DescriptionError

MOST = 1000  # repositories of one stack; the whole OCA has a quarter of that


def check_links(links: Iterable[Link], label: str, ours: Iterable[Link], declared: Callable[[str], bool]) -> None:
    """Refuse links of a cloned repository to folders of this machine, and those that disclose variables.

    A variable is allowed if a `.env` file sets it (`declared`), or if a link of the manifest (`ours`) sends the same variable
    to the same host. Otherwise any repository of the graph could send the process environment to a host of its author.
    Errors: DescriptionError.
    """
    sent = {(name, link.host) for link in ours for name in link.variables}
    for link in links:
        if link.is_file:
            raise DescriptionError(
                f"{label} requires a folder of this machine, {link.url}",
                where="odpm.json",
                todo="a cloned repository must not; add the repository that you want to the dependencies of odpm.json",
            )
        for name in sorted(link.variables):
            if not declared(name) and (name, link.host) not in sent:
                raise DescriptionError(
                    f"{label} would send the environment variable {name} to a host that odpm.json does not name",
                    where=f"{label}: odpm.json",
                    todo=f"if you trust it, set {name} in .env, or add that repository to the dependencies of odpm.json",
                )
