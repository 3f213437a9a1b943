"""Building images: the environment that sources are mounted into, or in ci everything in one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import buildx
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import export
from odpm_tasks.core.audit import census as contents
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image import dockerfile
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.image import build_secrets, census, inputs
from odpm_tasks.image import labels as image_labels
from odpm_tasks.project_files import read_state, record_duration, record_image_inputs, write_state

RESULT = "build/image.json"
BILL = "build/sbom.cdx.json"


@dataclass(frozen=True)
class BuildRequest:
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


def build_missing(paths: ProjectPaths, observed: RenderedState) -> None:
    """Build the image that is missing; another project may be building the same one just now."""
    docker.require()
    tag = observed.image
    lock = paths.cache / "images" / f"{files.sha256(tag.encode())[:32]}.lock"
    with files.exclusive(lock, f"the image {tag}", wait=3600):
        if not inputs.image_is_current(paths, observed.stack, inputs.image_made_from(tag)):
            build_image(paths, observed)


def build_image(paths: ProjectPaths, observed: RenderedState, order: BuildRequest | None = None) -> Built:
    """Build the scenario's image: the environment alone, or in ci everything. It gets its names when it has been tried.

    Errors: MachineError for what this engine cannot do, ProgramError where build, smoke test or push fails,
    DescriptionError where licences contradict and the order asks to look.
    """
    docker.require()
    whole, order = observed.stack, order or BuildRequest()
    names = list(order.tags) or [observed.image]
    if paths.settings.scenario.mounts:
        digest, size = _build(paths, observed, names[0], order, {})
        return Built(names, digest, size, whole.scenario.name, (), {})
    labels = image_labels.labels(paths, whole)
    candidate = f"odpm/candidate:{labels[inputs.INPUTS]}"
    with files.exclusive(paths.cache / "images" / f"{labels[inputs.INPUTS]}.lock", "this image", wait=3600):
        try:
            there = _there(paths, labels, order)
            digest, size = buildx.facts(there) if there else _build(paths, observed, candidate, order, labels)
            bill = _try(paths, observed, there or candidate, names[0], digest, order, tried=bool(there))
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
    files.write(paths.odpm / RESULT, f"{built.json}\n".encode())
    return built


def _there(paths: ProjectPaths, labels: Mapping[str, str], order: BuildRequest) -> str | None:
    """The image of the last build where it is of the same commit and made from the same, and nothing is to be built anew."""
    if order.afresh or order.platforms or order.cache_to or order.show_log:
        return None
    try:
        told = json.loads(files.read_text(paths.odpm / RESULT) or "{}")
        same = told["labels"] == dict(labels) and not told["platforms"] and told["tried"] >= order.smoke
        found = str(told["digest"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if same and inputs.image_made_from(found) == labels[inputs.INPUTS] else None


def _build(
    paths: ProjectPaths, observed: RenderedState, tag: str, order: BuildRequest, labels: Mapping[str, str]
) -> tuple[str, int]:
    """Run the build itself; the digest and the size of what came out."""
    whole = observed.stack
    scenario, started = paths.settings.scenario, time.monotonic()
    mirror = paths.settings.get("ODPM_IMAGE_MIRROR") or ""
    with contextlib.ExitStack() as cleanup:
        given = build_secrets.given(paths, whole.image, cleanup)
        build = buildx.Build(
            paths.odpm,
            paths.odpm / "build" / "Dockerfile",
            scenario.target,
            tag,
            image_labels.epoch(paths, whole),
            contexts={} if scenario.mounts else dict(_contexts(paths, observed, cleanup)),
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
            buildx.build(build, terminal.message if order.show_log else lambda line: show.note("image", line))
    record_duration(paths, f"image {scenario.name}", time.monotonic() - started)
    record_image_inputs(paths, inputs.inputs(paths, whole))
    return buildx.facts(tag)


def _try(
    paths: ProjectPaths,
    observed: RenderedState,
    image: str,
    name: str,
    digest: str,
    order: BuildRequest,
    *,
    tried: bool,
) -> str | None:
    """The smoke test unless it was `tried` before, and on demand the bill of materials and the licences; where the bill is.

    Packages are imported once for an environment: a change of code does not change them.
    """
    whole = observed.stack
    environment = dockerfile.environment_digest(
        replace(whole.image, sources=()), *whole.locks, runtime=b"", template=whole.templates.get(dockerfile.TEMPLATE)
    )
    smoke = order.smoke and not tried
    imports = smoke and read_state(paths).get("smoked") != environment
    if not (smoke or order.sbom or order.check_licenses):
        return None
    brief = not (order.sbom or order.check_licenses)
    wrong: list[str] = []
    for platform in order.platforms or ("",):
        with terminal.activity() as show:
            show.note("image", " ".join(("smoke test" if smoke else "look inside", platform)))
            found = census.census(image, platform=platform, imports=imports, smoke=brief)
        wrong += [f"{platform} {finding}".strip() for finding in contents.problems(found, platform)]
    if smoke and wrong:
        raise ProgramError(
            "the image was built and does not work; no name points to it",
            details=wrong[:3],
            todo="mend what it says; --no-smoke-test gives it its name all the same",
        )
    if imports:
        write_state(paths, smoked=environment)
    return _bill(paths, observed, found, name, digest, order)


def _bill(
    paths: ProjectPaths, observed: RenderedState, found: Any, name: str, digest: str, order: BuildRequest
) -> str | None:
    from odpm_tasks.core.audit import licenses, sbom

    whole, resolved = observed.stack, observed.resolution
    if not (order.sbom or order.check_licenses):
        return None
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
    own = image_labels.own(paths)
    if own.url:
        known[whole.own_name] = sbom.Repository(own.url, own.revision)
    text = sbom.sbom(
        found, name=name, digest=digest, sources=known, epoch=image_labels.epoch(paths, whole),
        tool_version=whole.tool_version,
    )  # fmt: skip
    files.write(paths.odpm / BILL, text.encode())
    return f".odpm/{BILL}"


def _contexts(
    paths: ProjectPaths, observed: RenderedState, cleanup: contextlib.ExitStack
) -> Iterable[tuple[str, Path]]:
    """A folder per baked source: commits out of the cache without git, the developing project's add-ons as committed."""
    whole, resolved = observed.stack, observed.resolution
    by_name = {source.name: source for source in resolved.sources}
    for layer in whole.image.layers:
        source = by_name.get(layer.name)
        if source is None:
            folder = files.temporary_folder(cleanup, "odpm-own-") / "tree"
            export.export_folders(paths.root, whole.own.addons, folder)
            yield layer.context, folder
        else:
            yield layer.context, _tree(paths, source)


def _tree(paths: ProjectPaths, source: Any) -> Path:
    """The files of a source at its pin, written once for all builds."""
    tree = paths.tree(source.key, source.commit)
    whole = tree / "files"  # not there in what earlier versions left
    if not whole.exists():
        with files.exclusive(tree.with_name(f"{source.commit}.lock"), f"the files of {source.name}", wait=600):
            if whole.exists():
                pass  # another run has written them meanwhile
            elif source.link.is_file:
                export.export_files(Path(source.link.path), tree)
            else:
                export.export(paths.store(source.key), source.commit, tree)
    return tree
