"""The task `lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.core.planning.options import ASK_INDEX
from odpm_tasks.tasks.base import Context, task

if TYPE_CHECKING:
    from collections.abc import Sequence


@task(
    help={
        "update": "Move every pin to the newest commit of its branch, and every Python package to its newest version.",
        "only": "With --update: only these repositories, Python packages from git and the tool wkhtmltopdf (names; repeat or "
        "comma separate).",
        "check": "Write nothing in the project; exit 3 when the lock is missing, incomplete, out of date or contradicted.",
        "sync_manifest_locks": "Also write the pins into `locks` of odpm.json (nested format).",
        "diff": "Write nothing; show the difference between the lock at a commit of the project (default: HEAD) and the lock now.",
        "ask_index": ASK_INDEX,
        "format": "With --diff: text, json or markdown.",
    },
    lists=["only"],
    optional=["diff"],
)
def lock(
    c: Context,
    update: bool = False,
    only: Sequence[str] = (),
    check: bool = False,
    sync_manifest_locks: bool = False,
    diff: str | bool | None = None,
    format: str = "",
    ask_index: bool = False,
) -> None:
    """Pin every repository to a commit and every Python package to a version."""
    from packaging.utils import canonicalize_name

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.image.wkhtmltopdf import TOOLS
    from odpm_tasks.core.locking.pins import display_names, matching_keys
    from odpm_tasks.core.odoo.addon_checks import repository_lines
    from odpm_tasks.core.text import nearest
    from odpm_tasks.errors import LockError, UsageError
    from odpm_tasks.project import Project

    project = Project.find()
    if only and not update:
        raise UsageError("--only needs --update", todo=f"inv lock --update --only {','.join(only)}")
    if diff is not None and diff is not False:  # "" is an unknown revision, not HEAD
        from odpm_tasks.tasks import output

        if update or check or sync_manifest_locks:
            raise UsageError("--diff writes nothing and can only be combined with --format", todo="inv lock --diff")
        terminal.output(output.lock_diff(project, "HEAD" if diff is True else diff, format or "text"))
        return
    if format:
        raise UsageError("--format needs --diff", todo=f"inv lock --diff --format {format}")
    if check:
        project.check_lock()
        terminal.output("the lock is complete and matches the description")
        return
    if project.scenario.strict:
        raise LockError(
            f"inv lock writes the lock, and the scenario {project.scenario.name} only reads it",
            todo="ODPM_SCENARIO=developer inv lock, then commit the lock",
        )
    with project.exclusive():
        chosen = tuple(only)
        known = project.lock.pins if project.lock else {}
        from_git = {one.name for one in project.lock.python} if project.lock else set()
        packages = {name: package for name in chosen if (package := canonicalize_name(name)) in from_git}
        if unknown := [name for name in chosen if name not in {*TOOLS, *packages} and not matching_keys(known, [name])]:
            names = {*display_names(known).values(), *from_git}
            raise UsageError(
                f"no repository of the lock is named {unknown[0]!r}{nearest(unknown[0], names)}",
                todo=f"one of: {', '.join(sorted(names, key=str.lower))}",
            )
        resolved = project.resolve(update=update, only=chosen)
        written = project.write_lock(
            resolved, fresh_python=update and not chosen, packages=frozenset(packages.values())
        )
        synced = sync_manifest_locks and project.sync_manifest_locks()
    for warning in written.warnings:
        terminal.warn(warning)
    if ask_index and (findings := project.check_addons(ask_index=True)):
        for line in repository_lines(findings):
            terminal.output_text(line)
    for change in written.changes:
        terminal.output_text(change)
    if synced:
        terminal.output("odpm.json: locks written")
    if not written.changes and not synced:
        terminal.message(f"{len(resolved.sources)} repositories, nothing changed")
    if update and not sync_manifest_locks and project.manifest.locks_git:
        terminal.warn(
            "odpm.json pins commits (locks.git) and overrides the lock; --sync-manifest-locks updates these pins, too"
        )
