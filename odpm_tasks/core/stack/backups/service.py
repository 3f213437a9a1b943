"""The services for backups that `backup` of the description adds in `server`: one with restic, one that makes the dumps.

Two, so that no container has both the password of PostgreSQL and the keys of the repository, and each image is an official one:
restic's with its ssh, certificates and time zones, and PostgreSQL's own with the pg_dump that fits the server.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from odpm_tasks.core import templating
from odpm_tasks.core.config.paths import BUILD_FOLDER
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.manifest.model import BACKUP, BACKUP_DUMP, Manifest
from odpm_tasks.core.manifest.server_model import Backup
from odpm_tasks.core.stack import hardening

IMAGE = "restic/restic:0.18.1"
SCRIPT = "/odpm/backup.sh"
FOLDER = "/repository"
PASSWORD, CREDENTIALS = "backup_password", "backup_credentials"
SSH_KEY, KNOWN_HOSTS = "backup_ssh_key", "backup_known_hosts"
USER_ENTRY = "backup_passwd"  # ssh refuses to run as a user without a name
# the files of the package that the services mount, and their places in the project
SCRIPTS = {name: f"{BUILD_FOLDER}/{name}" for name in ("backup.sh", "backup_dump.sh", "backup_checks.sql")}
_MEMORY = "2048m"  # of restic, which holds the index of the repository
Kind = Literal["folder", "s3", "sftp"]
_SECRETS: dict[Kind, tuple[str, ...]] = {"folder": (), "s3": (CREDENTIALS,), "sftp": (SSH_KEY, KNOWN_HOSTS)}
SERVICES = (BACKUP, BACKUP_DUMP)


def backup_of(scenario: Scenario, manifest: Manifest) -> Backup | None:
    """The backups of a stack, which `server` has where the description has `backup`; else None."""
    return manifest.backup if scenario.name == "server" else None


def kind(repository: str) -> Kind:
    """What a repository is in: a folder of this machine, or a server."""
    return "s3" if repository.startswith("s3:") else "sftp" if repository.startswith("sftp:") else "folder"


def secret_names(repository: str) -> tuple[str, ...]:
    """The files of secrets that a repository needs, by their names in `.odpm/secrets/SCENARIO`."""
    return (PASSWORD, *_SECRETS[kind(repository)])


def keep_options(backup: Backup) -> str:
    """The options of `restic forget`: also each of the last day, which may have several."""
    return " ".join(["--keep-within 1d", *(f"--keep-{period} {count}" for period, count in backup.keep if count)])


def scripts() -> dict[str, bytes]:
    """The files that the services mount, by their paths in the project."""
    return {path: templating.template_text(name).encode() for name, path in SCRIPTS.items()}


def digest() -> str:
    """The identity of these files. Compose does not compare mounted files: with it as a label a change recreates the containers."""
    return hashlib.sha256(b"\0".join(data for _, data in sorted(scripts().items()))).hexdigest()[:16]


def services(
    backup: Backup, *, scenario: str, project: str, mirror: str, odoo: str, database: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Both services. `project`: its name for Compose; `odoo`: the name of Odoo's service; `database`: how to reach PostgreSQL.

    `database` has `image`, `host`, `user`, `data_folder` and `service`.
    """
    started = {odoo: {"condition": "service_started"}}  # Odoo's image gives its volume the right owner
    common: dict[str, Any] = {
        "user": "${ODPM_UID:-1000}:${ODPM_GID:-1000}",
        "init": True,
        "labels": {"odpm.backup": digest()},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{hardening.GRACE_PERIOD}s",
    }
    volume = f"backup-{scenario}:/var/tmp"
    place = kind(backup.repository)
    on_server = place != "folder"
    first: dict[str, Any] = {
        "image": f"{mirror}{IMAGE}",
        "entrypoint": ["/bin/sh", SCRIPT],
        "command": ["serve"],
        **common,
        "depends_on": started,
        "environment": {
            "HOME": "/tmp",  # noqa: S108 - in the container
            "BACKUP_HOST": project,
            "BACKUP_KEEP": keep_options(backup),
            "BACKUP_SCHEDULE": backup.schedule,
            "RESTIC_PASSWORD_FILE": f"/run/secrets/{PASSWORD}",
            "RESTIC_REPOSITORY": backup.repository if on_server else FOLDER,
            "BACKUP_REPOSITORY": backup.repository,
            **({"AWS_SHARED_CREDENTIALS_FILE": f"/run/secrets/{CREDENTIALS}"} if place == "s3" else {}),
        },
        "secrets": list(secret_names(backup.repository)),
        "volumes": [
            f"odoo-{scenario}:/var/lib/odoo:ro",
            volume,
            f"./{SCRIPTS['backup.sh']}:{SCRIPT}:ro",
            *([] if on_server else [_folder(backup.repository)]),
            *([_user_entry(scenario)] if place == "sftp" else []),
        ],
        "healthcheck": {
            "test": ["CMD", "/bin/sh", SCRIPT, "health"],
            "interval": "30s",
            "timeout": "20s",
            "retries": 1,
            "start_period": "10s",
        },
        "tmpfs": ["/tmp"],  # noqa: S108 - in the container
        "pids_limit": 256,
        "mem_limit": _MEMORY,
        **({"networks": {"default": {}}} if on_server else {"network_mode": "none"}),
    }
    second: dict[str, Any] = {
        "image": database["image"],
        "entrypoint": ["/bin/bash", "/odpm/backup_dump.sh"],
        **common,
        "depends_on": {database["service"]: {"condition": "service_healthy"}, **started},
        "environment": {"PGHOST": database["host"], "PGUSER": database["user"]},
        "secrets": ["db_password"],
        "volumes": [
            f"odoo-{scenario}:/var/lib/odoo",
            volume,
            f"./{SCRIPTS['backup_dump.sh']}:/odpm/backup_dump.sh:ro",
            f"./{SCRIPTS['backup_checks.sql']}:/odpm/checks.sql:ro",
        ],
        # the image declares a volume for data, which is not used here
        "tmpfs": ["/tmp", database["data_folder"]],  # noqa: S108 - in the container
        "pids_limit": 256,
        "mem_limit": "512m",
        "networks": {"database": {}},
    }
    return {BACKUP: first, BACKUP_DUMP: second}


def _user_entry(scenario: str) -> dict[str, Any]:
    """The mount of the file of users, with the one that the service runs as."""
    source = f"./.odpm/secrets/{scenario}/{USER_ENTRY}"
    options = {"read_only": True, "bind": {"create_host_path": False}}
    return {"type": "bind", "source": source, "target": "/etc/passwd", **options}


def _folder(repository: str) -> dict[str, Any]:
    """The mount of a folder with a repository; relative paths are those of the project's root."""
    relative = not repository.startswith(("/", "~", "./", "../", "$"))
    source = f"./{repository}" if relative else repository
    return {"type": "bind", "source": source, "target": FOLDER, "bind": {"create_host_path": False}}
