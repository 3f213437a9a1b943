"""Files that an earlier run generated and this one does not: removed where their bytes are ours, else left to the user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath

from odpm_tasks.core.config.paths import BUILD_FOLDER, COMPOSE_FILE
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.steps import Step

REMOVE = "remove: no longer generated"
LEAVE = "leave it to you: no longer generated, and edited"


def obsolete_files(
    recorded: Mapping[str, str], generated: Collection[str], digest: Callable[[str], str | None]
) -> dict[str, bool]:
    """Of the files that were recorded with the digest of their bytes those that nothing generates any more and that are there.

    True: the bytes are still the recorded ones. `digest` gives that of a file as it is, None where there is none. A path that
    leads out of the project was never ours.
    """
    found: dict[str, bool] = {}
    for path, known in recorded.items():
        ours = PurePosixPath(path)
        if path in generated or ours.is_absolute() or ".." in ours.parts:
            continue
        now = digest(path)
        if now is not None:
            found[path] = now == known
    return found


def obsolete_file_steps(step_id: str, observed: RenderedState) -> list[Step]:
    """What a step does about the leftovers that are its own: each is dealt with once."""
    return [
        Step(step_id, "update", path, REMOVE if ours else LEAVE)
        for path, ours in observed.obsolete_files.items()
        if _step(path) == step_id
    ]


def _step(path: str) -> str:
    """The step that writes such files."""
    if path == COMPOSE_FILE:
        return "compose.generate"
    return "template.dockerfile" if path.startswith(f"{BUILD_FOLDER}/") else "ide.files"
