"""What runs on a target, for a plan; nothing is changed there."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets import history
from odpm_tasks.core.targets import proxy as reverse_proxy
from odpm_tasks.core.targets.planning import TargetPlan, plan
from odpm_tasks.core.targets.swarm import NODE_LABEL, STACK_FILE
from odpm_tasks.core.targets.swarm_stack import needs_labelled_node
from odpm_tasks.deployment.targets import database, kinds, preflight, release
from odpm_tasks.deployment.targets.deploy import HISTORY
from odpm_tasks.deployment.targets.release import TargetDeployment


def observe(wanted: TargetDeployment) -> TargetPlan:
    """What deploying a release would change. Errors: MachineError; DescriptionError for a database that does not fit the release."""
    after = {path: hashlib.sha256(data).hexdigest() for path, data in wanted.files.items()}
    kinds.check(wanted)
    present = [
        each for each in kinds.containers(wanted.machine) if each["service"] == "web" and each["state"] == "running"
    ]
    proxied = reverse_proxy.FILE in wanted.files
    if not present:
        return plan(("", wanted.image), {}, after, (), proxied=proxied, nodes=_nodes(wanted))
    machine = replace(wanted.machine, image=present[0]["image"])
    known = history.read(machine.get(HISTORY))
    running = known[-1] if known else None
    there = replace(wanted, machine=machine)
    services = release.running_services(machine, known)
    preflight.require_same_volume(services, there)
    database.require_passwords(there)
    kinds.check_ports(there)
    installed = database.installed_there(there, known, services)
    script = '[ ! -d "$1" ] || { cd "$1" && find . -type f -exec sha256sum {} +; }'
    listed = machine.shell(script, f"releases/{running.id}").text if running else ""
    before = {line.split(maxsplit=1)[1].removeprefix("./"): line.split()[0] for line in listed.splitlines()}
    return plan(
        (running.image if running else present[0]["image"], wanted.image),
        before,
        after,
        database.raised(wanted, installed or {}),
        proxied=proxied,
        secrets=kinds.changed_secrets(wanted),
        nodes=_nodes(wanted),
    )


def _nodes(wanted: TargetDeployment) -> str:
    """Where the volumes of a Swarm are, if that is one node."""
    stack = wanted.files.get(STACK_FILE)
    if stack is None or not needs_labelled_node(load(stack.decode())):
        return ""
    return f"one node: everything with a volume runs on the node with the label {NODE_LABEL}"
