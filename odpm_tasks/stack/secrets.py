"""The passwords of a scenario: files below `.odpm/secrets`, each readable by one user only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.stack.database_role import passwords_sql, roles_sql, scram_verifier
from odpm_tasks.stack.compose import compose_env

_UNSET = "unset"
PASSWORDS = ("db_password", "odoo_master_password", "postgres_password")


def secrets_folder(paths: ProjectPaths) -> Path:
    """The folder of the scenario's passwords, which only its user can open; created where it is missing."""
    folder = paths.secrets(paths.settings.scenario.name)
    with files.disk_errors(folder):
        for level in (folder.parent, folder):
            level.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def mark_unset(paths: ProjectPaths) -> None:
    """Record that existing data does not have the passwords of the files; a killed run leaves this to the next one."""
    files.write(secrets_folder(paths) / _UNSET, b"")


def mark_set(paths: ProjectPaths) -> None:
    files.remove(secrets_folder(paths) / _UNSET)


def missing(paths: ProjectPaths) -> bool:
    """Whether a password file that the services mount does not exist, or is not set in the data."""
    folder = paths.secrets(paths.settings.scenario.name)
    return (folder / _UNSET).exists() or not all((folder / name).is_file() for name in (*PASSWORDS, "roles.sql"))


def make_secrets(paths: ProjectPaths, *, new_database: bool = True) -> None:
    """Create the scenario's passwords, each in a file that only its user can read. Existing ones are never changed.

    `new_database` false: PostgreSQL has data; then there is no new password of Odoo's administrator, which is in that data.
    """
    scenario, folder = paths.settings.scenario, secrets_folder(paths)
    known = (
        {"db_password": "odoo", "odoo_master_password": "admin", "admin_password": "admin"}
        if scenario.developer
        else {}
    )
    env = compose_env(paths)
    for name in (*PASSWORDS, *(["admin_password"] if new_database else [])):
        path = folder / name
        if not path.exists():
            files.write(path, known.get(name, secrets.token_urlsafe(24)).encode(), 0o400)
        # Compose mounts secrets with the owner of the file: Odoo's user in the container must be able to read them
        if os.geteuid() == 0 and name in {"db_password", "odoo_master_password"}:
            os.chown(path, int(env["ODPM_UID"]), int(env["ODPM_GID"]))
    roles = folder / "roles.sql"
    if not roles.exists():
        files.write(roles, roles_sql(_verifier(folder / "db_password")).encode(), 0o644)


def reset_sql(paths: ProjectPaths) -> str:
    """The SQL that gives the roles of existing data the current passwords; it contains verifiers, no password."""
    folder = paths.secrets(paths.settings.scenario.name)
    return passwords_sql(
        {"odoo": _verifier(folder / "db_password"), "postgres": _verifier(folder / "postgres_password")}
    )


def _verifier(path: Path) -> str:
    return scram_verifier(path.read_text(encoding="utf-8"), secrets.token_bytes(16))


def login(paths: ProjectPaths) -> str:
    """How to log in as Odoo's administrator: of a generated password only its file."""
    scenario = paths.settings.scenario
    path = paths.secrets(scenario.name) / "admin_password"
    generated = f"in {path.relative_to(paths.root)}" if path.exists() else "as set in the database"
    return f"user admin, password {'admin' if scenario.developer else generated}"


def passwords(paths: ProjectPaths) -> tuple[str, ...]:
    folder = paths.secrets(paths.settings.scenario.name)
    texts = (files.read_text(path) for path in sorted(folder.glob("*_password")))
    return tuple(text for text in texts if text and len(text) > 8)


def admin_password(paths: ProjectPaths) -> str:
    return (files.read_text(paths.secrets(paths.settings.scenario.name) / "admin_password") or "").strip()
