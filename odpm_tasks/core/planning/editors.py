"""The step of the files of editors."""

from __future__ import annotations

from odpm_tasks.core.editors.editor_file import EditorFile
from odpm_tasks.core.editors.names import VARIABLE
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.obsolete_files import obsolete_file_steps
from odpm_tasks.core.planning.steps import Action, Step

STEP = "ide.files"
STAYS = f"the file stays: {VARIABLE} does not name its editor"
_NAMED = 3  # so many values are named, the rest is counted


def editor_steps(step_id: str, observed: RenderedState) -> list[Step]:
    """One step for each file of the editors; files of an editor that is not named any more stay, which is reported once."""
    steps = obsolete_file_steps(step_id, observed)
    steps += [Step(step_id, "update", path, STAYS) for path in observed.editor_leftovers]
    steps += [_step(step_id, file) for file in observed.editor_files]
    if observed.editor_files:
        return steps
    return [*steps, Step(step_id, "skip", "", f"{VARIABLE} names no editor")]


def _step(step_id: str, file: EditorFile) -> Step:
    if file.problem and not file.tracked:
        return Step(step_id, "blocked", file.path, file.problem.what)
    if file.tracked:
        detail = "git tracks it; inv ide prints what to add" if file.changes or file.problem else "git tracks it"
        return Step(step_id, "skip", file.path, detail)
    action: Action = "keep" if not file.acts else "create" if file.current is None else "update"
    first = "add to your file" if action == "update" and file.recorded is None and file.changes else ""
    return Step(step_id, action, file.path, "; ".join(filter(None, (first, _kept(file)))))


def _kept(file: EditorFile) -> str:
    named = [name for name in file.kept[:_NAMED] if name]
    more = f" and {len(file.kept) - len(named)} more" if len(file.kept) > len(named) else ""
    return f"your value stays: {', '.join(named)}{more}" if named else ""
