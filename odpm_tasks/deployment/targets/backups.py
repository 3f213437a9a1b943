"""The backups of a target: one before an update of add-ons, and the folder of the repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import terminal
from odpm_tasks.core.config.paths import COMPOSE_FILE
from odpm_tasks.core.manifest.model import BACKUP
from odpm_tasks.core.stack.backups.service import FOLDER
from odpm_tasks.core.stack.services import load
from odpm_tasks.databases.backups import repository
from odpm_tasks.deployment.targets import services
from odpm_tasks.deployment.targets.machine import Machine, containers
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import OdpmError, ProgramError


def before_update(machine: Machine, wanted: TargetDeployment, names: Sequence[str], show: terminal.Activity) -> None:
    """Back up the databases of the target, where it has `backup`; the running release makes it. `names`: the add-ons to update.

    Errors: ProgramError where the service of the running release does not run; those of the script. Nothing was changed then.
    """
    if not names or BACKUP not in load(wanted.files[COMPOSE_FILE].decode())["services"]:
        return
    found = next((each for each in containers(machine) if each["service"] == BACKUP), None)
    if found is None:
        terminal.warn("no backup is made before the update: the release that runs has no service for it yet")
        return
    try:
        if found["state"] != "running":
            raise ProgramError("the service does not run", todo=services.logs(machine))
        repository.run(found["id"], show=show, docker=machine.words)
    except OdpmError as error:
        error.what = f"no backup could be made before the update of {', '.join(names)}: {error.what}"
        skip = f"deploy without one: inv deploy.up {machine.target.name} --no-backup"
        error.todo = f"{error.todo}; or {skip}" if error.todo else skip
        raise


def make_folder(machine: Machine, file: Path) -> None:
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
