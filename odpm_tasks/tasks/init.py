"""The task that begins a project: init."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from odpm_tasks.core.init.conversion import Conversion
    from odpm_tasks.core.init.new_project import ProjectDraft


@task(
    iterable=["dependency"],
    help={
        "odoo": "Series of Odoo, for instance 19.0 (default: that of the add-ons here, else the newest).",
        "python": "Python of the image (default: what suits the series).",
        "postgres": "PostgreSQL (default: what suits the series).",
        "schema": "Format of odpm.json: 1, flat (default), or 2, nested.",
        "dependency": "Link of an add-on repository, 'URL[ BRANCH[ COMMIT]]' (repeat for several).",
        "addons": "Folder to make for your add-ons (default: addons, where there are none yet).",
        "from_": "Take over a doodba project, a repos.yaml of git-aggregator or an odoo-project.ini.",
        "yes": "Do not ask.",
    },
)
def init(
    c: Context,
    odoo: str = "",
    python: str = "",
    postgres: str = "",
    schema: str | int = "1",
    dependency: list[str] | None = None,
    addons: str = "",
    from_: str = "",
    yes: bool = False,
) -> None:
    """Make a project of this folder. Without a tasks.py yet: python -m odpm_tasks init."""
    from dataclasses import replace
    from functools import partial
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.init import new_project
    from odpm_tasks.core.init.conversion import settings_needed
    from odpm_tasks.core.odoo.series_defaults import NEWEST
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    root = Path.cwd()
    _see_free(root)
    if str(schema) not in {"1", "2"}:
        raise UsageError(f"there is no format {schema!r}", todo="--schema 1 (flat) or --schema 2 (nested)")
    odoo, python, postgres = (
        _option(f"--{kind}", text, partial(new_project.version, kind))
        for kind, text in (("odoo", odoo), ("python", python), ("postgres", postgres))
    )
    links = tuple(_option("--dependency", text, new_project.dependency) for text in dependency or ())
    folder = _option("--addons", addons, new_project.folder)
    taken = convert_source(from_, odoo)
    stack = replace(
        taken.stack,
        odoo=odoo or taken.stack.odoo,
        python=python or taken.stack.python,
        postgres=postgres or taken.stack.postgres,
        dependencies=tuple(dict.fromkeys([*taken.stack.dependencies, *links])),
    )
    manifests = _manifests(root)
    folder = folder or ("" if from_ or manifests else new_project.ADDONS)
    newest = new_project.series_of(manifests) or NEWEST
    if terminal.is_interactive() and not yes:
        if not stack.odoo:
            stack = replace(stack, odoo=_ask("Odoo", newest, lambda text: new_project.version("odoo", text)))
        if not from_:
            stack, folder = _asked(stack, folder, ask_folder=not addons and not manifests, ask_links=not links)
    elif from_ and not stack.odoo:
        raise UsageError(f"{from_} does not tell the Odoo version", todo=f"name it: --odoo {NEWEST}")
    stack = new_project.filled(replace(stack, odoo=stack.odoo or newest))
    text = new_project.manifest_text(stack, int(schema))
    settings = Project.at(root).paths.settings
    _see_valid(text, settings.get)
    left = [*taken.left_over, *(new_project.lost_in_flat(stack) if str(schema) == "1" else ())]
    runner = _write(root, text, folder, new_project.summary(stack))
    if left:
        terminal.message(f"left over ({len(left)}), for you to decide:")
    for line in left:
        terminal.message(f"  {line}")
    for line in settings_needed(stack, settings.merged()):
        terminal.warn(line)
    begin = "" if _repository(root) else "git init, then "
    terminal.message(f"next:  {begin}{runner} plan shows what {runner} up will do")


def _option(name: str, text: str, check: Callable[[str], str]) -> str:
    """The value of an option, as it is written. Errors: UsageError where it does not pass the check."""
    from odpm_tasks.errors import DescriptionError, UsageError

    try:
        return text and check(text)
    except DescriptionError as error:
        raise UsageError(error.what, todo=f"another value for {name}; inv --help init tells them") from None


def _see_free(root: Path) -> None:
    """Errors: DescriptionError where this folder, or one above it in its repository, is a project already."""
    from odpm_tasks.errors import DescriptionError

    for folder in (root, *root.parents):
        path = folder / "odpm.json"
        if path.exists() or path.is_symlink():
            if folder == root:
                todo = "to begin anew: mv odpm.json odpm.json.old; to check this one: inv validate"
                raise DescriptionError("there is an odpm.json already", where=str(path), todo=todo)
            todo = f"to work on that one: cd {folder}; for a new one go elsewhere"
            raise DescriptionError("this folder lies in a project", where=str(path), todo=todo)
        if (folder / ".git").exists():
            return


def _see_valid(text: str, lookup: Callable[[str], str | None]) -> None:
    """What is written passes `inv validate`. Errors: DescriptionError naming what would not."""
    from odpm_tasks.core.manifest.reader import problems
    from odpm_tasks.errors import DescriptionError

    errors, _ = problems(text, lookup)
    if errors:
        todo = "correct what it was made from, then the same command again"
        raise DescriptionError("odpm.json would not be valid; nothing is written", details=errors[:3], todo=todo)


def _ask(question: str, default: str, check: Callable[[str], str]) -> str:
    """An answer that passes the check; Enter is the default. Errors: UsageError where the input ends."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import DescriptionError, UsageError

    while True:
        try:
            answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        except EOFError:
            terminal.message()
            raise UsageError("nothing is written", todo="inv init --yes takes the defaults") from None
        try:
            return check(answer)
        except DescriptionError as error:
            terminal.message(f"  {error.what}")


