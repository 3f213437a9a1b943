"""The task that sets up editors."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, task


@task(word="name", help={"name": "vscode, pycharm or odools, beside those of ODPM_IDE (separate with commas)."})
def ide(c: Context, name: str = "") -> None:
    """Set up editors: debugger, tasks, search paths.

    Prints what to add to a file that git tracks.
    """
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.editors.names import EDITORS, VARIABLE, editors
    from odpm_tasks.core.manifest.migrate import unified
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.core.planning.steps import LOCKING
    from odpm_tasks.errors import DescriptionError, UsageError
    from odpm_tasks.project import Project

    project = Project.find()
    settings = project.paths.settings
    if not project.scenario.developer:
        raise UsageError(
            f"editors are set up in developer only, the scenario is {project.scenario.name}",
            todo="ODPM_SCENARIO=developer inv ide",
        )
    names = editors(settings.get(VARIABLE), settings.where(VARIABLE)) + editors(name, "the command line")
    if not names:
        raise DescriptionError(
            f"{VARIABLE} names no editor", where=settings.where(VARIABLE), todo=f"inv ide NAME: {', '.join(EDITORS)}"
        )
    chosen = Project.find(ODPM_IDE=",".join(names))
    result = chosen.converge([step for step in (*LOCKING, "ide.files") if not step.startswith("hooks.")])
    for file in require_rendered(result.observed).editor_files:
        if file.tracked and file.problem:
            terminal.warn(f"{file.problem.what}; git tracks {file.path}, and odpm does not change it")
        elif file.tracked and file.changes:
            terminal.message(f"git tracks {file.path}, and odpm does not change it; to add:")
            old, new = ((data or b"").decode() for data in (file.current, file.merged))
            terminal.output(unified(old, new, file.path).rstrip("\n"))
    if not result.changed:
        terminal.message("nothing to do")
    if set(names) - set(editors(settings.get(VARIABLE), "")):
        terminal.message(
            f"to keep the files up to date with each run: {VARIABLE}={','.join(dict.fromkeys(names))} in .env"
        )
