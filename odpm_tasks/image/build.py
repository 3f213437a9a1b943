"""Build images: the environment for mounted sources, or in ci an image with all sources."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import buildx, run_image
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import export
from odpm_tasks.core.audit.census import Census, problems
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.image import dockerfile, wkhtmltopdf
from odpm_tasks.core.image.image_spec import ImageSpec, package_context
from odpm_tasks.core.image.wkhtmltopdf import debian_arch
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.image import archive_builds, built, inputs, pdf_renderer, verify
from odpm_tasks.image.census import read_census
from odpm_tasks.image.labels import epoch, image_labels, origin
from odpm_tasks.image.trees import exported
from odpm_tasks.project_state import read_state, record_duration, record_image_inputs, write_state

RESULT = "build/image.json"
SBOM = "build/sbom.cdx.json"


@dataclass(frozen=True)
class BuildRequest:
    """The options of a build. `platforms`, `cache_from` and `cache_to` are values for the buildx options of these names."""

    tags: Sequence[str] = ()
    push: bool = False
    platforms: Sequence[str] = ()
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    sbom: bool = False
    check_licenses: bool = False
    output: Path | None = None
    smoke_test: bool = True
    no_cache: bool = False
    verify: bool = False
    show_log: bool = False

    @property
    def needs_census(self) -> bool:
        """Whether the add-ons and packages of the image must be listed."""
        return self.sbom or self.check_licenses


@dataclass(frozen=True)
class BuildResult:
    """A built image. `digest`: its id on this engine; `pushed`: name -> digest in the registry; `tried`: smoke test passed.

    `verified`: a second build without cache gave the same digest. `archive` and `sbom` are paths. The fields are the keys of
    `.odpm/build/image.json`.
    """

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
    verified: bool = False

    @property
    def json(self) -> str:
        return json.dumps({"schema_version": 1, "odpm": VERSION, **asdict(self)}, indent=2, sort_keys=True)


def build_missing(paths: ProjectPaths, observed: RenderedState) -> None:
    """Build the image if it does not exist or is out of date; pull one that is named by its digest.

    Waits for another project that builds the same image.
    """
    docker.require()
    tag = observed.image
    lock = paths.cache / "images" / f"{files.sha256(tag.encode())[:32]}.lock"
    with files.exclusive(lock, f"the image {tag}", wait=3600):
        if inputs.image_is_current(paths, observed.stack, tag, inputs.image_made_from(tag)):
            return
        if inputs.is_pulled(tag):
            _pull(paths, tag)
        else:
            build_image(paths, observed)


def _pull(paths: ProjectPaths, image: str) -> None:
    """Pull an image that is named by its digest. Errors: DescriptionError where `inv build-image` did not build it."""
    run_image.provide(image)
    if not inputs.image_made_from(image):
        raise DescriptionError(
            "this image was not built by inv build-image",
            where=paths.settings.where("ODPM_IMAGE"),
            details=[image],
            todo="name an image that inv build-image --push printed",
        )


def build_image(paths: ProjectPaths, observed: RenderedState, request: BuildRequest | None = None) -> BuildResult:
    """Build the image of the scenario: the environment, or in ci all sources, too. Tag it after its smoke test.

    Errors: MachineError if the engine does not support an option, ProgramError if build, smoke test or push fails,
    DescriptionError for licence conflicts if `check_licenses` is set, DriftError if `verify` is set and a second build differs.
    """
    docker.require()
    stack, request = observed.stack, request or BuildRequest()
    names = list(request.tags) or [observed.image]
    if paths.settings.scenario.mounts:
        digest, size = _build(paths, observed, names[0], request, {})
        return BuildResult(names, digest, size, stack.scenario.name, (), {})
    labels = image_labels(paths, stack)
    candidate, again = (f"odpm/{name}:{labels[inputs.INPUTS]}" for name in ("candidate", "again"))
    with files.exclusive(paths.cache / "images" / f"{labels[inputs.INPUTS]}.lock", "this image", wait=3600):
        try:
            existing = _reusable_image(paths, labels, request)
            image = existing or candidate
            digest, size = (
                buildx.digest_and_size(existing) if existing else _build(paths, observed, candidate, request, labels)
            )
            contents = _verify(paths, observed, image, replace(request, smoke_test=request.smoke_test and not existing))
            if request.verify:
                _build(paths, observed, again, replace(request, no_cache=True, cache_from=(), cache_to=()), labels)
                verify.require_equal(image, again)
            bill = _audit(paths, observed, contents, names[0], digest, request)
            buildx.tag(image, names)
        finally:
            buildx.untag(candidate)
            if request.verify:
                buildx.untag(again)
    pushed = {name: buildx.push(name) for name in names if request.push}
    if request.output:
        with files.disk_errors(request.output):
            buildx.save(names, request.output)
    result = BuildResult(
        names, digest, size, stack.scenario.name, tuple(request.platforms), labels, pushed,
        str(request.output) if request.output else None, bill, request.smoke_test,
        request.verify,
    )  # fmt: skip
    files.write(paths.odpm / RESULT, f"{result.json}\n".encode())
    return result


def _reusable_image(paths: ProjectPaths, labels: Mapping[str, str], request: BuildRequest) -> str | None:
    """The id of the last built image if it has the same labels and no option requires a new build."""
    if request.no_cache or request.platforms or request.cache_to or request.show_log:
        return None
    try:
        last = json.loads(files.read_text(paths.odpm / RESULT) or "{}")
        same = last["labels"] == dict(labels) and not last["platforms"] and last["tried"] >= request.smoke_test
        digest = str(last["digest"])
    except (ValueError, TypeError, KeyError):
        return None
    return digest if same and inputs.image_made_from(digest) == labels[inputs.INPUTS] else None


def _build(
    paths: ProjectPaths, observed: RenderedState, tag: str, request: BuildRequest, labels: Mapping[str, str]
) -> tuple[str, int]:
    """Run the build; returns id and size of the image. Records its inputs and the time it took."""
    stack = observed.stack
    scenario, started = paths.settings.scenario, time.monotonic()
    mirror = paths.settings.get("ODPM_IMAGE_MIRROR") or ""
    with contextlib.ExitStack() as cleanup:
        build = buildx.BuildSpec(
            paths.odpm,
            paths.odpm / "build" / "Dockerfile",
            scenario.target,
            tag,
            epoch(paths, stack),
            contexts=_renderer(paths, stack.image, request, cleanup) | dict(_contexts(paths, observed, cleanup)),
            arguments={"BASE_IMAGE": mirror + stack.image.base_image} if mirror else {},
            labels=labels,
            platforms=request.platforms,
            cache_from=request.cache_from,
            cache_to=request.cache_to,
            no_cache=request.no_cache,
            local_only=scenario.mounts,
        )
        with terminal.activity() as show:

            def run(spec: buildx.BuildSpec) -> None:
                buildx.build(spec, terminal.message if request.show_log else lambda line: show.note("image", line))

            state = archive_builds.build_at_state(paths, stack, build, run, cleanup)
    archive_builds.record(paths, stack, tag, state, request.platforms)
    record_duration(paths, f"image {scenario.name}", time.monotonic() - started)
    record_image_inputs(paths, inputs.input_digests(paths, stack))
    if scenario.mounts:
        built.record(paths, tag)
    return buildx.digest_and_size(tag)


def _verify(paths: ProjectPaths, observed: RenderedState, image: str, request: BuildRequest) -> dict[str, Census]:
    """Run the smoke test and the census on each platform, as requested; returns the census of each platform.

    Python packages are imported only once per environment: a change of the sources does not affect them.
    Errors: ProgramError if the smoke test fails.
    """
    stack = observed.stack
    environment = dockerfile.environment_digest(
        replace(stack.image, sources=()), *stack.locks, programs=(), template=stack.templates.get(dockerfile.TEMPLATE)
    )
    environment = " ".join((environment, *request.platforms))  # each processor has other files of the packages
    imports = request.smoke_test and read_state(paths).get("smoked") != environment
    if not (request.smoke_test or request.needs_census):
        return {}
    contents: dict[str, Census] = {}
    found: list[str] = []
    for platform in request.platforms or ("",):
        with terminal.activity() as show:
            show.note("image", f"{'smoke test' if request.smoke_test else 'census'} {platform}".strip())
            census = read_census(image, platform=platform, imports=imports, smoke=not request.needs_census)
        contents[platform] = census
        found += [f"{platform} {problem}".strip() for problem in problems(census, platform)]
    if request.smoke_test and found:
        raise ProgramError(
            "the image was built but fails its smoke test; it is not tagged",
            details=found[:3],
            todo="fix these problems, then run the same command again; --no-smoke-test tags the image anyway",
        )
    if imports:
        write_state(paths, smoked=environment)
    return contents


def _audit(
    paths: ProjectPaths,
    observed: RenderedState,
    contents: Mapping[str, Census],
    name: str,
    digest: str,
    request: BuildRequest,
) -> str | None:
    """Check the licences and write an SBOM for each platform, as requested; returns the path of the first one."""
    from odpm_tasks.core.audit import licenses, sbom

    if not request.needs_census:
        return None
    census = next(iter(contents.values()))  # the add-ons are the same for all processors
    conflicts = [str(conflict) for conflict in licenses.conflicts(census.addons)]
    if conflicts and request.check_licenses:
        raise DescriptionError(
            f"the licences of add-ons conflict ({len(conflicts)})",
            details=conflicts[:3],
            todo="remove one of the two add-ons, or ask its author for another licence",
        )
    for line in (*conflicts, *licenses.unknown_licenses(census.addons)):
        terminal.warn(line)
    if not request.sbom:
        return None
    stack = observed.stack
    repositories = {
        source.name: sbom.Repository(source.key, source.base, merges=source.merges)
        for source in observed.resolution.sources
    }
    own = origin(paths, stack)
    repositories[stack.own_name] = sbom.Repository(own.url, own.revision)
    written = []
    for platform, each in contents.items():
        text = sbom.sbom(
            each, name=name, digest=digest, sources=repositories, epoch=epoch(paths, stack),
            tool_version=stack.tool_version, system=str(stack.image.archive or ""),
            packages={one.name: sbom.Repository(one.url, one.commit, one.subdirectory) for one in stack.packages},
        )  # fmt: skip
        path = SBOM.replace(".cdx", f".{platform.replace('/', '-')}.cdx") if len(contents) > 1 else SBOM
        files.write(paths.odpm / path, text.encode())
        written.append(f".odpm/{path}")
    return written[0]


def _renderer(
    paths: ProjectPaths, spec: ImageSpec, request: BuildRequest, cleanup: contextlib.ExitStack
) -> dict[str, Path]:
    """The named context that has the package of wkhtmltopdf with patched Qt, where the image has it."""
    if spec.patched is None:
        return {}
    machines = [platform.split("/")[1] for platform in request.platforms] or [docker.architecture()]
    return {wkhtmltopdf.NAME: pdf_renderer.context(paths, spec.patched, sorted(map(debian_arch, machines)), cleanup)}


def _contexts(
    paths: ProjectPaths, observed: RenderedState, cleanup: contextlib.ExitStack
) -> Iterable[tuple[str, Path]]:
    """Named contexts, a folder each: the Python packages from git at their commits, and unless they are mounted, the sources:
    files of the pinned commits, of the developing project those of HEAD.
    """
    stack = observed.stack
    for package in stack.packages:
        yield package_context(package.name), exported(paths, package.url, package.commit, package.name)
    if stack.scenario.mounts:
        return
    by_name = {source.name: source for source in observed.resolution.sources}
    for layer in stack.image.layers:
        source = by_name.get(layer.name)
        if source is None:
            folder = files.temporary_folder(cleanup, "odpm-own-") / "tree"
            export.export_folders(paths.root, stack.own.addons, folder)
            yield layer.context, folder
        else:
            path = source.link.path if source.link.is_file else ""
            yield layer.context, exported(paths, source.key, source.commit, source.name, path)
