"""The door to image builds: BuildKit by `docker buildx build`, and what becomes of an image afterwards. No decisions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.errors import MachineError, ProgramError

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
SNAPSHOTTER = (
    'put {"features": {"containerd-snapshotter": true}} into /etc/docker/daemon.json and restart the engine '
    "(its images have to be built or pulled anew)"
)
# Which emulator a machine lacks is what the kernel says of the first program of another architecture.
EMULATOR = "docker run --privileged --rm tonistiigi/binfmt --install all"


@dataclass(frozen=True)
class Build:
    """One stage to build: `folder` is the context, `contexts` further ones by name, `secrets` files by id.

    `epoch`: the time (seconds) that configuration and history of the image carry. `host_network`: steps reach what listens
    on this machine's loopback. `afresh`: no step is taken from the build cache. `stays`: the image is for this machine
    only, so that its layers need no compression.
    """

    folder: Path
    dockerfile: Path
    target: str
    tag: str
    epoch: int
    contexts: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platforms: Sequence[str] = ()
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    host_network: bool = False
    afresh: bool = False
    stays: bool = False


def require_store(wanted: Build) -> None:
    """See that the engine's image store can do what is asked. Errors: MachineError with the setting to change."""
    exported = [target for target in wanted.cache_to if "type=inline" not in target]
    if (len(wanted.platforms) < 2 and not exported) or containerd_store():
        return
    what = "several platforms" if len(wanted.platforms) > 1 else "a build cache to export"
    raise MachineError(f"the classic image store of this engine knows no {what.removeprefix('a ')}", todo=SNAPSHOTTER)


def build(wanted: Build, progress: Callable[[str], None]) -> None:
    """Build and load into the engine. `progress` gets each line of the log.

    Errors: MachineError where engine or store cannot do what is asked, ProgramError with the telling lines of the log.
    """
    require_store(wanted)
    outcome = docker.build_with_retry([*_words(wanted), str(wanted.folder)], progress)
    if not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else _failure(outcome, wanted)


def _words(wanted: Build) -> list[str]:
    words = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
    words += [f"--target={wanted.target}", f"--file={wanted.dockerfile}"]
    if containerd_store():
        # uncompressed: half of a cold build went into gzip for a registry that never sees these layers
        kind = "unpack=true,compression=uncompressed" if wanted.stays else "unpack=true"
        words.append(f'--output=type=image,"name={wanted.tag}",{kind}')
    else:
        words += ["--load", f"--tag={wanted.tag}"]
    words += [f"--platform={','.join(wanted.platforms)}"] if wanted.platforms else []
    words += ["--no-cache"] if wanted.afresh else []
    words += ["--network=host"] if wanted.host_network else []
    words += [f"--cache-from={source}" for source in wanted.cache_from]
    words += [f"--cache-to={target}" for target in wanted.cache_to]
    words += [f"--build-context={name}={path}" for name, path in sorted(wanted.contexts.items())]
    words += [f"--secret=id={name},src={path}" for name, path in sorted(wanted.secrets.items())]
    # proxies are arguments that BuildKit knows and keeps out of the history; their values stay out of the process list
    words += [f"--build-arg={name}" for proxy in PROXIES for name in (proxy, proxy.lower()) if os.environ.get(name)]
    words += [f"--build-arg={name}={value}" for name, value in sorted(wanted.arguments.items())]
    words += [f"--build-arg=SOURCE_DATE_EPOCH={wanted.epoch}"]
    words += [f"--label={name}={value}" for name, value in sorted(wanted.labels.items())]
    return words


def containerd_store() -> bool:
    """Whether the engine keeps images in containerd: it knows OCI archives, several platforms and build caches to export."""
    outcome = command.run(["docker", "info", "--format", "{{json .DriverStatus}}"], check=False)
    return "io.containerd.snapshotter" in outcome.text


def _failure(outcome: command.Outcome, wanted: Build) -> MachineError | ProgramError:
    error = command.failure(outcome)
    if isinstance(error, MachineError):
        return error
    said = outcome.stderr.decode(errors="replace")
    if "exec format error" in said and wanted.platforms:
        return MachineError(
            f"this machine cannot run programs of every platform in {','.join(wanted.platforms)}", todo=EMULATOR
        )
    return ProgramError(
        "docker buildx build failed",
        details=_telling(said),
        todo="the whole log: inv build --force, in ci inv build-image --show-log",
    )


def _telling(log: str) -> list[str]:
    """Of a build's log the last words of the step that failed, else those that speak of an error."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    failed = re.findall(r"^(#\d+) ERROR", log, re.MULTILINE)
    words = (
        [re.sub(r"^#\d+ [\d.]+ ", "", line) for line in lines if re.match(rf"{failed[-1]} [\d.]+ ", line)]
        if failed
        else []
    )
    words = words[-3:] or [line for line in lines if line.startswith(("ERROR", "error:"))] or lines
    return [command.redact(line)[:300] for line in words[-3:]]


def tag(image: str, names: Sequence[str]) -> None:
    """Give an image further names. Errors: ProgramError for a name that is none."""
    for name in names:
        _docker("tag", image, name)


def untag(name: str) -> None:
    """Take a name away; the image goes where it was the last one."""
    command.run(["docker", "image", "rm", "--", name], check=False)


def push(tag: str) -> str:
    """Push an image to its registry and return its digest there. Errors: ProgramError."""
    try:
        outcome = _docker("push", tag)
    except ProgramError as error:
        error.todo = "see whether the registry answers and lets you in: docker login"
        raise
    match = re.search(r"digest: (sha256:[0-9a-f]{64})", outcome.text)
    return match[1] if match else ""


def save(tags: Sequence[str], archive: Path) -> None:
    """Write an image as an archive that `docker load` and tools for OCI layouts read. Errors: ProgramError."""
    _docker("save", "--output", str(archive), *tags)


def facts(image: str) -> tuple[str, int]:
    """The digest that names an image on this engine, and its size in bytes."""
    told = json.loads(_docker("image", "inspect", image).text)[0]
    return str(told["Id"]), int(told["Size"])


def _docker(*words: str) -> command.Outcome:
    outcome = command.run(["docker", *words], check=False)
    if not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else command.failure(outcome)
    return outcome
