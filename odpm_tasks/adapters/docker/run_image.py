"""Images: read their configuration, run a Python program in a container and return its output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.engine import is_unreachable, unreachable, without_emulator
from odpm_tasks.errors import ProgramError

PYTHON = "/opt/odoo/venv/bin/python"
_TIMEOUT = 600  # seconds


def environment(image: str) -> dict[str, str] | None:
    """The environment variables that an image sets; None if the image does not exist. Errors: MachineError."""
    outcome = command.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Env}}", "--", image], check=False, timeout=60
    )
    if not outcome.ok:
        if is_unreachable(outcome):
            raise unreachable(outcome)
        return None
    return dict(entry.partition("=")[::2] for entry in json.loads(outcome.text) or ())


def environment_of_platform(image: str, platform: str) -> dict[str, str] | None:
    """The environment variables that a platform of an image sets; None if the engine does not have it. Errors: MachineError.

    Older engines than 28 inspect only their own platform of an image, so a container is created, which does not start.
    """
    options = ["--pull=never", "--network=none", f"--platform={platform}", "--entrypoint=/none"]
    outcome = command.run(["docker", "create", *options, "--", image], check=False, timeout=_TIMEOUT)
    if not outcome.ok:
        if is_unreachable(outcome):
            raise unreachable(outcome)
        return None
    container = outcome.text.strip()
    try:
        inspected = command.run(["docker", "inspect", "--format", "{{json .Config.Env}}", "--", container], timeout=60)
    finally:
        command.run(["docker", "rm", "--volumes", "--", container], check=False)
    return dict(entry.partition("=")[::2] for entry in json.loads(inspected.text) or ())


def provide(image: str) -> None:
    """Pull an image that this machine does not have. Errors: MachineError, ProgramError."""
    if environment(image) is not None:
        return
    outcome = command.run(["docker", "pull", "--quiet", "--", image], check=False, timeout=_TIMEOUT)
    if outcome.ok:
        return
    if is_unreachable(outcome):
        raise unreachable(outcome)
    raise ProgramError(
        f"cannot pull the image {image}",
        details=outcome.tail()[-2:],
        todo=f"test whether Docker can reach it: docker pull {image}; a mirror: ODPM_IMAGE_MIRROR in .env",
    )


def run_python(
    image: str,
    program: bytes,
    *arguments: str,
    mounts: Sequence[tuple[Path, str]] = (),
    user: str = "",
    platform: str = "",
) -> bytes:
    """Run a Python program in a container of an image; returns its standard output.

    The container has no network and no capabilities and is removed afterwards. `mounts` are read-only bind mounts: path
    on this machine, path in the container. `user` is `UID:GID` (default: the image's user). `platform` selects one
    platform of a multi-platform image. Errors: ProgramError, MachineError without an emulator for the platform.
    """
    options = ["--rm", "--interactive", "--pull=never", "--network=none", "--no-healthcheck", "--workdir=/"]
    options += ["--cap-drop=ALL", "--security-opt=no-new-privileges", f"--entrypoint={PYTHON}"]
    options += [f"--user={user}"] if user else []
    options += [f"--platform={platform}"] if platform else []
    options += [f"--mount={bind_mount(host, inside)}" for host, inside in mounts]
    outcome = command.run(
        ["docker", "run", *options, "--", image, "-B", "-", *arguments], stdin=program, check=False, timeout=_TIMEOUT
    )
    if outcome.ok:
        return outcome.stdout
    if is_unreachable(outcome):
        raise unreachable(outcome)
    if platform and "exec format error" in outcome.stderr.decode(errors="replace"):
        raise without_emulator(platform)
    details = [line for line in outcome.tail() if "Run 'docker run --help'" not in line]
    raise ProgramError(f"cannot read the content of {image}", details=details[-3:])


def debian_packages(image: str, platform: str = "") -> dict[str, str]:
    """The Debian packages of an image: `NAME:ARCHITECTURE` -> version; empty where it has no dpkg."""
    query = ("dpkg-query", "--show", f"--showformat={_FORMAT}")
    rows = (row.partition(" ") for row in _packages(image, platform, *query))
    return {name: version for name, _, version in rows}


def packages_of_time(image: str, seconds: int, platform: str = "") -> set[str]:
    """The names of the Debian packages whose list of files has this time."""
    folder = "/var/lib/dpkg/info"
    rows = _packages(
        image,
        platform,
        "find",
        folder,
        "-name",
        "*.list",
        "-newermt",
        f"@{seconds - 1}",
        "!",
        "-newermt",
        f"@{seconds}",
    )
    return {row.removeprefix(f"{folder}/").removesuffix(".list").partition(":")[0] for row in rows}


_FORMAT = "${Package}:${Architecture} ${Version}\\n"


def _packages(image: str, platform: str, program: str, *arguments: str) -> list[str]:
    options = ["--rm", "--pull=never", "--network=none", "--no-healthcheck", f"--entrypoint={program}"]
    options += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
    options += [f"--platform={platform}"] if platform else []
    outcome = command.run(["docker", "run", *options, "--", image, *arguments], check=False, timeout=_TIMEOUT)
    return outcome.text.splitlines() if outcome.ok else []


def run_isolated(
    image: str, arguments: Sequence[str], *, mounts: Sequence[tuple[Path, str]], environment: Mapping[str, str]
) -> bytes:
    """Run `python ARGUMENTS` of an image on code that is not trusted; returns its standard output.

    The image must exist (`provide`).

    The container has a network, `environment` alone, no capabilities, and limits for memory and processes; its root file
    system is read-only but for /tmp. `mounts` are read-only. Errors: ProgramError with the last lines of the program.
    """
    options = ["--rm", "--no-healthcheck", "--workdir=/tmp", "--entrypoint=python", "--user=65534:65534", "--read-only"]
    options += [
        "--tmpfs=/tmp:exec",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--memory=2g",
        "--pids-limit=512",
    ]
    options += [f"--env={name}={value}" for name, value in {**environment, "HOME": "/tmp"}.items()]  # noqa: S108 - in the container
    options += [f"--mount={bind_mount(host, inside)}" for host, inside in mounts]
    outcome = command.run(["docker", "run", *options, "--", image, *arguments], check=False, timeout=_TIMEOUT)
    if outcome.ok:
        return outcome.stdout
    if is_unreachable(outcome):
        raise unreachable(outcome)
    raise ProgramError(f"a program failed in a container of {image}", details=outcome.tail()[-3:])


def bind_mount(host: Path, inside: str, *, writable: bool = False) -> str:
    """A bind mount for `docker run --mount`, which is a line of CSV; a missing source is an error."""
    line = io.StringIO()
    csv.writer(line).writerow(["type=bind", f"source={host}", f"target={inside}", *([] if writable else ["readonly"])])
    return line.getvalue().strip()
