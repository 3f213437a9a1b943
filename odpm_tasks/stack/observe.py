"""Query Docker for the state of a project: image, services, database. Nothing is changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import MAIL_CATCHER, UNAWAITED, WEB
from odpm_tasks.core.odoo.addons import MANIFEST, Module, read_module
from odpm_tasks.core.odoo.installed_addons import DatabaseFindings, compare
from odpm_tasks.core.planning.costs import (
    ContainerChange,
    Cost,
    changed_inputs,
    container_changes,
    containers_text,
    odoo_goes_down,
)
from odpm_tasks.core.planning.observed import OtherDatabase, RenderedState, Running, ServicesState
from odpm_tasks.core.stack import pages
from odpm_tasks.core.stack.compose_file import DATABASE, ODOO
from odpm_tasks.core.stack.mailcatcher import outside_servers
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.stack.web.address import address, web_of
from odpm_tasks.errors import MachineError, OdpmError
from odpm_tasks.image.inputs import image_is_current, input_digests
from odpm_tasks.parallel import parallel_map
from odpm_tasks.project_files import read_deployment
from odpm_tasks.stack import prefetch, preflight, secrets
from odpm_tasks.stack.compose import compose_project, parts, services_digest, services_summary
from odpm_tasks.stack.databases import contents
from odpm_tasks.stack.web import certificates

ServiceParts = Mapping[str, Mapping[str, str]]


def observe_running(
    paths: ProjectPaths, observed: RenderedState, queries: prefetch.DockerQueries | None = None
) -> Running:
    """Query Docker for the state of image, services and database. `queries`: those that are already running."""
    if not command.is_installed("docker"):
        return Running(problem="docker is not installed")
    stack, recorded, queries = observed.stack, observed.recorded, queries or prefetch.DockerQueries()
    project = compose_project(paths, stack)
    made_from, found = prefetch.start_queries(queries, recorded, project, observed.image, observed.database)
    try:
        image_exists, containers = image_is_current(paths, stack, observed.image, made_from.result()), found.result()
    except MachineError as error:
        return Running(problem=error.what)
    lasting = [c for c in containers if not c.oneoff]
    services, detail = _services(paths, observed, lasting)
    described = functools.cache(lambda: parts(paths, stack, observed.rendered.compose))
    postgres, postgres_detail, postgres_cost = _postgres(paths, observed, lasting, described, services)
    start_cost = _start_cost(lasting, recorded, described()) if services != "running" else Cost()
    if web_of(observed.scenario, observed.manifest) and any(c.service == WEB for c in lasting):
        start_cost = replace(start_cost, odoo_down=False, seconds=None)  # the new one starts beside the old one
    if any(change.action != "keep" for change in start_cost.containers):
        detail = containers_text(start_cost)
    if services == "absent" and (lost := preflight.lost_files(paths, observed)):
        detail += f" without the files of Odoo: the volume {lost} is gone"
    answer = contents.DatabaseAnswer("unknown")
    if postgres == "running":
        container = next(c for c in lasting if c.service == DATABASE)
        answer = queries.start(contents.observe_database, container.id, observed.database).result()
    version = observed.manifest.odoo_version
    installed = dict(answer.installed)
    addons = compare(installed, source_versions(paths, stack, installed), version) if installed else DatabaseFindings()
    refusals: tuple[OdpmError, ...] = ()
    if {services, postgres} != {"running"}:
        kept = {change.service for change in start_cost.containers if change.action == "keep"}
        changed = postgres != "running" or ODOO not in kept
        refusals = tuple(preflight.refusals(paths, observed, containers, changed=changed))
    others: tuple[OtherDatabase, ...] = ()
    if observed.scenario.strict:
        refusals += tuple(addons.errors(observed.database, version))
        if postgres == "running" and not observed.one_database:
            others = _others(paths, observed, container.id)
            refusals += tuple(error for other in others for error in other.addons.errors(other.name, version))
    if web := web_of(observed.scenario, observed.manifest):
        detail += f"; {address(web, paths.settings)}"
    ports = {c.service: c.ports for c in lasting if c.state == "running"}
    servers = answer.mail_servers
    if servers:
        servers = outside_servers(servers, load(observed.rendered.compose.decode())["services"])
    return Running(
        image=image_exists,
        services=services,
        detail=detail,
        database=answer.state,
        refusals=refusals,
        build_cost=Cost() if image_exists else _build_cost(paths, stack, recorded),
        start_cost=start_cost,
        postgres=postgres,
        postgres_detail=postgres_detail,
        postgres_cost=postgres_cost,
        mailbox=pages.page(ports, MAIL_CATCHER),
        mail_servers=servers,
        addons=addons,
        others=others,
        journal=read_deployment(paths) if observed.scenario.strict else None,
    )


def _others(paths: ProjectPaths, observed: RenderedState, container: str) -> tuple[OtherDatabase, ...]:
    """The other databases that hold Odoo, without those of odpm's own. They are asked side by side."""
    names = [name for name in contents.database_names(container) if name != observed.database]
    answers = parallel_map(paths, functools.partial(contents.observe_database, container), names)
    found = []
    for name, answer in zip(names, answers, strict=True):
        if answer.state == "ready":
            installed = dict(answer.installed)
            versions = source_versions(paths, observed.stack, installed)
            findings = compare(installed, versions, observed.manifest.odoo_version)
            found.append(OtherDatabase(name, frozenset(installed), findings))
    return tuple(found)


