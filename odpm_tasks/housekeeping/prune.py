"""Find what no project uses any more, and remove it: images, build cache, logs, test databases, snapshots, parts of the cache.

Volumes and databases of users are listed and never removed.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import disk_usage
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker.disk_usage import DiskUsage
from odpm_tasks.core.config.paths import MANIFEST_FILE, ProjectPaths
from odpm_tasks.core.databases.reset_templates import old_templates
from odpm_tasks.core.databases.snapshots import recorded, superfluous
from odpm_tasks.core.databases.sql import hidden_databases, literal, user_databases
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.core.stack.pruning import DAYS, Kept, Pruning, Unused, is_test_database
from odpm_tasks.core.text import plural
from odpm_tasks.errors import MachineError, OdpmError
from odpm_tasks.housekeeping import engine_parts
from odpm_tasks.sources import cache
from odpm_tasks.stack.databases.psql import drop, sql

# Odoo itself connects to every database that it finds, for scheduled actions
_USERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = {} AND coalesce(host(client_addr), '') NOT IN ({})"


@dataclass(frozen=True)
class PruneOptions:
    """What to examine. `every`: all projects of the cache and the cache itself, else this project.

    `days`: build cache and logs that were not used for so long.
    """

    every: bool = False
    days: int = DAYS


def find(paths: ProjectPaths, options: PruneOptions) -> Pruning:
    """Everything that can be removed, and what is kept. Errors: MachineError for an engine that does not answer."""
    docker.require()
    registered = cache.roots(paths)
    existing = [root for root in {*registered, paths.root} if _is_project(root)]
    chosen = sorted({*registered, *existing}) if options.every else [paths.root]
    usage = disk_usage.disk_usage()
    unused = [*engine_parts.images(paths, usage, chosen, existing)]
    notes: list[str] = []
    kept = [*engine_parts.volumes(usage, chosen)]
    if options.every:
        unused += engine_parts.build_cache(usage, options.days)
        unused += _cache(paths, notes)
    for root in chosen:
        unused += _logs(root, options.days)
        found = _databases(usage, root, options.days, notes)
        unused += found.unused
        kept += found.kept
    return Pruning(tuple(unused), tuple(kept), tuple(notes))


def _is_project(root: Path) -> bool:
    try:
        return (root / MANIFEST_FILE).is_file()
    except OSError as error:
        raise MachineError(
            f"a project that uses the cache cannot be read, so what it uses is not known: {error.strerror}",
            where=str(root),
            todo="run the same command as a user who can read it",
        ) from None


def remove(paths: ProjectPaths, options: PruneOptions, listed: Pruning) -> Pruning:
    """Remove the listed things that are still unused, and return them.

    Holds the locks of the projects. Errors: BusyError naming a running one, and those of the engine; what was removed before
    stays removed.
    """
    listed_ids = {(one.kind, one.name, one.project): one.ids for one in listed.unused}
    removed: list[Unused] = []
    with contextlib.ExitStack() as held:
        roots = {paths.root, *(cache.roots(paths) if options.every else ())}
        for root in sorted(root for root in roots if (root / ".odpm").is_dir()):
            held.enter_context(files.exclusive(root / ".odpm/run.lock", f"the project {root}"))
        for one in find(paths, options).unused:
            known = {*listed_ids.get((one.kind, one.name, one.project), ())}
            if known and _remove(paths, replace(one, ids=tuple(name for name in one.ids if name in known))):
                removed.append(one)
    return Pruning(tuple(removed))


def _remove(paths: ProjectPaths, one: Unused) -> bool:
    if not one.ids:
        return False
    if one.kind == "image":
        return engine_parts.remove_image(paths, one.ids[0])
    if one.kind == "build cache":
        disk_usage.remove_build_cache(one.ids)
    elif one.kind == "log":
        files.remove(Path(one.ids[0]))
    elif one.kind in {"database", "snapshot", "template"}:
        server, odoo, name = one.ids
        drop(server, [name])
        docker.execute(odoo, "rm", "-rf", "--", f"{DATA_DIR}/filestore/{name}", check=True)
    else:
        cache.prune(paths, [part for part in cache.usage(paths).unused if str(part.path) in one.ids])
    return True


def _cache(paths: ProjectPaths, notes: list[str]) -> Iterator[Unused]:
    found = cache.usage(paths)
    notes += [f"{store} is kept: cannot determine which objects checkouts still need" for store in found.unsure]
    if found.unused:
        why = f"{plural(len(found.unused), 'unused part')}; {plural(len(found.users), 'project uses', 'projects use')} the cache"
        parts = tuple(str(part.path) for part in found.unused)
        total = sum(part.size for part in found.unused)
        yield Unused("cache", str(paths.cache), total, why, ids=parts, count=len(parts))


def _logs(root: Path, days: int) -> Iterator[Unused]:
    limit = time.time() - days * 86400
    for path in sorted(path for path in (root / ".odpm/logs").glob("*") if path.suffix in {".log", ".png"}):
        found = path.stat()
        if found.st_mtime <= limit:
            age = plural(int((time.time() - found.st_mtime) / 86400), "day")
            yield Unused("log", str(path.relative_to(root)), found.st_size, f"{age} old", str(root), (str(path),))


def _databases(usage: DiskUsage, root: Path, days: int, notes: list[str]) -> Pruning:
    """Test databases that nothing is connected to, automatic snapshots but the newest, old templates, and what is kept.

    Only of a stack that runs: PostgreSQL has the databases, Odoo their files.
    """
    server, odoo = (engine_parts.running(usage, root, service) for service in ("db", "odoo"))
    if not (server and odoo):
        if engine_parts.compose_names(usage, root):
            notes.append(f"{root} does not run: its databases and snapshots are not listed")
        return Pruning(())
    try:
        own = ", ".join(literal(address) for address in docker.addresses(odoo)) or "'-'"
        rows = json.loads(sql(server, user_databases()))
        hidden = {row["name"]: row for row in json.loads(sql(server, hidden_databases(sizes=True)))}
        tests = [row for row in rows if is_test_database(row["name"], row["comment"] or "")]
        idle = [row for row in tests if sql(server, _USERS.format(literal(row["name"]), own)) == "0"]
    except OdpmError as error:
        notes.append(f"the databases of {root} are not listed: {error.what}")
        return Pruning(())
    unused = [
        Unused("database", row["name"], row["size"], "left by inv test", str(root), (server, odoo, row["name"]))
        for row in idle
    ]
    known = (recorded(name, row["comment"]) for name, row in hidden.items())
    for one in superfluous([one for one in known if one], kept=1):
        why = f"of {one.database}, {one.created[:16].replace('T', ' ')}, not the newest"
        ids = (server, odoo, one.id)
        unused.append(Unused("snapshot", one.name, hidden[one.id]["size"], why, str(root), ids))
    for name, used in old_templates({name: row["comment"] for name, row in hidden.items()}, time.time(), days).items():
        why = f"of inv db.reset, used last {time.strftime('%Y-%m-%d %H:%M', time.gmtime(used))}"
        unused.append(Unused("template", name, hidden[name]["size"], why, str(root), (server, odoo, name)))
    kept = [Kept("database", row["name"], row["size"], str(root)) for row in rows if row not in idle]
    return Pruning(tuple(unused), tuple(kept))
