"""The task `init`: its options, its dialogue and its output. The work is in `odpm_tasks.project_setup`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from odpm_tasks.core.init.new_project import ProjectDraft
    from odpm_tasks.project_setup import FileChange


@task(
    repeated=["dependency"],
    optional=["from_"],
    help={
        "odoo": "Series of Odoo, for example 19.0 (default: that of the add-ons in this folder, otherwise the newest).",
        "python": "Python version of the image (default: by the series).",
        "postgres": "PostgreSQL version (default: by the series).",
        "schema": "Format of odpm.json: 1, flat, or 2, nested (default: flat, unless a value needs nested).",
        "dependency": "Link of an add-on repository, 'URL[ BRANCH[ COMMIT]]' (repeat for several).",
        "addons": "Folder to create for your add-ons (default: addons, if the project has no add-ons yet).",
        "from_": "Convert the project of another tool: PATH, KIND or KIND:PATH (default: this folder).",
        "ask_index": "With --from: query the package index for the repositories of add-ons that only their names are known of.",
        "yes": "Use the defaults, do not ask.",
    },
)
def init(
    c: Context,
    odoo: str = "",
    python: str = "",
    postgres: str = "",
    schema: str | int = "",
    dependency: Sequence[str] = (),
    addons: str = "",
    from_: str | bool = "",
    ask_index: bool = False,
    yes: bool = False,
) -> None:
    """Create a project in this folder.

    Where there is no tasks.py yet: python -m odpm_tasks init.
    """
    from dataclasses import replace
    from pathlib import Path

    from odpm_tasks import project_setup
    from odpm_tasks.adapters import terminal
    from odpm_tasks.converters import kinds, odpm4, pip
    from odpm_tasks.core.init import new_project
    from odpm_tasks.core.init.conversion import settings_needed
    from odpm_tasks.core.odoo.series import NEWEST
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    root = Path.cwd()
    source = "." if from_ is True else str(from_ or "")
    if elder := odpm4.folder(source):
        if given := [name for name, value in _overriding(odoo, python, postgres, schema, dependency, addons) if value]:
            raise UsageError(f"--from of odpm 4 keeps its odpm.json: no {given[0]}", todo="change odpm.json afterwards")
        _adopt(root, elder)
        return
    project_setup.check_free(root)
    if str(schema) not in {"", "1", "2"}:
        raise UsageError(f"unknown format {schema!r}", todo="--schema 1 (flat) or --schema 2 (nested)")
    options = _options(odoo, python, postgres, dependency)
    folder = _checked("--addons", addons, new_project.folder)
    paths = Project.at(root).paths
    converted = kinds.convert(source, options.odoo, pip.index_of(paths, ask_index=ask_index))
    conversion = converted.conversion
    draft = new_project.with_options(conversion.draft, options)
    manifests = project_setup.addon_manifests(root)
    folder = folder or ("" if from_ or manifests else new_project.ADDONS)
    default = new_project.series_of_addons(manifests) or NEWEST
    if terminal.is_interactive() and not yes:
        draft = _ask_odoo(draft, default)
        if not from_:
            draft = _ask_rest(draft, ask_links=not options.dependencies)
            folder = folder if addons or manifests else _ask("Folder for your add-ons", folder, new_project.folder)
    elif from_ and not draft.odoo:
        raise UsageError(f"{source} does not contain the Odoo version", todo=f"add it: --odoo {NEWEST}")
    draft = new_project.completed(replace(draft, odoo=draft.odoo or default))
    flat = str(schema) == "1" or (not schema and not new_project.needs_nested(draft))
    text = new_project.manifest_text(draft, 1 if flat else 2)
    new_project.check_valid(text, paths.settings.get)
    command = project_setup.task_command(root)
    for line in converted.summary(source):
        terminal.message(line)
    for change in project_setup.create(root, text, folder, new_project.summary(draft)):
        _show(change)
    dropped = new_project.dropped_in_flat(draft) if flat else ()
    for line in project_setup.remarks_for_terminal(root, [*dropped, *conversion.remarks]):
        terminal.message(line)
    for line in settings_needed(draft, paths.settings.merged()):
        terminal.warn(line)
    _show_next(root, command)


def _overriding(*values: object) -> list[tuple[str, object]]:
    """The options that set a part of the description, with their values."""
    names = ("--odoo", "--python", "--postgres", "--schema", "--dependency", "--addons")
    return list(zip(names, values, strict=True))


def _adopt(root: Path, elder: Path) -> None:
    """Continue a project of odpm 4 in this folder."""
    from odpm_tasks import project_setup
    from odpm_tasks.adapters import terminal
    from odpm_tasks.converters import odpm4

    project = odpm4.read(root, elder)
    command = project_setup.task_command(root)
    terminal.message(f"from {elder}: {odpm4.KIND}")
    for change in project_setup.create(root, project.manifest, "", "", project.copied):
        _show(change)
    for line in project_setup.remarks_for_terminal(root, project.remarks):
        terminal.message(line)
    _show_next(root, command)


def _show(change: FileChange) -> None:
    from odpm_tasks.adapters import terminal

    note = f"  {change.note}" if change.note else ""
    terminal.message(f"  {terminal.paint(f'{change.action:<7}', change.action)} {change.path}{note}")


def _show_next(root: Path, command: str) -> None:
    from odpm_tasks import project_setup
    from odpm_tasks.adapters import terminal

    first = "" if project_setup.is_in_repository(root) else "git init, then "
    terminal.message(f"next:  {first}{command} plan shows what {command} up will do")


def _options(odoo: str, python: str, postgres: str, dependencies: Sequence[str]) -> ProjectDraft:
    """The values from the command line. Errors: UsageError for an invalid one."""
    from functools import partial

    from odpm_tasks.core.init import new_project

    return new_project.ProjectDraft(
        odoo=_checked("--odoo", odoo, partial(new_project.version, "odoo")),
        python=_checked("--python", python, partial(new_project.version, "python")),
        postgres=_checked("--postgres", postgres, partial(new_project.version, "postgres")),
        dependencies=tuple(_checked("--dependency", text, new_project.dependency) for text in dependencies),
    )


def _checked(name: str, text: str, check: Callable[[str], str]) -> str:
    """The value of an option, empty if it is not given. Errors: UsageError if it fails the check."""
    from odpm_tasks.errors import DescriptionError, UsageError

    try:
        return text and check(text)
    except DescriptionError as error:
        raise UsageError(error.what, todo=f"use a valid value for {name}: inv --help init") from None


def _ask(question: str, default: str, check: Callable[[str], str]) -> str:
    """Ask until an answer passes the check; an empty answer means the default.

    Errors: UsageError at the end of the input.
    """
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import DescriptionError, UsageError

    while True:
        try:
            answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        except EOFError:
            terminal.message()
            raise UsageError("no answer; no file was written", todo="inv init --yes uses the defaults") from None
        try:
            return check(answer)
        except DescriptionError as error:
            terminal.message(f"  {error.what}")


def _ask_odoo(draft: ProjectDraft, default: str) -> ProjectDraft:
    """The draft with the Odoo version, asked for if it is not set."""
    from dataclasses import replace
    from functools import partial

    from odpm_tasks.core.init import new_project

    return replace(draft, odoo=draft.odoo or _ask("Odoo", default, partial(new_project.version, "odoo")))


def _ask_rest(draft: ProjectDraft, *, ask_links: bool) -> ProjectDraft:
    """The draft with the PostgreSQL version, asked for if it is not set, and with further dependencies."""
    from dataclasses import replace
    from functools import partial

    from odpm_tasks.core.init import new_project

    default = new_project.completed(draft).postgres
    postgres = draft.postgres or _ask("PostgreSQL", default, partial(new_project.version, "postgres"))
    links: list[str] = []
    while ask_links:
        link = _ask(
            "Add-on repository, URL[ BRANCH] (Enter to continue)",
            "",
            lambda text: text and new_project.dependency(text),
        )
        if not link:
            break
        links.append(link)
    return replace(draft, postgres=postgres, dependencies=(*draft.dependencies, *dict.fromkeys(links)))