def _postgres(
    paths: ProjectPaths,
    observed: RenderedState,
    lasting: Sequence[docker.Container],
    described: Callable[[], ServiceParts],
    services: ServicesState,
) -> tuple[ServicesState, str, Cost]:
    """The state of the service of PostgreSQL, with the reason for a change. `services`: the state of the others.

    `described` is called only where the description may have changed.
    """
    container = next((c for c in lasting if c.service == DATABASE), None)
    if container is None or container.state != "running":
        return "absent", f"start {DATABASE}", Cost()
    if reason := _renewed(paths, observed) or _moved(paths, [container], DATABASE):
        return "changed", reason, Cost()
    if container.health in {"unhealthy", "starting"}:
        return "changed", f"{DATABASE} is {container.health}", Cost()
    before = observed.recorded.get("postgres", {})
    if before.get("container") != container.id:
        return "changed", f"{DATABASE} is not the container of the last run", Cost()
    reasons = changed_inputs(before.get("parts", {}), described()[DATABASE]) if services != "running" else ()
    if not reasons:
        return "running", "", Cost()
    down = any(c.service == ODOO and c.state == "running" for c in lasting)
    cost = Cost((), None, (ContainerChange(DATABASE, "recreate", reasons),), down)
    return "changed", containers_text(cost), cost


def _renewed(paths: ProjectPaths, observed: RenderedState) -> str:
    """The reason to start services where files of passwords are missing."""
    if not secrets.missing(paths):
        return ""
    return f"set new passwords: {paths.secrets(observed.scenario.name).relative_to(paths.root)} is missing"


def _moved(paths: ProjectPaths, lasting: Sequence[docker.Container], names: str) -> str:
    """The reason to start `names` where their containers were started in another folder."""
    elsewhere = next((c.folder for c in lasting if c.folder not in {"", str(paths.root)}), "")
    return f"start {names} from this folder, not from {elsewhere}" if elsewhere else ""


def source_versions(paths: ProjectPaths, stack: Stack, installed: Collection[str]) -> dict[str, str | None]:
    """The version in the manifest of each installable add-on on the add-ons path; the first of a name is used.

    Facts have no versions of the platform's add-ons: those of `installed` are read from the checkout; None without one.
    """
    folder = paths.source(stack.resolution.platform.name)
    found: dict[str, str | None] = {}
    for name, module, of_platform in _installable(stack):
        known = not of_platform or name in installed
        found[name] = (_read_version(folder, module) if of_platform else module.version) if known else None
    return found


def locked_versions(paths: ProjectPaths, stack: Stack) -> dict[str, str | None]:
    """The same of the locked commits, as an image has them: those of the platform's add-ons are read from its store.

    None, with a warning, where the store does not have the commit.
    """
    platform = stack.resolution.platform
    store = paths.store(platform.key)
    commit = next((one for one in (platform.commit, platform.base) if git.store_has(store, one)), "")
    if not commit:
        terminal.warn(
            f"the versions of the add-ons of {platform.name} are not compared: the cache of this machine lacks its commit"
            " (inv render)"
        )
    addons = list(_installable(stack))
    manifests = {name: f"{module.path}/{MANIFEST}" for name, module, of_platform in addons if of_platform}
    contents = git.blobs(store, commit, manifests.values()) if commit else {}
    found: dict[str, str | None] = {}
    for name, module, of_platform in addons:
        data = contents.get(manifests[name]) if of_platform else None
        read = read_module(module.path, data) if data else None
        found[name] = (read.version if read else None) if of_platform else module.version
    return found


