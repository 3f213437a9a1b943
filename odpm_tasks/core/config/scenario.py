"""The scenarios: three ways to package the same stack. The composition is the same in each."""

from __future__ import annotations

from dataclasses import dataclass

from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class Scenario:
    """What a scenario changes about the packaging.

    `strict`: the lock is enforced. `mounts`: the sources are mounted from disk; otherwise they are in the image. `target`:
    the stage of the Dockerfile. `publish_database`: PostgreSQL is published on the host's loopback address. `restart`: the
    restart policy of the services.
    """

    name: str
    strict: bool
    mounts: bool
    target: str
    publish_database: bool
    restart: str | None

    @property
    def releases(self) -> bool:
        """Whether Odoo mounts exported releases, not the checkout."""
        return self.name == "server"

    @property
    def developer(self) -> bool:
        return self.name == "developer"


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("developer", strict=False, mounts=True, target="dev", publish_database=True, restart=None),
        Scenario("server", strict=True, mounts=True, target="server", publish_database=False, restart="unless-stopped"),
        Scenario("ci", strict=True, mounts=False, target="ci", publish_database=False, restart=None),
    )
}


def scenario(name: str, where: str = "ODPM_SCENARIO") -> Scenario:
    """The scenario `name`. Errors: DescriptionError listing the valid names."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise DescriptionError(
            f"unknown scenario {name!r}", where=where, todo=f"set ODPM_SCENARIO to one of: {', '.join(SCENARIOS)}"
        ) from None
