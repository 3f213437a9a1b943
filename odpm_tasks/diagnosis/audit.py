"""`audit`: read the running stack from inside and outside, and apply the rules of `core/audit`."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from odpm_tasks.adapters import files, http, tls
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import running
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.audit import container_rules, odoo_rules, web_rules
from odpm_tasks.core.audit.odoo_rules import DatabaseFacts
from odpm_tasks.core.audit.stack_audit import AuditFinding, one_line, waived
from odpm_tasks.core.config.paths import RELEASES, ProjectPaths, release_folder
from odpm_tasks.core.odoo.conf import HTTP_PORT
from odpm_tasks.core.stack.web.address import address
from odpm_tasks.core.text import plural
from odpm_tasks.deployment import releases
from odpm_tasks.diagnosis import project as project_checks
from odpm_tasks.errors import OdpmError, ProgramError, UsageError
from odpm_tasks.project import Project
from odpm_tasks.project_files import read_deployment
from odpm_tasks.project_state import read_state
from odpm_tasks.sources.project_names import compose_name, database_name
from odpm_tasks.stack.databases import psql
from odpm_tasks.stack.databases.contents import database_names
from odpm_tasks.stack.secrets import PASSWORDS
from odpm_tasks.stack.status import backup_state

_CONFIG = "/run/odoo/odoo.conf"
_TIMEOUT = 10.0  # seconds, of a page


@dataclass(frozen=True)
class RunningStack:
    """The containers of a project's stack, and how to ask them."""

    paths: ProjectPaths
    containers: tuple[tuple[str, Mapping[str, Any]], ...]  # service -> what `docker inspect` prints
    main: str

    def of(self, service: str) -> Mapping[str, Any] | None:
        """The first container of a service that runs."""
        found = (one for name, one in self.containers if name == service and one["State"]["Status"] == "running")
        return next(found, None)

    @cached_property
    def options(self) -> Mapping[str, str]:
        """`[options]` of the configuration that Odoo has read; empty where it does not run."""
        odoo = self.of("odoo")
        text = docker.execute(str(odoo["Id"]), "cat", _CONFIG).text if odoo else ""
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            return {}
        return dict(parser["options"]) if parser.has_section("options") else {}

    @cached_property
    def databases(self) -> tuple[DatabaseFacts, ...]:
        """The databases that hold Odoo; none where PostgreSQL does not run."""
        db = self.of("db")
        if db is None:
            return ()

        def row(name: str) -> DatabaseFacts | None:
            found = psql.execute(str(db["Id"]), odoo_rules.database_query(), name, "-Atq")
            return odoo_rules.facts(name, json.loads(found.text)) if found.ok and found.text.strip() else None

        with ThreadPoolExecutor(4) as pool:
            return tuple(one for one in pool.map(row, database_names(str(db["Id"]))) if one)


