"""The ports that a release publishes on its target: free, or held by another container or program there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from odpm_tasks.adapters import sockets
from odpm_tasks.core.config.paths import COMPOSE_FILE
from odpm_tasks.core.stack.published_ports import Published, published_ports
from odpm_tasks.core.targets.ports import holder_of, holders
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import MachineError

# this module, as a program of the machine's image: it binds each port to see whether another program holds it
_PROBE = """
import json, sys
found = []
for word in sys.argv[1:]:
    address, _, port = word.rpartition("/")
    found.append((owner(int(port)) or "another program") if in_use(int(port), address) else "")
print(json.dumps(found))
"""


def require_free(machine: Machine, wanted: TargetDeployment) -> None:
    """Check the ports of a release; those that containers of the target publish are its own. Errors: MachineError naming the holders."""
    text = wanted.files[COMPOSE_FILE].decode()
    ports = published_ports(text, machine.environment().get)
    busy = list(_held(machine, ports))
    if not busy:
        return
    one = len(busy) == 1
    numbers = ", ".join(str(port.port) for port, _ in busy)
    variables = [port.variable for port, _ in busy if port.variable]
    choose = (
        f"choose {'another one' if one else 'others'} in that file: {' '.join(f'{name}=…' for name in variables)}"
        if variables
        else "choose another one in odpm.json"
    )
    raise MachineError(
        f"port{'' if one else 's'} {numbers} of the target {machine.target.name} {'is' if one else 'are'} in use",
        where=f"{machine.folder}/.env on the target"
        if variables
        else f"odpm.json: services.{busy[0][0].service}.ports",
        details=[f"{port.port} by {user}" for port, user in busy],
        todo=f"stop what uses {'it' if one else 'them'} there, or {choose}",
    )


def _held(machine: Machine, ports: Sequence[Published]) -> Iterator[tuple[Published, str]]:
    """The ports that others hold, each with its holder."""
    row = '{{.Names}}\t{{.Label "com.docker.compose.project"}}\t{{.Ports}}'
    published = list(holders(machine.run("ps", "--no-trunc", "--format", row).text))
    unknown = []
    for port in ports:
        holder = holder_of(port, published)
        if holder is None:
            unknown.append(port)
        elif holder.project != machine.name:
            yield port, str(holder)
    yield from ((port, user) for port, user in zip(unknown, _programs(machine, unknown), strict=False) if user)


def _programs(machine: Machine, ports: Sequence[Published]) -> list[str]:
    """The programs that hold ports, empty for a free one; an empty list where the engine does not let a container look."""
    if not ports:
        return []
    # -I -S: with these rights, no start-up code (.pth) of Python packages in the image runs
    options = ["--network=host", "--pid=host", "--userns=host", "--cap-add=SYS_PTRACE", "--user=0:0"]
    words = ["run", "--rm", "--interactive", *options, "--entrypoint=python3", machine.image, "-I", "-S", "-"]
    script = Path(sockets.__file__).read_bytes() + _PROBE.encode()
    outcome = machine.run(*words, *(f"{port.address}/{port.port}" for port in ports), check=False, stdin=script)
    return list(json.loads(outcome.text)) if outcome.ok else []
