"""`docker-compose.yml` as a value: the two built-in services, the manifest's own, and what the scenario makes of them.

Only relative paths, and `${NAME:-default}` wherever machines may differ: the same bytes for every member of a team.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from odpm_tasks.core.manifest import Manifest
from odpm_tasks.core.scenario import Scenario
from odpm_tasks.core.substitution import expand, references

DATABASE, ODOO = "db", "odoo"
IMAGE_SOURCES = "/opt/odoo/src"
MIRROR = "${ODPM_IMAGE_MIRROR:-}"
ROLE = "odoo"


@dataclass(frozen=True)
class Mount:
    """A folder of the project that Odoo sees: `host` relative to the project's root, `inside` absolute."""

    host: str
    inside: str
    writable: bool = False


@dataclass(frozen=True)
class ComposeSpec:
    """Everything the compose file is made from. `manifest` has the scenario's overlay merged."""

    name: str
    scenario: Scenario
    manifest: Manifest
    image: str
    conf_digest: str
    mounts: tuple[Mount, ...] = ()
    masked: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    tool_version: str = "5.0.0"


def compose(spec: ComposeSpec) -> dict[str, Any]:
    """The compose file as plain data, in the order in which it is written."""
    scenario = spec.scenario
    services: dict[str, Any] = {DATABASE: _database(spec), ODOO: _odoo(spec)}
    for name, service in spec.manifest.services.items():
        extra = copy.deepcopy(dict(service))
        if scenario.restart:
            extra.setdefault("restart", scenario.restart)
        services[name] = extra
    for name, patch in spec.manifest.service_patches.items():
        services[name] = patched(services.get(name, {}), patch)
    for service in services.values():
        if digest := spec.digests.get(_lockable(service) or ""):
            service["image"] += f"@{digest}"
    data: dict[str, Any] = {"name": f"${{ODPM_COMPOSE_PREFIX:-{spec.name}}}", "services": services}
    # the same two networks everywhere, so that a service may name either; only a published port needs a way out
    data["networks"] = {"default": {}, "database": {} if scenario.publish_database else {"internal": True}}
    data["volumes"] = {
        volume: {} for volume in (f"db-{scenario.name}", f"odoo-{scenario.name}", *_named_volumes(services))
    }
    folder = f"./.odpm/secrets/{scenario.name}"
    data["secrets"] = {
        name: {"file": f"{folder}/{name}"} for name in ("db_password", "odoo_master_password", "postgres_password")
    }
    return data


def lockable_images(manifest: Manifest, scenario: Scenario) -> dict[str, bool]:
    """The images of a compose file that can be locked to a digest, and whether the image mirror counts for them.

    Not those that are built here, have a digest, or that a variable decides.
    """
    services = compose(ComposeSpec("", scenario, manifest, "", "")).get("services", {})
    found = ((_lockable(service), service) for name, service in services.items() if name != ODOO)
    return {image: service["image"].startswith(MIRROR) for image, service in found if image}


def _lockable(service: Mapping[str, Any]) -> str | None:
    """What a registry calls a service's image."""
    image = str(service.get("image", "")).removeprefix(MIRROR)
    return None if not image or "build" in service or "$" in image or "@" in image else image


def _database(spec: ComposeSpec) -> dict[str, Any]:
    scenario = spec.scenario
    data = "/var/lib/postgresql" if _major(spec.manifest.postgres) >= 18 else "/var/lib/postgresql/data"
    service: dict[str, Any] = {
        "image": f"{MIRROR}postgres:{spec.manifest.postgres}",
        "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password"},
        "secrets": ["postgres_password"],
        "volumes": [
            f"db-{scenario.name}:{data}",
            f"./.odpm/secrets/{scenario.name}/roles.sql:/docker-entrypoint-initdb.d/10-odpm.sql:ro",
        ],
        # over TCP: while the image initialises itself it listens on its socket only, and must not count as healthy
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
    service["networks"] = ["database"]
    if scenario.restart:
        service["restart"] = scenario.restart
    return service