def audit(found: Project) -> tuple[AuditFinding, ...]:
    """All findings, with the waivers of odpm.json. Errors: UsageError in `developer`, ProgramError where nothing runs."""
    paths = found.paths
    if not found.scenario.strict:
        raise UsageError(
            f"audit looks at stacks that people work with, and the scenario is {found.scenario.name}",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo="ODPM_SCENARIO=server inv audit",
        )
    started = str(read_state(paths).get("scenario") or found.scenario.name)
    if started != found.scenario.name:
        raise UsageError(
            f"the running services belong to the scenario {started}; the current scenario is {found.scenario.name}",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo="start this scenario: inv up",
        )
    docker.require()
    project = compose_name(paths, found.manifest)
    containers = [one for one in docker.containers(project) if not one.oneoff]
    if not containers:
        raise ProgramError("there is no stack to look at: nothing of this project was started", todo="inv up")
    inspected = running.inspect([one.id for one in containers])
    stack = RunningStack(
        paths,
        tuple((one.service, data) for one, data in zip(containers, inspected, strict=True)),
        database_name(paths, found.manifest),
    )
    checks: list[Callable[[], Iterable[AuditFinding]]] = [
        partial(_description, found),
        partial(_release, found, stack),
        partial(_passwords, paths),
        partial(_containers, stack),
        partial(_odoo, stack),
        partial(_postgres, stack),
        partial(_web, found, stack),
        partial(_absent, found),
        partial(web_rules.of_backups, backup_state(found.scenario, found.manifest, containers)),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        findings = [one for group in pool.map(lambda check: list(check()), checks) for one in group]
    return waived(findings, found.manifest.audit_waivers)


def _description(found: Project) -> Iterator[AuditFinding]:
    """What the stack lacks of its description and lock, and a deployment that did not end."""
    if read_deployment(found.paths) is not None:
        what = "a deployment was interrupted, and its databases may be updated half way"
        yield AuditFinding("unfinished", "error", "deployment", what, ".odpm/deployment.json", "inv up")
    try:
        plan = found.plan()
    except OdpmError as error:
        yield AuditFinding("lock", "error", "odpm.json", error.what, error.where, error.todo)
        return
    for step in plan.steps:
        if step.action not in {"keep", "skip"}:
            what = f"inv up would {step.action} {step.target}".rstrip()
            yield AuditFinding("lock", "error", step.id, what, step.detail, "inv plan; then inv up")


def _release(found: Project, stack: RunningStack) -> Iterator[AuditFinding]:
    """Odoo's mounts, and files that were changed after the export."""
    odoo = stack.of("odoo")
    if odoo is None or not found.scenario.releases:
        return
    current = releases.current_release(found.paths)
    if current is None:
        yield AuditFinding("release", "error", "odoo", "there is no release on disk", RELEASES, "inv up")
        return
    folder = found.root / release_folder(current.release)
    sources = [str(one["Source"]) for one in odoo.get("Mounts") or () if one["Type"] == "bind"]
    code = [
        path
        for path in sources
        if Path(path).is_relative_to(found.root) and not path.startswith(f"{found.root}/.odpm/secrets")
    ]
    for path in code:
        if not Path(path).is_relative_to(folder):
            what = "Odoo reads files that are not in the current release"
            yield AuditFinding("release", "error", current.release, what, path, "inv up")
    if changed := _changed(folder):
        evidence = f"{plural(len(changed), 'file')}: {', '.join(changed[:3])}"
        what = "files were changed after the release was made"
        todo = f"rm -r {folder.relative_to(found.root)}, then inv up exports it again"
        yield AuditFinding("release", "error", current.release, what, evidence, todo)


def _changed(folder: Path) -> list[str]:
    """The files of a release that are newer than its record, which is written last."""
    moment = (folder / "release.json").stat().st_mtime_ns
    paths = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    return sorted(str(path.relative_to(folder)) for path in paths if path.lstat().st_mtime_ns > moment)


def _passwords(paths: ProjectPaths) -> Iterator[AuditFinding]:
    """Passwords that other users of the machine can read, or that git has."""
    for one in project_checks.secrets(paths, fix=False):
        yield AuditFinding("secret-mode", "error", "files", one.what, one.evidence, one.todo)
    tracked = git.tracked(paths.root, (".odpm/secrets", ".env"))
    for name in tracked:
        what = "git has a file with passwords: everybody with the repository can read it"
        todo = f"git rm --cached {name}, then replace the passwords in it"
        yield AuditFinding("secret-exposed", "error", name, what, "git ls-files", todo)


def _containers(stack: RunningStack) -> Iterator[AuditFinding]:
    folder = stack.paths.secrets(stack.paths.settings.scenario.name)
    passwords = {name: (files.read_text(folder / name) or "").strip() for name in (*PASSWORDS, "admin_password")}
    for service, container in stack.containers:
        yield from container_rules.of_container(service, container, passwords)


def _odoo(stack: RunningStack) -> Iterator[AuditFinding]:
    """Odoo's configuration and databases, and what its port answers."""
    odoo = stack.of("odoo")
    if odoo is None:
        return
    ports = container_rules.published(odoo)
    reachable = [f"{address or '*'}:{port}" for _, address, port in ports if not container_rules.is_loopback(address)]
    behind = stack.of("web") is not None or bool(stack.paths.settings.get("ODPM_PROXY"))
    yield from odoo_rules.of_proxy(stack.options, reachable, behind)
    yield from odoo_rules.of_options(stack.options, [one.name for one in stack.databases])
    yield from odoo_rules.of_databases(stack.databases, stack.main)
    yield from _manager(ports)


def _manager(ports: Sequence[tuple[str, str, str]]) -> Iterator[AuditFinding]:
    """Ask Odoo's port for the list of databases: the page of the manager answers also where it is closed."""
    for inside, bound, port in ports:
        url = f"http://{_reached(bound)}:{port}/web/database/list"
        answer = http.call(url, _TIMEOUT) if inside.startswith(f"{HTTP_PORT}/") else None
        if isinstance(answer, dict) and isinstance(answer.get("result"), list):
            evidence = f"{url}: {one_line(', '.join(map(str, answer['result'])))}"
            what = "everybody can read the names of the databases"
            yield AuditFinding(
                "database-manager", "error", "odoo", what, evidence, "list_db = False in odoo_conf, then inv up"
            )


def _reached(bound: str) -> str:
    """The address by which this machine reaches a published port."""
    return bound if bound not in {"", "0.0.0.0", "::"} else "127.0.0.1"  # noqa: S104


def _postgres(stack: RunningStack) -> Iterator[AuditFinding]:
    if db := stack.of("db"):
        yield from odoo_rules.of_cluster(json.loads(psql.sql(str(db["Id"]), odoo_rules.cluster_query())))


def _web(found: Project, stack: RunningStack) -> Iterator[AuditFinding]:
    """What the reverse proxy shows from outside: certificate, headers, cookies, database manager."""
    web, container = found.manifest.web, stack.of("web")
    if web is None or container is None:
        return
    domain = urlsplit(address(web, found.paths.settings)).hostname or web.domain
    if web.tls == "off":
        todo = "set tls to auto, to internal, or to a certificate; off is for a proxy in front of this one"
        yield AuditFinding("web", "error", domain, "passwords and sessions are not encrypted", "tls: off", todo)
        return
    port = found.paths.settings.port("ODPM_HTTPS_PORT")
    bound = next((host for _, host, number in container_rules.published(container) if number == str(port)), "")
    host = _reached(bound)
    shown = tls.certificate(host, port, domain, _TIMEOUT)
    if shown.error:
        what = "HTTPS does not answer"
        yield AuditFinding("certificate", "error", domain, what, one_line(shown.error), "inv logs web")
        return
    yield from web_rules.of_certificate(web, domain, shown.expires, shown.matches, datetime.now(UTC))
    login = tls.ask(host, port, domain, "/web/login", _TIMEOUT)
    if login.status:
        manager = 0 if web.allow else tls.ask(host, port, domain, "/web/database/manager", _TIMEOUT).status
        yield from web_rules.of_answers(domain, login.headers, login.cookies, manager)


def _absent(found: Project) -> Iterator[AuditFinding]:
    """Services that a server should have, which are no reason to fail."""
    if found.manifest.web is None and not found.paths.settings.get("ODPM_PROXY"):
        what = "Odoo is served without HTTPS"
        yield AuditFinding("web", "note", "odpm.json", what, "no `web`, and ODPM_PROXY is not on", "docs/server.md")
    if found.manifest.backup is None:
        yield AuditFinding("backup", "note", "odpm.json", "nothing makes backups", "no `backup`", "docs/server.md")
