"""What a cloned repository may ask for: it was written by somebody else, and what it asks for is done on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import DescriptionError

MOST = 1000  # repositories of one stack; the whole OCA has a quarter of that


def check_links(links: Iterable[Link], label: str, ours: Iterable[Link], given: Callable[[str], bool]) -> None:
    """See that the links of a cloned repository name no folder of this machine and carry nothing away.

    A variable of theirs counts where it is written down for odpm (`given`: in a `.env`), or where a link of our own sends
    the same one to the same host. Else any repository of the graph could have whatever stands in the environment sent to its
    author. Errors: DescriptionError.
    """
    sent = {(name, link.host) for link in ours for name in link.variables}
    for link in links:
        if link.is_file:
            raise DescriptionError(
                f"{label} asks for a folder of this machine, {link.url}",
                where="odpm.json",
                todo="a cloned repository may not; name what you want instead in the dependencies of odpm.json",
            )
        for name in sorted(link.variables):
            if not given(name) and (name, link.host) not in sent:
                raise DescriptionError(
                    f"{label} would send the value of {name}, of the process environment, to a host of its own choice",
                    where=f"{label}: odpm.json",
                    todo=f"if you trust it, set {name} in .env, or name that repository in the dependencies of odpm.json",
                )
