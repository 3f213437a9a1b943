"""A release on a machine: its files, its secrets, and its compose file with the variables of the machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import COMPOSE_FILE
from odpm_tasks.core.manifest.server_model import Target
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets import history
from odpm_tasks.core.targets.history import TargetRelease
from odpm_tasks.core.targets.swarm import STACK_FILE
from odpm_tasks.deployment.targets.machine import ENVIRONMENT, Machine, variables
from odpm_tasks.deployment.targets.target_stack import VERSIONS
from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class TargetDeployment:
    """A release to deploy: its rendered files, the versions of add-ons in its sources, and the lock of its image.

    `secrets`: values that this machine provides, by name.
    """

    machine: Machine
    files: Mapping[str, bytes]
    image: str
    lock: str
    odoo_version: str
    database: str
    versions: Mapping[str, str | None]
    secrets: Mapping[str, bytes]

    @property
    def release(self) -> str:
        return history.release_id(self.files)

    @property
    def stack_file(self) -> bytes:
        """The file that describes the services."""
        return self.files[stack_file(self.machine)]


def stack_file(machine: Machine) -> str:
    """The name of the file of a release that describes its services."""
    return STACK_FILE if machine.target.kind == "swarm" else COMPOSE_FILE


def running_services(machine: Machine, known: Sequence[TargetRelease]) -> str | None:
    """The file with the services of the release that runs, or of the last one that did; None without one."""
    return machine.get(f"releases/{known[-1].id}/{stack_file(machine)}") if known else None


def put_files(wanted: TargetDeployment) -> None:
    """Put the files of a release on the machine."""
    wanted.machine.put({f"releases/{wanted.release}/{path}": data for path, data in wanted.files.items()})


def put_secrets(wanted: TargetDeployment) -> None:
    """Put the secrets that are new on the machine; generate passwords that do not exist. Errors: DescriptionError."""
    machine = wanted.machine
    machine.put({f"secrets/{name}": value for name, value in wanted.secrets.items()})
    done = machine.shell('cp "releases/$1/make-secrets.sh" . && exec ./make-secrets.sh', wanted.release, check=False)
    if not done.ok:
        missing = next((line.partition(":")[2].split() for line in done.tail() if line.startswith("missing:")), [])
        if missing:
            raise missing_secrets(machine.target, *(each.removeprefix("secrets/") for each in missing))
        raise DescriptionError(
            f"the target {machine.target.name} needs its secrets",
            where=f"odpm.json: targets.{machine.target.name}.secrets",
            details=done.tail()[-3:],
        )


def missing_secrets(target: Target, *names: str) -> DescriptionError:
    """The error for secrets whose values the target does not have."""
    return DescriptionError(
        f"the target {target.name} needs {', '.join(f'secrets/{name}' for name in names)}",
        where=f"odpm.json: targets.{target.name}.secrets",
        todo=f'add "{names[0]}": {{"file": PATH}}',
    )


@contextmanager
def compose_file(machine: Machine, release: str) -> Iterator[Path]:
    """The compose file of a release, with the machine's own variables, as a file of this machine."""
    there = f"releases/{release}/{COMPOSE_FILE}"
    found = machine.read(there, ENVIRONMENT)
    if there not in found:
        raise gone(machine, release)
    expanded = _expand(load(found[there].decode()), variables(found))
    with tempfile.TemporaryDirectory(prefix="odpm-") as folder:
        path = Path(folder, COMPOSE_FILE)
        path.write_text(json.dumps(expanded), encoding="utf-8")
        yield path


def gone(machine: Machine, release: str) -> DescriptionError:
    return DescriptionError(
        f"the files of the release {release} are gone from the target {machine.target.name}", todo="deploy again"
    )


def _expand(value: object, given: Mapping[str, str]) -> object:
    """Expand the variables of a compose file, and keep a `$` that is left from being one for Compose."""
    if isinstance(value, str):
        return expand(value, given.get, COMPOSE_FILE).replace("$", "$$")
    if isinstance(value, Mapping):
        result = {key: _expand(each, given) for key, each in value.items()}
        if isinstance(environment := value.get("environment"), Mapping):
            # a name alone is a variable of the machine
            result["environment"] = {
                **{k: v for k, v in result["environment"].items() if v is not None},  # type: ignore[attr-defined]
                **{k: given[k].replace("$", "$$") for k, v in environment.items() if v is None and k in given},
            }
        return result
    return [_expand(each, given) for each in value] if isinstance(value, list) else value


def use_files(machine: Machine, release: str) -> None:
    """Make the files of a release those that services mount."""
    script = 'mkdir -p web; for path in $(cd "$1" && find . -type f); do mkdir -p "$(dirname "$path")"; cp "$1/$path" "$path"; done'
    machine.shell(script, f"releases/{release}")


def remove_old(machine: Machine, entries: tuple[TargetRelease, ...]) -> None:
    """Remove the releases to which no rollback returns, and what else is there for one of them alone."""
    script = 'for each in releases/* "$2"/*; do case " $1 " in *" ${each##*/} "*) ;; *) rm -rf "$each" ;; esac; done'
    machine.shell(script, " ".join(history.kept(entries)), VERSIONS)
