"""The backups of a target: one before an update of add-ons."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.core.manifest.model import BACKUP
from odpm_tasks.core.stack.services import load
from odpm_tasks.databases.backups import repository
from odpm_tasks.deployment.targets import kinds, services
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import OdpmError, ProgramError


def before_update(machine: Machine, wanted: TargetDeployment, names: Sequence[str], show: terminal.Activity) -> None:
    """Back up the databases of the target, where it has `backup`; the running release makes it. `names`: the add-ons to update.

    Errors: ProgramError where the service of the running release does not run; those of the script. Nothing was changed then.
    """
    if not names or BACKUP not in load(wanted.stack_file.decode())["services"]:
        return
    found = next((each for each in kinds.containers(machine) if each["service"] == BACKUP), None)
    if found is None:
        terminal.warn("no backup is made before the update: the release that runs has no service for it yet")
        return
    try:
        if found["state"] != "running":
            raise ProgramError("the service does not run", todo=services.logs(machine))
        if not found["id"]:
            raise ProgramError("its container is on another node of the Swarm", todo="name that manager in `host`")
        repository.run(found["id"], show=show, docker=machine.words)
    except OdpmError as error:
        error.what = f"no backup could be made before the update of {', '.join(names)}: {error.what}"
        skip = f"deploy without one: inv deploy.up {machine.target.name} --no-backup"
        error.todo = f"{error.todo}; or {skip}" if error.todo else skip
        raise
