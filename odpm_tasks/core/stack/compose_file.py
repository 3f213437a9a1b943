"""`docker-compose.yml` as a value: the built-in services and those of the manifest, adapted to the scenario.

All paths are relative, and values that differ between machines are `${NAME:-default}`: the same bytes on every machine.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.config.paths import ODOO_CONF
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.manifest.model import MAIL_CATCHER, OPTIONAL_SERVICES, WEB, Manifest
from odpm_tasks.core.stack import hardening, mailcatcher
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.stack.services import apply_patch, named_networks, named_volumes, one_shots
from odpm_tasks.core.stack.web import caddy
from odpm_tasks.core.stack.web.address import web_of
from odpm_tasks.core.yaml_text import yaml_text

DATABASE, ODOO = "db", "odoo"
MIRROR = "${ODPM_IMAGE_MIRROR:-}"
ROLE = "odoo"
GROUP = "${ODPM_GID:-1000}"


@dataclass(frozen=True)
class Mount:
    """A folder of the project mounted into Odoo's container: `host` relative to the project's root, `inside` absolute."""

    host: str
    inside: str
    writable: bool = False


@dataclass(frozen=True)
class ComposeSpec:
    """The inputs of the compose file. `manifest` has the scenario's overlay and the fragments of dependencies merged.

    `mail`: a mail catcher is built in, where scenario and description have one. `web_digest`: of the configuration of the
    reverse proxy, where the stack has one. `release`: the folder of the release that is
    mounted, which has `odoo.conf`, too; empty: the files of the checkout are mounted.
    """

    name: str
    scenario: Scenario
    manifest: Manifest
    image: str
    conf_digest: str
    mounts: tuple[Mount, ...] = ()
    masked: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    mail: bool = True
    web_digest: str = ""
    release: str = ""
    tool_version: str = VERSION


def compose(spec: ComposeSpec) -> dict[str, Any]:
    """The compose file as data, in the order in which it is written."""
    scenario = spec.scenario
    services: dict[str, Any] = {DATABASE: _database(spec), ODOO: _odoo(spec)}
    if not scenario.developer:
        services[DATABASE] |= hardening.database(spec.manifest)
        masked = services[ODOO].get("tmpfs", [])
        services[ODOO] |= hardening.odoo(spec.manifest)
        services[ODOO]["tmpfs"] += masked
    if spec.mail and mailcatcher.has_mail_catcher(scenario, spec.manifest):
        services[MAIL_CATCHER] = mailcatcher.service(MIRROR)
    if web := web_of(scenario, spec.manifest):
        services[WEB] = caddy.service(web, MIRROR, GROUP, f"web-{scenario.name}", spec.web_digest)
    services |= {
        name: copy.deepcopy(dict(extra)) for name, extra in spec.manifest.services.items() if extra is not None
    }
    services |= _backup(spec, services[DATABASE]["image"])
    for name, patch in spec.manifest.service_patches.items():
        if spec.manifest.services.get(name, patch) is not None and (name not in OPTIONAL_SERVICES or name in services):
            services[name] = apply_patch(services.get(name, {}), patch)
    if not scenario.developer:
        hardening.finish(services)
    if scenario.restart:
        for name in services.keys() - one_shots(services):
            if "restart_policy" not in (services[name].get("deploy") or {}):
                services[name].setdefault("restart", scenario.restart)
    for service in services.values():
        if digest := spec.digests.get(_lockable(service) or ""):
            service["image"] += f"@{digest}"
    project = f"${{ODPM_COMPOSE_PREFIX:-{spec.name}}}"
    data: dict[str, Any] = {"name": project, "services": services}
    # every scenario has the same two networks, so that a service may name either; a published port needs a route to the host
    data["networks"] = {
        "default": {
            "name": f"${{ODPM_COMPOSE_NETWORK:-{project}_default}}",
            "external": "${ODPM_COMPOSE_NETWORK_EXTERNAL:-false}",
        },
        "database": {} if scenario.publish_database else {"internal": True},
        **{
            network: dict(spec.manifest.networks.get(network, {}))
            for network in named_networks(services)
            if network not in {"default", "database"}
        },
    }
    data["volumes"] = {
        volume: {}
        for volume in (
            database_volume(scenario.name, spec.manifest.postgres),
            f"odoo-{scenario.name}",
            *named_volumes(services),
        )
    }
    folder = f"./.odpm/secrets/{scenario.name}"
    secrets = ["db_password", "odoo_master_password", "postgres_password"]
    secrets += (caddy.CERTIFICATE, caddy.KEY) if caddy.KEY in services.get(WEB, {}).get("secrets", ()) else ()
    if backup := backup_service.backup_of(scenario, spec.manifest):
        secrets += backup_service.secret_names(backup.repository)
    data["secrets"] = {name: {"file": f"{folder}/{name}"} for name in secrets}
    return data


def _backup(spec: ComposeSpec, image: str) -> dict[str, dict[str, Any]]:
    """The services for backups, where the stack has them. `image`: that of PostgreSQL."""
    backup = backup_service.backup_of(spec.scenario, spec.manifest)
    if backup is None:
        return {}
    return backup_service.services(
        backup,
        scenario=spec.scenario.name,
        project=f"${{ODPM_COMPOSE_PREFIX:-{spec.name}}}",
        mirror=MIRROR,
        odoo=ODOO,
        database={
            "image": image,
            "host": database_host(spec.name),
            "user": ROLE,
            "data_folder": data_folder(spec.manifest.postgres),
            "service": DATABASE,
        },
    )


def lockable_images(manifest: Manifest, scenario: Scenario) -> dict[str, bool]:
    """The images of a compose file that can be locked to a digest, and whether the image mirror applies to them.

    Images that are built locally, that have a digest, or that contain a variable are omitted.
    """
    services = compose(ComposeSpec("", scenario, manifest, "", "")).get("services", {})
    found = ((_lockable(service), service) for name, service in services.items() if name != ODOO)
    return {image: service["image"].startswith(MIRROR) for image, service in found if image}


def _lockable(service: Mapping[str, Any]) -> str | None:
    """The name of a service's image at its registry; None where it cannot be locked."""
    image = str(service.get("image", "")).removeprefix(MIRROR)
    return None if not image or "build" in service or "$" in image or "@" in image else image


