"""Where the world becomes values: everything a plan rests on is read here, and nothing is changed.

Nothing in this module uses the network or writes into the project. The shared cache may gain facts about a commit: they
are derived, and the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odpm_tasks import python_env, running
from odpm_tasks.adapters import files, git, worktree
from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.core import addons
from odpm_tasks.core.addons import Facts
from odpm_tasks.core.compose import project_name
from odpm_tasks.core.link import Link, parse_link
from odpm_tasks.core.lock import Lock, Pin, counting_pins, read_lock
from odpm_tasks.core.manifest import Manifest, read_manifest
from odpm_tasks.core.place import Place
from odpm_tasks.core.plan import plan
from odpm_tasks.core.render import TEMPLATES, Stack, render
from odpm_tasks.core.resolve import Ask, Found, Resolution, Source, drive, resolve
from odpm_tasks.core.settings import PORTS
from odpm_tasks.core.substitution import expand
from odpm_tasks.core.world import LOCK_FILE, ORDER, PREPARING, PYTHON_LOCKS, Checkout, Own, World
from odpm_tasks.errors import DescriptionError, OdpmError
from odpm_tasks.state import recall

UNTRACKED_BY_LOCK = (LOCK_FILE, *PYTHON_LOCKS, "odpm.json")
RUNTIME = Path(__file__).parent / "templates" / "odoo_run.py"


@dataclass(frozen=True)
class Wishes:
    """What a command line asks beyond the description."""

    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True


@dataclass(frozen=True)
class Sight:
    """A world, and the stack its files were rendered from (None while something is still unresolved)."""

    world: World
    stack: Stack | None = None
    state: dict[str, Any] = field(default_factory=dict)


class _Unanswered(OdpmError):
    def __init__(self, asks: Sequence[Ask]) -> None:
        self.asks = tuple(asks)
        super().__init__("not known offline")


def description(place: Place) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest as the scenario sees it, and what its author should know. Errors: DescriptionError."""
    text = files.read_text(place.manifest)
    if text is None:
        raise DescriptionError(
            "there is no odpm.json", where=str(place.root), todo="make one: python -m odpm_tasks init"
        )
    for name in PORTS:
        place.settings.port(name)
    reading = read_manifest(text, place.settings.get)
    return reading.manifest.for_scenario(place.settings.scenario.name), reading.warnings


def lock(place: Place) -> Lock | None:
    text = files.read_text(place.lock)
    return read_lock(text) if text is not None else None


def own_url(place: Place) -> str | None:
    """The canonical URL of the checkout itself, by its `origin`; None where it has none that we could clone."""
    if not (place.root / ".git").exists():
        return None
    url = git.origin(place.root)
    try:
        return parse_link(url).canonical if url else None
    except DescriptionError:
        return None


def own(place: Place, manifest: Manifest) -> Own | None:
    """The developing checkout as the lock would record it, where `developing.git` names it."""
    link = manifest.developing
    if link is None or link.canonical != own_url(place):
        return None
    tree = git.tracked(place.root, UNTRACKED_BY_LOCK)
    head = git.head(place.root)
    if tree is None or head is None or head.commit is None:
        return None
    return Own(Pin(link.canonical, head.commit, link.branch, tree=tree), git.changes(place.root))


def name(place: Place, manifest: Manifest) -> str:
    """The project's name: of `developing.git`, else of the checkout's `origin`, else of its folder."""
    if manifest.developing:
        return project_name(manifest.developing.name)
    url = git.origin(place.root) if (place.root / ".git").exists() else None
    last = url.rstrip("/").removesuffix(".git").replace(":", "/").rsplit("/", 1)[-1] if url else place.root.name
    return project_name(last)


def facts(place: Place, link: Link, commit: str, kind: str = "dependency") -> Facts | None:
    """What a repository holds at a commit, from the cache; None where the cache does not have it."""
    kept = place.facts(link.canonical, commit)
    text = files.read_text(kept)
    if text is not None:
        try:
            return Facts.model_validate_json(text)
        except ValueError:
            kept.unlink(missing_ok=True)
    store = place.store(link.canonical)
    if not git.holds(store, commit):
        return None
    if kind == "platform":
        # its modules are counted, not read: hundreds of manifests that its requirements.txt speaks for
        names: Iterable[str] = git.names(store, commit)
        contents = git.blobs(store, commit, addons.wanted(names).others)
    else:
        contents = git.texts(store, commit, addons.PATTERNS)
        names = sorted(contents)
    found = addons.facts(names, contents)
    files.write(kept, found.model_dump_json().encode(), derived=True)
    return found


def folder_facts(root: Path) -> Facts:
    """What a folder on disk holds: the developing checkout, or a `file://` source."""
    names = [file for file in addons.ASKED_FILES if (root / file).is_file()]
    for depth in ("*", "*/*"):
        for manifest in addons.MANIFESTS:
            for path in root.glob(f"{depth}/{manifest}"):
                relative = path.relative_to(root)
                if not any(part.startswith(".") for part in relative.parts):
                    names.append(relative.as_posix())
    contents = {file: files.read(root / file) or b"" for file in names}
    return addons.facts(sorted(names), contents)


def file_source(place: Place, link: Link) -> Found:
    """A `file://` source: used in place, known by the fingerprint of its content. Errors: DescriptionError."""
    root = Path(link.path)
    if not root.is_dir():
        raise DescriptionError("a file:// source is not a folder", where=link.url, todo="correct the path in odpm.json")
    memory = place.cache / "fingerprints" / f"{files.sha256(str(root).encode())[:32]}.json"
    return Found(fingerprint(root, memory), folder_facts(root))


