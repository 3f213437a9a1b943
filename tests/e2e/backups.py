"""Backups of a server in the tests: their description, their files, and what is known about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.harness import Bench, docker

PASSWORD = "correct horse battery staple"


def add_backups(bench: Bench, repository: Path | str, **options: Any) -> None:
    """Describe backups to a folder beside the project, or to a server, and commit it. Nothing runs at the usual time of day."""
    password = bench.root.parent / "backup-password"
    password.write_text(f"{PASSWORD}\n", encoding="utf-8")
    password.chmod(0o600)
    bench.env |= {"BACKUP_PASSWORD_FILE": str(password), "BACKUP_TARGET": str(repository)}
    bench.edit(backup={"repository": "${BACKUP_TARGET}", **options})
    bench.commit("Backups")


def stored(bench: Bench) -> list[dict[str, Any]]:
    """The backups that `backup.list` shows."""
    found: list[dict[str, Any]] = json.loads(bench.ok("backup.list", "--format", "json").out)["backups"]
    return found


def backup_status(bench: Bench) -> dict[str, Any]:
    """What `status` says about the backups."""
    found: dict[str, Any] = json.loads(bench.ok("status", "--format", "json").out)["backup"]
    return found


@contextmanager
def repository_at(bench: Bench, target: Path) -> Iterator[Path]:
    """The stack with another repository; then as before."""
    before = bench.env["BACKUP_TARGET"]
    bench.env["BACKUP_TARGET"] = str(target)
    try:
        bench.ok("up")
        yield target
    finally:
        bench.env["BACKUP_TARGET"] = before
        bench.ok("up")


def restic(bench: Bench, repository: Path, script: str, *options: str) -> str:
    """Run a script with restic on a repository, outside of the stack, as the user of the stack."""
    image = str(bench.containers()["backup"]["Config"]["Image"])
    user = str(bench.containers()["backup"]["Config"]["User"])
    words = ["run", "--rm", f"--volume={repository}:/repository", f"--env=RESTIC_PASSWORD={PASSWORD}"]
    words += [
        f"--user={user}",
        "--env=RESTIC_REPOSITORY=/repository",
        "--env=HOME=/tmp",
        "--entrypoint=/bin/sh",
        *options,
    ]
    return docker(*words, image, "-c", script)
