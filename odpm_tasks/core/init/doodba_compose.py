"""The settings in the compose files of a doodba project: build arguments, PostgreSQL version, environment of Odoo.

The variables of the image are those of doodba's documentation, the services those of its template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.init.conversion import literal, variables
from odpm_tasks.core.init.remarks import action, note
from odpm_tasks.errors import DescriptionError

NAMES = ("common", "prod", "devel", "test", "setup-devel")
FILES = tuple(f"{name}.{end}" for name in NAMES for end in ("yaml", "yml"))

_ON_SERVER = ("common", "prod")
# options of the server that have an own variable
_OPTIONS = {"DB_FILTER": "dbfilter", "EMAIL_FROM": "email_from", "PGDATABASE": "db_name", "UNACCENT": "unaccent"}
_OF_DOODBA = (
    "ADMIN_PASSWORD", "DB_VERSION", "DEBUGPY_*", "DEPTH_*", "DOODBA_*", "GEVENT_*", "GID", "INITIAL_LANG", "LIST_DB", "LOG_LEVEL",
    "NODE_PATH", "ODOO_RC", "ODOO_VERSION", "OPENERP_SERVER", "PATH", "PG*", "PIP_*", "PROXY_MODE", "PTVSD_*", "PUDB_*", "PYDEVD_*",
    "PYTHON*", "SMTP_*", "TZ", "UID", "UMASK", "WAIT_*", "WDB_*", "WITHOUT_DEMO", *_OPTIONS,
)  # fmt: skip
_SERVICES = {
    "backup": "odpm has no service for backups yet",
    "smtp*": "developer has a mail catcher: inv open mail",
    "*proxy*": "odpm publishes its ports on loopback, and does not limit outgoing traffic",
    "pgweb": "inv psql opens the database",
    "wdb": "inv up --debug starts debugpy",
}


@dataclass
class ComposeSettings:
    """What was found. `server`: options of Odoo on a server. `language`: of a new database; empty: not set."""

    arguments: dict[str, str] = field(default_factory=dict)
    postgres: str = ""
    language: str = ""
    server: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read(files: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]) -> ComposeSettings:
    """The settings of the compose files, by name in the order of `FILES`. `env`: the values of `.env`."""
    found = ComposeSettings()
    environment: dict[str, str] = {}
    used: dict[str, list[str]] = {}
    for name, content in files.items():
        services = as_map(content.get("services"))
        for service in map(str, services):
            used.setdefault(service, []).append(name)
        odoo, db = as_map(services.get("odoo")), as_map(services.get("db"))
        for key, value in pairs(as_map(odoo.get("build")).get("args")).items():
            found.arguments.setdefault(key, expanded(value, env))
        for key, value in pairs(odoo.get("environment")).items():
            if name.rpartition(".")[0] in _ON_SERVER:
                environment[key] = expanded(value, env)
            elif not _is_of_doodba(key):
                environment.setdefault(key, "")
        image = expanded(str(db.get("image") or ""), env)
        found.postgres = found.postgres or postgres(image.rpartition(":")[2] if re.search("postg", image) else "")
    found.postgres = found.postgres or postgres(found.arguments.get("DB_VERSION", ""))
    _environment(found, environment)
    _services(found, used)
    return found


def _environment(found: ComposeSettings, environment: Mapping[str, str]) -> None:
    found.language = environment.get("INITIAL_LANG", "")
    for variable, option in _OPTIONS.items():
        value = environment.get(variable, "").strip()
        if value and value not in (".*", "false", "False"):
            found.server[option] = literal(value)
    if environment.get("LIST_DB", "").lower() == "true":
        found.remarks.append(note("environment of odoo: LIST_DB: in server and ci the list of databases is closed"))
    own = [name for name in environment if not _is_of_doodba(name)]
    if own:
        found.remarks.append(
            action(
                f"environment of odoo: {', '.join(own)}: not converted; set what your add-ons read in "
                "service_patches.odoo.environment"
            )
        )
    mail = [name for name in environment if name.startswith("SMTP_")]
    if mail:
        found.remarks.append(
            action(f"environment of odoo: {', '.join(mail)}: set smtp_server and its other options in odoo_conf")
        )


def _is_of_doodba(variable: str) -> bool:
    return any(fnmatchcase(variable, pattern) for pattern in _OF_DOODBA)


def _services(found: ComposeSettings, used: Mapping[str, list[str]]) -> None:
    reasons: dict[str, list[str]] = {}
    for service, names in used.items():
        if service in ("odoo", "db"):
            continue
        reason = next((text for pattern, text in _SERVICES.items() if fnmatchcase(service, pattern)), "")
        if reason:
            reasons.setdefault(reason, []).append(service)
        else:
            found.remarks.append(
                action(f"{', '.join(names)}: service {service}: not converted; if you need it, add it to `services`")
            )
    for reason, services in reasons.items():
        found.remarks.append(note(f"services {', '.join(services)} of the compose files: {reason}"))


def postgres(text: str) -> str:
    """The version at the start of a tag; empty if there is none."""
    found = re.match(r"\d{1,2}(\.\d{1,2})?(?=$|[-.])", text)
    return found[0] if found else ""


def expanded(value: str, env: Mapping[str, str]) -> str:
    """A value of a compose file with variables from `.env`; unchanged if one of them is not set."""
    value = re.sub(r"\$\{(\w+)-", r"${\1:-", variables(value))
    try:
        return expand(value, env.get, "")
    except DescriptionError:
        return value


def as_map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def pairs(value: Any) -> dict[str, str]:
    """The two forms of Compose: a map, or a list of NAME=VALUE. A boolean is spelled as in YAML."""
    if isinstance(value, Mapping):
        return {str(key): _spelled(child) for key, child in value.items()}
    if isinstance(value, list):
        parts = (str(entry).partition("=") for entry in value)
        return {name: text for name, _, text in parts}
    return {}


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