def _offline(place: Place, pins_known: bool) -> Any:
    def answer(asks: tuple[Ask, ...]) -> list[Found]:
        found: list[Found] = []
        missing: list[Ask] = []
        for ask in asks:
            if ask.link.is_file:
                found.append(file_source(place, ask.link))
                continue
            known = facts(place, ask.link, ask.commit, ask.kind) if ask.commit and pins_known else None
            if known is None or ask.commit is None:
                missing.append(ask)
            else:
                found.append(Found(ask.commit, known))
        if missing:
            raise _Unanswered(missing)
        return found

    return answer


def resolution(place: Place, manifest: Manifest, known: Lock | None) -> Resolution | tuple[Ask, ...]:
    """The graph as far as pins and cache tell it; else the questions that only a server can answer."""
    pins = counting_pins(known, manifest.locks_git, manifest.odoo_version)
    walk = resolve(
        manifest,
        pins,
        place.settings.get,
        strict=place.settings.scenario.strict,
        own=own_url(place) if manifest.developing else None,
    )
    try:
        return drive(walk, _offline(place, True))
    except _Unanswered as unanswered:
        return unanswered.asks


def checkout(place: Place, source: Source) -> Checkout:
    """What lies in the place of a source."""
    path = place.source(source.name)
    if path.is_symlink():
        mine = source.link.is_file and path.readlink() == Path(source.link.path)
        return Checkout("link" if mine else "foreign")
    if not path.exists():
        return Checkout("absent")
    head = git.head(path)
    if head is None or source.link.is_file:
        return Checkout("foreign")
    if head.branch is not None:
        return Checkout("branch", head.commit, head.branch, head.base)
    moving = (path / ".git" / worktree.MOVING).exists()
    return Checkout(
        "moving" if moving else "ours" if head.commit == head.base else "commit", head.commit, None, head.base
    )


def checkouts(place: Place, resolved: Resolution) -> dict[str, Checkout]:
    """What lies in the place of each source; in a strict scenario also whether somebody has edited it."""
    found = {source.name: checkout(place, source) for source in resolved.sources}
    if not (place.settings.scenario.strict and place.settings.scenario.mounts):
        return found
    ours = [name for name, seen in found.items() if seen.kind == "ours"]
    with ThreadPoolExecutor(4) as pool:
        changed = pool.map(lambda name: git.changes(place.source(name)), ours)
        return found | {
            name: replace(found[name], changes=changes) for name, changes in zip(ours, changed, strict=True)
        }


def stack(place: Place, manifest: Manifest, resolved: Resolution, own: Facts) -> Stack:
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
    )


def sight(place: Place, until: Iterable[str] = ORDER, wishes: Wishes | None = None) -> Sight:
    """Observe everything the steps of `until` rest on, as far as it can be known now."""
    asked = wishes or Wishes()
    manifest, warnings = description(place)
    known = lock(place)
    recorded = recall(place)
    world = World(
        scenario=place.settings.scenario,
        manifest=manifest,
        lock=known,
        last_scenario=recorded.get("scenario"),
        warnings=warnings,
        own=own(place, manifest) if manifest.developing else None,
        install=asked.install,
        update=asked.update,
    )
    resolved = resolution(place, manifest, known)
    if isinstance(resolved, tuple):
        pins = known.pins.values() if known else ()
        missing = tuple(pin.key for pin in pins if not pin.file and not git.holds(place.store(pin.key), pin.commit))
        return Sight(replace(world, unanswered=resolved, unstored=missing), None, recorded)
    mine = folder_facts(place.root)
    merged = python_env.asked_packages(manifest, resolved, mine)
    locks = python_env.seen_locks(place, manifest, merged)
    world = replace(
        world,
        resolution=resolved,
        unstored=unstored(place, resolved),
        checkouts=checkouts(place, resolved),
        python=locks,
        warnings=(
            *warnings,
            *(f"{broken} is not a readable manifest; Odoo will not see this module" for broken in mine.broken),
            *resolved.warnings,
            *(f"{a.by}: cannot read the requirement {a.line!r}" for a in merged.unreadable),
        ),
    )
    current = known.venv if known else None
    if locks.made_from != locks.wanted or locks.digest != current:
        return Sight(world, None, recorded)
    whole = stack(place, manifest, resolved, mine)
    world = _with_files(place, world, whole, recorded, asked)
    if not set(until) - set(PREPARING):
        return Sight(world, whole, recorded)
    preparing = plan(world, PREPARING)
    if all(step.action not in {"create", "update"} for step in preparing.steps):
        world = replace(world, running=running.look(place, world, whole, recorded))
    return Sight(world, whole, recorded)


def unstored(place: Place, resolved: Resolution) -> tuple[str, ...]:
    """Sources whose commit is neither checked out nor in the cache."""
    return tuple(
        source.key
        for source in resolved.sources
        if not source.link.is_file
        and not git.holds(place.store(source.key), source.commit)
        and not (place.settings.scenario.mounts and checkout(place, source).commit == source.commit)
    )


def _with_files(place: Place, world: World, whole: Stack, recorded: dict[str, Any], asked: Wishes) -> World:
    rendered = render(whole)
    current = {path: files.read(place.root / path) for path in rendered.files}
    hashes = recorded.get("files", {})
    edited = {path for path, data in current.items() if data is not None and files.sha256(data) != hashes.get(path)}
    database = asked.database or world.manifest.odoo_conf.get("options", {}).get("db_name", "") or place.root.name
    text = rendered.files["docker-compose.yml"]
    return replace(
        world,
        rendered=rendered,
        current=current,
        edited=frozenset(edited),
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
