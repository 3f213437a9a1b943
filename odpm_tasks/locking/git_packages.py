"""Lock Python packages from git: fetch the commit of each into the cache and read its metadata."""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.git import fetch as git_fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.image_spec import version_variables
from odpm_tasks.core.locking.git_metadata import FILES, git_metadata, version_from_tags
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.sdist import StaticMetadata
from odpm_tasks.core.sources.git_requirement import PackageAddress
from odpm_tasks.core.sources.link import without_credentials
from odpm_tasks.errors import DescriptionError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.sources.git_packages import fetch_package, package_remote


def lock_packages(
    paths: ProjectPaths,
    required: Sequence[PackageAddress],
    known: Sequence[GitPackage],
    *,
    python: str,
    image: str,
    fresh: bool = False,
    only: Collection[str] = (),
) -> tuple[GitPackage, ...]:
    """A pin for each package. Pins of `known` that fit are kept, unless `fresh` or named in `only`.

    `python`: the target's version (X.Y); `image`: its image, in which metadata is built that only code tells. Errors: those
    of a fetch; DescriptionError for a repository that does not hold the package or a package that cannot be used;
    MachineError where metadata must be built and there is no Docker.
    """
    pins = {one.name: one for one in known}
    names = {one.name for one in required}
    with terminal.activity() as show:

        def pin(one: PackageAddress) -> GitPackage:
            kept = pins.get(one.name)
            if kept is not None and kept.identity != one.identity:
                kept = None
            if kept is not None and not (fresh or one.name in only):
                return kept
            show.note(one.name, f"fetch {one.ref or 'the default branch'}")
            try:
                return _resolved(paths, one, kept, image, show)
            finally:
                show.done(one.name)

        found = tuple(parallel_map(paths, pin, required))
    for package in found:
        _check(package, names, python)
    return found


def _resolved(
    paths: ProjectPaths, one: PackageAddress, kept: GitPackage | None, image: str, show: terminal.Activity
) -> GitPackage:
    """The pin of a package at its ref as it is now. `kept`: its pin so far, whose metadata is that of its commit."""
    commit = fetch_package(paths, one.name, one.url, one.ref, show)
    if kept is not None and kept.commit == commit:
        return kept
    store = paths.store(one.canonical)
    prefix = f"{one.subdirectory}/" if one.subdirectory else ""
    contents = git.blobs(store, commit, [f"{prefix}{name}" for name in FILES])
    where = f"{without_credentials(one.url)} at {commit[:12]}"
    if not contents:
        raise DescriptionError(
            f"the repository of {one.name} has no Python package {f'in {one.subdirectory}' if prefix else 'at its root'}",
            where=where,
            todo="name the folder of its pyproject.toml or setup.py: NAME @ git+URL@REF#subdirectory=PATH",
        )
    metadata = git_metadata({name.removeprefix(prefix): data for name, data in contents.items()})
    version = metadata.version
    if not version and metadata.from_tags:
        show.note(one.name, "fetch tags")
        described, count = git_fetch.describe(store, package_remote(paths, one.name, one.url), commit)
        version = version_from_tags(described, count, commit)
    name, stated = metadata.name, metadata.stated
    if stated is None or not version:
        show.note(one.name, "build metadata")
        name, version, stated = _built(paths, one, commit, image, version)
    if name and canonicalize_name(name) != one.name:
        raise DescriptionError(
            f"the repository has the package {name}, not {one.name}",
            where=where,
            todo="write the name of the package in front of its address",
        )
    try:
        version = str(Version(version))
    except InvalidVersion:
        raise DescriptionError(
            f"the version of {one.name} is {version!r}, which no other package can require",
            where=where,
            todo="name another ref of it, or change its version in its repository to one like 1.0",
        ) from None
    return GitPackage(
        one.name, one.canonical, commit, version, one.ref, stated.requires, stated.requires_python, one.subdirectory,
        kept.extra if kept else {},
    )  # fmt: skip


def _built(
    paths: ProjectPaths, one: PackageAddress, commit: str, image: str, version: str
) -> tuple[str, str, StaticMetadata]:
    """Name, version and requirements that only the code of a package tells. `version`: that of its tags, where they count."""
    from odpm_tasks.image.sdist_metadata import built_metadata
    from odpm_tasks.image.trees import exported

    with TemporaryDirectory(prefix="odpm-package-") as folder:
        archive = Path(folder) / f"{one.name}-{commit[:12]}.tar.gz"
        files = exported(paths, one.canonical, commit, one.name) / "files"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(files, f"{one.name}-{commit}")
        variables = version_variables(version) if version else {}
        built = built_metadata(
            image, archive, one.name, subdirectory=one.subdirectory, variables=variables, addresses=True
        )
    return built.name, built.version, built.stated


def _check(package: GitPackage, names: Collection[str], python: str) -> None:
    """Errors: DescriptionError for a package that is for another Python, or requires an address that is not locked."""
    where = f"{package.url} at {package.commit[:12]}"
    try:
        fits = SpecifierSet(package.requires_python).contains(f"{python}.99")
    except InvalidSpecifier:
        fits = True
    if not fits:
        raise DescriptionError(
            f"{package.name} {package.version} is for Python {package.requires_python}, this project uses {python}",
            where=where,
            todo="name another ref of it in its requirement, or change python of odpm.json",
        )
    for line in package.requirements:
        requirement = Requirement(line)
        if requirement.url and canonicalize_name(requirement.name) not in names:
            raise DescriptionError(
                f"{package.name} requires {requirement.name} from an address, which is not locked",
                where=where,
                details=[without_credentials(requirement.url)],
                todo=f"add {requirement.name} to the requirements of odpm.json: {requirement.name} @ git+URL@REF",
            )
