"""The screenshots of failed browser tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.testing.results import Result
from odpm_tasks.stack.odoo_log import KEPT_LOGS, remove_oldest


def keep_pictures(paths: ProjectPaths, folder: Path) -> dict[str, str]:
    """Copy the pictures below a shard's folder to `.odpm/logs/`, and remove the oldest there. File name -> path in the checkout."""
    owner, kept = paths.root.stat(), {}
    now = f"{datetime.now():%Y%m%d-%H%M%S}"
    for picture in sorted(folder.rglob("*.png")):
        target = paths.odpm / "logs" / f"{now}-test-{picture.name}"
        with files.disk_errors(target):
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(picture, target)
            if os.geteuid() == 0:
                os.chown(target, owner.st_uid, owner.st_gid)
        kept[picture.name] = str(target.relative_to(paths.root))
    if kept:
        remove_oldest(paths.odpm / "logs", "*-test-*.png", max(KEPT_LOGS, len(kept)))
    return kept


def with_pictures(found: Sequence[Result], kept: Mapping[str, str]) -> list[Result]:
    """The results with the paths of their pictures in the checkout."""
    return [
        replace(one, pictures=tuple(kept[name] for name in one.pictures if name in kept)) if one.pictures else one
        for one in found
    ]
