"""Backups of a server in the tests: their description, their files, and what is known about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.harness import Bench

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
