"""Docker engine and Compose, through their command lines. No decisions."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.errors import MachineError

MINIMUM_ENGINE = (25, 0)  # health checks with a start interval
MINIMUM_COMPOSE = (2, 20)
_REMOVED_WITHIN = 60.0  # seconds
_POLL_INTERVAL = 0.1
INSTALL = "install Docker Engine with the Compose and Buildx plugins (docs.docker.com/engine/install), then run again"
# The missing emulator shows only when the first program of another architecture fails to start.
EMULATOR = "docker run --privileged --rm tonistiigi/binfmt --install all"


@dataclass(frozen=True)
class Container:
    """One container of a Compose project."""

    id: str
    service: str
    state: str
    health: str
    folder: str
    oneoff: bool
    ports: tuple[str, ...] = ()  # as `ADDRESS:PORT->INSIDE/tcp`


def require() -> None:
    """Check that the engine, Compose and Buildx are installed and recent enough. Errors: MachineError."""
    for error in problems():
        raise error


def problems() -> Iterator[MachineError]:
    """What is missing or too old: the engine, then Compose and Buildx. The engine that does not answer is the only one."""
    if not command.is_installed("docker"):
        yield MachineError("docker is not installed", todo=INSTALL)
        return
    outcome = command.run(["docker", "version", "--format", "{{.Server.Version}}"], check=False, timeout=20)
    if not outcome.ok:
        yield unreachable(outcome)
        return
    yield from _older("Docker Engine", outcome.text, MINIMUM_ENGINE)
    for plugin, minimum in (("compose", MINIMUM_COMPOSE), ("buildx", (0, 10))):
        answer = command.run(["docker", plugin, "version"], check=False, timeout=20)
        if not answer.ok:
            yield MachineError(f"the docker command has no {plugin} plugin", todo=INSTALL)
        else:
            yield from _older(f"docker {plugin}", answer.text, minimum)


def architecture() -> str:
    """The processor of the engine as Docker names it (`amd64`). Errors: MachineError if the engine does not answer."""
    outcome = command.run(["docker", "version", "--format", "{{.Server.Arch}}"], check=False, timeout=20)
    if not outcome.ok:
        raise unreachable(outcome)
    return outcome.text.strip()


def without_emulator(*platforms: str) -> MachineError:
    """The error where the first program for another processor does not start."""
    return MachineError(f"this machine cannot run programs for every platform in {','.join(platforms)}", todo=EMULATOR)


def _older(what: str, text: str, minimum: tuple[int, int]) -> Iterator[MachineError]:
    match = re.search(r"v?(\d+)\.(\d+)", text)
    if match and (int(match[1]), int(match[2])) < minimum:
        needed = ".".join(map(str, minimum))
        yield MachineError(f"{what} {match[0].lstrip('v')} is too old: {needed} or newer is needed", todo=INSTALL)


def host() -> str:
    """The address of the engine that the docker command uses: of DOCKER_HOST, else of its context; empty where it is not known."""
    if given := os.environ.get("DOCKER_HOST"):
        return given
    outcome = command.run(
        ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], check=False, timeout=20
    )
    return outcome.text.strip() if outcome.ok else ""


def unreachable(outcome: command.Outcome) -> MachineError:
    """The error for an engine that does not answer, with the fix for the usual causes."""
    output = " ".join(outcome.tail())
    if "permission denied" in output:
        return MachineError(
            "no permission to use the Docker engine",
            details=outcome.tail()[-1:],
            todo="sudo usermod -aG docker $USER, log in again",
        )
    host = os.environ.get("DOCKER_HOST")
    return MachineError(
        "the Docker engine does not answer",
        where=f"DOCKER_HOST={command.redact(host)}" if host else "",
        details=outcome.tail()[-1:],
        todo=_START
        if not host
        else "correct DOCKER_HOST, or unset it for the engine of this machine: unset DOCKER_HOST",
    )


_START = (
    "start Docker Desktop, then run the same command again"
    if sys.platform == "darwin"
    else f"start it: sudo {'systemctl start docker' if Path('/run/systemd/system').is_dir() else 'service docker start'}"
)


def is_unreachable(outcome: command.Outcome) -> bool:
    output = outcome.stderr.decode(errors="replace")
    return any(
        text in output for text in ("Cannot connect to the Docker daemon", "permission denied", "error during connect")
    )


def image_label(tag: str, label: str) -> str | None:
    """The value of an image label ("": not set); None if the image does not exist. Errors: MachineError."""
    outcome = command.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", "--", tag], check=False, timeout=60
    )
    if not outcome.ok:
        if is_unreachable(outcome):
            raise unreachable(outcome)
        return None
    labels: dict[str, str] = json.loads(outcome.text) or {}
    return labels.get(label, "")


def containers(project: str) -> tuple[Container, ...]:
    """All containers of a Compose project, running or not."""
    return tuple(map(_container, _rows(f"={project}")))


def compose_containers() -> dict[str, tuple[str, tuple[Container, ...]]]:
    """The containers of every Compose project of the engine: name of the project -> its folder and its containers."""
    found: dict[str, list[Container]] = {}
    for row in _rows():
        found.setdefault(labels_of(row)["com.docker.compose.project"], []).append(_container(row))
    return {name: (group[0].folder, tuple(group)) for name, group in found.items()}


def running_container(found: Iterable[Container], service: str) -> Container | None:
    """The running container of a service; None where it does not run."""
    return next((c for c in found if c.service == service and c.state == "running" and not c.oneoff), None)


# The fields by name: `--format json` also asks the engine for the size of every container, which is slow and fails if one of them
# is removed at that moment ("rw layer snapshot not found").
_FIELDS = ("ID", "State", "Status", "Ports", "Labels")
_ROW = "{" + ",".join(f'"{name}":{{{{json .{name}}}}}' for name in _FIELDS) + "}"


def _rows(project: str = "") -> list[Mapping[str, Any]]:
    """The containers of Compose projects as `docker ps` prints them. `project`: `=NAME` for one project."""
    label = f"label=com.docker.compose.project{project}"
    words = ["docker", "ps", "--all", "--no-trunc", "--filter", label, "--format", _ROW]
    outcome = command.run(words, check=False, timeout=60)
    if not outcome.ok:
        raise unreachable(outcome) if is_unreachable(outcome) else command.failure(outcome)
    return [json.loads(line) for line in outcome.text.splitlines() if line.strip()]


def labels_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a row that a command of Docker lists (`a=b,c=d`)."""
    return dict(pair.partition("=")[::2] for pair in str(row["Labels"]).split(","))


