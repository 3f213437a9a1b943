"""Sets up a new project for `init`: reads the folder, and writes the first files.

The decisions are in `odpm_tasks.core.init`, the dialogue is in the task, other tools are read in `odpm_tasks.converters`.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import GITIGNORE, MANIFEST_FILE
from odpm_tasks.core.init import new_project, remarks
from odpm_tasks.errors import DescriptionError

ENV_FILE = ".env"
REMARKS_FILE = ".odpm/logs/not-converted.txt"


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
                if path.is_file() and _tasks_file(root) is None:
                    todo = "to continue a project of odpm 4: python -m odpm_tasks init --from odpm4"
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


def remarks_for_terminal(root: Path, lines: Iterable[str]) -> list[str]:
    """The short form of the remarks. If it lacks some, all are written to `REMARKS_FILE`, and its last line names that."""
    everything = remarks.ordered(lines)
    shown, omitted = remarks.short_report(everything)
    if omitted:
        if not (root / ".odpm/.gitignore").exists():
            files.write(root / ".odpm/.gitignore", GITIGNORE.encode())
        files.write(root / REMARKS_FILE, remarks.report(everything).encode())
        shown.append(remarks.omitted(omitted, REMARKS_FILE))
    return shown


def task_command(root: Path) -> str:
    """The command that runs odpm's tasks in the folder: `inv`, unless a tasks.py without odpm exists."""
    path = _tasks_file(root)
    return "inv" if path is None or _uses_odpm(path) else "python -m odpm_tasks"


def create(
    root: Path, manifest: str, addons: str, summary: str, copied: Mapping[str, str] = types.MappingProxyType({})
) -> Iterator[FileChange]:
    """Write the missing files, and yield each change after it was made.

    `manifest`: the text of odpm.json. It is written last, so that the next run completes an interrupted one. `addons`: the
    folder to create for add-ons, empty for none. `summary`: the note for odpm.json. `copied`: the texts of further files.
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
    for name, text in copied.items():
        files.write(root / name, text.encode(), 0o600 if name == ENV_FILE else 0o644)
        yield FileChange("create", name, "a copy")
    known = files.read_text(root / MANIFEST_FILE)
    if known != manifest:
        files.write(root / MANIFEST_FILE, manifest.encode())
    action = "create" if known is None else "keep" if known == manifest else "update"
    yield FileChange(action, MANIFEST_FILE, summary)


def _tasks_file(root: Path) -> Path | None:
    paths = (root / "tasks/__init__.py", root / "tasks.py")
    return next((path for path in paths if path.exists() or path.is_symlink()), None)


def _uses_odpm(tasks_file: Path) -> bool:
    return new_project.uses_odpm(files.read_text(tasks_file) or "")
