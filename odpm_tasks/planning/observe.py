"""Read the state of a project: everything that a plan depends on, as values. Nothing is changed.

This module uses no network and does not write into the project. Modules that only rendering needs are imported when files
are rendered; `inv lock` does not need them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from odpm_tasks.adapters.command import redact
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import secret_names, without_effect
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.image.system_packages import system_dependencies
from odpm_tasks.core.locking.changes import lock_warnings
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.graph import Resolution, SourceQuery
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addon_checks import (
    AddonFindings,
    AddonSource,
    check_addons,
    missing_warning,
    require_known,
    require_requested,
)
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.series import old_python, series
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState, RunningState, extend
from odpm_tasks.core.planning.options import DEFAULTS, RunOptions
from odpm_tasks.core.planning.steps import LOCKING, ORDER, PREPARING
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.reserved import Reserved
from odpm_tasks.core.text import limited
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.locking import python as python_env
from odpm_tasks.project_files import description, env_file, lock
from odpm_tasks.project_state import read_state
from odpm_tasks.sources import addon_repositories, graph
from odpm_tasks.sources.facts import own_links_out
from odpm_tasks.sources.folders import (
    developing_state,
    developing_url,
    reserved_names,
    resolve_from_checkouts,
)
from odpm_tasks.sources.own_code import own_code
from odpm_tasks.sources.project_names import remotes
from odpm_tasks.sources.unread import deep_addons, unread_warnings

if TYPE_CHECKING:
    from odpm_tasks.stack.prefetch import DockerQueries


def observe(
    paths: ProjectPaths,
    until: Iterable[str] = ORDER,
    options: RunOptions = DEFAULTS,
    *,
    docker_early: bool = False,
    resolved: Resolution | tuple[SourceQuery, ...] | None = None,
    queries: DockerQueries | None = None,
) -> ObservedState:
    """Observe everything that the steps of `until` depend on, as far as it can be known now.

    `docker_early`: query Docker even while files are still to be written. `resolved`: the graph as servers have just
    answered, instead of the one of pins and cache. `queries`: Docker queries that are already running.
    """
    observed = describe(paths, options)
    manifest, own_remotes = observed.manifest, remotes(paths)
    url = developing_url(own_remotes, manifest.developing)
    if resolved is None and observed.touch_git:
        resolved = graph.resolution(paths, manifest, observed.lock, url)
    elif resolved is None:
        resolved = resolve_from_checkouts(paths, manifest, url)
    if isinstance(resolved, tuple):
        return replace(observed, unresolved=resolved, uncached=_uncached_pins(paths, observed, url))
    code = own_code(paths)
    own = code.facts
    observed = replace(observed, warnings=(*observed.warnings, *code.warnings))
    with_graph = _resolved(paths, observed, resolved, own, reserved_names(paths, manifest, own_remotes))
    known = {module.name for facts in (own, *(s.facts for s in resolved.sources)) for module in facts.modules} | {
        "base"
    }
    require_known(options.install, known, "-i")
    require_known(options.update, known | {"changed"}, "-u")
    require_requested(with_graph.addons)
    locks = with_graph.python
    current = observed.lock.venv if observed.lock else None
    python_locked = locks.recorded_inputs == locks.inputs and (not observed.reads_lock or locks.digest == current)
    if not python_locked or not set(until) - set(LOCKING):
        return with_graph
    from odpm_tasks.stack import files

    described = with_graph.fragments.merge_into(manifest)
    stack = files.stack(paths, described, observed.lock, resolved, code, own_remotes, locks.packages)
    rendered = files.with_files(paths, with_graph, stack, options.database)
    if not set(until) - set(PREPARING):
        return rendered
    from odpm_tasks.core.planning.planner import plan
    from odpm_tasks.stack.observe import observe_running

    preparing = plan(rendered, PREPARING)
    if docker_early or all(step.action not in {"create", "update"} for step in preparing.steps):
        return extend(rendered, RunningState, running=observe_running(paths, rendered, queries))
    return rendered


def describe(paths: ProjectPaths, options: RunOptions) -> ObservedState:
    """Description, lock and recorded state.

    Errors: DescriptionError for a Python that is too old for the series, UsageError for `--no-git-update` in a scenario
    without checkouts.
    """
    manifest, warnings = description(paths)
    if old := old_python(manifest.odoo_version, manifest.python):
        key = "python" if manifest.format == 2 else "python_version"
        fitting = series(manifest.odoo_version).python
        raise DescriptionError(old, where=f"odpm.json: {key}", todo=f'write "{key}": "{fitting}" in odpm.json')
    touch_git = not options.no_git_update
    scenario = paths.settings.scenario
    if not (touch_git or scenario.mounts):
        raise UsageError(
            f"--no-git-update uses checkouts as they are; {scenario.name} builds the locked commits into the image",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo="run it without --no-git-update",
        )
    reads_lock = touch_git or scenario.strict
    known = lock(paths) if reads_lock else None
    recorded = read_state(paths)
    return ObservedState(
        scenario=scenario,
        manifest=manifest,
        lock=known,
        touch_git=touch_git,
        reads_lock=reads_lock,
        recorded=recorded,
        last_scenario=recorded.get("scenario"),
        warnings=(
            *warnings,
            *_without_effect(paths),
            *(_open_files(paths) if scenario.strict else ()),
            *lock_warnings(known, manifest.locks_git, manifest.locks_venv),
            *_report_warnings(paths, manifest, known),
        ),
        own=developing_state(paths, manifest, remotes(paths)) if manifest.developing else None,
        install=options.install,
        update=options.update,
        takes_snapshot=not options.no_snapshot,
        one_database=bool(options.database),
        updates_raised=(scenario.strict or paths.settings.auto_update) and not options.no_module_update,
    )


def _without_effect(paths: ProjectPaths) -> tuple[str, ...]:
    return without_effect(paths.settings, {path.name for path in paths.root.glob("*compose.override.y*ml")})


def _open_files(paths: ProjectPaths) -> tuple[str, ...]:
    """`.env`, where every user of this machine may read secrets in it."""
    path = paths.root / ".env"
    names = secret_names(env_file(path))
    if not names or not path.stat().st_mode & stat.S_IROTH:
        return ()
    return (f".env is readable by every user of this machine and has {', '.join(names)} (chmod 600 .env)",)


def _report_warnings(paths: ProjectPaths, manifest: Manifest, known: Lock | None) -> tuple[str, ...]:
    """What PDF reports lack. Nothing before there is a lock, without a renderer in the image, and where the user chose it."""
    settings = paths.settings
    if known is None or settings.profile == "ci" or settings.get(wkhtmltopdf.VARIABLE) == wkhtmltopdf.DISTRIBUTION:
        return ()
    text = wkhtmltopdf.warning(known.renderer, manifest.codename)
    return (text,) if text else ()


def _uncached_pins(paths: ProjectPaths, observed: ObservedState, url: str | None) -> tuple[str, ...]:
    """The repositories of the lock whose pinned commit the cache lacks. `url`: the canonical URL of the checkout's origin."""
    known, developing = observed.lock, observed.manifest.developing
    if known is None:
        return ()
    is_source = developing is not None and developing.canonical != url
    pins = replace(known, developing=known.developing if is_source else None).pins.values()
    return tuple(pin.key for pin in pins if not pin.file and not git.store_has(paths.store(pin.key), pin.content))


