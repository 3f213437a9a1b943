"""Read and write the files of editors. Nothing outside of the project and nothing that git tracks is written."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import checkout
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.editors.editor_file import EditorFile, Existing
from odpm_tasks.core.editors.names import FOLDERS, VARIABLE, editor_of, editors
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_state import read_state, write_state


def observe_files(paths: ProjectPaths, stack: Stack, recorded: Mapping[str, str]) -> tuple[EditorFile, ...]:
    """The files of the editors that ODPM_IDE names; none outside of developer. Errors: DescriptionError for an unknown editor."""
    if not stack.scenario.developer:
        return ()
    names = editors(paths.settings.get(VARIABLE), paths.settings.where(VARIABLE))
    if not names:
        return ()
    from odpm_tasks.core.editors.files import editor_files
    from odpm_tasks.core.editors.mappings import source_folders

    modules = _modules(paths.root) if "pycharm" in names else ()
    port, tracked = paths.settings.port("DEBUGGER_PORT"), _tracked_files(paths.root)
    return editor_files(
        names, source_folders(stack), port, recorded, lambda path: _existing(paths.root, path, tracked), modules
    )


def leftovers(paths: ProjectPaths, recorded: Mapping[str, str]) -> tuple[str, ...]:
    """The files that an earlier run wrote for editors that ODPM_IDE does not name now; none outside of developer."""
    if not paths.settings.scenario.developer:
        return ()
    names = editors(paths.settings.get(VARIABLE), paths.settings.where(VARIABLE))
    return tuple(
        path for path in recorded if editor_of(path) not in names and files.digest_below(paths.root, path) is not None
    )


def _modules(root: Path) -> tuple[str, ...]:
    """The module files of PyCharm that describe the project's folder."""
    from odpm_tasks.core.editors import pycharm

    found = sorted((root / ".idea").glob("*.iml"))
    return tuple(
        path.relative_to(root).as_posix()
        for path in found
        if path.is_file() and pycharm.describes_root((files.read(path) or b"").decode("utf-8", errors="replace"))
    )


def _existing(root: Path, name: str, tracked: frozenset[str]) -> Existing:
    path, real = root / name, (root / name).resolve()
    if not real.is_relative_to(root.resolve()):
        return Existing(refused="a symbolic link leads out of the project")
    linked = real != root.resolve() / name
    try:
        return Existing(files.read(path), name in tracked or (linked and _is_tracked(real)))
    except DescriptionError as error:
        return Existing(refused=error.what)


def _tracked_files(root: Path) -> frozenset[str]:
    """The files of editors that git tracks, also those that do not exist; none outside of a repository."""
    return frozenset(git.tracked(root, FOLDERS))


def _is_tracked(path: Path) -> bool:
    folder = next(parent for parent in path.parents if parent.is_dir())
    return git.run(folder, "ls-files", "--error-unmatch", "--", str(path), check=False).ok


def write_files(paths: ProjectPaths, observed: RenderedState, targets: Sequence[str]) -> None:
    """Write the files `targets` and record what of them is odpm's. A target that is no file of an editor is forgotten.

    Errors: DescriptionError for a file that cannot be merged; the others are written.
    """
    found = {file.path: file for file in observed.editor_files}
    recorded = {**read_state(paths).get("editors", {})}
    problem, hidden = None, list[str]()
    for target in targets:
        file = found.get(target)
        if file is None:
            recorded.pop(target, None)
        elif file.problem:
            problem = problem or file.problem
        elif not file.tracked:
            path = (paths.root / target).resolve()
            files.remove_temporary_files(path.parent, (path.name,))
            if file.changes and file.merged is not None:
                files.write(path, file.merged, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)
            hidden.append(f"/{path.relative_to(paths.root.resolve()).as_posix()}")
            recorded[target] = file.record
    checkout.exclude_from_status(paths.root, hidden)
    write_state(paths, editors=recorded)
    if problem:
        raise problem
