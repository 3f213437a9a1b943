"""Where the world becomes values: everything a plan rests on is read here, and nothing is changed.

Nothing in this module uses the network or writes into the project. What is only needed when it is known that files will be
rendered is imported then: a lock is written without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.system_packages import system_needs
from odpm_tasks.core.locking.changes import lock_warnings
from odpm_tasks.core.locking.resolve import Resolution, SourceQuery
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState, RunningState, extend
from odpm_tasks.core.planning.options import DEFAULTS, RunOptions
from odpm_tasks.core.planning.steps import LOCKING, ORDER, PREPARING
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.errors import UsageError
from odpm_tasks.locking import python as python_env
from odpm_tasks.project_files import description, lock, read_state
from odpm_tasks.sources import graph
from odpm_tasks.sources.folders import developing_state, developing_url, folder_facts, remotes, resolve_from_checkouts

if TYPE_CHECKING:
    from odpm_tasks.stack.prefetch import DockerQueries


def observe(
    paths: ProjectPaths,
    until: Iterable[str] = ORDER,
    options: RunOptions = DEFAULTS,
    *,
    ahead: bool = False,
    resolved: Resolution | tuple[SourceQuery, ...] | None = None,
    queries: DockerQueries | None = None,
) -> ObservedState:
    """Observe everything the steps of `until` rest on, as far as it can be known now.

    `ahead`: look at Docker also while files are still to be written, because their bytes are known already.
    `resolved`: the graph as servers have just told it, in place of what pins and cache tell. `queries`: those to Docker
    that were begun since nothing was changed.
    """
    manifest, warnings = description(paths)
    touch_git = not options.no_git_update
    scenario = paths.settings.scenario
    if not (touch_git or scenario.mounts):
        raise UsageError(
            f"--no-git-update takes checkouts as they are, and {scenario.name} bakes the locked commits",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo="leave --no-git-update out",
        )
    reads_lock = touch_git or scenario.strict
    known = lock(paths) if reads_lock else None
    warnings = (*warnings, *lock_warnings(known, manifest.locks_git, manifest.locks_venv))
    recorded = read_state(paths)
    named = remotes(paths)
    url = developing_url(named, manifest.developing)
    observed = ObservedState(
        scenario=scenario,
        manifest=manifest,
        lock=known,
        touch_git=touch_git,
        reads_lock=reads_lock,
        recorded=recorded,
        last_scenario=recorded.get("scenario"),
        warnings=warnings,
        own=developing_state(paths, manifest, named) if manifest.developing else None,
        install=options.install,
        update=options.update,
    )
    if resolved is None:
        resolved = (
            graph.resolution(paths, manifest, known, url) if touch_git else resolve_from_checkouts(paths, manifest, url)
        )
    if isinstance(resolved, tuple):
        source = manifest.developing is not None and manifest.developing.canonical != url
        pins = replace(known, developing=known.developing if source else None).pins.values() if known else ()
        missing = tuple(pin.key for pin in pins if not pin.file and not git.store_has(paths.store(pin.key), pin.commit))
        return replace(observed, unresolved=resolved, uncached=missing)
    mine = folder_facts(paths.root)
    merged = python_env.merged_requirements(manifest, resolved, mine)
    locks = python_env.read_python_locks(paths, manifest, merged)
    brought = fragments(manifest, resolved, scenario)
    found = extend(
        observed,
        ResolvedState,
        resolution=resolved,
        fragments=brought,
        uncached=graph.uncached(paths, resolved) if touch_git else (),
        checkouts=graph.checkouts(paths, resolved),
        python=locks,
        warnings=(
            *warnings,
            *(f"{broken} is not a readable manifest; Odoo will not see this module" for broken in mine.broken),
            *resolved.warnings,
            *brought.warnings,
            *system_needs([mine, *(source.facts for source in resolved.sources)]).warnings,
            *(f"{a.origin}: cannot read the requirement {a.line!r}" for a in merged.invalid),
        ),
    )
    current = known.venv if known else None
    if locks.recorded_inputs != locks.inputs or (observed.reads_lock and locks.digest != current):
        return found
    if not set(until) - set(LOCKING):
        return found
    from odpm_tasks.stack import files

    stack = files.stack(paths, brought.merge_into(manifest), known, resolved, mine, named)
    rendered = files.with_files(paths, found, stack, options.database)
    if not set(until) - set(PREPARING):
        return rendered
    from odpm_tasks.core.planning.planner import plan
    from odpm_tasks.stack.observe import observe_running

    preparing = plan(rendered, PREPARING)
    if ahead or all(step.action not in {"create", "update"} for step in preparing.steps):
        return extend(rendered, RunningState, running=observe_running(paths, rendered, queries))
    return rendered
