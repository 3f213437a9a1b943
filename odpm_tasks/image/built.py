"""The environment images that projects of this cache have built: a file per image below `images/` in the cache."""

from __future__ import annotations

import json
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.stack.pruning import BuiltImage


def record(paths: ProjectPaths, tag: str) -> None:
    """Record that this project has built an image. The caller holds the lock of the image, or is its only builder."""
    path = _path(paths, tag)
    known = _read(path)
    roots = sorted({*(known.roots if known else ()), str(paths.root)})
    files.write(path, json.dumps({"image": tag, "projects": roots}).encode(), derived=True)


def built(paths: ProjectPaths) -> tuple[BuiltImage, ...]:
    """What projects of this cache have built, the newest first."""
    found = ((path.stat().st_mtime_ns, one) for path in _files(paths) if (one := _read(path)))
    return tuple(one for _, one in sorted(found, key=lambda pair: (-pair[0], pair[1].tag)))


def forget(paths: ProjectPaths, tag: str) -> None:
    """Remove the record of an image that does not exist any more."""
    files.remove(_path(paths, tag))


def _files(paths: ProjectPaths) -> list[Path]:
    return sorted((paths.cache / "images").glob("*.json"))


def _path(paths: ProjectPaths, tag: str) -> Path:
    return paths.cache / "images" / f"{files.sha256(tag.encode())[:32]}.json"


def _read(path: Path) -> BuiltImage | None:
    try:
        data = json.loads(files.read_text(path) or "")
        return BuiltImage(str(data["image"]), frozenset(map(str, data["projects"])))
    except (ValueError, TypeError, KeyError):
        return None