def _database(spec: ComposeSpec) -> dict[str, Any]:
    scenario = spec.scenario
    service: dict[str, Any] = {
        "image": f"{MIRROR}postgres:{spec.manifest.postgres}",
        "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password"},
        "secrets": ["postgres_password"],
        "volumes": [
            f"{database_volume(scenario.name, spec.manifest.postgres)}:{data_folder(spec.manifest.postgres)}",
            f"./.odpm/secrets/{scenario.name}/roles.sql:/docker-entrypoint-initdb.d/10-odpm.sql:ro",
        ],
        # over TCP: during its initialisation PostgreSQL listens on its socket only and must not be reported as healthy
        "healthcheck": {
            "test": ["CMD", "pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"],
            "interval": "10s",
            "timeout": "5s",
            "retries": 5,
            "start_period": "2m",
            "start_interval": "300ms",
        },
        "shm_size": "256mb",
    }
    if scenario.developer:
        service["command"] = ["-c", "synchronous_commit=off"]
    if scenario.publish_database:
        service["ports"] = ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"]
    service["networks"] = {"database": {"aliases": [database_host(spec.name)]}}
    return service


def database_volume(scenario: str, postgres: str) -> str:
    """The volume of PostgreSQL in the compose file, of a scenario and major version; without a version the begin of its name."""
    return f"{DATABASE}-{scenario}-{postgres_major(postgres) or ''}"


def data_folder(postgres: str) -> str:
    """Where the image of PostgreSQL mounts its volume; `postgres`: the version."""
    return "/var/lib/postgresql" if postgres_major(postgres) >= 18 else "/var/lib/postgresql/data"


def database_host(name: str) -> str:
    """The host name of the database for Odoo: unique among the stacks on a shared network."""
    return f"${{POSTGRES_SERVICE_NAME:-${{ODPM_COMPOSE_PREFIX:-{name}}}-{DATABASE}}}"


