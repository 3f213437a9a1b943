"""The words of doodba's `tasks.py`, each as a call of a task of odpm: `collection(words="doodba")`.

Names, options and short flags are those of doodba-copier-template's `tasks_downstream.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = {
    "core": "All add-ons of Odoo.",
    "extra": "All add-ons of the dependencies.",
    "private": "All add-ons of this project.",
    "enterprise": "All add-ons of the repository enterprise.",
}
_CHOICE = {
    "modules": "The add-ons (repeat or comma separate; default: the one of the current folder).",
    "cur_file": "A file of the add-on.",
}
_FLAGS = {"modules": "m", "cur_file": "c", "core": "o", "extra": "e", "private": "p", "enterprise": "n"}


@task(
    short={"detach": "d", "debugpy": "e", "reload": "r", "port_prefix": "p"},
    help={
        "detach": "Return when Odoo is healthy; --no-detach: follow the logs.",
        "debugpy": "With debugger: inv up --debug.",
        "reload": "--no-reload: without reload, as inv up --dev=none.",
        "port_prefix": "Odoo at PREFIX069, its websocket at PREFIX072, the debugger at PREFIX899.",
    },
)
def start(c: Context, detach: bool = True, debugpy: bool = False, reload: bool = True, port_prefix: int = 0) -> None:
    """Start the stack: inv up."""
    import os

    from odpm_tasks.tasks import stack

    if port_prefix:
        for name, end in (("ODOO_PORT", "069"), ("GEVENT_PORT", "072"), ("DEBUGGER_PORT", "899")):
            os.environ[name] = f"{port_prefix}{end}"
    stack.up(c, **({"debug": "on"} if debugpy else {}), **({} if reload else {"dev": "none"}))
    if not detach:
        stack.logs(c, follow=True)


@task(
    short={"purge": "p"},
    help={"purge": "Also remove the volumes: database and files (asks first).", "yes": "Do not ask."},
)
def stop(c: Context, purge: bool = False, yes: bool = False) -> None:
    """Stop and remove the containers: inv down."""
    from odpm_tasks.tasks import stack

    stack.down(c, volumes=purge, yes=yes)


@task(short={"quick": "q"}, help={"quick": "No effect: the restart ends when Odoo is healthy."})
def restart(c: Context, quick: bool = True) -> None:
    """Restart Odoo and wait until it is healthy: inv restart."""
    from odpm_tasks.tasks import stack

    stack.restart(c)


@task(
    lists=["container"],
    short={"tail": "t", "follow": "f", "container": "c"},
    help={
        "tail": "How many lines.",
        "follow": "Continue to show new lines.",
        "container": "Only these services (repeat or comma separate; default: all).",
    },
)
def logs(c: Context, tail: int = 10, follow: bool = True, container: Sequence[str] = ()) -> None:
    """Show the logs of the services: inv logs."""
    from odpm_tasks.tasks import stack

    stack.logs(c, service=container, tail=tail, follow=follow)


@task(word="modules", lists=["modules"], short=_FLAGS, help={**_CHOICE, **_KINDS})
def install(
    c: Context,
    modules: Sequence[str] = (),
    cur_file: str = "",
    core: bool = False,
    extra: bool = False,
    private: bool = False,
    enterprise: bool = False,
) -> None:
    """Install add-ons: inv mod.install."""
    from odpm_tasks.tasks import mod_changes

    kinds = {"core": core, "extra": extra, "private": private, "enterprise": enterprise}
    mod_changes.install(c, modules=_chosen(modules, cur_file, kinds))


@task(
    word="modules",
    lists=["modules"],
    short={"modules": "m", "cur_file": "c"},
    help={**_CHOICE, "yes": "Do not ask for confirmation."},
)
def uninstall(c: Context, modules: Sequence[str] = (), cur_file: str = "", yes: bool = False) -> None:
    """Uninstall add-ons with their data: inv mod.uninstall."""
    from odpm_tasks.tasks import mod_changes

    mod_changes.uninstall(c, modules=_chosen(modules, cur_file, {}), yes=yes)


@task(
    word="modules",
    lists=["modules", "skip"],
    remainder=True,
    short={
        "modules": "m", "core": "c", "extra": "e", "private": "p", "enterprise": "n", "skip": "s", "cur_file": "u",
        "mode": "o", "db_filter": "b", "tags": "t",
    },
    help={
        **_CHOICE,
        **_KINDS,
        "skip": "Add-ons not to test (repeat or comma separate).",
        "mode": "No effect: tests run in a new database.",
        "db_filter": "No effect: tests run in a new database.",
        "tags": "Odoo's --test-tags.",
    },
)  # fmt: skip
def test(
    c: Context,
    modules: Sequence[str] = (),
    core: bool = False,
    extra: bool = False,
    private: bool = False,
    enterprise: bool = False,
    skip: Sequence[str] = (),
    cur_file: str = "",
    mode: str = "init",
    db_filter: str = "",
    tags: str = "",
) -> None:
    """Run the Odoo tests of add-ons in a new database: inv test."""
    from odpm_tasks.tasks import testing

    kinds = {"core": core, "extra": extra, "private": private, "enterprise": enterprise}
    testing.test(c, modules=[name for name in _chosen(modules, cur_file, kinds) if name not in skip], tags=tags)


@task(
    lists=["module"],
    short={"module": "m", "all": "a", "msgmerge": "s", "purge_old_translations": "p"},
    help={
        "module": "The add-ons (repeat or comma separate; default: the one of the current folder).",
        "all": "All installed add-ons of this project.",
        "msgmerge": "Also update the translations (.po).",
        "purge_old_translations": "Remove translations of terms that no longer exist.",
    },
)
def updatepot(
    c: Context,
    module: Sequence[str] = (),
    all: bool = False,
    msgmerge: bool = True,
    purge_old_translations: bool = True,
) -> None:
    """Write templates for translations and update translations: inv mod.pot --po."""
    from odpm_tasks.tasks import mod_changes

    names = () if all else _chosen(module, "", {})
    mod_changes.pot(c, modules=names, po=msgmerge, purge=msgmerge and purge_old_translations)


@task(
    word="module_name",
    short={"module_name": "m", "path": "p"},
    help={"module_name": "The name of the add-on.", "path": "The folder to create it in, as seen from the project."},
)
def scaffold(c: Context, module_name: str, path: str = "") -> None:
    """Create an add-on: inv mod.scaffold."""
    from odpm_tasks.tasks import mod_changes

    mod_changes.scaffold(c, name=module_name, folder=path)


@task()
def git_aggregate(c: Context) -> None:
    """Fetch and check out the sources at the locked commits: inv render."""
    from odpm_tasks.tasks import plan

    plan.render(c)


@task()
def closed_prs(c: Context) -> None:
    """Show which merges are merged upstream, closed or moved: inv sources.status."""
    from odpm_tasks.tasks import sources

    sources.status(c, refresh=True)


@task(short={"pull": "p"}, help={"pull": "No effect: the lock has the digests of base images."})
def img_build(c: Context, pull: bool = True) -> None:
    """Build the image: inv build."""
    from odpm_tasks.tasks import image

    image.build(c)


@task()
def develop(c: Context) -> None:
    """Check out the sources and write every generated file: inv render."""
    from odpm_tasks.tasks import plan

    plan.render(c)


@task(short={"cw_path": "c"}, help={"cw_path": "No effect: the files are in .vscode."})
def write_code_workspace_file(c: Context, cw_path: str = "") -> None:
    """Set up VS Code: inv ide vscode."""
    from odpm_tasks.tasks import desk

    desk.ide(c, name="vscode")


@task()
def generate_idea_conf(c: Context) -> None:
    """Set up PyCharm: inv ide pycharm."""
    from odpm_tasks.tasks import desk

    desk.ide(c, name="pycharm")


@task(short={"verbose": "v"}, help={"verbose": "Show the output of every hook."})
def lint(c: Context, verbose: bool = False) -> None:
    """Check and format the project's files: pre-commit run --all-files."""
    from invoke.exceptions import Exit

    from odpm_tasks.adapters import command, process
    from odpm_tasks.errors import MachineError
    from odpm_tasks.project import Project

    root = Project.find().root
    if not command.is_installed("pre-commit"):
        raise MachineError("pre-commit is not installed", todo="pip install pre-commit, or: uv tool install pre-commit")
    words = ["pre-commit", "run", "--all-files", "--show-diff-on-failure", *(["--verbose"] if verbose else [])]
    if code := process.foreground(words, cwd=root):
        raise Exit(code=code)


