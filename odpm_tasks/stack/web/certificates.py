"""The certificate of the user's own: copied to the secrets, because a program that renews it replaces the files.

Only the group of the project's owner can read the copy of the key; the proxy has that group.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.web.caddy import CERTIFICATE, DIGEST_VARIABLE, KEY
from odpm_tasks.errors import DescriptionError, OdpmError
from odpm_tasks.stack.compose import certificate_digest, compose_env


def _sources(paths: ProjectPaths, manifest: Manifest) -> Mapping[str, tuple[str, Path]]:
    """Secret -> field and file. Empty without files in the description."""
    web = manifest.web
    if web is None or web.tls != "files":
        return {}
    named = {CERTIFICATE: ("certificate", web.certificate), KEY: ("key", web.key)}
    return {
        secret: (
            f"web.tls.{field}",
            paths.root / Path(expand(text, paths.settings.get, f"odpm.json: web.tls.{field}")).expanduser(),
        )
        for secret, (field, text) in named.items()
    }


def changed(paths: ProjectPaths, manifest: Manifest) -> bool:
    """Whether the files differ from the copies that the proxy uses."""
    found = [files.read(path) or b"" for _, path in _sources(paths, manifest).values()]
    return bool(found) and certificate_digest(*found) != compose_env(paths).get(DIGEST_VARIABLE, "")


def problems(paths: ProjectPaths, manifest: Manifest) -> Iterator[OdpmError]:
    """What is wrong with the files: missing, unreadable, no certificate, a key of another one."""
    sources = _sources(paths, manifest)
    for field, path in sources.values():
        if not path.is_file():
            yield DescriptionError(
                f"there is no file {path}",
                where=f"odpm.json: {field}",
                todo="the path is relative to the project's root",
            )
            return
    if sources:
        certificate, key = (path for _, path in sources.values())
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)
            yield DescriptionError(
                f"this certificate and key cannot be used: {str(reason).lower().replace('_', ' ')}",
                where="odpm.json: web.tls",
                details=[str(certificate), str(key)],
                todo="both are PEM; the key has no passphrase and belongs to the certificate",
            )


def copy(paths: ProjectPaths, manifest: Manifest) -> None:
    """Copy the files to the secrets. Errors: those of `problems`."""
    for error in problems(paths, manifest):
        raise error
    env = compose_env(paths)
    for secret, (_, path) in _sources(paths, manifest).items():
        target = paths.secrets(paths.settings.scenario.name) / secret
        files.write(target, path.read_bytes(), 0o440)
        with suppress(PermissionError):
            os.chown(target, int(env["ODPM_UID"]) if os.geteuid() == 0 else -1, int(env["ODPM_GID"]))
