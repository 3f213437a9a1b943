"""The files of the user that the services for backups mount: the password of the repository, its keys, its folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.server_model import Backup
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.errors import DescriptionError, OdpmError
from odpm_tasks.stack.compose import compose_env
from odpm_tasks.stack.secrets import secrets_folder

_SETTINGS = {
    backup_service.PASSWORD: ("BACKUP_PASSWORD_FILE", "the password of the backups"),
    backup_service.CREDENTIALS: ("BACKUP_CREDENTIALS_FILE", "the keys of the server of the backups"),
    backup_service.SSH_KEY: ("BACKUP_SSH_KEY_FILE", "the key for the ssh server of the backups"),
    backup_service.KNOWN_HOSTS: ("BACKUP_KNOWN_HOSTS_FILE", "the public key of the ssh server of the backups"),
}
_KEEP = "; keep a copy of that file elsewhere: without it no backup can be read"
_REPOSITORY = "odpm.json: backup.repository"


def problems(paths: ProjectPaths, manifest: Manifest) -> Iterator[OdpmError]:
    """The errors of settings that name no readable file; none where the stack has no backups."""
    for name in _names(paths, manifest):
        try:
            _content(paths, name)
        except DescriptionError as error:
            yield error
    if backup := backup_service.backup_of(paths.settings.scenario, manifest):
        try:
            expand(backup.repository, paths.settings.get, _REPOSITORY)
        except DescriptionError as error:
            yield error


def prepare(paths: ProjectPaths, manifest: Manifest) -> None:
    """Make what the services mount: copies of the files of secrets that their user can read, and the folder of the repository.

    A copy keeps its inode, so that a running service sees a new password. Errors: those of `problems`.
    """
    names, backup = _names(paths, manifest), manifest.backup
    if not names or backup is None:
        return
    target = secrets_folder(paths)
    for name in names:
        _copy(paths, target / name, _content(paths, name))
    if backup_service.kind(backup.repository) == "sftp":
        env = compose_env(paths)
        entry = f"odpm:x:{env['ODPM_UID']}:{env['ODPM_GID']}::/tmp:/bin/sh\n"
        _copy(paths, target / backup_service.USER_ENTRY, entry.encode())
    if backup_service.kind(backup.repository) == "folder":
        folder = repository_folder(paths, backup)
        with files.disk_errors(folder):
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True)
                _give(paths, folder)


def repository_folder(paths: ProjectPaths, backup: Backup) -> Path:
    """The folder of a repository on this machine, with its variables expanded."""
    return paths.root / Path(expand(backup.repository, paths.settings.get, _REPOSITORY)).expanduser()


def _names(paths: ProjectPaths, manifest: Manifest) -> tuple[str, ...]:
    backup = backup_service.backup_of(paths.settings.scenario, manifest)
    return backup_service.secret_names(backup.repository) if backup else ()


def _content(paths: ProjectPaths, name: str) -> bytes:
    """The content of a file of secrets. Errors: DescriptionError where the setting or the file is missing or empty."""
    setting, meaning = _SETTINGS[name]
    given = paths.settings.get(setting)
    if not given:
        raise DescriptionError(
            f"{setting} is not set: it names the file with {meaning}",
            where="odpm.json: backup",
            todo=f"{setting}=FILE in .env{_KEEP if name == backup_service.PASSWORD else ''}",
        )
    path = paths.root / Path(given).expanduser()
    data = files.read(path) if path.is_file() else None
    if not (data or b"").strip():
        what = "cannot be read" if data is None else "is empty"
        raise DescriptionError(
            f"the file with {meaning} {what}: {path}",
            where=paths.settings.where(setting),
            todo=f"write it there, then: chmod 600 {shlex.quote(str(path))}",
        )
    return data or b""


def _copy(paths: ProjectPaths, path: Path, data: bytes) -> None:
    if files.read(path) == data:
        return
    with files.disk_errors(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    _give(paths, path)


def _give(paths: ProjectPaths, path: Path) -> None:
    """Give a file to the user of the services; only root can, and for another user it belongs to the right one already."""
    if os.geteuid() == 0:
        env = compose_env(paths)
        os.chown(path, int(env["ODPM_UID"]), int(env["ODPM_GID"]))
