"""Files that an earlier run generated and this run does not: unedited ones are removed, edited ones are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath

from odpm_tasks.core.config.paths import BUILD_FOLDER, COMPOSE_FILE
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.steps import Step

REMOVE = "remove: no longer generated"
KEEP = "keep your edited file: no longer generated"


def obsolete_files(
    recorded: Mapping[str, str], generated: Collection[str], digest: Callable[[str], str | None]
) -> dict[str, bool]:
    """The recorded files that exist and are no longer generated, each with whether it is unedited.

    `recorded`: digests by path. `digest` returns the digest of a file on disk, None where it does not exist. Paths that lead
    out of the project are ignored.
    """
    found: dict[str, bool] = {}
    for path, known in recorded.items():
        relative = PurePosixPath(path)
        if path in generated or relative.is_absolute() or ".." in relative.parts:
            continue
        now = digest(path)
        if now is not None:
            found[path] = now == known
    return found


def obsolete_file_steps(step_id: str, observed: RenderedState) -> list[Step]:
    """The obsolete files that a step handles; each belongs to exactly one step."""
    return [
        Step(step_id, "update", path, REMOVE if unedited else KEEP)
        for path, unedited in observed.obsolete_files.items()
        if _step(path) == step_id
    ]


def _step(path: str) -> str:
    """The step that writes files of this path."""
    if path == COMPOSE_FILE:
        return "compose.generate"
    return "template.dockerfile" if path.startswith(f"{BUILD_FOLDER}/") else "ide.files"
