"""Tasks of the developer's desk: ide, watch, completion."""

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


@task(
    word="database",
    short={"database": "d"},
    help={
        "database": "Database (default: the project's).",
        "list_only": "Show the action for each edit; do nothing.",
    },
)
def watch(c: Context, database: str = "", list_only: bool = False) -> None:
    """Watch the files of the stack and do the smallest action for each edit.

    Reload of the code, -u of one add-on, or a note that it needs inv up.
    """
    from odpm_tasks.edits.watch import Watch
    from odpm_tasks.errors import UsageError
    from odpm_tasks.tasks import stack

    project = stack.rendered_project()
    if not project.scenario.developer:
        raise UsageError(
            f"files are edited in developer only, the scenario is {project.scenario.name}",
            where=project.paths.settings.where("ODPM_SCENARIO"),
            todo="ODPM_SCENARIO=developer inv up, then: inv watch",
        )
    name = stack.existing_database(project, database)
    Watch(project, name, list_only=list_only).run()


@task(word="shell", help={"shell": "bash, zsh or fish (default: by SHELL)."})
def completion(c: Context, shell: str = "") -> None:
    """Print the script that lets a shell complete tasks, options and names.

    Of add-ons, databases, services and sources.
    """
    import os
    from pathlib import Path

    from odpm_tasks import __file__ as package
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError

    chosen = shell or Path(os.environ.get("SHELL", "")).name
    if chosen not in ("bash", "zsh", "fish"):
        raise UsageError(f"there is no completion for the shell {chosen!r}", todo="inv completion bash, zsh or fish")
    script = Path(package).parent / f"templates/completion/inv.{chosen}"
    terminal.output(script.read_text(encoding="utf-8").rstrip("\n"))
