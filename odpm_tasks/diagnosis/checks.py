"""All checks of `doctor`, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import merge
from odpm_tasks.core.audit.findings import Finding, of_error, ordered
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.diagnosis import engine, machine, network, project, users
from odpm_tasks.errors import OdpmError
from odpm_tasks.project import Project

Check = Callable[[], Iterable[Finding]]


def diagnose(found: Project | None, here: Project, *, fix: bool, with_network: bool) -> tuple[tuple[Finding, ...], int]:
    """The findings and the number of checks. `found`: the project, None outside of one; `here`: the settings of the folder."""
    paths, surroundings = here.paths, machine.environment()
    checks: dict[str, Check] = {
        "disk": partial(_disk, paths),
        "memory": machine.memory,
        "inotify": machine.watches,
        "certificates": partial(machine.certificates, surroundings),
        "proxy": partial(machine.proxies, surroundings),
        "wsl": partial(machine.windows_folder, paths.root),
        "engine": partial(engine.engine, paths.settings.get("ODPM_UID") or ""),
        "git": partial(_git, found),
        "cache": partial(project.cache_access, paths),
        "store": partial(project.damaged_stores, paths, fix=fix),
        "stale-lock": partial(project.stale_locks, paths, fix=fix),
        "secrets": partial(project.secrets, paths, fix=fix),
    }
    if with_network:
        checks |= {"index": network.package_indexes, "clock": network.clock}
    if found is not None:
        checks |= {"project": partial(_project, found), "user": partial(_users, paths)}
        if with_network:
            checks |= {"git-host": partial(_git_hosts, found), "registry": partial(_registry, found)}
    with ThreadPoolExecutor(len(checks)) as pool:
        results = list(pool.map(lambda item: _run(*item), checks.items()))
    return ordered([finding for result in results for finding in result]), len(checks)


def _run(code: str, check: Check) -> list[Finding]:
    try:
        return list(check())
    except OdpmError as error:
        return [of_error(code, error)]


def _project(found: Project) -> Iterable[Finding]:
    return project.of_plan(found.plan())


def _git(found: Project | None) -> Iterable[Finding]:
    if not command.is_installed("git"):
        return [Finding("git", "error", "git is not installed", "", "install git")]
    try:
        links = (found.manifest.platform, *found.manifest.dependencies) if found else ()
    except OdpmError:  # the check of the project reports it
        links = ()
    return machine.git(merge.version(), merges=any(link.merges for link in links))


def _disk(paths: ProjectPaths) -> Iterable[Finding]:
    yield from machine.disk(paths.cache, "the cache")
    yield from machine.file_count(paths.cache, "the cache")


def _users(paths: ProjectPaths) -> Iterable[Finding]:
    yield from users.run_user(paths)
    yield from users.foreign_files(paths)


def _git_hosts(found: Project) -> Iterable[Finding]:
    return network.git_hosts(found.paths, found.manifest)


def _registry(found: Project) -> Iterable[Finding]:
    return network.image_registry(found.paths, found.manifest)
