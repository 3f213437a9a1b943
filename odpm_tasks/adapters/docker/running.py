"""A running container: its state, signals, and what it has written since a time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from odpm_tasks.adapters import command


def state(container: str) -> str:
    """The state of a container, as `running` or `exited`; empty if it does not exist."""
    return command.run(
        ["docker", "inspect", "--format", "{{.State.Status}}", "--", container], check=False
    ).text.strip()


def started_at(container: str) -> float:
    """When a container was last started, as `time.time()`; 0 if it does not exist."""
    words = ["docker", "inspect", "--format", "{{.State.StartedAt}}", "--", container]
    text = command.run(words, check=False).text.strip()  # `2026-11-27T20:45:10.123456789Z`
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?", text)
    return datetime.fromisoformat(f"{found[1]}+00:00").timestamp() + float(found[2] or 0) if found else 0.0


def environment(container: str) -> dict[str, str]:
    """The variables that a container was created with."""
    words = ["docker", "inspect", "--format", "{{json .Config.Env}}", "--", container]
    pairs = json.loads(command.run(words, check=False).text.strip() or "[]")
    return dict(pair.partition("=")[::2] for pair in pairs or ())


def label(container: str, name: str) -> str:
    """The value of a label of a container; empty where it has none."""
    words = ["docker", "inspect", "--format", "{{json .Config.Labels}}", "--", container]
    found = json.loads(command.run(words, check=False).text.strip() or "{}")
    return str((found or {}).get(name, ""))


def name(container: str) -> str:
    """The name of a container; empty if it does not exist."""
    words = ["docker", "inspect", "--format", "{{.Name}}", "--", container]
    return command.run(words, check=False).text.strip().removeprefix("/")


def connections(container: str) -> str:
    """The connections of a container as its kernel lists them; empty if it does not run."""
    words = ["docker", "exec", container, "cat", "/proc/net/tcp", "/proc/net/tcp6"]
    return command.run(words, check=False).text


def stop(container: str) -> None:
    """Stop a container as its service describes: a signal, then time to end."""
    command.run(["docker", "stop", container], check=False)


def remove(container: str) -> None:
    """Remove a container at once, also one that runs, with its anonymous volumes."""
    command.run(["docker", "rm", "--force", "--volumes", container], check=False)


def send_signal(container: str, signal: str) -> bool:
    """Send a signal to the first process of a container; returns whether the container runs."""
    return command.run(["docker", "kill", f"--signal={signal}", container], check=False).ok


def start(container: str) -> bool:
    """Start a stopped container; returns whether that succeeded."""
    return command.run(["docker", "start", container], check=False).ok


def log_since(container: str, since: float) -> list[str]:
    """The lines that a container has written since a time (of `time.time()`), in the order of their times."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since)) + f"{since % 1:.6f}"[1:] + "Z"
    outcome = command.run(["docker", "logs", "--timestamps", f"--since={moment}", container], check=False)
    rows = (outcome.stdout + outcome.stderr).decode(errors="replace").splitlines()
    lines = sorted((row.partition(" ") for row in rows), key=lambda row: row[0])  # stable: equal times keep their order
    return [text for _, _, text in lines]


def inspect(containers: Sequence[str]) -> list[Mapping[str, Any]]:
    """What `docker inspect` prints of each container. Errors: ProgramError, if one does not exist any more."""
    found: list[Mapping[str, Any]] = json.loads(
        command.run(["docker", "inspect", "--type=container", "--", *containers]).stdout
    )
    return found
