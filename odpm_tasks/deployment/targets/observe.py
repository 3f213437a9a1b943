"""What runs on a target, for a plan; nothing is changed there."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from odpm_tasks.core.targets import history
from odpm_tasks.core.targets.planning import TargetPlan, plan
from odpm_tasks.deployment.targets.database import raised_there
from odpm_tasks.deployment.targets.deploy import HISTORY
from odpm_tasks.deployment.targets.machine import containers
from odpm_tasks.deployment.targets.release import TargetDeployment


def observe(wanted: TargetDeployment) -> TargetPlan:
    """What deploying a release would change. Errors: MachineError; DescriptionError for a database that does not fit the release."""
    after = {path: hashlib.sha256(data).hexdigest() for path, data in wanted.files.items()}
    present = [each for each in containers(wanted.machine) if each["service"] == "web" and each["state"] == "running"]
    proxied = "web/Caddyfile" in wanted.files
    if not present:
        return plan(("", wanted.image), {}, after, (), proxied=proxied)
    machine = replace(wanted.machine, image=present[0]["image"])
    known = history.read(machine.get(HISTORY))
    running = known[-1] if known else None
    script = '[ ! -d "$1" ] || { cd "$1" && find . -type f -exec sha256sum {} +; }'
    listed = machine.shell(script, f"releases/{running.id}").text if running else ""
    before = {line.split(maxsplit=1)[1].removeprefix("./"): line.split()[0] for line in listed.splitlines()}
    addons = raised_there(machine, wanted)
    image = (running.image if running else present[0]["image"], wanted.image)
    return plan(image, before, after, addons, proxied=proxied)
