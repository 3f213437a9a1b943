"""The collection of tasks for a project's tasks.py."""

from __future__ import annotations

import sys
from typing import Any

from invoke.collection import Collection

from odpm_tasks.tasks import (
    db,
    ide,
    image,
    init,
    legacy_cli,
    lock,
    machine,
    mod,
    mod_changes,
    plan,
    sources,
    stack,
    testing,
)

TASKS = {
    task.name: task
    for task in (
        init.init,
        lock.lock, plan.plan, plan.render, image.build, image.build_image, plan.migrate, plan.validate,
        image.parity, ide.ide,
        stack.up, stack.down, stack.restart, stack.logs, stack.status, stack.shell, stack.psql, stack.exec_, testing.test,
        machine.doctor, machine.projects, machine.prune, machine.open_,
    )
}  # fmt: skip
GROUPS = {
    "db": (db.list_, db.snapshots, db.snapshot, db.restore_snapshot, db.drop_snapshot),
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