def _container(row: Mapping[str, Any]) -> Container:
    labels = labels_of(row)
    health = re.search(r"\((healthy|unhealthy|health: starting)\)", str(row["Status"]))
    return Container(
        id=row["ID"],
        service=labels.get("com.docker.compose.service", ""),
        state=row["State"],
        health=(health[1].removeprefix("health: ") if health else ""),
        folder=labels.get("com.docker.compose.project.working_dir", ""),
        oneoff=labels.get("com.docker.compose.oneoff", "") == "True",
        ports=tuple(port.strip() for port in str(row.get("Ports", "")).split(",") if "->" in port),
    )


def names_with_prefix(prefix: str) -> tuple[str, ...]:
    """The names of all containers that begin with `prefix`, running or not."""
    outcome = command.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{prefix}"], check=False
    )
    return tuple(name for name in outcome.text.split() if name.startswith(prefix))


def remove_containers(names: Sequence[str]) -> None:
    """Remove containers, also running ones; those that do not exist any more are no error. Their names are free afterwards."""
    if names:
        until_removed(lambda: command.run(["docker", "rm", "--force", *names], check=False))


def until_removed(remove: Callable[[], command.Outcome]) -> command.Outcome:
    """The outcome of `docker rm`, repeated while a container is being removed already, because it has ended or by another client."""
    deadline = time.monotonic() + _REMOVED_WITHIN
    while True:
        outcome = remove()
        if outcome.ok or b"is already in progress" not in outcome.stderr or time.monotonic() >= deadline:
            return outcome
        time.sleep(_POLL_INTERVAL)


def image_id(tag: str) -> str:
    """The id of an image; empty where it does not exist."""
    outcome = command.run(["docker", "image", "inspect", "--format", "{{.Id}}", "--", tag], check=False, timeout=60)
    return outcome.text.strip() if outcome.ok else ""


def network_owner(name: str) -> str | None:
    """The Compose project that created a network ("": not created by Compose); None if the network does not exist."""
    label = '{{index .Labels "com.docker.compose.project"}}'
    outcome = command.run(["docker", "network", "inspect", "--format", label, "--", name], check=False, timeout=60)
    if not outcome.ok and is_unreachable(outcome):
        raise unreachable(outcome)
    return outcome.text.strip() if outcome.ok else None


def exit_code(container: str) -> int:
    """The exit code of a stopped container."""
    return int(command.run(["docker", "inspect", "--format", "{{.State.ExitCode}}", container]).text.strip())


def addresses(container: str) -> tuple[str, ...]:
    """The addresses of a container in its networks."""
    words = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}"
    return tuple(command.run(["docker", "inspect", "--format", words, container]).text.split())


def execute(container: str, *words: str, stdin: bytes = b"", user: str = "", check: bool = False) -> command.Outcome:
    """Run a program inside a running container, without a terminal."""
    options = ["--interactive"] if stdin else []
    options += ["--user", user] if user else []
    return command.run(["docker", "exec", *options, container, *words], stdin=stdin, check=check)


def publishes(containers_: Iterable[str], port: int) -> bool:
    """Whether one of these containers publishes a port of this machine."""
    outcome = command.run(["docker", "ps", "--no-trunc", "--quiet", "--filter", f"publish={port}"], check=False)
    return bool(set(outcome.text.split()) & set(containers_))


def last_lines(container: str, secrets: Sequence[str] = ()) -> tuple[str, ...]:
    """The last lines of a container's log, with secrets masked."""
    outcome = command.run(["docker", "logs", "--tail", "12", container], check=False)
    text = (outcome.stdout + outcome.stderr).decode(errors="replace")
    for secret in secrets:
        text = text.replace(secret, "***")
    return tuple(command.redact(line) for line in text.splitlines() if line.strip())


def log_since_start(container: str) -> tuple[str, ...]:
    """The lines that a container, running or not, has written since its last start, in the order of standard output and error."""
    started = command.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", container], check=False).text
    words = ["docker", "logs", "--timestamps", "--since", started.strip() or "0", container]
    outcome = command.run(words, check=False)
    rows = (outcome.stdout + outcome.stderr).decode(errors="replace").splitlines()
    lines = sorted((row.partition(" ") for row in rows), key=lambda row: row[0])  # stable: equal times keep their order
    return tuple(text for _, _, text in lines)


def publisher(port: int) -> str | None:
    """The container that publishes a port of this machine, with its Compose project and folder; None if there is none."""
    outcome = command.run(
        [
            "docker",
            "ps",
            "--filter",
            f"publish={port}",
            "--format",
            '{{.Names}}\t{{.Label "com.docker.compose.project"}}\t{{.Label "com.docker.compose.project.working_dir"}}',
        ],
        check=False,
    )
    first = outcome.text.splitlines()[:1]
    if not first:
        return None
    name, project, folder = first[0].split("\t")
    return f"container {name}" + (f" of the project {project}" if project else "") + (f" in {folder}" if folder else "")
