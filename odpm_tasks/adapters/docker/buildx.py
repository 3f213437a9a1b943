"""Image builds with BuildKit (`docker buildx build`); tag, push, save and inspect images. No decisions."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.errors import MachineError, ProgramError

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")
SNAPSHOTTER = (
    'add {"features": {"containerd-snapshotter": true}} to /etc/docker/daemon.json and restart the engine '
    "(its images must be built or pulled again)"
)


@dataclass(frozen=True)
class BuildSpec:
    """One stage to build: `folder` is the build context, `contexts` are named contexts, `secrets` are files by id.

    `epoch`: timestamp (seconds) of the image's configuration and history. `host_network`: build steps use the host's
    network, so they can connect to this machine's loopback. `no_cache`: do not use the build cache. `local_only`: the
    image is never pushed, so its layers are not compressed.
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
    no_cache: bool = False
    local_only: bool = False


class BuildError(ProgramError):
    """A build failed. `log` is its whole output."""

    log = ""


def require_store(build_spec: BuildSpec) -> None:
    """Check that the engine's image store supports the options. Errors: MachineError with the setting to change."""
    exported = [target for target in build_spec.cache_to if "type=inline" not in target]
    if (len(build_spec.platforms) < 2 and not exported) or containerd_store():
        return
    feature = "several platforms" if len(build_spec.platforms) > 1 else "build cache export"
    raise MachineError(f"the classic image store of this engine does not support {feature}", todo=SNAPSHOTTER)


def build(build_spec: BuildSpec, progress: Callable[[str], None]) -> None:
    """Build and load the image into the engine. `progress` is called with each line of the log.

    Errors: MachineError if the engine or its image store does not support an option, BuildError with the relevant
    lines of the log.
    """
    require_store(build_spec)
    outcome = build_with_retry([*_command(build_spec), str(build_spec.folder)], progress)
    if not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else _failure(outcome, build_spec)


def _command(build_spec: BuildSpec) -> list[str]:
    words = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
    words += [f"--target={build_spec.target}", f"--file={build_spec.dockerfile}"]
    if containerd_store():
        # uncompressed: these layers are never pushed, and gzip took half the time of a build without cache. Forced, because
        # BuildKit would take a layer from its cache as it is, and the digest would depend on earlier builds
        compression = "uncompressed" if build_spec.local_only else "gzip"
        kind = f"unpack=true,compression={compression},force-compression=true"
        words.append(f'--output=type=image,"name={build_spec.tag}",{kind}')
    else:
        words += ["--load", f"--tag={build_spec.tag}"]
    words += [f"--platform={','.join(build_spec.platforms)}"] if build_spec.platforms else []
    words += ["--no-cache"] if build_spec.no_cache else []
    words += ["--network=host"] if build_spec.host_network else []
    words += [f"--cache-from={source}" for source in build_spec.cache_from]
    words += [f"--cache-to={target}" for target in build_spec.cache_to]
    words += [f"--build-context={name}={path}" for name, path in sorted(build_spec.contexts.items())]
    words += [f"--secret=id={name},src={path}" for name, path in sorted(build_spec.secrets.items())]
    # BuildKit predefines the proxy arguments and excludes them from the history; without a value here, they are not
    # in the process list either
    words += [f"--build-arg={name}" for proxy in PROXIES for name in (proxy, proxy.lower()) if os.environ.get(name)]
    words += [f"--build-arg={name}={value}" for name, value in sorted(build_spec.arguments.items())]
    words += [f"--build-arg=SOURCE_DATE_EPOCH={build_spec.epoch}"]
    words += [f"--label={name}={value}" for name, value in sorted(build_spec.labels.items())]
    return words


def containerd_store() -> bool:
    """Whether the engine stores images in containerd, which supports OCI archives, several platforms and cache export."""
    outcome = command.run(["docker", "info", "--format", "{{json .DriverStatus}}"], check=False)
    return "io.containerd.snapshotter" in outcome.text


def _failure(outcome: command.Outcome, build_spec: BuildSpec) -> MachineError | ProgramError:
    error = command.failure(outcome)
    if isinstance(error, MachineError):
        return error
    log = outcome.stderr.decode(errors="replace")
    if "exec format error" in log and build_spec.platforms:
        return docker.without_emulator(*build_spec.platforms)
    failure = BuildError(
        "docker buildx build failed",
        details=_relevant_lines(log),
        todo="show the whole log: inv build --force (in scenario ci: inv build-image --show-log)",
    )
    failure.log = log
    return failure


def _relevant_lines(log: str) -> list[str]:
    """The last lines of the step that failed, else the lines that start with "error", else the last lines of the log."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    failed = re.findall(r"^(#\d+) ERROR", log, re.MULTILINE)
    output = (
        [re.sub(r"^#\d+ [\d.]+ ", "", line) for line in lines if re.match(rf"{failed[-1]} [\d.]+ ", line)]
        if failed
        else []
    )
    output = output[-3:] or [line for line in lines if line.startswith(("ERROR", "error:"))] or lines
    return [command.redact(line)[:300] for line in output[-3:]]


def tag(image: str, names: Sequence[str]) -> None:
    """Add names to an image. Errors: ProgramError for an invalid name."""
    for name in names:
        _docker("tag", image, name)


def untag(name: str) -> None:
    """Remove a name; the engine deletes an image without names."""
    command.run(["docker", "image", "rm", "--", name], check=False)


def push(tag: str) -> str:
    """Push an image to its registry; returns its digest there. Errors: ProgramError."""
    try:
        outcome = _docker("push", tag)
    except ProgramError as error:
        error.todo = "check that the registry is reachable and that you are logged in: docker login"
        raise
    match = re.search(r"digest: (sha256:[0-9a-f]{64})", outcome.text)
    return match[1] if match else ""


def save(tags: Sequence[str], archive: Path) -> None:
    """Write an image to an archive for `docker load` and tools that read OCI layouts. Errors: ProgramError."""
    _docker("save", "--output", str(archive), *tags)


def digest_and_size(image: str) -> tuple[str, int]:
    """The image's id on this engine, and its size in bytes."""
    entry = json.loads(_docker("image", "inspect", image).text)[0]
    return str(entry["Id"]), int(entry["Size"])


def _docker(*words: str) -> command.Outcome:
    outcome = command.run(["docker", *words], check=False)
    if not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else command.failure(outcome)
    return outcome


# Two builds share equal steps. If one of them is cancelled, BuildKit also fails the other with one of these messages
# (similar: moby/buildkit#2303, #4733). If both name their image at the same moment, the second one fails with the last.
_DISTURBED_BY_OTHER = re.compile(
    r"failed to solve: .*(no active sessions|inconsistent graph state|return leaving outgoing open|context canceled"
    r"|only one connection allowed"
    r'|image "[^"]*": already exists)'
)
_MAX_BUILDS = 4


def build_with_retry(
    words: Sequence[str], progress: Callable[[str], None], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> command.Outcome:
    """Run a program that builds images; repeat it if BuildKit failed it because of another build of the same steps."""
    for remaining in reversed(range(_MAX_BUILDS)):
        outcome = command.run(words, cwd=cwd, env=env, check=False, on_line=progress)
        if outcome.ok or not remaining or not _DISTURBED_BY_OTHER.search(outcome.stderr.decode(errors="replace")):
            break
        progress("another build of the same steps disturbed this one: building again")
        time.sleep(1)
    return outcome
