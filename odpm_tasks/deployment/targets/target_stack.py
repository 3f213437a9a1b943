"""What a deployment does with a release on a target; each kind of target does it with its own engine."""

from __future__ import annotations

from typing import Protocol

from odpm_tasks.adapters import command, terminal
from odpm_tasks.deployment.targets.machine import Machine

JOURNAL, MAINTENANCE = "deployment.json", "web/maintenance"  # in the target's folder
VERSIONS = "versions"  # the secrets of each release on a Swarm


class TargetStack(Protocol):
    """One release whose files the target has. Every method may be repeated: a run that was killed is repeated."""

    @property
    def machine(self) -> Machine: ...

    @property
    def own_database(self) -> bool:
        """Whether the target runs PostgreSQL itself."""

    def start_database(self, show: terminal.Activity) -> None:
        """Make the files those that services mount, and start PostgreSQL where it is the target's own."""

    def run_update(self, arguments: tuple[str, ...], show: terminal.Activity) -> command.Outcome:
        """Run the role `update` and wait for its end; without arguments it installs Odoo in an empty database."""

    def query(self, database: str, statement: str) -> str:
        """A query with the access of Odoo, also of a PostgreSQL that is not the target's own."""

    def admin(self, *statements: str) -> str:
        """Run statements as the superuser of the target's own PostgreSQL, each in its own transaction."""

    def show_maintenance(self) -> None:
        """Make the proxy show the maintenance page for every request."""

    def stop_odoo(self) -> None:
        """Stop every container of Odoo, and wait for that."""

    def start(self, show: terminal.Activity) -> None:
        """Replace what runs by this release, wait until it is healthy, remove services that it does not have.

        Errors: ProgramError where it does not become healthy.
        """

    def remove_others(self) -> None:
        """Remove what a release that failed has started beside this one."""

    def end_update(self) -> None:
        """Remove the journal and the maintenance page."""

    def tidy(self) -> None:
        """Remove what only former releases needed."""
