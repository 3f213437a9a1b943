"""The collection of tasks for a project's tasks.py."""

from __future__ import annotations

import sys
from typing import Any

from invoke.collection import Collection

from odpm_tasks.tasks import (
    desk,
    image,
    init,
    legacy_cli,
    lock,
    machine,
    mod,
    mod_changes,
    plan,
    programs,
    sources,
    stack,
    testing,
)
from odpm_tasks.tasks.databases import archives, backups, copies, postgres, snapshots
from odpm_tasks.tasks.deployment import targets

TASKS = {
    task.name: task
    for task in (
        init.init,
        lock.lock, plan.plan, plan.render, image.build, image.build_image, plan.migrate, plan.validate,
        image.parity, desk.ide,
        stack.up, stack.down, stack.restart, stack.logs, stack.status, programs.shell, programs.psql, programs.exec_, testing.test,
        desk.watch, machine.doctor, machine.audit, machine.projects, machine.prune, machine.open_, desk.completion,
    )
}  # fmt: skip
GROUPS = {
    "db": (
        snapshots.list_, snapshots.snapshots, snapshots.snapshot, snapshots.restore_snapshot, snapshots.drop_snapshot,
        snapshots.backup, archives.restore, archives.pull, copies.copy, copies.rename, copies.drop, copies.reset,
        copies.neutralize, postgres.upgrade_postgres,
    ),
    "deploy": (
        targets.render, targets.plan, targets.up, targets.rollback, targets.history, targets.status, targets.logs, targets.exec_,
    ),
    "backup": (backups.run, backups.list_, backups.restore, backups.verify),
    "mod": (
        mod.list_, mod.explain, mod.graph, mod.missing,
        mod_changes.install, mod_changes.update, mod_changes.uninstall, mod_changes.scaffold, mod_changes.pot,
    ),
    "sources": (sources.status, sources.tree, sources.prune, sources.unshallow),
}  # fmt: skip
TASKS |= {f"{group}.{task.name}": task for group, tasks in GROUPS.items() for task in tasks}


def attribute(name: str) -> str:
    """The Python name of a task: `build-image` becomes `build_image`, `sources.status` becomes `sources_status`."""
    return name.replace("-", "_").replace(".", "_")


def collection(*without: str, words: str = "") -> Collection:
    """All tasks of odpm as an invoke collection; groups are collections in it.

    `without`: names of tasks (`test`, `sources.prune`) and groups (`sources`) to omit, for example to replace them.
    `words="doodba"`: the tasks of doodba's `tasks.py` are added, and replace those of the same names.
    Errors: UsageError if the command line has options of odpm 4.x, and for other `words`.
    """
    tasks = TASKS | _of_words(words)
    legacy_cli.reject_legacy_arguments(sys.argv, tasks)
    root = Collection()
    for name, task in tasks.items():
        group, _, short = name.rpartition(".")
        if name in without or group in without:
            continue
        if group and group not in root.collections:
            root.add_collection(Collection(group))
        (root.collections[group] if group else root).add_task(task, name=short)
    return root


def _of_words(words: str) -> dict[str, Any]:
    if words not in {"", "doodba"}:
        from odpm_tasks.errors import UsageError

        raise UsageError(
            f"there are no words {words!r}", where="collection(words=…)", todo='collection(words="doodba")'
        )
    from odpm_tasks.tasks import doodba

    return {task.name.replace("_", "-"): task for task in doodba.WORDS} if words else {}
