"""Volumes of the engine: list, remove, read a file or an owner in one. No decisions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.engine import image_label


def of_project(project: str) -> tuple[str, ...]:
    """The volumes of a Compose project, sorted."""
    words = ["docker", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}"]
    return tuple(sorted(command.run(words).text.split()))


def named(begin: str) -> tuple[str, ...]:
    """The volumes whose names begin so, sorted."""
    outcome = command.run(["docker", "volume", "ls", "--quiet", "--filter", f"name={begin}"])
    return tuple(sorted(name for name in outcome.text.split() if name.startswith(begin)))


def create(name: str, labels: Mapping[str, str]) -> None:
    """Create a volume; one that exists is no error, and keeps its labels."""
    command.run(
        ["docker", "volume", "create", *(f"--label={key}={value}" for key, value in labels.items()), "--", name]
    )


def remove(names: Sequence[str]) -> None:
    """Remove volumes; those that do not exist any more are no error."""
    if names:
        command.run(["docker", "volume", "rm", "--force", "--", *names])


def exists(name: str) -> bool:
    return command.run(["docker", "volume", "inspect", "--", name], check=False).ok


def first_word(volume: str, patterns: Sequence[str], images: Sequence[str]) -> str:
    """The first word of the first file in a volume that one of these patterns names; empty where there is none.

    Read from the disk where this user may, else in a container of the first of these images that this machine has.
    """
    read = 'for f in "$@"; do [ -f "$f" ] && { cat "$f"; break; }; done; true'
    return (
        _in_volume(volume, patterns, images, lambda path: path.read_text(encoding="utf-8"), read)
        .partition("\n")[0]
        .strip()
    )


def owner(volume: str, patterns: Sequence[str], images: Sequence[str]) -> tuple[int, int] | None:
    """User and group of the first file or folder in a volume that one of these patterns names; None where there is none."""

    def owner(path: Path) -> str:
        found = path.stat()
        return f"{found.st_uid} {found.st_gid}"

    read = 'for f in "$@"; do [ -e "$f" ] && { stat -c "%u %g" "$f"; break; }; done; true'
    words = _in_volume(volume, patterns, images, owner, read).split()
    return (int(words[0]), int(words[1])) if len(words) >= 2 else None


def _in_volume(
    volume: str, patterns: Sequence[str], images: Sequence[str], read: Callable[[Path], str], script: str
) -> str:
    outcome = command.run(["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", "--", volume], check=False)
    if not outcome.ok:
        return ""
    folder = Path(outcome.text.strip())
    with contextlib.suppress(OSError):
        folder.stat()  # of the superuser; elsewhere also in a virtual machine
        return next((read(path) for pattern in patterns for path in sorted(folder.glob(pattern))), "")
    for image in images:
        if image_label(image, "") is not None:
            words = [
                "docker",
                "run",
                "--rm",
                "--network=none",
                "--user=0",
                f"--volume={volume}:/data:ro",
                "--entrypoint=sh",
            ]
            names = " ".join(f"/data/{pattern}" for pattern in patterns)
            return command.run([*words, image, "-c", f"set -- {names}; {script}"], check=False, timeout=60).text
    return ""