def _asked(stack: ProjectDraft, folder: str, *, ask_folder: bool, ask_links: bool) -> tuple[ProjectDraft, str]:
    """The stack with the answers about what no option said, and the folder for add-ons."""
    from dataclasses import replace

    from odpm_tasks.core.init import new_project

    suits = new_project.filled(stack)
    if not stack.postgres:
        stack = replace(
            stack, postgres=_ask("PostgreSQL", suits.postgres, lambda text: new_project.version("postgres", text))
        )
    links: list[str] = []
    while ask_links:
        link = _ask(
            "Add-on repository, URL[ BRANCH] (Enter: no more)", "", lambda text: text and new_project.dependency(text)
        )
        if not link:
            break
        links.append(link)
    if ask_folder:
        folder = _ask("Folder for your add-ons", folder, new_project.folder)
    return replace(stack, dependencies=(*stack.dependencies, *dict.fromkeys(links))), folder


def _write(root: Path, text: str, folder: str, summary: str) -> str:
    """Write what is missing, odpm.json last: a run that was killed is finished by the next one. How tasks are run here."""
    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.core.init import new_project

    def say(action: str, name: str, note: str = "") -> None:
        terminal.message(f"  {terminal.paint(f'{action:<7}', action)} {name}{f'  {note}' if note else ''}")

    runner = "inv"
    tasks = root / "tasks.py"
    existing = next((path for path in (root / "tasks/__init__.py", tasks) if path.exists() or path.is_symlink()), None)
    if existing is None:
        files.write(tasks, new_project.TASKS_PY.encode())
        say("create", "tasks.py")
    elif not new_project.uses_odpm(files.read_text(existing) or ""):
        runner = "python -m odpm_tasks"
        name = existing.relative_to(root)
        say(
            "keep", str(name), f"it has no task of odpm: import collection from odpm_tasks there, or type {runner} TASK"
        )
    ignored = (root / ".gitignore").resolve()
    before = files.read_text(ignored)
    after = new_project.gitignore_text(before)
    if after != before:
        mode = 0o644 if before is None else ignored.stat().st_mode & 0o777
        files.write(ignored, after.encode(), mode)
        say("create" if before is None else "update", ".gitignore")
    if folder and not (root / folder).exists():
        files.write(root / folder / ".gitkeep", b"")
        say("create", f"{folder}/", "for your add-ons")
    files.write(root / "odpm.json", text.encode())
    say("create", "odpm.json", summary)
    return runner


def _manifests(root: Path) -> tuple[str, ...]:
    """The texts of this folder's own add-ons' manifests, where odpm looks for them: in the root and one folder below."""
    from odpm_tasks.adapters import files

    paths = (path for depth in ("*", "*/*") for path in sorted(root.glob(f"{depth}/__manifest__.py")))
    own = (path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts))
    return tuple(files.read_text(path) or "" for path in own)


def _repository(root: Path) -> Path | None:
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)


def convert_source(source: str, odoo: str) -> Conversion:
    """What the files of another tool tell. Errors: DescriptionError where there are none, or none that can be read."""
    from pathlib import Path

    from odpm_tasks.adapters import files
    from odpm_tasks.core.init import conversion, git_aggregator, odoo_devops_tools
    from odpm_tasks.core.init import doodba as convert_doodba
    from odpm_tasks.core.init.new_project import ProjectDraft
    from odpm_tasks.errors import DescriptionError

    if not source:
        return conversion.Conversion(ProjectDraft())
    path = Path(source).expanduser()
    if (path / convert_doodba.REPOS).is_file() or (path / convert_doodba.ADDONS).is_file():
        return convert_doodba.convert(*_doodba(path), _env(path), odoo)
    for name in ("odoo-project.ini", "repos.yaml", "repos.yml"):
        if (path / name).is_file():
            path = path / name
    text = files.read_text(path) if path.is_file() else None
    if text is not None and path.suffix == ".ini":
        return odoo_devops_tools.convert(text, path.name, odoo, here=path.resolve().parent == Path.cwd())
    if text is not None and path.suffix in {".yaml", ".yml"}:
        return git_aggregator.convert(text, path.name, odoo, _env(path.parent))
    raise DescriptionError(
        "nothing here that can be taken over" if path.exists() else "there is no such file or folder",
        where=str(path),
        todo="--from a doodba project's folder, a repos.yaml of git-aggregator or an odoo-project.ini",
    )


def _doodba(root: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The texts and the names that the conversion of a doodba project wants, by path from its folder."""
    from odpm_tasks.adapters import files
    from odpm_tasks.core.init import doodba

    own = [path for path in (root / doodba.CUSTOM).glob("*/**/*") if "src" not in path.relative_to(root).parts[2:3]]
    private = (root / doodba.PRIVATE).glob("*/__*__.py")
    names = tuple(sorted(str(path.relative_to(root)) for path in (*own, *private) if path.is_file()))
    read = (name for name in names if name.startswith((doodba.DEPENDENCIES, doodba.CONF)))
    texts = {name: files.read_text(root / name) for name in (*doodba.ROOT_FILES, *read)}
    return {name: text for name, text in texts.items() if text is not None}, names


def _env(root: Path) -> Mapping[str, str]:
    """What the `.env` of a folder sets."""
    from odpm_tasks.project import Project

    layers = Project.at(root).paths.settings.layers
    return next(layer.values for layer in layers if layer.where == ".env")
