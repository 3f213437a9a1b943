"""Sets up a new project for `init`: reads the folder and the files of other tools, and writes the first files.

The decisions are in `odpm_tasks.core.init`, the dialogue is in the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import MANIFEST_FILE
from odpm_tasks.core.init import doodba, git_aggregator, new_project, odoo_devops_tools
from odpm_tasks.core.init.conversion import Conversion
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_files import env_file

INI_FILE = "odoo-project.ini"
REPOSITORY_FILES = ("repos.yaml", "repos.yml")


@dataclass(frozen=True)
class FileChange:
    """One file or folder of a new project. `action`: create, update or keep."""

    action: str
    path: str
    note: str = ""


def check_free(root: Path) -> None:
    """Check that the folder is not in a project. Folders above it are checked up to the root of its git repository.

    Errors: DescriptionError if there is an `odpm.json`.
    """
    for folder in (root, *root.parents):
        path = folder / MANIFEST_FILE
        if path.exists() or path.is_symlink():
            if folder == root:
                todo = "to start over: mv odpm.json odpm.json.old; to check this one: inv validate"
                raise DescriptionError("odpm.json already exists", where=str(path), todo=todo)
            todo = f"to use that project: cd {folder}; to create another one, use a folder outside of it"
            raise DescriptionError("this folder is inside a project", where=str(path), todo=todo)
        if (folder / ".git").exists():
            return


def is_in_repository(root: Path) -> bool:
    """Whether the folder is in a git repository."""
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def addon_manifests(root: Path) -> tuple[str, ...]:
    """The manifests of the add-ons in the root and one folder below, as texts."""
    paths = (path for depth in ("*", "*/*") for path in sorted(root.glob(f"{depth}/__manifest__.py")))
    own = (path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts))
    return tuple(files.read_text(path) or "" for path in own)


def convert(source: str, odoo: str) -> Conversion:
    """Convert the project of another tool; `odoo` replaces its version if not empty. No source gives an empty draft.

    Errors: DescriptionError if there is no supported file at `source`, or if it cannot be read.
    """
    if not source:
        return Conversion(ProjectDraft())
    path = Path(source).expanduser()
    if (path / doodba.REPOS).is_file() or (path / doodba.ADDONS).is_file():
        return doodba.convert(*_doodba_files(path), env_file(path / ".env"), odoo)
    for name in (INI_FILE, *REPOSITORY_FILES):
        if (path / name).is_file():
            path = path / name
    text = files.read_text(path) if path.is_file() else None
    if text is not None and path.suffix == ".ini":
        return odoo_devops_tools.convert(text, path.name, odoo, here=path.resolve().parent == Path.cwd())
    if text is not None and path.suffix in {".yaml", ".yml"}:
        return git_aggregator.convert(text, path.name, odoo, env_file(path.parent / ".env"))
    raise DescriptionError(
        "no project of a supported tool found" if path.exists() else "no such file or folder",
        where=str(path),
        todo=f"use --from with the folder of a doodba project, a repos.yaml of git-aggregator or an {INI_FILE}",
    )


def _doodba_files(root: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The texts and file names for the conversion of a doodba project, by path relative to it."""
    own = [path for path in (root / doodba.CUSTOM).glob("*/**/*") if "src" not in path.relative_to(root).parts[2:3]]
    private = (root / doodba.PRIVATE).glob("*/__*__.py")
    names = tuple(sorted(str(path.relative_to(root)) for path in (*own, *private) if path.is_file()))
    to_read = (name for name in names if name.startswith((doodba.DEPENDENCIES, doodba.CONF)))
    texts = {name: files.read_text(root / name) for name in (*doodba.ROOT_FILES, *to_read)}
    return {name: text for name, text in texts.items() if text is not None}, names


def task_command(root: Path) -> str:
    """The command that runs odpm's tasks in the folder: `inv`, unless a tasks.py without odpm exists."""
    path = _tasks_file(root)
    return "inv" if path is None or _uses_odpm(path) else "python -m odpm_tasks"


def create(root: Path, manifest: str, addons: str, summary: str) -> Iterator[FileChange]:
    """Write the missing files, and yield each change after it was made.

    `manifest`: the text of odpm.json. It is written last, so that the next run completes an interrupted one. `addons`: the
    folder to create for add-ons, empty for none. `summary`: the note for odpm.json.
    """
    existing = _tasks_file(root)
    if existing is None:
        files.write(root / "tasks.py", new_project.TASKS_PY.encode())
        yield FileChange("create", "tasks.py")
    elif not _uses_odpm(existing):
        note = f"does not use odpm: import collection from odpm_tasks there, or run {task_command(root)} TASK"
        yield FileChange("keep", str(existing.relative_to(root)), note)
    ignore_file = (root / ".gitignore").resolve()
    before = files.read_text(ignore_file)
    after = new_project.gitignore_text(before)
    if after != before:
        mode = 0o644 if before is None else ignore_file.stat().st_mode & 0o777
        files.write(ignore_file, after.encode(), mode)
        yield FileChange("create" if before is None else "update", ".gitignore")
    if addons and not (root / addons).exists():
        files.write(root / addons / ".gitkeep", b"")
        yield FileChange("create", f"{addons}/", "for your add-ons")
    files.write(root / MANIFEST_FILE, manifest.encode())
    yield FileChange("create", MANIFEST_FILE, summary)


def _tasks_file(root: Path) -> Path | None:
    paths = (root / "tasks/__init__.py", root / "tasks.py")
    return next((path for path in paths if path.exists() or path.is_symlink()), None)


def _uses_odpm(tasks_file: Path) -> bool:
    return new_project.uses_odpm(files.read_text(tasks_file) or "")
