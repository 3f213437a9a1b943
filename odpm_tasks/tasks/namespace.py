"""What a project wires into its tasks.py."""

from __future__ import annotations

import sys

from invoke.collection import Collection

from odpm_tasks.tasks import image, init, legacy_cli, lock, plan, sources, stack
from odpm_tasks.tasks import image as tasks_image

TASKS = {
    task.name: task
    for task in (
        init.init,
        lock.lock, plan.plan, plan.render, tasks_image.build, tasks_image.build_image, plan.migrate, plan.validate,
        image.parity,
        stack.up, stack.down, stack.restart, stack.logs, stack.status, stack.shell, stack.psql, stack.exec_, stack.test,
    )
}  # fmt: skip
GROUPS = {
    "sources": (sources.status, sources.prune, sources.unshallow),
}
TASKS |= {f"{group}.{task.name}": task for group, tasks in GROUPS.items() for task in tasks}


def attribute(name: str) -> str:
    """What a task is called in Python: `build-image` is `odpm_tasks.build_image`, `sources.status` `odpm_tasks.sources_status`."""
    return name.replace("-", "_").replace(".", "_")


def collection(*without: str) -> Collection:
    """All tasks of odpm as an invoke collection, groups as collections in it.

    `without` names tasks (`test`, `sources.prune`) and groups (`sources`) to leave out, to put one's own in their place.
    Errors: UsageError where invoke was started with words of odpm 4.x.
    """
    legacy_cli.reject_legacy_arguments(sys.argv, TASKS)
    made = Collection()
    for name, task in TASKS.items():
        group, _, short = name.rpartition(".")
        if name in without or group in without:
            continue
        if group and group not in made.collections:
            made.add_collection(Collection(group))
        (made.collections[group] if group else made).add_task(task, name=short)
    return made
