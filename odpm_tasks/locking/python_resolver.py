"""Resolve Python requirements without running code of any package.

uv resolves with wheels alone. Where a package has only a source distribution, what that states about its requirements
is read from its files (`core.locking.sdist`) and given to uv as a stub wheel; the lock then has the hash of the source
distribution. What only running its code would tell is asked in a container (`image.sdist_metadata`), else refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from odpm_tasks.adapters import files, index_settings, uv
from odpm_tasks.adapters.package_index import AccessError
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.python_errors import Release
from odpm_tasks.core.locking.python_lock import (
    MACHINES,
    Package,
    Stub,
    exact_pins,
    for_target,
    locked_text,
    wheel_fits,
    without_addresses,
    without_urls,
)
from odpm_tasks.core.locking.sdist import StaticMetadata, metadata_files, static_metadata
from odpm_tasks.core.locking.uv_output import UvReason, access_reason, source_only, understand
from odpm_tasks.parallel import parallel_map

if TYPE_CHECKING:
    from odpm_tasks.adapters.package_index import Distribution, PackageIndex

NEWEST = 4  # of a package that nothing pins, the releases that uv may choose from
_TIME = (1980, 1, 1, 0, 0, 0)


class Unresolvable(Exception):
    """The requirements have no common solution, or the index or uv cannot be used."""

    def __init__(self, reason: UvReason) -> None:
        super().__init__(reason.kind)
        self.reason = reason


@dataclass
class _Stubs:
    """Stub wheels in a folder, by package."""

    folder: Path
    stubs: dict[Package, Stub] = field(default_factory=dict)


class PythonResolver:
    """Resolves the lists of one run; what it learns of source distributions serves all of them."""

    def __init__(self, paths: ProjectPaths, python: str, image: str) -> None:
        """`python`: the target's version (X.Y). `image`: its official image, in which metadata is built where needed."""
        self._paths = paths
        self._python = ".".join(python.split(".")[:2])
        self._image = image
        self._index: PackageIndex | None = None
        self._hints = paths.cache / "sdists" / "names"  # packages of which a stub was needed: fetched at once next time

    def lock(
        self,
        requirements: str,
        *,
        constraints: str = "",
        previous: str = "",
        excluded: Sequence[str] = (),
        packages: Mapping[str, GitPackage] | None = None,
    ) -> str:
        """The text of a lock (see `core.locking.python_lock`).

        Versions of `previous` are kept where they still fit. `packages`: packages from git, by name with extras; the text has
        what they require and not themselves. Errors: Unresolvable; MachineError for a package whose
        requirements only its code would tell, where there is no Docker.
        """
        with TemporaryDirectory(prefix="odpm-stubs-") as name:
            made = _Stubs(Path(name))
            requirements = "".join(f"{line}\n" for line in for_target(requirements.splitlines(), self._python))
            pins = exact_pins(requirements, constraints, previous)
            requirements += "".join(_from_git(Path(name) / "git", packages or {}))
            wanted = self._hinted(pins)
            asked: set[str] = set()
            while True:
                try:
                    self._add(made, sorted(wanted), pins)
                except AccessError as error:
                    raise Unresolvable(access_reason(error.url, error.status, error.text)) from None
                asked |= wanted
                try:
                    text = uv.compile_lock(
                        requirements,
                        self._python,
                        constraints=constraints,
                        previous=previous,
                        wheels=made.folder,
                        excluded=excluded,
                    )
                except uv.UvError as error:
                    # uv names one package at a time; what else is pinned may have no wheel either
                    named = source_only(error.output)
                    wanted = {*named, *(package for package, _ in pins)} - asked if named - asked else set()
                    reason = understand(error.output)
                    if not wanted and not (previous and reason.kind == "other"):
                        raise Unresolvable(reason) from None
                    if not wanted:
                        previous = ""  # it is unreadable
                    continue
                self._remember({name for name, _ in made.stubs})
                return locked_text(without_addresses(text, (packages or {}).values()), self._python, made.stubs)

    def unknown(self, names: Sequence[str]) -> set[str]:
        """Of these packages those that no index has."""
        try:
            found = parallel_map(self._paths, self._client().distributions, names)
        except AccessError as error:
            raise Unresolvable(access_reason(error.url, error.status, error.text)) from None
        return {name for name, files_ in zip(names, found, strict=True) if not files_}

    def releases(self, name: str) -> list[Release]:
        """The releases of a package, newest first; none where the index cannot be asked: the error says the other things."""
        try:
            found = self._client().distributions(canonicalize_name(name))
        except AccessError:
            return []
        return [Release(one.version, one.requires_python) for one in found if not one.yanked]

    def _hinted(self, pins: set[Package]) -> set[str]:
        """Of the packages that once needed a stub, those that are pinned."""
        return set((files.read_text(self._hints) or "").split()) & {name for name, _ in pins}

    def _remember(self, names: set[str]) -> None:
        known = set((files.read_text(self._hints) or "").split())
        if names - known:
            self._hints.parent.mkdir(parents=True, exist_ok=True)
            files.write(self._hints, "".join(f"{name}\n" for name in sorted(known | names)).encode(), derived=True)

    def _add(self, made: _Stubs, names: list[str], pins: set[Package]) -> None:
        """Stub wheels for the releases of these packages that may be chosen."""
        if not names:
            return
        index = self._client()
        chosen = [
            (name, release)
            for name, found in zip(names, parallel_map(self._paths, index.distributions, names), strict=True)
            for release in _candidates(found, {version for package, version in pins if package == name}, self._python)
        ]
        work = parallel_map(self._paths, lambda one: self._stated(index, one[1]), chosen)
        exact = {(name, Version(version)) for name, version in pins}
        names_done: set[str] = set()
        for (name, release), (digest, static) in zip(chosen, work, strict=True):
            needed = name not in names_done or (name, Version(release.sdist.version)) in exact
            names_done.add(name)
            stated = self._built(index, name, release.sdist, digest) if static is None and needed else static
            if stated is not None:
                stub = _write_stub(made.folder, name, release.sdist.version, stated)
                made.stubs[name, str(Version(release.sdist.version))] = Stub(
                    stub, frozenset({digest, *release.digests})
                )

    def _stated(self, index: PackageIndex, release: _Release) -> tuple[str, StaticMetadata | None]:
        """The SHA-256 of the source distribution, and what a wheel of the release states, else it itself."""

        def read(found: Mapping[str, bytes]) -> dict[str, Any] | None:
            metadata = static_metadata(found)
            return asdict(metadata) if metadata else None

        digest = release.sdist.sha256
        stated = index.stated(release.wheel, metadata_files, read)[1] if release.wheel and digest else None
        if stated is None:
            digest, stated = index.stated(release.sdist, metadata_files, read)
        return digest, StaticMetadata(tuple(stated["requires"]), stated["requires_python"]) if stated else None

    def _built(self, index: PackageIndex, name: str, sdist: Distribution, digest: str) -> StaticMetadata:
        """The metadata of a source distribution that its files do not state; kept by its SHA-256 and the Python version."""
        from odpm_tasks.image.sdist_metadata import built_metadata

        kept = self._paths.cache / "sdists" / f"{digest}.{self._python}.json"
        if (text := files.read_text(kept)) is not None:
            stated = json.loads(text)
            return StaticMetadata(tuple(stated["requires"]), stated["requires_python"])
        with TemporaryDirectory(prefix="odpm-sdist-") as folder:
            metadata = built_metadata(self._image, index.download(sdist, Path(folder)), name).stated
        files.write(kept, json.dumps(asdict(metadata)).encode(), derived=True)
        return metadata

    def _client(self) -> PackageIndex:
        if self._index is None:
            from odpm_tasks.adapters.package_index import PackageIndex

            settings = index_settings.index()
            self._index = PackageIndex(
                index_settings.index_urls(settings), settings.certificates, self._paths.cache / "sdists"
            )
        return self._index


