"""A release on a machine: its files, its secrets, and its compose file with the variables of the machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import COMPOSE_FILE
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets import history
from odpm_tasks.core.targets.history import TargetRelease
from odpm_tasks.deployment.targets.machine import Machine
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


def put(machine: Machine, wanted: TargetDeployment) -> None:
    """Put the files of a release and the secrets that are new on the machine; generate passwords that do not exist."""
    machine.put({f"releases/{wanted.release}/{path}": data for path, data in wanted.files.items()})
    machine.put({f"secrets/{name}": value for name, value in wanted.secrets.items()})
    done = machine.shell('cp "releases/$1/make-secrets.sh" . && exec ./make-secrets.sh', wanted.release, check=False)
    if not done.ok:
        missing = next((line.partition(":")[2].split() for line in done.tail() if line.startswith("missing:")), [])
        name = missing[0].removeprefix("secrets/") if missing else ""
        raise DescriptionError(
            f"the target {machine.target.name} needs {', '.join(missing) or 'its secrets'}",
            where=f"odpm.json: targets.{machine.target.name}.secrets",
            details=() if missing else done.tail()[-3:],
            todo=f'add "{name}": {{"file": PATH}}' if name else "",
        )


@contextmanager
def compose_file(machine: Machine, release: str) -> Iterator[Path]:
    """The compose file of a release, with the machine's own variables, as a file of this machine."""
    text = machine.get(f"releases/{release}/{COMPOSE_FILE}")
    if text is None:
        raise DescriptionError(
            f"the files of the release {release} are gone from the target {machine.target.name}", todo="deploy again"
        )
    given = machine.environment()
    expanded = _expand(load(text), given)
    with tempfile.TemporaryDirectory(prefix="odpm-") as folder:
        path = Path(folder, COMPOSE_FILE)
        path.write_text(json.dumps(expanded), encoding="utf-8")
        yield path


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
    script = 'cd releases; for each in *; do case " $1 " in *" $each "*) ;; *) rm -rf "$each" ;; esac; done'
    machine.shell(script, " ".join(history.kept(entries)))
