"""Building images: the environment that sources are mounted into, or in ci everything in one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odpm_tasks import running
from odpm_tasks.adapters import docker, files, packages, terminal, worktree
from odpm_tasks.core.place import Place
from odpm_tasks.observe import Sight
from odpm_tasks.state import made_from, took


def build_missing(place: Place, sight: Sight) -> None:
    """Build the image that is missing; another project may be building the same one just now."""
    docker.demand()
    tag = sight.world.image
    lock = place.cache / "images" / f"{files.sha256(tag.encode())[:32]}.lock"
    with files.exclusive(lock, f"the image {tag}", wait=3600):
        assert sight.stack is not None
        if not running.image_is_current(place, sight.stack, tag):
            build_image(place, sight)


def build_image(place: Place, sight: Sight, tags: Sequence[str] = (), show_log: bool = False) -> str:
    """Build the scenario's image and return its name: the environment alone, or in ci everything."""
    docker.demand()
    world, whole = sight.world, sight.stack
    assert whole is not None
    scenario = place.settings.scenario
    names = list(tags) or [world.image]
    labels = {"org.opencontainers.image.title": whole.name}
    contexts: dict[str, Path] = {}
    with contextlib.ExitStack() as cleanup:
        if not scenario.mounts:
            contexts = {s.context: p for s, p in _contexts(place, sight, cleanup)}
            labels["odpm.inputs"] = running.baked_digest(place, whole)
        mirror = place.settings.get("ODPM_IMAGE_MIRROR") or ""
        started = time.monotonic()
        with terminal.activity() as show:
            docker.build(
                place.odpm,
                place.odpm / "build" / "Dockerfile",
                scenario.target,
                names,
                contexts=contexts,
                secrets=_build_secrets(cleanup),
                arguments={"BASE_IMAGE": mirror + whole.image.base_image} if mirror else {},
                labels=labels,
                stays=scenario.mounts,
                progress=terminal.say if show_log else lambda line: show.note("image", line),
            )
    took(place, f"image {scenario.name}", time.monotonic() - started)
    made_from(place, running.inputs(place, whole))
    return names[0]


def _contexts(place: Place, sight: Sight, cleanup: contextlib.ExitStack) -> list[tuple[Any, Path]]:
    """A folder per baked source: commits out of the cache without git, the developing project's add-ons as committed."""
    whole, resolved = sight.stack, sight.world.resolution
    assert whole is not None
    assert resolved is not None
    by_name = {source.name: source for source in resolved.sources}
    pairs: list[tuple[Any, Path]] = []
    for layer in whole.image.layers:
        source = by_name.get(layer.name)
        if source is None:
            folder = files.scratch(cleanup, "odpm-own-")
            worktree.export_folders(place.root, whole.own.addons, folder / "tree")
            pairs.append((layer, folder / "tree"))
        elif source.link.is_file:
            pairs.append((layer, Path(source.link.path)))
        else:
            tree = place.tree(source.key, source.commit)
            if not tree.exists():
                with files.exclusive(tree.with_name(f"{source.commit}.lock"), f"the files of {source.name}", wait=600):
                    if not tree.exists():
                        worktree.export(place.store(source.key), source.commit, tree)
            pairs.append((layer, tree))
    return pairs


def _build_secrets(cleanup: contextlib.ExitStack) -> dict[str, Path]:
    """What a build needs of this machine to reach its package index; as secrets, so that nothing of it is in a layer."""
    index = packages.index()
    found: dict[str, Path] = {}
    if index.certificates:
        found["ca"] = index.certificates
    if index.variables:
        path = files.scratch(cleanup, "odpm-index-") / "index"
        files.write(path, index.shell.encode(), 0o600)
        found["index"] = path
    return found
