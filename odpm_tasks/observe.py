"""Where the world becomes values: everything a plan rests on is read here, and nothing is changed.

Nothing in this module uses the network or writes into the project. What is only needed when it is known that files will be
rendered is imported then: a lock is written without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from odpm_tasks import graph, python_env
from odpm_tasks.adapters import files, git
from odpm_tasks.core.fragments import fragments
from odpm_tasks.core.lock import Lock, Pin, read_lock
from odpm_tasks.core.lock_changes import contradictions
from odpm_tasks.core.manifest import Manifest, Reading, read_manifest
from odpm_tasks.core.order import LOCK_FILE, LOCKING, ORDER, PREPARING, PYTHON_LOCKS
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Ask, Resolution
from odpm_tasks.core.settings import PORTS
from odpm_tasks.core.system_needs import system_needs
from odpm_tasks.core.wished import Wishes
from odpm_tasks.core.world import Own, World
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.folders import Remotes, as_found, folder_facts, own_url, remotes
from odpm_tasks.state import recall

if TYPE_CHECKING:
    from odpm_tasks.core.render import Stack
    from odpm_tasks.engine import Questions

UNTRACKED_BY_LOCK = (LOCK_FILE, *PYTHON_LOCKS, ".odpm/.gitignore", "odpm.json")


@dataclass(frozen=True)
class Sight:
    """A world, and the stack its files were rendered from (None while something is still unresolved)."""

    world: World
    stack: Stack | None = None
    state: dict[str, Any] = field(default_factory=dict)


def description(place: Place) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest as the scenario sees it, and what its author should know. Errors: DescriptionError."""
    reading = whole_description(place)
    return reading.manifest.for_scenario(place.settings.scenario.name), reading.warnings


def whole_description(place: Place) -> Reading:
    """The manifest before any scenario's overlay. Errors: DescriptionError."""
    text = files.read_text(place.manifest)
    if text is None:
        raise DescriptionError(
            "there is no odpm.json", where=str(place.root), todo="make one: python -m odpm_tasks init"
        )
    for name in PORTS:
        place.settings.port(name)
    return read_manifest(text, place.settings.get)


def lock(place: Place) -> Lock | None:
    text = files.read_text(place.lock)
    return read_lock(text) if text is not None else None


def own(place: Place, manifest: Manifest, named: Remotes) -> Own | None:
    """The developing checkout as the lock would record it, where `developing.git` names one of its remotes (`named`)."""
    link = manifest.developing
    if link is None or link.canonical != own_url(named, link):
        return None
    tree = git.tracked(place.root, UNTRACKED_BY_LOCK)
    if tree is None:
        return None
    commit = git.ask(place.root, "rev-parse", "HEAD")
    return Own(Pin(link.canonical, commit, link.branch, tree=tree), git.changes(place.root))


def sight(
    place: Place,
    until: Iterable[str] = ORDER,
    wishes: Wishes | None = None,
    *,
    ahead: bool = False,
    resolved: Resolution | tuple[Ask, ...] | None = None,
    questions: Questions | None = None,
) -> Sight:
    """Observe everything the steps of `until` rest on, as far as it can be known now.

    `ahead`: look at Docker also while files are still to be written, because their bytes are known already.
    `resolved`: the graph as servers have just told it, in place of what pins and cache tell. `questions`: those to Docker
    that were begun since nothing was changed.
    """
    asked = wishes or Wishes()
    manifest, warnings = description(place)
    scenario = place.settings.scenario
    if not (asked.touch_git or scenario.mounts):
        raise UsageError(
            f"--no-git-update takes checkouts as they are, and {scenario.name} bakes the locked commits",
            where=place.settings.where("ODPM_SCENARIO"),
            todo="leave --no-git-update out",
        )
    reads_lock = asked.touch_git or scenario.strict
    known = lock(place) if reads_lock else None
    warnings = (*warnings, *contradictions(known, manifest.locks_git, manifest.locks_venv))
    recorded = recall(place)
    named = remotes(place)
    url = own_url(named, manifest.developing)
    world = World(
        scenario=scenario,
        manifest=manifest,
        lock=known,
        touch_git=asked.touch_git,
        reads_lock=reads_lock,
        last_scenario=recorded.get("scenario"),
        warnings=warnings,
        own=own(place, manifest, named) if manifest.developing else None,
        install=asked.install,
        update=asked.update,
    )
    if resolved is None:
        resolved = graph.resolution(place, manifest, known, url) if asked.touch_git else as_found(place, manifest, url)
    if isinstance(resolved, tuple):
        source = manifest.developing is not None and manifest.developing.canonical != url
        pins = replace(known, developing=known.developing if source else None).pins.values() if known else ()
        missing = tuple(pin.key for pin in pins if not pin.file and not git.holds(place.store(pin.key), pin.commit))
        return Sight(replace(world, unanswered=resolved, unstored=missing), None, recorded)
    mine = folder_facts(place.root)
    merged = python_env.asked_packages(manifest, resolved, mine)
    locks = python_env.seen_locks(place, manifest, merged)
    brought = fragments(manifest, resolved, scenario)
    world = replace(
        world,
        resolution=resolved,
        fragments=brought,
        unstored=graph.unstored(place, resolved) if asked.touch_git else (),
        checkouts=graph.checkouts(place, resolved),
        python=locks,
        warnings=(
            *warnings,
            *(f"{broken} is not a readable manifest; Odoo will not see this module" for broken in mine.broken),
            *resolved.warnings,
            *brought.warnings,
            *system_needs([mine, *(source.facts for source in resolved.sources)]).warnings,
            *(f"{a.by}: cannot read the requirement {a.line!r}" for a in merged.unreadable),
        ),
    )
    current = known.venv if known else None
    if locks.made_from != locks.wanted or (world.reads_lock and locks.digest != current):
        return Sight(world, None, recorded)
    if not set(until) - set(LOCKING):
        return Sight(world, None, recorded)
    from odpm_tasks import rendering

    whole = rendering.stack(place, brought.onto(manifest), known, resolved, mine, named)
    world = rendering.with_files(place, world, whole, recorded, asked.database)
    if not set(until) - set(PREPARING):
        return Sight(world, whole, recorded)
    from odpm_tasks import running
    from odpm_tasks.core.plan import plan

    preparing = plan(world, PREPARING)
    if ahead or all(step.action not in {"create", "update"} for step in preparing.steps):
        world = replace(world, running=running.look(place, world, whole, recorded, questions))
    return Sight(world, whole, recorded)