def _odoo(spec: ComposeSpec) -> dict[str, Any]:
    scenario = spec.scenario
    environment: dict[str, Any] = {"PGHOST": DATABASE, "PGUSER": ROLE, "PGPASSWORD_FILE": "/run/secrets/db_password"}
    environment |= dict.fromkeys(conf_references(spec.manifest))
    if scenario.developer:
        environment |= {"ODPM_DEV": "${ODPM_DEV:-}", "ODPM_DEBUG": "${ODPM_DEBUG:-}"}
    service: dict[str, Any] = {
        "image": spec.image,
        "pull_policy": "never" if scenario.mounts else "missing",
        "user": "${ODPM_UID:-1000}:${ODPM_GID:-1000}",
        "depends_on": {DATABASE: {"condition": "service_healthy"}},
        "environment": environment,
        "secrets": ["db_password", "odoo_master_password"],
        "ports": [
            "${ODOO_BIND:-127.0.0.1}:${ODOO_PORT:-8069}:8069",
            "${ODOO_BIND:-127.0.0.1}:${GEVENT_PORT:-8072}:8072",
        ],
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
    if scenario.developer:
        service["ports"].append("127.0.0.1:${DEBUGGER_PORT:-5678}:5678")
    if scenario.mounts:
        service["volumes"].append("./.odpm/build/odoo.conf:/etc/odoo/odoo.conf:ro")
        service["volumes"] += [f"./{m.host}:{m.inside}" + ("" if m.writable else ":ro") for m in spec.mounts]
        # a bind-mounted file is not looked at by Compose: its hash makes a changed one recreate the container
        service["labels"] = {"odpm.odoo-conf": spec.conf_digest}
    if spec.masked:
        service["tmpfs"] = list(spec.masked)
    service["networks"] = ["default", "database"]
    if scenario.restart:
        service["restart"] = scenario.restart
    return service


def conf_references(manifest: Manifest) -> tuple[str, ...]:
    """The variables that `odoo_conf` refers to: Odoo's container is handed them at start."""
    names = {
        reference.name
        for section in manifest.odoo_conf.values()
        for value in section.values()
        for reference in references(str(value))
    }
    return tuple(sorted(names))


def patched(base: Any, patch: Any) -> Any:
    """A service under a patch: maps merge, lists append, anything else replaces."""
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        merged = dict(base)
        for key, value in patch.items():
            merged[key] = patched(merged[key], value) if key in merged else copy.deepcopy(value)
        return merged
    if isinstance(base, list) and isinstance(patch, list):
        return [*base, *copy.deepcopy(patch)]
    return copy.deepcopy(patch)


def compose_text(spec: ComposeSpec) -> str:
    """The file: a first line that says what made it, then YAML in the order of `compose`."""
    header = (
        f"# Generated by odpm {spec.tool_version} from odpm.json for the scenario {spec.scenario.name}. "
        "Change odpm.json instead: an edited file is kept as docker-compose.yml.orig.\n"
    )
    body = yaml.dump(
        compose(spec), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, default_flow_style=False
    )
    return header + body


class _Dumper(yaml.SafeDumper):
    """Plain blocks: no anchors, lists indented below their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def _named_volumes(services: Mapping[str, Any]) -> list[str]:
    """Named volumes that services use, but our own; Compose wants each declared."""
    found: list[str] = []
    for service in services.values():
        for volume in service.get("volumes", []) if isinstance(service, Mapping) else []:
            if isinstance(volume, Mapping):
                name = str(volume.get("source", "")) if volume.get("type") == "volume" else ""
            else:
                name = str(volume).split(":")[0] if ":" in str(volume) else ""
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) and name not in found:
                found.append(name)
    return found


@dataclass(frozen=True)
class Published:
    """A port of this machine that a service publishes; `variable` is the name that would move it, if any."""

    service: str
    port: int
    variable: str | None


def published_ports(text: str, lookup: Callable[[str], str | None]) -> tuple[Published, ...]:
    """The TCP ports that a compose file publishes on this machine (short and long syntax; ranges left out)."""
    found: list[Published] = []
    for name, service in yaml.safe_load(text)["services"].items():
        for entry in service.get("ports", []) if not service.get("profiles") else []:
            written = str(entry.get("published", "")) if isinstance(entry, Mapping) else _host_part(str(entry))
            names = [reference.name for reference in references(written)]
            port = expand(written, lookup, f"services.{name}.ports").rpartition(":")[2]
            if port.isdigit():
                found.append(Published(name, int(port), names[-1] if names else None))
    return tuple(found)


def _host_part(entry: str) -> str:
    """`127.0.0.1:${PORT:-80}` of `127.0.0.1:${PORT:-80}:8080`; nothing where the host's port is not named, or for udp."""
    host, colon, _ = entry.rpartition(":")
    return host if colon and not entry.endswith("/udp") else ""


def _major(version: str) -> int:
    match = re.match(r"\d+", version)
    return int(match.group()) if match else 0


def project_name(text: str) -> str:
    """A name Compose takes: lower case letters, digits, `-` and `_`, starting with a letter or digit."""
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    return name or "odoo"
