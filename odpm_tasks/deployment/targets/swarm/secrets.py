"""The secrets of a target in its Swarm: created with a version in their names, removed when no release uses them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.services import ADMIN_PASSWORD, GENERATED
from odpm_tasks.core.targets.swarm import STACK_FILE
from odpm_tasks.core.targets.swarm_secrets import DIGEST_LABEL, TARGET_LABEL, digest, newest, of_release, of_value
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment, missing_secrets
from odpm_tasks.deployment.targets.target_stack import VERSIONS
from odpm_tasks.errors import DescriptionError

_GENERATED_BYTES = 24


def put(wanted: TargetDeployment) -> None:
    """Create the secrets of a release that are new, and note which versions it uses.

    The values of this machine are compared with the newest version; a password that does not exist is generated, and reaches the disk
    of the Swarm alone. Errors: DescriptionError for a secret without a value.
    """
    machine = wanted.machine
    existing = labels(machine)
    used: dict[str, str] = {}
    declared = load(wanted.files[STACK_FILE].decode())["secrets"]
    for name, options in declared.items():
        prefix = _prefix(machine, name)
        given = machine.target.secrets.get(name)
        if given and given.source == "existing":
            if options["name"] not in existing:
                raise DescriptionError(
                    f"the Swarm of the target {machine.target.name} has no secret {options['name']}",
                    where=f"odpm.json: targets.{machine.target.name}.secrets.{name}",
                    todo=f"{' '.join(machine.words)} secret create {options['name']} FILE",
                )
            used[name] = options["name"]
        elif name in wanted.secrets:
            version = of_value(prefix, existing, wanted.secrets[name])
            used[name] = version.name
            if version.new:
                _create(machine, version.name, wanted.secrets[name])
        elif known := newest(prefix, existing):
            used[name] = known
        elif name in GENERATED and not (name == "db_password" and machine.target.database.host):
            used[name] = f"{prefix}_v1"
            _create(machine, used[name], _generated(machine, name))
    if missing := [name for name in declared if name not in used]:
        raise missing_secrets(machine.target, *missing)
    machine.put({f"{VERSIONS}/{wanted.release}": json.dumps(used, indent=2).encode()})


def changed(wanted: TargetDeployment) -> tuple[str, ...]:
    """The secrets of which a deployment would create a version."""
    existing = labels(wanted.machine)
    versions = {
        name: of_value(_prefix(wanted.machine, name), existing, value) for name, value in wanted.secrets.items()
    }
    return tuple(sorted(name for name, version in versions.items() if version.new))


def of(machine: Machine, used: bytes, data: Mapping[str, Any]) -> dict[str, str]:
    """The names that the secrets of a release have in the Swarm. `used`: what `put` noted for it; `data`: its stack."""
    return of_release(json.loads(used), {name: _prefix(machine, name) for name in data["secrets"]}, labels(machine))


def labels(machine: Machine) -> dict[str, str]:
    """The label with the digest of each secret in the Swarm, by the secret's name; empty for one that has none."""
    row = f'{{{{.Name}}}}\t{{{{.Label "{DIGEST_LABEL}"}}}}'
    listed = machine.run("secret", "ls", "--format", row).text.splitlines()
    return {name: label for name, _, label in (line.partition("\t") for line in listed)}


def remove_unused(machine: Machine, used: Iterable[str]) -> None:
    """Remove the versions that deployments have created and that the running release does not use."""
    made = machine.run("secret", "ls", "--filter", f"label={TARGET_LABEL}={machine.name}", "--format", "{{.Name}}").text
    if unused := sorted(set(made.split()) - set(used)):
        machine.run("secret", "rm", *unused, check=False)


def _prefix(machine: Machine, name: str) -> str:
    return f"{machine.name}_{name}"


def _create(machine: Machine, name: str, value: bytes) -> None:
    machine.run(
        "secret", "create", "--label", f"{DIGEST_LABEL}={digest(value, secrets.token_hex(16))}",
        "--label", f"{TARGET_LABEL}={machine.name}", name, "-", stdin=value,
    )  # fmt: skip


def _generated(machine: Machine, name: str) -> bytes:
    """A new password. That of the user `admin` is kept in the target's folder: someone has to log in with it."""
    path = f"secrets/{name}"
    if name == ADMIN_PASSWORD and (kept := machine.get(path)):
        return kept.encode()
    value = secrets.token_urlsafe(_GENERATED_BYTES).encode()
    if name == ADMIN_PASSWORD:
        machine.put({path: value})
    return value
