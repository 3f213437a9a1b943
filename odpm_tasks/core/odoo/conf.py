"""`.odpm/build/odoo.conf`: Odoo's configuration as the container finds it at /etc/odoo/odoo.conf.

Mounted in developer and server, baked in ci. It holds no secret: the runtime program adds the database access
and the master password when the container starts, and resolves `${NAME}` there.
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
GEVENT_NAMES = ("gevent_port", "longpolling_port")


@dataclass(frozen=True)
class ConfSpec:
    """What the configuration rests on. `addons_path` are paths in the container, in Odoo's order of search.

    `extra` is the manifest's `odoo_conf`, scenario merged: section -> key -> value as text.
    """

    scenario: str
    odoo_version: str
    addons_path: tuple[str, ...]
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def sections(self) -> tuple[Section, ...]:
        """`[options]` first (ours, then the manifest's own), further sections in the manifest's order."""
        mine = {key.lower(): value for key, value in self.extra.get("options", {}).items()}
        gevent = series(self.odoo_version).gevent_port_option
        for name in GEVENT_NAMES:  # the word of another series is the same option
            if name in mine:
                mine[gevent] = mine.pop(name)
        ours = [option for option in _defaults(self, gevent) if option.key not in mine]
        options = ours + [Option(key, value) for key, value in mine.items()]
        rest = [
            Section(name, tuple(Option(key.lower(), value) for key, value in keys.items()))
            for name, keys in self.extra.items()
            if name != "options"
        ]
        return Section("options", tuple(options)), *rest


@dataclass(frozen=True)
class Option:
    key: str
    value: str
    why: str = ""


@dataclass(frozen=True)
class Section:
    name: str
    options: tuple[Option, ...]


def odoo_conf(spec: ConfSpec, template: str | None = None) -> str:
    """The text of the file; `template` replaces ours (`.odpm/templates/odoo.conf.j2`)."""
    for section in spec.sections:
        _writable(section.name, "]\r\n", f"odoo_conf.{section.name}")
        for option in section.options:
            _writable(option.key, "=:\r\n", f"odoo_conf.{section.name}.{option.key}")
    return templating.render(TEMPLATE, template, spec=spec)


def _defaults(spec: ConfSpec, gevent: str) -> list[Option]:
    options = [
        Option("addons_path", ",".join(spec.addons_path).replace("$", "$$")),
        Option("data_dir", DATA_DIR),
        Option("http_interface", "0.0.0.0", "In the container; what the host publishes is said in docker-compose.yml."),  # noqa: S104
        Option("http_port", str(HTTP_PORT)),
        Option(gevent, str(GEVENT_PORT)),
    ]
    if spec.scenario == "developer":
        options += [
            Option("list_db", "True"),
            Option("workers", "0", "One process with threads: a debugger and a reload need it."),
        ]
    else:
        options += [
            Option("list_db", "False", "The database manager stays closed where others can reach it."),
            Option("proxy_mode", "True", "A reverse proxy ends TLS in front; without one this does nothing."),
            Option(
                "workers",
                "2",
                "Two: one request never blocks all others, and it fits 1 GB. odoo_conf.options.workers: 2 per core + 1.",
            ),
            Option("max_cron_threads", "1"),
        ]
    return options


def _writable(text: str, forbidden: str, where: str) -> None:
    if not text.strip() or any(char in text for char in forbidden) or text.lstrip()[:1] in "#;[":
        raise DescriptionError(
            f"{text!r} cannot be written in Odoo's configuration file",
            where=f"odpm.json: {where}",
            todo="use a plain name",
        )