def _odoo(spec: ComposeSpec) -> dict[str, Any]:
    scenario = spec.scenario
    environment: dict[str, Any] = {
        "PGHOST": database_host(spec.name),
        "PGUSER": ROLE,
        "PGPASSWORD_FILE": "/run/secrets/db_password",
    }
    environment |= dict.fromkeys(conf_references(spec.manifest))
    web = web_of(scenario, spec.manifest)
    if scenario.developer:
        environment |= {"ODPM_DEV": "${ODPM_DEV:-}", "ODPM_DEBUG": "${ODPM_DEBUG:-}"}
    elif not web:
        environment["ODPM_PROXY"] = "${ODPM_PROXY:-}"
    service: dict[str, Any] = {
        "image": spec.image,
        "pull_policy": "never" if scenario.mounts else "missing",
        "user": f"${{ODPM_UID:-1000}}:{GROUP}",
        "depends_on": {DATABASE: {"condition": "service_healthy"}},
        "environment": environment,
        "secrets": ["db_password", "odoo_master_password"],
        "ports": [_published("ODOO_PORT", 8069), _published("GEVENT_PORT", 8072)],
        "volumes": [f"odoo-{scenario.name}:/var/lib/odoo"],
        "healthcheck": {
            "test": ["CMD", "odoo-run", "health"],
            "interval": "15s",
            "timeout": "10s",
            "retries": 4,
            "start_period": "5m",
            "start_interval": "500ms",
        },
    }
    if web:
        del service["ports"]
    if scenario.developer:
        service["ports"].append("127.0.0.1:${DEBUGGER_PORT:-5678}:5678")
    if scenario.mounts:
        conf = f"{spec.release}/odoo.conf" if spec.release else ODOO_CONF
        service["volumes"].append(f"./{conf}:/etc/odoo/odoo.conf:ro")
        service["volumes"] += [_bind(mount) for mount in spec.mounts]
        # Compose does not compare bind-mounted files: with the hash, a changed file recreates the container
        service["labels"] = {"odpm.release" if spec.release else "odpm.odoo-conf": spec.conf_digest}
    if web:
        # `web.base.url` is set before Odoo starts: another address replaces the container
        service["labels"] = service.get("labels", {}) | {caddy.ADDRESS_LABEL: caddy.written_address(web)}
    if spec.masked:
        service["tmpfs"] = list(spec.masked)
    service["networks"] = {
        "default": {"aliases": [f"${{ODPM_COMPOSE_PREFIX:-{spec.name}}}-{ODOO}"]},
        "database": {},
    }
    return service


def _published(variable: str, port: int) -> str:
    """A port of Odoo on this machine."""
    return f"${{ODOO_BIND:-127.0.0.1}}:${{{variable}:-{port}}}:{port}"


def _bind(mount: Mount) -> str | dict[str, Any]:
    """A mount in Compose's short form; in the long form where the folder's name has a colon."""
    host, inside = f"./{mount.host}".replace("$", "$$"), mount.inside.replace("$", "$$")
    if ":" in host:
        return {"type": "bind", "source": host, "target": inside, "read_only": not mount.writable}
    return f"{host}:{inside}" + ("" if mount.writable else ":ro")


def conf_references(manifest: Manifest) -> tuple[str, ...]:
    """The variables that `odoo_conf` refers to; Odoo's container gets them at start."""
    names = {
        reference.name
        for section in manifest.odoo_conf.values()
        for value in section.values()
        for reference in references(str(value))
    }
    return tuple(sorted(names))


def compose_text(spec: ComposeSpec) -> str:
    """The file: a header line that names its origin, then YAML in the order of `compose`."""
    header = (
        f"# Generated by odpm {spec.tool_version} from odpm.json for the scenario {spec.scenario.name}. "
        "Change odpm.json instead: an edited file is kept as docker-compose.yml.orig.\n"
    )
    return header + yaml_text(compose(spec))


def postgres_major(version: str) -> int:
    """The major version of PostgreSQL in a version; 0 without one."""
    match = re.match(r"\d+", version)
    return int(match.group()) if match else 0
