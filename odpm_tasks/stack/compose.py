"""New."""

from __future__ import annotations

from odpm_tasks.adapters import files
from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.costs import service_parts
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.core.stack.services import ServicesSummary, summarize
from odpm_tasks.image.inputs import content_digest


def compose_project(paths: ProjectPaths, stack: Stack) -> str:
    """The name that Compose gives the project's containers."""
    return paths.settings.get("ODPM_COMPOSE_PREFIX") or stack.name


def compose_env(paths: ProjectPaths) -> dict[str, str]:
    """What Compose is handed: every layer's values, and the user that Odoo's files belong to."""
    owner = paths.root.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (1000, 1000)
    given = paths.settings.merged()
    if "ODPM_COMPOSE_NETWORK_EXTERNAL" in given:  # Compose knows two words for it
        given["ODPM_COMPOSE_NETWORK_EXTERNAL"] = str(paths.settings.external_network).lower()
    return {"ODPM_UID": str(uid), "ODPM_GID": str(gid), **given}


def services_summary(paths: ProjectPaths, text: bytes) -> ServicesSummary:
    """What the services of a compose file are, with the variables that count here."""
    return summarize(text.decode(), paths.settings.get)


def contexts(paths: ProjectPaths, text: bytes) -> dict[str, str]:
    """Fingerprints of the folders that images of services are built from, by service; `.odpm` counts for nothing."""
    if b"build:" not in text:
        return {}
    folders = {service: paths.root / folder for service, folder in services_summary(paths, text).folders.items()}
    return {service: fingerprint(path, skip=(".odpm",)) for service, path in folders.items() if path.is_dir()}


def services_digest(paths: ProjectPaths, stack: Stack, text: bytes) -> str:
    """What the running services depend on: the compose file, the value of each variable it names, what is in the image."""
    env = compose_env(paths)
    named = sorted({reference.name for reference in references(text.decode())} | {"COMPOSE_PROFILES"})
    values = "".join(f"{variable}={env.get(variable, '')}\n" for variable in named)
    built = "".join(f"{service} {mark}\n" for service, mark in sorted(contexts(paths, text).items()))
    return files.sha256(text + b"\0" + values.encode() + built.encode() + content_digest(paths, stack).encode())


def parts(paths: ProjectPaths, stack: Stack, text: bytes) -> dict[str, dict[str, str]]:
    """What each service is made from, as digests: recorded, it tells which containers the next `up` makes anew."""
    return service_parts(text.decode(), compose_env(paths).get, content_digest(paths, stack), contexts(paths, text))
