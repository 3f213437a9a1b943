"""A release on one machine: its containers are those of a compose file there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import command, terminal
from odpm_tasks.core.manifest.model import BACKUP
from odpm_tasks.core.stack.backups.service import FOLDER
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.services import UPDATE
from odpm_tasks.deployment.targets import release, services
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.target_stack import JOURNAL, MAINTENANCE


@dataclass(frozen=True)
class ComposeStack:
    """See `TargetStack`. `file`: the compose file, on this machine, with the variables of the target."""

    machine: Machine
    file: Path
    identity: str

    @property
    def own_database(self) -> bool:
        return "db" in load(self.file.read_text(encoding="utf-8"))["services"]

    def start_database(self, show: terminal.Activity) -> None:
        release.use_files(self.machine, self.identity)
        _make_backup_folder(self.machine, self.file)
        if self.own_database:
            services.compose(self.machine, self.file, "up", "--detach", "--wait", "db", show=show)

    def run_update(self, arguments: tuple[str, ...], show: terminal.Activity) -> command.Outcome:
        words = ("run", "--rm", UPDATE, *arguments)
        return self.machine.compose(self.file, *words, check=False, on_line=lambda line: show.note("database", line))

    def query(self, database: str, statement: str) -> str:
        words = ("run", "--rm", "--no-deps", "--entrypoint", "odoo-run", UPDATE, "psql", "-d", database)
        return self.machine.compose(self.file, *words, "-qAt", "-c", statement).text

    def admin(self, *statements: str) -> str:
        words = ("exec", "--no-TTY", "db", "psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt")
        each = [word for statement in statements for word in ("-c", statement)]
        return self.machine.compose(self.file, *words, *each).text

    def show_maintenance(self) -> None:
        self.machine.shell(f'mkdir -p web; touch "{MAINTENANCE}"')

    def stop_odoo(self) -> None:
        services.stop_odoo(self.machine)

    def start(self, show: terminal.Activity) -> None:
        release.use_files(self.machine, self.identity)
        services.replace(self.machine, self.file, show)
        show.note("services", "start")
        services.compose(self.machine, self.file, "up", "--detach", "--remove-orphans", "--wait", show=show)

    def remove_others(self) -> None:
        services.remove_others(self.machine, load(self.file.read_text(encoding="utf-8")))

    def end_update(self) -> None:
        self.machine.shell(f"rm -f {JOURNAL} {MAINTENANCE}")

    def tidy(self) -> None:
        """Containers and networks are removed when the release starts."""


@contextmanager
def opened(machine: Machine, identity: str) -> Iterator[ComposeStack]:
    """A release of a machine. Errors: DescriptionError where its files are gone."""
    with release.compose_file(machine, identity) as file:
        yield ComposeStack(machine, file, identity)


def end_jobs(machine: Machine) -> None:
    """Remove what a run that was killed left running beside the services."""
    running = machine.run("ps", "-q", "--filter", f"label=com.docker.compose.project={machine.name}",
                          "--filter", "label=com.docker.compose.oneoff=True").text.split()  # fmt: skip
    if running:
        machine.remove(*running)


def _make_backup_folder(machine: Machine, file: Path) -> None:
    """Make the folder of the repository for the user of the service, where it is one of the machine and does not exist."""
    service = load(file.read_text(encoding="utf-8"))["services"].get(BACKUP, {})
    mounts = (each for each in service.get("volumes", ()) if isinstance(each, dict) and each["target"] == FOLDER)
    for mount in mounts:
        source = (
            mount["source"].replace("./", f"{machine.folder}/", 1)
            if mount["source"].startswith("./")
            else mount["source"]
        )
        script = '[ -n "$(ls -A /made)" ] || { chown "$1" /made; chmod 700 /made; }'
        words = ["run", "--rm", "--network=none", "--user=0:0", "--volume", f"{source}:/made", "--entrypoint=sh"]
        machine.run(*words, machine.image, "-euc", script, "sh", service["user"])
