"""The inputs of Compose for a project: project name, environment, digests of its services."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker.compose_cli import ComposeProject
from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.core.config.interpolation import expand, references
from odpm_tasks.core.config.names import project_name
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths
from odpm_tasks.core.planning.costs import service_parts
from odpm_tasks.core.stack.services import ServicesSummary, summarize
from odpm_tasks.core.stack.web.caddy import CERTIFICATE, DIGEST_VARIABLE, KEY
from odpm_tasks.image.inputs import content_digest

if TYPE_CHECKING:
    from odpm_tasks.core.stack.render import Stack

LOCK_TIMEOUT = "30s"  # of Odoo


def compose_project(paths: ProjectPaths, stack: Stack) -> str:
    """The project name for Compose: the prefix of container names."""
    return paths.settings.get("ODPM_COMPOSE_PREFIX") or stack.name


def compose_env(paths: ProjectPaths) -> dict[str, str]:
    """The environment of Compose: the values of all settings layers, and the user that owns Odoo's files."""
    owner = paths.root.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (1000, 1000)
    given = paths.settings.merged()
    if "ODPM_COMPOSE_NETWORK_EXTERNAL" in given:  # Compose takes `true` and `false` only
        given["ODPM_COMPOSE_NETWORK_EXTERNAL"] = str(paths.settings.external_network).lower()
    folder = paths.secrets(paths.settings.scenario.name)
    pair = [files.read(folder / name) for name in (CERTIFICATE, KEY)]
    if any(pair):
        given[DIGEST_VARIABLE] = certificate_digest(*(data or b"" for data in pair))
    return {"ODPM_UID": str(uid), "ODPM_GID": str(gid), **given}


def certificate_digest(certificate: bytes, key: bytes) -> str:
    """The value of the label that makes Compose replace the proxy where its certificate changes."""
    return files.sha256(certificate + b"\0" + key)[:16]


def command_line(paths: ProjectPaths) -> ComposeProject:
    """The project as the compose file on disk names it, for calls of Compose."""
    written = re.search(r"^name: (.+)$", files.read_text(paths.compose) or "", re.MULTILINE)
    default = written[1].strip("'\"") if written else ""
    name = expand(default, paths.settings.get, f"{COMPOSE_FILE}: name")
    return ComposeProject(paths.root, name or project_name(paths.root.name), compose_env(paths))


def run_words(name: str, *options: str, debug: str = "", limited: bool = True) -> list[str]:
    """The Compose command that runs a second container of Odoo's service until its program ends; service and program follow.

    It has no ports and is removed at its end. `debug`: as ODPM_DEBUG. `limited`: a lock that another session of PostgreSQL
    holds fails it after `LOCK_TIMEOUT`, unless Odoo sets a shorter time.
    """
    words = ["run", "--rm", "--no-deps", "-T", f"--name={name}"]
    words += ["--env=ODPM_TASK=1", "--env=ODPM_DEV=", f"--env=ODPM_DEBUG={debug}"]
    return [*words, *([f"--env=PGOPTIONS=-c lock_timeout={LOCK_TIMEOUT}"] if limited else []), *options, "odoo"]


def services_summary(paths: ProjectPaths, text: bytes) -> ServicesSummary:
    """The services of a compose file, with the project's variables expanded."""
    return summarize(text.decode(), paths.settings.get)


def contexts(paths: ProjectPaths, text: bytes) -> dict[str, str]:
    """Fingerprints of the folders that images of services are built from, by service; `.odpm` is excluded."""
    if b"build:" not in text:
        return {}
    folders = {service: paths.root / folder for service, folder in services_summary(paths, text).folders.items()}
    return {service: fingerprint(path, skip=(".odpm",)) for service, path in folders.items() if path.is_dir()}


def services_digest(paths: ProjectPaths, stack: Stack, text: bytes) -> str:
    """The digest of everything that the running services depend on: compose file, values of its variables, image inputs."""
    env = compose_env(paths)
    named = sorted({reference.name for reference in references(text.decode())} | {"COMPOSE_PROFILES"})
    values = "".join(f"{variable}={env.get(variable, '')}\n" for variable in named)
    built = "".join(f"{service} {mark}\n" for service, mark in sorted(contexts(paths, text).items()))
    return files.sha256(text + b"\0" + values.encode() + built.encode() + content_digest(paths, stack).encode())


def parts(paths: ProjectPaths, stack: Stack, text: bytes) -> dict[str, dict[str, str]]:
    """The parts of each service as digests; the next run compares them to know which containers `up` recreates."""
    return service_parts(text.decode(), compose_env(paths).get, content_digest(paths, stack), contexts(paths, text))
