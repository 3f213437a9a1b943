"""Where the world becomes values: everything a plan rests on is read here, and nothing is changed.

Nothing in this module uses the network or writes into the project.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odpm_tasks import graph, python_env, running
from odpm_tasks.adapters import files, git
from odpm_tasks.core.addons import Facts
from odpm_tasks.core.compose import project_name
from odpm_tasks.core.fragments import fragments
from odpm_tasks.core.leftovers import leftovers
from odpm_tasks.core.lock import Lock, Pin, read_lock
from odpm_tasks.core.lock_changes import contradictions
from odpm_tasks.core.manifest import Manifest, Reading, read_manifest
from odpm_tasks.core.place import Place
from odpm_tasks.core.plan import plan
from odpm_tasks.core.render import TEMPLATES, Stack, render
from odpm_tasks.core.resolve import Ask, Resolution
from odpm_tasks.core.settings import PORTS
from odpm_tasks.core.substitution import expand
from odpm_tasks.core.system_needs import system_needs
from odpm_tasks.core.world import LOCK_FILE, ORDER, PREPARING, PYTHON_LOCKS, Own, World
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.folders import as_found, folder_facts, own_url
from odpm_tasks.state import recall

UNTRACKED_BY_LOCK = (LOCK_FILE, *PYTHON_LOCKS, ".odpm/.gitignore", "odpm.json")
RUNTIME = Path(__file__).parent / "templates" / "odoo_run.py"


@dataclass(frozen=True)
class Wishes:
    """What a command line asks beyond the description."""

    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True
    free_ports: bool = False


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


def own(place: Place, manifest: Manifest) -> Own | None:
    """The developing checkout as the lock would record it, where `developing.git` names it."""
    link = manifest.developing
    if link is None or link.canonical != own_url(place, link):
        return None
    tree = git.tracked(place.root, UNTRACKED_BY_LOCK)
    if tree is None:
        return None
    commit = git.ask(place.root, "rev-parse", "HEAD")
    return Own(Pin(link.canonical, commit, link.branch, tree=tree), git.changes(place.root))


def name(place: Place, manifest: Manifest) -> str:
    """The project's name: of `developing.git`, else of the checkout's `origin`, else of its folder."""
    if manifest.developing:
        return project_name(manifest.developing.name)
    url = git.origin(place.root) if (place.root / ".git").exists() else None
    last = url.rstrip("/").removesuffix(".git").replace(":", "/").rsplit("/", 1)[-1] if url else place.root.name
    return project_name(last)


def stack(place: Place, manifest: Manifest, known: Lock | None, resolved: Resolution, own: Facts) -> Stack:
    locks = [files.read(place.root / path) or b"" for path in PYTHON_LOCKS]
    overrides = {
        template: text for template in TEMPLATES if (text := files.read_text(place.template(template))) is not None
    }
    return Stack(
        name=name(place, manifest),
        scenario=place.settings.scenario,
        manifest=manifest,
        resolution=resolved,
        own=own,
        locks=(locks[0], locks[1]),
        runtime=RUNTIME.read_bytes(),
        templates=overrides,
        digests=known.images if known else {},
        profile=place.settings.profile,
    )


def sight(
    place: Place,
    until: Iterable[str] = ORDER,
    wishes: Wishes | None = None,
    *,
    ahead: bool = False,
    resolved: Resolution | tuple[Ask, ...] | None = None,
) -> Sight:
    """Observe everything the steps of `until` rest on, as far as it can be known now.

    `ahead`: look at Docker also while files are still to be written, because their bytes are known already.
    `resolved`: the graph as servers have just told it, in place of what pins and cache tell.
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
    warnings = (*warnings, *contradictions(known, manifest.locks_git))
    recorded = recall(place)
    world = World(
        scenario=scenario,
        manifest=manifest,
        lock=known,
        touch_git=asked.touch_git,
        reads_lock=reads_lock,
        last_scenario=recorded.get("scenario"),
        warnings=warnings,
        own=own(place, manifest) if manifest.developing else None,
        install=asked.install,
        update=asked.update,
    )
    if resolved is None:
        resolved = graph.resolution(place, manifest, known) if asked.touch_git else as_found(place, manifest)
    if isinstance(resolved, tuple):
        source = manifest.developing is not None and manifest.developing.canonical != own_url(
            place, manifest.developing
        )
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
    whole = stack(place, brought.onto(manifest), known, resolved, mine)
    world = _with_files(place, world, whole, recorded, asked)
    if not set(until) - set(PREPARING):
        return Sight(world, whole, recorded)
    preparing = plan(world, PREPARING)
    if ahead or all(step.action not in {"create", "update"} for step in preparing.steps):
        world = replace(world, running=running.look(place, world, whole, recorded))
    return Sight(world, whole, recorded)


def _with_files(place: Place, world: World, whole: Stack, recorded: dict[str, Any], asked: Wishes) -> World:
    rendered = render(whole)
    current = {path: files.read(place.root / path) for path in rendered.files}
    hashes = recorded.get("files", {})
    edited = {path for path, data in current.items() if data is not None and files.sha256(data) != hashes.get(path)}
    edited |= {path for path in current if (place.root / path).is_symlink()}
    database = asked.database or world.manifest.odoo_conf.get("options", {}).get("db_name", "") or place.root.name
    text = rendered.files["docker-compose.yml"]
    return replace(
        world,
        rendered=rendered,
        current=current,
        edited=frozenset(edited),
        leftovers=leftovers(hashes, rendered.files, lambda path: files.digest_below(place.root, path)),
        overrides={
            path: f".odpm/templates/{template}" for template, path in _TEMPLATE_FILES if template in whole.templates
        },
        validated=recorded.get("validated") == files.sha256(text),
        image=expand(rendered.image, place.settings.get, "docker-compose.yml"),
        database=database,
        modules=whole.modules,
    )


_TEMPLATE_FILES = (
    ("Dockerfile.j2", ".odpm/build/Dockerfile"),
    ("odoo.conf.j2", ".odpm/build/odoo.conf"),
    ("odoo_run.py", ".odpm/build/odoo-run"),
)
