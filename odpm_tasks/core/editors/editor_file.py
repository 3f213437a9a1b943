"""A file of an editor: what it contains now, what a run writes, and what of it is odpm's."""

from __future__ import annotations

from dataclasses import dataclass

from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class Existing:
    """A file on disk. `data` None: absent. `tracked`: git tracks it. `refused`: why odpm does not touch it."""

    data: bytes | None = None
    tracked: bool = False
    refused: str = ""


@dataclass(frozen=True)
class EditorFile:
    """A file of an editor. `record`: what of the merged file is odpm's, for `.odpm/state.toml`; `recorded`: that of the last run.

    `kept`: where the user's values differ and stay. `problem`: why it cannot be merged; then `merged` is what exists.
    """

    path: str
    current: bytes | None
    merged: bytes | None
    record: str
    recorded: str | None
    tracked: bool = False
    kept: tuple[str, ...] = ()
    problem: DescriptionError | None = None

    @property
    def changes(self) -> bool:
        return self.merged != self.current

    @property
    def acts(self) -> bool:
        """Whether a run writes the file, or records what of it is odpm's for the first time."""
        return not self.tracked and (self.changes or self.recorded is None)
