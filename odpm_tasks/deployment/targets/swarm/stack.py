"""A release in a Swarm: its services are those of a stack file, and what runs once is a job."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.stack.web.caddy import DATA_PATH, MAINTENANCE_FILE
from odpm_tasks.core.targets.services import PROXY, UPDATE
from odpm_tasks.core.targets.swarm import STACK_FILE
from odpm_tasks.core.targets.swarm_stack import job, only, resolved, without
from odpm_tasks.deployment.targets import release
from odpm_tasks.deployment.targets.machine import ENVIRONMENT, Machine, variables
from odpm_tasks.deployment.targets.swarm import cluster, jobs, rollout, secrets
from odpm_tasks.deployment.targets.target_stack import JOURNAL, MAINTENANCE, VERSIONS
from odpm_tasks.errors import ProgramError

_END = "odpm: end of the output"
_PSQL = 'PGPASSWORD="$(cat /run/secrets/postgres_password)" exec psql -h db -U postgres -v ON_ERROR_STOP=1 -qAt "$@"'


@dataclass(frozen=True)
class SwarmStack:
    """See `TargetStack`. `folder`: the files of the release, on this machine; `data`: the stack with the names of its secrets."""

    machine: Machine
    folder: Path
    data: Mapping[str, Any]
    identity: str

    @property
    def own_database(self) -> bool:
        return DATABASE in self.data["services"]

    def start_database(self, show: terminal.Activity) -> None:
        if self.own_database:
            self._deploy(only(self.data, DATABASE))
            rollout.wait(self.machine, (DATABASE,), show)

    def run_update(self, arguments: tuple[str, ...], show: terminal.Activity) -> command.Outcome:
        stack = job(self.data, UPDATE, UPDATE, entrypoint=("odoo-run", UPDATE, *arguments))
        return jobs.run(
            self.machine, UPDATE, lambda: self._deploy(stack), on_line=lambda line: show.note("database", line)
        )

    def query(self, database: str, statement: str) -> str:
        words = ("odoo-run", "psql", "-d", database, "-qAt", "-c", statement, "-c", f"SELECT '{_END}'")
        return self._output(job(self.data, UPDATE, cluster.JOB, entrypoint=words))

    def admin(self, *statements: str) -> str:
        each = [word for statement in (*statements, f"SELECT '{_END}'") for word in ("-c", statement)]
        words = ("sh", "-euc", _PSQL, "sh", *each)
        return self._output(job(self.data, DATABASE, cluster.JOB, entrypoint=words, mounts=()))

    def show_maintenance(self) -> None:
        # first the note that it is shown: a run that is killed in between is followed by one that ends it
        self.machine.shell(f'mkdir -p web; touch "{MAINTENANCE}"')
        self._mark(f"touch {DATA_PATH}/{MAINTENANCE_FILE}")

    def stop_odoo(self) -> None:
        rollout.stop(self.machine, ROLES)

    def start(self, show: terminal.Activity) -> None:
        stack = without(self.data, UPDATE)
        # web servers first: the start of everything at once takes time of the same processors, and an image whose web
        # servers do not start is not used for anything else
        web, *others = ROLES
        self._deploy(without(stack, *others))
        rollout.wait(self.machine, (web,), show, converged=False)
        self._deploy(stack)
        names = tuple(stack["services"])
        rollout.wait(self.machine, names, show)
        known = [cluster.short_name(self.machine, each) for each in cluster.observe(self.machine).services]
        for name in known:
            if name not in (*names, *cluster.JOBS):
                jobs.remove(self.machine, name)

    def remove_others(self) -> None:
        """A stack that is deployed again replaces what a release that failed has started."""

    def end_update(self) -> None:
        remove = f"rm -f {JOURNAL} {MAINTENANCE}"
        if self.machine.shell(f"if [ -e {MAINTENANCE} ]; then echo shown; else {remove}; fi").text.strip():
            self._mark(f"rm -f {DATA_PATH}/{MAINTENANCE_FILE}")
            self.machine.shell(remove)

    def tidy(self) -> None:
        """Remove the versions of secrets and the configs that this release does not use; a rollback creates configs again."""
        jobs.remove(self.machine, cluster.JOB)
        secrets.remove_unused(self.machine, [each["name"] for each in self.data["secrets"].values()])
        listed = self.machine.run("config", "ls", "--filter", f"label={cluster.NAMESPACE}={self.machine.name}",
                                  "--format", "{{.Name}}").text.split()  # fmt: skip
        unused = sorted(set(listed) - {each["name"] for each in self.data["configs"].values()})
        if unused:
            self.machine.run("config", "rm", *unused, check=False)

    def _mark(self, script: str) -> None:
        """Run a script with the proxy's volume, on the node that has it."""
        stack = job(self.data, PROXY, cluster.JOB, entrypoint=("sh", "-c", script), mounts=(DATA_PATH,))
        outcome = jobs.run(self.machine, cluster.JOB, lambda: self._deploy(stack))
        if not outcome.ok:
            raise ProgramError(
                f"the maintenance page of the target {self.machine.target.name} cannot be switched",
                details=outcome.tail()[-3:],
                todo=f"inv deploy.status {self.machine.target.name}",
            )

    def _output(self, stack: Mapping[str, Any]) -> str:
        """The output of a job. Errors: ProgramError where it fails."""
        outcome = jobs.run(self.machine, cluster.JOB, lambda: self._deploy(stack))
        lines = jobs.complete_log(self.machine, cluster.JOB, _END) if outcome.ok else None
        jobs.remove(self.machine, cluster.JOB)
        if lines is None:
            raise ProgramError(
                f"the database of the target {self.machine.target.name} does not answer a query",
                details=outcome.tail()[-4:],
                todo=f"inv deploy.logs --target {self.machine.target.name} db",
            )
        return "\n".join(lines)

    def _deploy(self, stack: Mapping[str, Any]) -> None:
        """Create or change the services of a stack; others of the target stay as they are."""
        path = self.folder / "deployed.json"
        # the Docker command would expand variables
        path.write_text(json.dumps(stack).replace("$", "$$"), encoding="utf-8")
        self.machine.run(
            "stack", "deploy", "--detach=true", "--with-registry-auth", "--resolve-image=never",
            "--compose-file", str(path), self.machine.name,
        )  # fmt: skip


@contextmanager
def opened(machine: Machine, identity: str) -> Iterator[SwarmStack]:
    """A release that the target has. Errors: DescriptionError where its files are gone."""
    with tempfile.TemporaryDirectory(prefix="odpm-") as place:
        folder, there, versions = Path(place), f"releases/{identity}/", f"{VERSIONS}/{identity}"
        found = machine.read(there, versions, ENVIRONMENT)
        contents = {path.removeprefix(there): data for path, data in found.items() if path.startswith(there)}
        if STACK_FILE not in contents:
            raise release.gone(machine, identity)
        for path, content in contents.items():
            files.write(folder / path, content)
        data = load(contents[STACK_FILE].decode())
        used = secrets.of(machine, found.get(versions, b"{}"), data)
        yield SwarmStack(machine, folder, resolved(data, used, variables(found)), identity)


def end_jobs(machine: Machine) -> None:
    """End the jobs of a run that was killed."""
    for name in cluster.JOBS:
        jobs.remove(machine, name)
