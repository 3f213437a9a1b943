"""What a project wires into its tasks.py."""

from __future__ import annotations

from invoke.collection import Collection

from odpm_tasks.tasks import begin, prepare, run

TASKS = {
    task.name: task
    for task in (
        begin.init,
        prepare.lock, prepare.plan, prepare.render, prepare.build, prepare.build_image, prepare.migrate, prepare.validate,
        run.up, run.down, run.restart, run.logs, run.status, run.shell, run.psql, run.exec_, run.test,
    )
}  # fmt: skip


def collection(*without: str) -> Collection:
    """All tasks of odpm as an invoke collection; `without` names tasks to leave out (to put one's own in their place)."""
    made = Collection()
    for name, task in TASKS.items():
        if name not in without:
            made.add_task(task)
    return made
