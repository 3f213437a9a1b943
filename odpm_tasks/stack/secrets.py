"""The passwords of a scenario: files below `.odpm/secrets`, each readable by one user only."""

from __future__ import annotations

import os
import secrets

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.stack.database_role import roles_sql, scram_verifier
from odpm_tasks.stack.compose import compose_env


def make_secrets(paths: ProjectPaths) -> None:
    """Create the scenario's passwords, each in a file that only its user can read. Existing ones are never changed."""
    scenario = paths.settings.scenario
    folder = paths.secrets(scenario.name)
    with files.disk_errors(folder):
        for level in (folder.parent, folder):
            level.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = (
        {"db_password": "odoo", "odoo_master_password": "admin", "admin_password": "admin"}
        if scenario.developer
        else {}
    )
    env = compose_env(paths)
    for name in ("db_password", "odoo_master_password", "postgres_password", "admin_password"):
        path = folder / name
        if not path.exists():
            files.write(path, known.get(name, secrets.token_urlsafe(24)).encode(), 0o400)
        # Compose mounts secrets with the owner of the file: Odoo's user in the container must be able to read them
        if os.geteuid() == 0 and name in {"db_password", "odoo_master_password"}:
            os.chown(path, int(env["ODPM_UID"]), int(env["ODPM_GID"]))
    roles = folder / "roles.sql"
    if not roles.exists():
        password = (folder / "db_password").read_text(encoding="utf-8")
        files.write(roles, roles_sql(scram_verifier(password, secrets.token_bytes(16))).encode(), 0o644)


def passwords(paths: ProjectPaths) -> tuple[str, ...]:
    folder = paths.secrets(paths.settings.scenario.name)
    texts = (files.read_text(path) for path in sorted(folder.glob("*_password")))
    return tuple(text for text in texts if text and len(text) > 8)


def admin_password(paths: ProjectPaths) -> str:
    return (files.read_text(paths.secrets(paths.settings.scenario.name) / "admin_password") or "").strip()
