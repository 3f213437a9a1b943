"""What the merge commits of a checkout were made of: the folder `.git/odpm-merges`, a file for each.

With it, a merge commit below work of the user can be made again after the cache was deleted.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.sources.merges import Merged, MergedRef

_FOLDER = ".git/odpm-merges"


def record(checkout: Path, merged: Merged) -> None:
    files.write(checkout / _FOLDER / merged.commit, json.dumps(asdict(merged)).encode(), derived=True)


def recorded(checkout: Path, commit: str | None) -> Merged | None:
    """The merges of a commit that was checked out in a checkout; None for another commit and where the file is damaged."""
    try:
        data = json.loads(files.read_text(checkout / _FOLDER / str(commit)) or "null")
        refs = tuple(MergedRef(**ref) for ref in data.pop("merges"))
        merged = Merged(merges=refs, **data)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return merged if merged.commit == commit else None