def _installable(stack: Stack) -> Iterator[tuple[str, Module, bool]]:
    """The installable add-ons, the first of each name, and whether it is one of the platform."""
    seen = set()
    for facts in (stack.own, *(source.facts for source in stack.resolution.ordered)):
        for module in facts.visible:
            if module.installable and module.name not in seen:
                seen.add(module.name)
                yield module.name, module, facts is stack.resolution.platform.facts


def _read_version(folder: Path, module: Module) -> str | None:
    path = folder / module.path / MANIFEST
    data = files.read(path) if path.is_file() else None
    read = read_module(module.path, data) if data else None
    return read.version if read else None


def _build_cost(paths: ProjectPaths, stack: Stack, recorded: Mapping[str, Any]) -> Cost:
    """Why the image has to be built, and how long the last build took, as far as an earlier build is recorded."""
    scenario = stack.scenario.name
    before = recorded.get("images", {}).get(scenario, {})
    reasons = changed_inputs(before, input_digests(paths, stack)) if before else ()
    return Cost(reasons, recorded.get("durations", {}).get(f"image {scenario}"))


def _start_cost(lasting: Sequence[docker.Container], recorded: Mapping[str, Any], described: ServiceParts) -> Cost:
    """What `up` does to each container but PostgreSQL's; unknown where containers exist and no earlier run is recorded."""
    others = [c for c in lasting if c.service != DATABASE]
    before = recorded.get("up", {}).get("parts")
    if others and before is None:
        return Cost()
    finished = recorded.get("up", {}).get("finished", [])
    running = {c.service for c in others if c.state == "running" or c.service in finished}
    now = {service: values for service, values in described.items() if service != DATABASE}
    changes = container_changes(before or {}, now, running, {c.service for c in others} - running)
    down = odoo_goes_down(changes, running)
    seconds = recorded.get("durations", {}).get("odoo down") if down else None
    return Cost((), seconds, changes, down)


def _replicas(observed: RenderedState) -> int:
    """How many containers of Odoo the description asks for."""
    odoo = load(observed.rendered.compose.decode())["services"][ODOO]
    return int((odoo.get("deploy") or {}).get("replicas") or odoo.get("scale") or 1)


def _services(
    paths: ProjectPaths, observed: RenderedState, lasting: Sequence[docker.Container]
) -> tuple[ServicesState, str]:
    """The state of the services but PostgreSQL's, with the reason for a change or the names of all."""
    now = services_summary(paths, observed.rendered.compose)
    if not any(c.state == "running" and c.service != DATABASE for c in lasting):
        return "absent", f"start {', '.join(name for name in now.active if name != DATABASE)}"
    up = observed.recorded.get("up", {})
    if reason := _renewed(paths, observed) or _moved(paths, lasting, "the services"):
        return "changed", reason
    if web_of(observed.scenario, observed.manifest) and certificates.changed(paths, observed.manifest):
        return "changed", "the certificate of the reverse proxy changed"
    if up.get("digest") != services_digest(paths, observed.stack, observed.rendered.compose):
        return "changed", "update the services"
    if web_of(observed.scenario, observed.manifest) and sum(c.service == ODOO for c in lasting) > 1 == _replicas(
        observed
    ):
        return "changed", "a deployment was interrupted: two containers of odoo run"
    by_id = {c.id: c for c in lasting}
    for service, identity in sorted(up.get("containers", {}).items()):
        container = by_id.get(identity)
        if service == DATABASE:
            continue
        if container is None:
            return "changed", f"{service} is not the container of the last run"
        ended = service in up.get("finished", []) or (service in now.ending and not docker.exit_code(identity))
        if container.state != "running" and not ended:
            return "changed", f"{service} is {container.state}"
        if container.health in {"unhealthy", "starting"} and service not in UNAWAITED:
            return "changed", f"{service} is {container.health}"
    return "running", ", ".join(sorted(up.get("containers", {})))
