"""`.odpm/build/odoo.conf`: the configuration of Odoo, /etc/odoo/odoo.conf in the container.

It is mounted in developer and server, and copied into the image in ci. It contains no secret: when the container starts,
the runtime program adds the database connection and the master password, and expands `${NAME}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from odpm_tasks.core import templating
from odpm_tasks.core.odoo.series import series
from odpm_tasks.errors import DescriptionError

DATA_DIR = "/var/lib/odoo"
HTTP_PORT = 8069
GEVENT_PORT = 8072
TEMPLATE = "odoo.conf.j2"
EMPTY_DATABASE = "odpm.empty"  # Odoo's own creation of databases copies it where `unaccent` is switched on
GEVENT_NAMES = ("gevent_port", "longpolling_port")


@dataclass(frozen=True)
class ConfSpec:
    """What the configuration is generated from.

    `scenario`: its name, or what else names the purpose. `addons_path`: paths in the container, in Odoo's search order.
    `extra`: `odoo_conf` of the manifest for the scenario, section -> key -> value as text. `mail`: the options for a built-in mail
    catcher, if the stack has one. `proxied`: behind the built-in reverse proxy; `manager`: which lets some addresses use the
    database manager.
    """

    scenario: str
    odoo_version: str
    addons_path: tuple[str, ...]
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mail: Mapping[str, str] = field(default_factory=dict)
    proxied: bool = False
    manager: bool = False

    @property
    def sections(self) -> tuple[Section, ...]:
        """`[options]` first, with the defaults and then the options of the manifest; other sections in the manifest's order."""
        own = {key.lower(): value for key, value in self.extra.get("options", {}).items()}
        gevent = series(self.odoo_version).gevent_port_option
        for name in GEVENT_NAMES:  # both names mean the same option
            if name in own:
                own[gevent] = own.pop(name)
        defaults = [option for option in _defaults(self, gevent) if option.key not in own]
        options = defaults + [Option(key, value) for key, value in own.items()]
        rest = [
            Section(name, tuple(Option(key.lower(), value) for key, value in keys.items()))
            for name, keys in self.extra.items()
            if name != "options"
        ]
        return Section("options", tuple(options)), *rest


@dataclass(frozen=True)
class Option:
    """One line of the file; `why` becomes a comment above it."""

    key: str
    value: str
    why: str = ""


@dataclass(frozen=True)
class Section:
    name: str
    options: tuple[Option, ...]


def odoo_conf(spec: ConfSpec, template: str | None = None) -> str:
    """The text of the file. `template`: the project's `.odpm/templates/odoo.conf.j2`, if there is one."""
    for section in spec.sections:
        _check_writable(section.name, "]\r\n", f"odoo_conf.{section.name}")
        for option in section.options:
            _check_writable(option.key, "=:\r\n", f"odoo_conf.{section.name}.{option.key}")
    return templating.render(TEMPLATE, template, spec=spec)


def _without_time_limits(spec: ConfSpec) -> list[Option]:
    """No time limits, so that a breakpoint may last. With workers 0 would end each at once: then a year."""
    workers = str(spec.extra.get("options", {}).get("workers", "0")).strip()
    unlimited = "0" if workers in {"", "0"} else str(365 * 24 * 3600)
    why = "No time limits: a breakpoint may last."
    return [Option("limit_time_real", unlimited, why), Option("limit_time_cpu", unlimited)]


def _mail(spec: ConfSpec) -> list[Option]:
    why = "Every mail goes to the built-in mail catcher: inv open mail shows them."
    return [Option(key, value, "" if number else why) for number, (key, value) in enumerate(spec.mail.items())]


def _database_manager(spec: ConfSpec) -> Option:
    if spec.manager:
        return Option(
            "list_db", "True", "The reverse proxy shows the database manager to the addresses in web.allow only."
        )
    return Option("list_db", "False", "The database manager is closed: other machines may reach Odoo.")


def _proxy_mode(spec: ConfSpec) -> Option:
    if spec.proxied:
        return Option("proxy_mode", "True", "Only the reverse proxy reaches Odoo, and it sets the client's address.")
    return Option("proxy_mode", "False", "Without a proxy anyone could forge client addresses. ODPM_PROXY=on: True.")


def extensions_sql(extra: Mapping[str, Mapping[str, str]]) -> str:
    """The SQL that a superuser runs in a new database: the extensions that Odoo's own creation sets up.

    `extra`: `odoo_conf` of the manifest; `unaccent` is set up where it switches that on.
    """
    statements = ["CREATE EXTENSION IF NOT EXISTS pg_trgm"]
    if uses_unaccent(extra):
        statements += ["CREATE EXTENSION IF NOT EXISTS unaccent", "ALTER FUNCTION unaccent(text) IMMUTABLE"]
    return "; ".join(statements)


def uses_unaccent(extra: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether `odoo_conf` of the manifest switches `unaccent` on."""
    return _own_option(extra, "unaccent").strip().lower() in {"true", "1", "yes", "on"}


def copies_empty_database(extra: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether Odoo's own creation copies `EMPTY_DATABASE`: Odoo's role may not make `unaccent` immutable."""
    return uses_unaccent(extra) and not _own_option(extra, "db_template")


def _own_option(extra: Mapping[str, Mapping[str, str]], key: str) -> str:
    return next((str(value) for name, value in extra.get("options", {}).items() if name.lower() == key), "")


def _defaults(spec: ConfSpec, gevent: str) -> list[Option]:
    options = [
        Option("addons_path", ",".join(spec.addons_path).replace("$", "$$")),
        Option("data_dir", DATA_DIR),
        Option("http_interface", "0.0.0.0", "Inside the container. docker-compose.yml sets the published address."),  # noqa: S104
        Option("http_port", str(HTTP_PORT)),
        Option(gevent, str(GEVENT_PORT)),
    ]
    if copies_empty_database(spec.extra) and spec.scenario in {
        "developer",
        "server",
    }:  # an image may run beside any PostgreSQL
        options.append(
            Option("db_template", EMPTY_DATABASE, "Odoo's role may not make unaccent immutable; a copy has it.")
        )
    if spec.scenario == "developer":
        options += [
            Option("list_db", "True"),
            Option("workers", "0", "One process with threads: the debugger and reload need it."),
            *_without_time_limits(spec),
            *_mail(spec),
        ]
    else:
        options += [
            _database_manager(spec),
            _proxy_mode(spec),
            Option(
                "workers",
                "2",
                "With two, one slow request does not block all others, within 1 GB. For more: 2 per core + 1.",
            ),
            Option("max_cron_threads", "1"),
        ]
    return options


def _check_writable(text: str, forbidden: str, where: str) -> None:
    if not text.strip() or any(char in text for char in forbidden) or text.lstrip()[:1] in "#;[":
        raise DescriptionError(
            f"{text!r} cannot be written in Odoo's configuration file",
            where=f"odpm.json: {where}",
            todo="use a plain name",
        )
