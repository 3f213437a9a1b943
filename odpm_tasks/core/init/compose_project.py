"""Converts a project that runs the image of Odoo with a Compose file and an `odoo.conf`.

The Compose file is read first, because it names the other files: the Dockerfile, the folders with add-ons, the configuration.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.config.paths import COMPOSE_FILE
from odpm_tasks.core.init import base_image, compose_services
from odpm_tasks.core.init.compose_file import ADDONS_MOUNT, POSTGRES_IMAGE, ComposeFile, sections
from odpm_tasks.core.init.conversion import (
    Conversion,
    RepositoryEntry,
    conf,
    conversion,
    excerpt,
    excerpt_url,
    literal,
    read_url,
    refused,
    variables,
)
from odpm_tasks.core.init.doodba_compose import expanded, postgres
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.init.own_addons import misplaced
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.init.requirements import requirements
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.errors import DescriptionError

_PLAIN_POSTGRES = re.compile(r"(?:docker\.io/)?(?:library/)?postgres(?::.*)?")
_CONNECTION = re.compile(
    r"HOST|PORT|USER|PASSWORD|PG\w+|DB_(?:HOST|PORT|USER|PASSWORD|PASS|NAME)|POSTGRES_\w+|PASSWORD_FILE|USER_FILE"
)
_READ_KEYS = (
    "image", "build", "environment", "ports", "command", "volumes", "depends_on", "tty", "stdin_open", "restart",
    "container_name", "user", "expose", "networks", "links", "hostname",
)  # fmt: skip
_DATA = ("/var/lib/odoo", "/data/odoo", "/var/lib/postgresql")
_PORTS = {"8069": ("ODOO_PORT", "8069"), "8072": ("GEVENT_PORT", "8072"), "5432": ("POSTGRES_PORT", "5432")}


@dataclass(frozen=True)
class Clone:
    """A git clone that Odoo gets add-ons from. `commit` empty: no branch of its remote has it."""

    folder: str
    url: str
    branch: str = ""
    commit: str = ""


@dataclass(frozen=True)
class ForeignCompose:
    """The Compose file and what else was read.

    `conf`: path and text of Odoo's configuration. `dockerfile`: path and text. `requirements`: texts of the files that the
    Dockerfile installs, by path. `clones`: git clones in the mounted folders. `folders`: other mounted folders with add-ons
    outside of the project, with absolute paths; `empty`: such folders where none were found. `addons`: folders of the
    project's own add-ons. `ignored`: other Compose files of the project.
    """

    file: ComposeFile
    conf: tuple[str, str] = ("", "")
    dockerfile: tuple[str, str] = ("", "")
    requirements: Mapping[str, str] = field(default_factory=dict)
    clones: Sequence[Clone] = ()
    folders: Sequence[str] = ()
    empty: Sequence[str] = ()
    addons: Sequence[str] = ()
    ignored: Sequence[str] = ()


def convert(project: ForeignCompose, odoo: str = "") -> Conversion:
    """Convert the project. `odoo`: replaces its version."""
    file = project.file
    lines: list[str] = []
    image = base_image.read(project.dockerfile[1], project.dockerfile[0], dict(file.arguments))
    series, date = base_image.tag(file.image)
    build_date = image.build_date or date
    draft_odoo = odoo or image.odoo or series
    lines += image.remarks
    kept = list(image.requirements)
    for where, text in project.requirements.items():
        good, bad = requirements(text.splitlines(), where)
        kept += good
        lines += bad
    options, problems = _options(project)
    lines += problems
    platform, dependencies, pins = _repositories(project, draft_odoo, lines)
    services, remarks = compose_services.convert(
        {name: file.services[name] for name in file.others}, {file.odoo: "odoo", file.db: "db"}, file.where
    )
    lines += remarks
    patches = _odoo_service(file, options, lines)
    version = _db_service(file, lines)
    lines += _others(project)
    draft = ProjectDraft(
        odoo=draft_odoo,
        platform=platform,
        build_date="" if platform else build_date,
        postgres=version,
        dependencies=tuple(dependencies),
        requirements=tuple(dict.fromkeys(kept)),
        system_packages=tuple(dict.fromkeys(image.system_packages)),
        odoo_conf=options,
        services=services,
        service_patches=patches,
        pins=pins,
    )
    return conversion(draft, lines)


def _options(project: ForeignCompose) -> tuple[dict[str, dict[str, str]], list[str]]:
    where, text = project.conf
    found, problem = sections(text)
    if problem:
        return {}, [f"{where}: cannot be read: {problem}"]
    values = {
        section: {key: literal(variables(value)) for key, value in options.items()}
        for section, options in found.items()
    }
    return conf(values, where)


def _repositories(project: ForeignCompose, odoo: str, lines: list[str]) -> tuple[str, list[str], dict[str, str]]:
    platform = ""
    dependencies: list[str] = []
    pins: dict[str, str] = {}
    for clone in project.clones:
        if not clone.url:
            lines.append(f"{clone.folder}: a git clone without a remote; push it, and add its link to the dependencies")
            continue
        url, warning = read_url(clone.url)
        lines += [action(f"{clone.folder}: {warning}")] if warning else []
        source = RepositoryEntry(clone.folder, url, "" if clone.branch == odoo else clone.branch)
        try:
            link = source.link(odoo)
        except DescriptionError as error:
            lines.append(f"{clone.folder}: {excerpt_url(url)}: {refused(error)}")
            continue
        if source.is_platform and not platform:
            platform = link
        elif link not in dependencies:
            dependencies.append(link)
        if clone.commit:
            pins.setdefault(canonical(url), clone.commit)
        else:
            lines.append(
                action(f"{clone.folder}: its commit is on no branch of its remote, so it is not pinned; push it")
            )
    if project.clones:
        lines.append(
            action(
                f"{excerpt(', '.join(clone.folder for clone in project.clones))}: git clones stay as they are and are read "
                "no more; odpm has its own checkouts in .odpm/src. When inv up works, remove them"
            )
        )
    dependencies += [f"file://{folder}" for folder in project.folders]
    return platform, dependencies, pins


def _odoo_service(file: ComposeFile, options: dict[str, dict[str, str]], lines: list[str]) -> dict[str, dict[str, Any]]:
    """The patch of Odoo's service: environment and mounts of the project. Ports, command and other keys become remarks."""
    service, place = file.services[file.odoo], f"{file.where}: service {file.odoo}"
    remarks: list[Remark] = []
    values = compose_services.named_values(compose_services.plain(service.get("environment")))
    database = next((values[name] for name in ("DB_NAME", "PGDATABASE") if values.get(name)), "")
    if database:
        options.setdefault("options", {}).setdefault("db_name", database)
    connection = [name for name in values if _CONNECTION.fullmatch(name)]
    others = {name: value for name, value in values.items() if name not in connection}
    kept = compose_services.environment(others, {}, place, remarks)
    lines += remarks
    if connection:
        lines.append(note(f"{place}: {', '.join(connection)}: odpm sets the database connection"))
    lines += _ports(service, place, file.env)
    _command(service.get("command"), place, options, lines)
    lost, binds = [], []
    for mount in file.mounts:
        if mount.container.startswith(_DATA) or ADDONS_MOUNT.match(mount.container):
            continue
        if mount.text.startswith("./") and not mount.text.startswith("./../"):
            binds.append(mount.text)
        else:
            lost.append(f"{mount.host}:{mount.container}")
    if lost:
        lines.append(
            f"{place}: volumes {excerpt(', '.join(lost))}: not mounted; add them to service_patches.odoo.volumes"
        )
    rest = [str(key) for key in service if key not in _READ_KEYS]
    if rest:
        lines.append(
            action(f"{place}: {excerpt(', '.join(rest))}: not converted; what you need goes to service_patches.odoo")
        )
    patch: dict[str, Any] = {"environment": kept} if kept else {}
    if binds:
        patch["volumes"] = binds
    return {"odoo": patch} if patch else {}