def _resolved(
    paths: ProjectPaths, observed: ObservedState, resolved: Resolution, own: Facts, reserved: Reserved
) -> ResolvedState:
    """The state with its graph, the checkouts, the Python locks and what dependencies add; `own`: the project's add-ons."""
    merged = python_env.merged_requirements(observed.manifest, resolved, own, observed.install)
    added = fragments(observed.manifest, resolved, observed.scenario, reserved)
    addons = _addons(paths, observed, resolved, own)
    return extend(
        observed,
        ResolvedState,
        resolution=resolved,
        fragments=added,
        addons=addons,
        uncached=graph.uncached(paths, resolved) if observed.touch_git else (),
        checkouts=graph.checkouts(paths, resolved),
        python=python_env.read_python_locks(
            paths, observed.manifest, merged, _git_packages(paths, observed, required=bool(merged.git))
        ),
        warnings=limited(
            (
                *observed.warnings,
                *(f"{path} is not a readable manifest; Odoo will not load this module" for path in own.broken),
                *(
                    f"{link}: this link leads out of the add-ons folders that Odoo receives"
                    for link in own_links_out(paths.root, own.addons)
                ),
                *resolved.warnings,
                *added.warnings,
                *(missing_warning(addons) if not (observed.scenario.strict and addons.own) else ()),
                *system_dependencies([own, *(source.facts for source in resolved.sources)]).warnings,
                *(
                    f"{line.place}: the requirement {redact(line.line)!r} is left out: {line.refusal}"
                    for line in merged.refused
                ),
            )
        ),
        notes=limited(
            (
                *addons.warnings,
                *unread_warnings(
                    paths.root, own, merged.origins, [source.link.canonical for source in resolved.sources]
                ),
            )
        ),
    )


def _git_packages(paths: ProjectPaths, observed: ObservedState, *, required: bool) -> tuple[GitPackage, ...]:
    """The Python packages from git in the lock. With --no-git-update it is read only where requirements name some."""
    known = observed.lock if observed.reads_lock else lock(paths) if required else None
    return known.python if known else ()


def _addons(paths: ProjectPaths, observed: ObservedState, resolved: Resolution, own: Facts) -> AddonFindings:
    """The checks of all add-ons, in the order of the add-ons path."""
    sources = [AddonSource("this project", own, own=True, hidden=deep_addons(paths.root))]
    sources += [
        AddonSource(
            source.name, source.facts, source.kind == "developing", source.kind == "platform", source.facts.deep
        )
        for source in resolved.ordered
    ]
    version, requested = observed.manifest.odoo_version, (*observed.install, *observed.update)
    return check_addons(sources, lambda name: addon_repositories.known(paths, version, name), requested)
