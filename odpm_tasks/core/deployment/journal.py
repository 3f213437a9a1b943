"""The record of a deployment that changes databases, kept until it ends: a run after a kill goes back or on by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Phase = Literal["updating", "updated"]


@dataclass(frozen=True)
class Journal:
    """`updating`: the databases may be half updated; `updated`: they fit the release that is to start.

    `release`: its id, empty in the scenario `ci`. `snapshots`: the databases that are updated, each with the id of the snapshot
    of its state before; the id is empty with `--no-snapshot`.
    """

    phase: Phase
    release: str = ""
    snapshots: Mapping[str, str] = field(default_factory=dict)

    @property
    def restorable(self) -> Mapping[str, str]:
        """The databases that have a snapshot, with its id."""
        return {database: snapshot for database, snapshot in self.snapshots.items() if snapshot}


def read_journal(text: str | None) -> Journal | None:
    """The journal in a file; None where there is none, or where it is damaged: then no snapshot is known."""
    try:
        data: Any = json.loads(text or "null")
        if data is None or data["phase"] not in ("updating", "updated"):
            return None
        snapshots = {str(name): str(value) for name, value in data["snapshots"].items()}
        return Journal(data["phase"], str(data["release"]), snapshots)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def write_journal(journal: Journal) -> str:
    return json.dumps(asdict(journal), indent=2) + "\n"
