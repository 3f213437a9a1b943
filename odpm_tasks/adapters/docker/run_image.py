"""The door into images: what their configuration says, and a program run inside one for what it prints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.engine import is_unreachable, unreachable
from odpm_tasks.errors import ProgramError

PYTHON = "/opt/odoo/venv/bin/python"
_PATIENCE = 600  # seconds


def environment(image: str) -> dict[str, str] | None:
    """The variables that an image sets; None where the engine has no such image. Errors: MachineError."""
    outcome = command.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Env}}", "--", image], check=False, timeout=60
    )
    if not outcome.ok:
        if is_unreachable(outcome):
            raise unreachable(outcome)
        return None
    return dict(entry.partition("=")[::2] for entry in json.loads(outcome.text) or ())


def run_python(
    image: str, program: bytes, *words: str, mounts: Sequence[tuple[Path, str]] = (), user: str = "", platform: str = ""
) -> bytes:
    """Run a Python program in a container of an image, and return what it prints.

    The container has no network, no rights and no life after it. `mounts` are folders and files of this machine with
    their places in it, to be read only. `user` is `UID:GID`, else whom the image names. `platform`: which one of
    an image for several. Errors: ProgramError.
    """
    options = ["--rm", "--interactive", "--pull=never", "--network=none", "--no-healthcheck", "--workdir=/"]
    options += ["--cap-drop=ALL", "--security-opt=no-new-privileges", f"--entrypoint={PYTHON}"]
    options += [f"--user={user}"] if user else []
    options += [f"--platform={platform}"] if platform else []
    options += [f"--mount={_mount(host, inside)}" for host, inside in mounts]
    outcome = command.run(
        ["docker", "run", *options, "--", image, "-B", "-", *words], stdin=program, check=False, timeout=_PATIENCE
    )
    if outcome.ok:
        return outcome.stdout
    if is_unreachable(outcome):
        raise unreachable(outcome)
    said = [line for line in outcome.tail() if "Run 'docker run --help'" not in line]
    raise ProgramError(f"{image} does not tell what it holds", details=said[-3:])


def _mount(host: Path, inside: str) -> str:
    """A bind mount in the form of `docker run`, which is a line of CSV; a folder that is not there is an error."""
    line = io.StringIO()
    csv.writer(line).writerow(["type=bind", f"source={host}", f"target={inside}", "readonly"])
    return line.getvalue().strip()