def _ports(service: Mapping[str, Any], place: str, env: Mapping[str, str]) -> list[Remark]:
    """A remark for each port on the host that is not the default one."""
    lines = []
    ports = service.get("ports")
    for entry in ports if isinstance(ports, list) else ():
        if isinstance(entry, Mapping):
            host, container = str(entry.get("published") or ""), str(entry.get("target") or "")
        else:
            words = re.findall(r"(?:\$\{[^}]*\}|[^:])+", str(entry).partition("/")[0])
            host, container = (words[-2] if len(words) > 1 else ""), (words[-1] if words else "")
        name, default = _PORTS.get(container, ("", ""))
        if host == f"${{{name}}}":
            continue  # the same variable
        host = expanded(host, env)
        if name and host and host != default:
            lines.append(action(f"{place}: port {excerpt(host)}: set {name}={excerpt(host)} in .env"))
        elif not name:
            lines.append(
                action(f"{place}: port {excerpt(str(entry))}: not converted; add it to service_patches.odoo.ports")
            )
    return lines


def _command(command: Any, place: str, options: dict[str, dict[str, str]], lines: list[str]) -> None:
    """The database of Odoo's command becomes an option; other arguments become a remark."""
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command or ()]
    except (ValueError, TypeError):
        words = [str(command)]
    left: list[str] = []
    queue = [part for word in words for part in (word.split("=", 1) if re.match(r"--[\w-]+=", word) else [word])]
    while queue:
        word = queue.pop(0)
        if word in ("-d", "--database") and queue:
            options.setdefault("options", {}).setdefault("db_name", literal(variables(queue.pop(0))))
        elif word in ("-c", "--config") and queue:
            queue.pop(0)
        elif word not in ("odoo", "odoo-bin", "./odoo-bin", "--"):
            left.append(word)
    if left:
        text = excerpt(" ".join(left))
        lines.append(
            action(f"{place}: command {text}: not converted; options of Odoo go to odoo_conf, --dev to inv up --dev")
        )


