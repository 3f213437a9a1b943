"""What the engine stores of the projects of a cache: unused images and build cache, volumes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import disk_usage
from odpm_tasks.adapters.docker.disk_usage import DiskUsage
from odpm_tasks.adapters.docker.engine import labels_of
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import BUILD_FOLDER, COMPOSE_FILE, RELEASES, ProjectPaths
from odpm_tasks.core.stack.pruning import (
    CacheRecord,
    Kept,
    NamelessImage,
    Unused,
    bytes_of,
    old_records,
    unused_images,
)
from odpm_tasks.core.text import plural
from odpm_tasks.errors import BusyError
from odpm_tasks.image import built
from odpm_tasks.project_state import read_state_of

_FOLDER = "com.docker.compose.project.working_dir"
_PROJECT = "com.docker.compose.project"
_NONE = "<none>"


def images(paths: ProjectPaths, usage: DiskUsage, chosen: Sequence[Path], existing: Sequence[Path]) -> Iterator[Unused]:
    """Environment images that no project uses, then images without a name of the projects in `chosen`."""
    used = {row["Image"] for row in usage.containers}.union(*map(_images_of, existing))
    why = unused_images(built.built(paths), used, [*map(str, existing)], [*map(str, chosen)])
    sizes = _sizes(usage, why)
    for tag in why:
        if tag in sizes:
            yield Unused("image", tag, sizes[tag], why[tag], ids=(tag,))
    composes = {name: root for root in chosen for name in compose_names(usage, root)}
    for image in nameless(usage):
        if image.containers or image.id in used:
            continue
        if image.compose in composes:
            root: Path | None = composes[image.compose]
            reason = "an earlier image of a service"
        else:
            root = next((one for one in chosen if image.revision and _has_commit(one, image.revision)), None)
            reason = f"an earlier image of inv build-image, commit {image.revision[:8]}"
        if root is not None:
            yield Unused("image", image.id.removeprefix("sha256:")[:12], image.size, reason, str(root), (image.id,))


def nameless(usage: DiskUsage) -> list[NamelessImage]:
    """The images without a name and without a digest of a registry, with their labels."""
    rows = {row["ID"]: row for row in usage.images if row["Repository"] == row["Tag"] == _NONE}
    labels = disk_usage.image_labels([*rows])
    return [
        NamelessImage(one, _freed(row), labels[one], row["Containers"] not in {"0", "N/A"})
        for one, row in rows.items()
        if one in labels
    ]


def build_cache(usage: DiskUsage, days: int) -> Iterator[Unused]:
    """The old records of odpm's builds as one thing; projects share them, so that they belong to none."""
    old = old_records([record(row) for row in usage.build_cache], datetime.now(UTC), days)
    if old:
        why = (
            f"{plural(len(old), 'record')}, not used for {plural(days, 'day')}" if days else plural(len(old), "record")
        )
        total = sum(one.size for one in old)
        yield Unused(
            "build cache", "of odpm's image builds", total, why, ids=tuple(one.id for one in old), count=len(old)
        )


def volumes(usage: DiskUsage, chosen: Sequence[Path]) -> Iterator[Kept]:
    """The volumes of projects, which are never removed."""
    for root in chosen:
        names = compose_names(usage, root)
        for row in sorted(usage.volumes, key=lambda row: row["Name"]):
            if labels_of(row).get(_PROJECT) in names:
                yield Kept("volume", row["Name"], bytes_of(row["Size"]), str(root))


def remove_image(paths: ProjectPaths, name: str) -> bool:
    """Remove an image, unless a build of it runs or a container uses it."""
    if not name.startswith("odpm/"):
        return disk_usage.remove_image(name)
    lock = paths.cache / "images" / f"{files.sha256(name.encode())[:32]}.lock"
    try:
        with files.exclusive(lock, f"the image {name}"):
            removed = disk_usage.remove_image(name)
            if removed:
                built.forget(paths, name)
            return removed
    except BusyError:
        return False


def compose_names(usage: DiskUsage, root: Path) -> frozenset[str]:
    """The names of the Compose projects of a folder: of its containers, and of its last run."""
    found = {labels[_PROJECT] for row in usage.containers if (labels := labels_of(row)).get(_FOLDER) == str(root)}
    return frozenset({*found, str(read_state_of(root).get("up", {}).get("project", ""))} - {""})


def running(usage: DiskUsage, root: Path, service: str) -> str:
    """The running container of a service of the project in a folder; empty where none runs."""
    for row in usage.containers:
        labels = labels_of(row)
        same = labels.get(_FOLDER) == str(root) and labels.get("com.docker.compose.service") == service
        if same and row["State"] == "running" and labels.get("com.docker.compose.oneoff") != "True":
            return row["ID"]
    return ""


def _images_of(root: Path) -> set[str]:
    """The images that a project uses: of its last run, of its Compose file and those of its releases, of its last
    `inv build-image`.
    """
    found = {str(read_state_of(root).get("up", {}).get("image", ""))}
    for path in (root / COMPOSE_FILE, *(root / RELEASES).glob(f"*/{COMPOSE_FILE}")):
        found |= {*re.findall(r"^\s+image: (\S+)$", files.read_text(path) or "", re.MULTILINE)}
    try:
        last = json.loads(files.read_text(root / BUILD_FOLDER / "image.json") or "{}")
        return {*found, *map(str, last.get("names", ())), str(last.get("digest", ""))}
    except (ValueError, AttributeError, TypeError):
        return found


def _has_commit(root: Path, commit: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{40}", commit)) and (root / ".git").exists() and git.has_commit(root, commit)


def _sizes(usage: DiskUsage, tags: Collection[str]) -> dict[str, int]:
    """The bytes that removing each of these names frees: none while the image keeps another name."""
    bytes_by_id = {row["ID"]: _freed(row) for row in usage.images}
    kept = {image for name, image in usage.names.items() if name not in tags}
    last = {image: name for name, image in usage.names.items() if name in tags and image not in kept}
    found = {name: usage.names[name] for name in tags if name in usage.names}
    return {name: bytes_by_id.get(image, 0) if last.get(image) == name else 0 for name, image in found.items()}


def _freed(row: Mapping[str, str]) -> int:
    """The bytes of an image that no other image has."""
    known = bytes_of(row.get("UniqueSize", ""))
    return known if known is not None else bytes_of(row["Size"]) or 0


def record(row: Mapping[str, str]) -> CacheRecord:
    moment = row.get("LastUsedAt") or row["CreatedAt"]  # `2026-11-27 01:44:32.034874101 +0000 UTC`
    match = re.match(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\S* ([+-]\d{4})", moment)
    when = datetime.strptime(" ".join(match.groups()), "%Y-%m-%d %H:%M:%S %z") if match else datetime.now(UTC)
    in_use, shared = row["InUse"] == "true", row["Shared"] == "true"
    return CacheRecord(
        row["ID"], row.get("Parent", ""), row["Description"], bytes_of(row["Size"]) or 0, when, in_use, shared
    )
