"""Building images: the environment that sources are mounted into, or in ci everything in one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from odpm_tasks import census, engine, image_labels, machine, running
from odpm_tasks.adapters import baking, buildx, docker, files, terminal
from odpm_tasks.core import contents
from odpm_tasks.core import image as images
from odpm_tasks.core.place import Place
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.observe import Sight
from odpm_tasks.state import made_from, recall, remember, took

RESULT = "build/image.json"
BILL = "build/sbom.cdx.json"


@dataclass(frozen=True)
class Order:
    """What is asked of a build. `platforms`, `cache_from` and `cache_to` are words as buildx knows them."""

    tags: Sequence[str] = ()
    push: bool = False
    platforms: Sequence[str] = ()
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    sbom: bool = False
    check_licenses: bool = False
    output: Path | None = None
    smoke: bool = True
    afresh: bool = False
    show_log: bool = False


@dataclass(frozen=True)
class Built:
    """An image that was built: `digest` names it on this engine, `pushed` in registries, by tag; paths are relative."""

    names: Sequence[str]
    digest: str
    size: int
    scenario: str
    platforms: Sequence[str]
    labels: Mapping[str, str]
    pushed: Mapping[str, str] = field(default_factory=dict)
    archive: str | None = None
    sbom: str | None = None
    tried: bool = False

    @property
    def json(self) -> str:
        return json.dumps({"schema_version": 1, **asdict(self)}, indent=2, sort_keys=True)


def build_missing(place: Place, sight: Sight) -> None:
    """Build the image that is missing; another project may be building the same one just now."""
    docker.demand()
    tag = sight.world.image
    lock = place.cache / "images" / f"{files.sha256(tag.encode())[:32]}.lock"
    with files.exclusive(lock, f"the image {tag}", wait=3600):
        assert sight.stack is not None
        if not running.image_is_current(place, sight.stack, engine.image_made_from(tag)):
            build_image(place, sight)


def build_image(place: Place, sight: Sight, order: Order | None = None) -> Built:
    """Build the scenario's image: the environment alone, or in ci everything. It gets its names when it has been tried.

    Errors: MachineError for what this engine cannot do, ProgramError where build, smoke test or push fails,
    DescriptionError where licences contradict and the order asks to look.
    """
    docker.demand()
    whole, order = sight.stack, order or Order()
    assert whole is not None
    names = list(order.tags) or [sight.world.image]
    if place.settings.scenario.mounts:
        digest, size = _build(place, sight, names[0], order, {})
        return Built(names, digest, size, whole.scenario.name, (), {})
    labels = image_labels.labels(place, whole)
    candidate = f"odpm/candidate:{labels[engine.INPUTS]}"
    with files.exclusive(place.cache / "images" / f"{labels[engine.INPUTS]}.lock", "this image", wait=3600):
        try:
            there = _there(place, labels, order)
            digest, size = buildx.facts(there) if there else _build(place, sight, candidate, order, labels)
            bill = _try(place, sight, there or candidate, names[0], digest, order, tried=bool(there))
            buildx.tag(there or candidate, names)
        finally:
            buildx.untag(candidate)
    pushed = {name: buildx.push(name) for name in names if order.push}
    if order.output:
        with files.disk_errors(order.output):
            buildx.save(names, order.output)
    built = Built(
        names, digest, size, whole.scenario.name, tuple(order.platforms), labels, pushed,
        str(order.output) if order.output else None, bill, order.smoke,
    )  # fmt: skip
    files.write(place.odpm / RESULT, f"{built.json}\n".encode())
    return built


def _there(place: Place, labels: Mapping[str, str], order: Order) -> str | None:
    """The image of the last build where it is of the same commit and made from the same, and nothing is to be built anew."""
    if order.afresh or order.platforms or order.cache_to or order.show_log:
        return None
    try:
        told = json.loads(files.read_text(place.odpm / RESULT) or "{}")
        same = told["labels"] == dict(labels) and not told["platforms"] and told["tried"] >= order.smoke
        found = str(told["digest"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if same and engine.image_made_from(found) == labels[engine.INPUTS] else None


def _build(place: Place, sight: Sight, tag: str, order: Order, labels: Mapping[str, str]) -> tuple[str, int]:
    """Run the build itself; the digest and the size of what came out."""
    whole = sight.stack
    assert whole is not None
    scenario, started = place.settings.scenario, time.monotonic()
    mirror = place.settings.get("ODPM_IMAGE_MIRROR") or ""
    with contextlib.ExitStack() as cleanup:
        given = machine.given(place, whole.image, cleanup)
        build = buildx.Build(
            place.odpm,
            place.odpm / "build" / "Dockerfile",
            scenario.target,
            tag,
            image_labels.epoch(place, whole),
            contexts={} if scenario.mounts else dict(_contexts(place, sight, cleanup)),
            secrets=given.secrets,
            arguments={"BASE_IMAGE": mirror + whole.image.base_image} if mirror else {},
            labels=labels,
            platforms=order.platforms,
            cache_from=order.cache_from,
            cache_to=order.cache_to,
            host_network=given.host_network,
            afresh=order.afresh,
            stays=scenario.mounts,
        )
        with terminal.activity() as show:
            buildx.build(build, terminal.say if order.show_log else lambda line: show.note("image", line))
    took(place, f"image {scenario.name}", time.monotonic() - started)
    made_from(place, running.inputs(place, whole))
    return buildx.facts(tag)


def _try(place: Place, sight: Sight, image: str, name: str, digest: str, order: Order, *, tried: bool) -> str | None:
    """The smoke test unless it was `tried` before, and on demand the bill of materials and the licences; where the bill is.

    Packages are imported once for an environment: a change of code does not change them.
    """
    whole = sight.stack
    assert whole is not None
    environment = images.environment_digest(
        replace(whole.image, sources=()), *whole.locks, runtime=b"", template=whole.templates.get(images.TEMPLATE)
    )
    smoke = order.smoke and not tried
    imports = smoke and recall(place).get("smoked") != environment
    if not (smoke or order.sbom or order.check_licenses):
        return None
    brief = not (order.sbom or order.check_licenses)
    wrong: list[str] = []
    for platform in order.platforms or ("",):
        with terminal.activity() as show:
            show.note("image", " ".join(("smoke test" if smoke else "look inside", platform)))
            found = census.census(image, platform=platform, imports=imports, smoke=brief)
        wrong += [f"{platform} {finding}".strip() for finding in contents.findings(found, platform)]
    if smoke and wrong:
        raise ProgramError(
            "the image was built and does not work; no name points to it",
            details=wrong[:3],
            todo="mend what it says; --no-smoke-test gives it its name all the same",
        )
    if imports:
        remember(place, smoked=environment)
    return _bill(place, sight, found, name, digest, order)


def _bill(place: Place, sight: Sight, found: Any, name: str, digest: str, order: Order) -> str | None:
    from odpm_tasks.core import licenses, sbom

    whole, resolved = sight.stack, sight.world.resolution
    if not (order.sbom or order.check_licenses):
        return None
    assert whole is not None
    assert resolved is not None
    against = [str(conflict) for conflict in licenses.conflicts(found.addons)]
    if against and order.check_licenses:
        raise DescriptionError(
            f"licences of add-ons contradict each other ({len(against)})",
            details=against[:3],
            todo="leave one of the two out, or ask its author for another licence",
        )
    for line in (*against, *licenses.unjudged(found.addons)):
        terminal.warn(line)
    if not order.sbom:
        return None
    known = {source.name: sbom.Repository(source.key, source.commit) for source in resolved.sources}
    own = image_labels.own(place)
    if own.url:
        known[whole.own_name] = sbom.Repository(own.url, own.revision)
    text = sbom.sbom(
        found, name=name, digest=digest, sources=known, epoch=image_labels.epoch(place, whole),
        tool_version=whole.tool_version,
    )  # fmt: skip
    files.write(place.odpm / BILL, text.encode())
    return f".odpm/{BILL}"


def _contexts(place: Place, sight: Sight, cleanup: contextlib.ExitStack) -> Iterable[tuple[str, Path]]:
    """A folder per baked source: commits out of the cache without git, the developing project's add-ons as committed."""
    whole, resolved = sight.stack, sight.world.resolution
    assert whole is not None
    assert resolved is not None
    by_name = {source.name: source for source in resolved.sources}
    for layer in whole.image.layers:
        source = by_name.get(layer.name)
        if source is None:
            folder = files.scratch(cleanup, "odpm-own-") / "tree"
            baking.export_folders(place.root, whole.own.addons, folder)
            yield layer.context, folder
        else:
            yield layer.context, _tree(place, source)


def _tree(place: Place, source: Any) -> Path:
    """The files of a source at its pin, written once for all builds."""
    tree = place.tree(source.key, source.commit)
    whole = tree / "files"  # not there in what earlier versions left
    if not whole.exists():
        with files.exclusive(tree.with_name(f"{source.commit}.lock"), f"the files of {source.name}", wait=600):
            if whole.exists():
                pass  # another run has written them meanwhile
            elif source.link.is_file:
                baking.export_files(Path(source.link.path), tree)
            else:
                baking.export(place.store(source.key), source.commit, tree)
    return tree