def _db_service(file: ComposeFile, lines: list[str]) -> str:
    """The version of PostgreSQL."""
    if not file.db:
        lines.append(f"{file.where}: no service is PostgreSQL: odpm starts its own; an outside server is not converted")
        return ""
    service, place = file.services[file.db], f"{file.where}: service {file.db}"
    image = file.db_image
    found = POSTGRES_IMAGE.fullmatch(image)
    version = postgres((found[1] if found else "") or "")
    if not version:
        lines.append(f"{place}: image {excerpt(image)}: its version is not known; the default of the series is used")
    if not _PLAIN_POSTGRES.fullmatch(image):
        lines.append(
            action(f"{place}: image {excerpt(image)}: odpm uses postgres; if you need it: service_patches.db.image")
        )
    if service.get("command"):
        lines.append(
            action(
                f"{place}: command {excerpt(str(service['command']))}: not converted; it can go to service_patches.db"
            )
        )
    lines += _ports(service, place, file.env)
    return version


def _others(project: ForeignCompose) -> list[str]:
    file = project.file
    lines: list[str] = []
    if project.ignored:
        lines.append(f"{', '.join(project.ignored)}: not read; the conversion is that of {file.where} alone")
    for folder in project.empty:
        lines.append(
            f"{folder}: is outside of the project, and has no add-ons here; add its repository to the dependencies"
        )
    for folder in project.folders:
        lines.append(action(f"{folder}: is outside of the project: the link file:// works on this machine only"))
    lines += misplaced(project.addons)
    if file.where == COMPOSE_FILE:
        lines.append(
            action(
                f"odpm writes docker-compose.yml in this folder; keep the old one: git mv {file.where} compose.old.yml"
            )
        )
    lines.append(
        action(
            "the database and its files stay in the volumes of the old stack: move them with a dump (docs/coming-from.md)"
        )
    )
    return lines