@task(
    short={"source_db": "s", "destination_db": "d"},
    help={
        "source_db": "The database (default: the project's).",
        "destination_db": "Name of the snapshot (default: its time).",
    },
)
def snapshot(c: Context, source_db: str = "", destination_db: str = "") -> None:
    """Take a snapshot of database and files: inv db.snapshot."""
    from odpm_tasks.tasks.databases import snapshots

    snapshots.snapshot(c, name=destination_db, database=source_db)


@task(
    name="restore-snapshot",
    short={"snapshot_name": "s", "destination_db": "d"},
    help={
        "snapshot_name": "Name of the snapshot (default: the newest).",
        "destination_db": "The database (default: the project's).",
        "yes": "Do not ask for confirmation.",
    },
)
def restore_snapshot(c: Context, snapshot_name: str = "", destination_db: str = "", yes: bool = False) -> None:
    """Return to a snapshot of database and files: inv db.restore-snapshot."""
    from odpm_tasks.tasks.databases import snapshots

    snapshots.restore_snapshot(c, name=snapshot_name, database=destination_db, yes=yes)


WORDS = (
    start, stop, restart, logs, install, uninstall, test, updatepot, scaffold, git_aggregate, closed_prs, img_build, develop,
    write_code_workspace_file, generate_idea_conf, lint,
    snapshot, restore_snapshot,
)  # fmt: skip


def _chosen(modules: Sequence[str], file: str, kinds: dict[str, bool]) -> tuple[str, ...]:
    """The add-ons that are named, those of the chosen kinds; else the one of a file or of the current folder.

    Errors: UsageError where that is not in an add-on.
    """
    from pathlib import Path

    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons.words import addon_above, of_kinds
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.tasks.mod import observed_project

    if any(kinds.values()):
        project, observed = observed_project()
        graph = inventory.addon_graph(project.paths, observed)
        return tuple(dict.fromkeys((*modules, *of_kinds(graph, [kind for kind, on in kinds.items() if on]))))
    if modules:
        return tuple(modules)
    root = Project.find().root
    path = Path(file or ".").resolve()
    name = addon_above(path, root, lambda folder: (folder / "__manifest__.py").is_file())
    if not name:
        raise UsageError("this is not in a folder of an add-on", where=str(path), todo="name it: -m NAME,NAME")
    return (name,)