@dataclass(frozen=True)
class _Release:
    """A release whose source distribution may be installed. `wheel`: one for any machine; all of a release state the same.

    `digests`: the SHA-256 of all its files, as far as the index states them.
    """

    sdist: Distribution
    wheel: Distribution | None
    digests: frozenset[str]


def _candidates(found: list[Distribution], pinned: set[str], python: str) -> list[_Release]:
    """The releases that may be chosen and lack a wheel: the pinned ones, else the newest final ones."""
    releases: dict[Version, list[Distribution]] = {}
    for one in found:
        releases.setdefault(Version(one.version), []).append(one)
    exact = {Version(version) for version in pinned}
    final = [v for v, files_ in releases.items() if not v.is_prerelease and not all(one.yanked for one in files_)]
    chosen = [version for version in releases if version in exact] or final[:NEWEST]
    return [release for version in chosen if (release := _release(releases[version], python))]


def _release(found: list[Distribution], python: str) -> _Release | None:
    """A release for which a stub is needed: it has a source distribution, and not a wheel for each processor."""
    sdist = next((one for one in found if not one.wheel), None)
    wheels = [one for one in found if one.wheel]
    if sdist is None or all(any(wheel_fits(one.filename, python, machine) for one in wheels) for machine in MACHINES):
        return None
    fitting = [one for one in wheels if any(wheel_fits(one.filename, python, machine) for machine in MACHINES)]
    digests = frozenset(one.sha256 for one in found if one.sha256)
    return _Release(sdist, next(iter([*fitting, *wheels]), None), digests)


def _from_git(folder: Path, packages: Mapping[str, GitPackage]) -> Iterator[str]:
    """A requirement for each package from git: the address of a stub, so that no index is asked for the package."""
    names = {package.name for package in packages.values()}
    folder.mkdir()
    for wanted, package in packages.items():
        stated = StaticMetadata(without_urls(package.requirements, names), package.requires_python)
        _write_stub(folder, package.name, package.version, stated)
        yield f"{wanted} @ {(folder / _stub_name(package.name, package.version)).as_uri()}\n"


def _stub_name(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{Version(version)}-py3-none-any.whl"


def _write_stub(folder: Path, name: str, version: str, stated: StaticMetadata) -> str:
    """Write a wheel that holds metadata alone; its SHA-256."""
    stem = f"{name.replace('-', '_')}-{Version(version)}"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {Version(version)}"]
    lines += [f"Requires-Python: {stated.requires_python}"] if stated.requires_python else []
    lines += [f"Provides-Extra: {extra}" for extra in stated.extras]
    lines += [f"Requires-Dist: {line}" for line in stated.requires]
    wheel = "Wheel-Version: 1.0\nGenerator: odpm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for member, text in (("METADATA", "\n".join(lines) + "\n"), ("WHEEL", wheel), ("RECORD", "")):
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{member}", _TIME), text)
    (folder / _stub_name(name, version)).write_bytes(data.getvalue())
    return hashlib.sha256(data.getvalue()).hexdigest()
