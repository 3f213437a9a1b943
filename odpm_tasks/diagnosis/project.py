"""Checks of a project: description, plan, passwords, cache, files that killed programs left. `fix` repairs what is safe."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import integrity, repair
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.core.audit.findings import Finding, of_error
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import ObservedState
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.core.stack.web.caddy import CERTIFICATE, KEY
from odpm_tasks.core.text import plural
from odpm_tasks.errors import MachineError
from odpm_tasks.sources import cache

_VERIFIERS = "roles.sql"  # has no passwords; the user of the database container reads it
_OF_THE_GROUP = {CERTIFICATE, KEY}  # the reverse proxy reads them with the group of the owner
STALE = 600.0  # seconds; no program of git or odpm holds such a file for longer


def of_plan(plan: Plan) -> Iterator[Finding]:
    """What `up` would refuse, and what the description lacks."""
    yield from of_steps(plan.steps)
    yield from of_warnings(plan.observed)


def of_steps(steps: Iterable[Step]) -> Iterator[Finding]:
    """What `up` would refuse; busy ports have a code of their own."""
    for step in steps:
        if step.action == "blocked":
            code = "ports" if re.match(r"ports? \d", step.detail) else "blocked"
            yield Finding(code, "error", f"inv up would refuse: {step.detail}", f"{step.id} {step.target}", "inv plan")


def of_warnings(observed: ObservedState) -> Iterator[Finding]:
    for text in (*observed.warnings, *observed.notes):
        yield Finding("project", "warning", text)


def secrets(paths: ProjectPaths, *, fix: bool) -> Iterator[Finding]:
    """Passwords that other users of the machine can read. The key of PATH_TO_SSH_KEY is refused by ssh then."""
    for path in sorted((paths.odpm / "secrets").rglob("*")):
        mode = path.lstat().st_mode
        shared = 0o007 if path.name in _OF_THE_GROUP else 0o077
        if path.is_symlink() or path.name == _VERIFIERS or not stat.S_IMODE(mode) & shared:
            continue
        wanted = 0o700 if path.is_dir() else 0o600
        where = str(path.relative_to(paths.root))
        if fix:
            with files.disk_errors(path):
                path.chmod(wanted)
        yield Finding(
            "secrets",
            "error",
            f"other users can read {where}",
            f"mode {stat.S_IMODE(mode):o}",
            f"chmod {wanted:o} {where}",
            fixed=fix,
        )
    key = paths.settings.get("PATH_TO_SSH_KEY")
    if key and (path := paths.root / Path(key).expanduser()).is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding("secrets", "error", "ssh refuses a key that other users can read", str(path), f"chmod 600 {path}")


def cache_access(paths: ProjectPaths) -> Iterator[Finding]:
    try:
        cache.require_access(paths, write=True)
    except MachineError as error:
        yield of_error("cache", error)


def damaged_stores(paths: ProjectPaths, *, fix: bool) -> Iterator[Finding]:
    """Stores of the cache that git cannot use as they are. `fix`: their damaged packs are moved aside."""
    for store in sorted(stores.repositories(paths.cache / "git")):
        if not (names := repair.damage(store)):
            continue
        if fix:
            with stores.lock(store):
                repair.repair(store)
            integrity.forget()
        yield Finding(
            "store",
            "error",
            f"the cache of {store.name.removesuffix('.git')} is damaged",
            f"{store}: {', '.join(names[:3])}",
            "inv doctor --fix; the next inv lock or inv render fetches what is missing",
            fixed=fix,
        )


def stale_locks(paths: ProjectPaths, *, fix: bool, now: float | None = None) -> Iterator[Finding]:
    """Lock files that a killed git left: in stores, which `fix` removes, and in checkouts, where a program may still use them."""
    moment = time.time() if now is None else now
    for store in sorted(stores.repositories(paths.cache / "git")):
        for path in (*store.glob("*.lock"), *(store / "refs").rglob("*.lock")):
            if moment - path.stat().st_mtime < STALE:
                continue
            if fix:
                with stores.lock(store):
                    path.unlink(missing_ok=True)
            yield _stale(path, moment, "inv doctor --fix", fixed=fix)
    for path in sorted((paths.odpm / "src").glob("*/.git/index.lock")):
        if moment - path.stat().st_mtime >= STALE:
            yield _stale(path, moment, f"make sure that no git runs there, then: rm {path}", fixed=False)


def _stale(path: Path, now: float, todo: str, *, fixed: bool) -> Finding:
    minutes = int((now - path.stat().st_mtime) / 60) if path.exists() else 0
    age = f"{plural(minutes, 'minute')} old" if minutes else "left by a killed git"
    return Finding("stale-lock", "warning", f"a lock file of git is left: {path.name}", f"{path}, {age}", todo, fixed)
