"""`tools.wkhtmltopdf` of the lock: which package renders the PDF reports."""

from __future__ import annotations

from collections.abc import Callable

from odpm_tasks.adapters import files, http
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.image.wkhtmltopdf import DISTRIBUTION, VARIABLE, PatchedBuild, Renderer
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.image import pdf_renderer
from odpm_tasks.image.pdf_renderer import Location

TIMEOUT = 2.0  # seconds


def start(paths: ProjectPaths, manifest: Manifest, known: Lock | None, *, fresh: bool) -> Callable[[], Renderer]:
    """Start to find the renderer to record; the returned function waits for it.

    Kept: the entry of the lock, unless `fresh`, or the variable names a place and the entry is "distribution". Else the package
    that ODPM_WKHTMLTOPDF names, else the publisher's where a server has it; a server that does not answer in time changes
    nothing, and a lock without an entry gets "distribution". Errors: DescriptionError where the variable names no file.
    """
    value = paths.settings.get(VARIABLE)
    locked = known.renderer if known else None
    if locked is not None and not wkhtmltopdf.fits(locked, manifest.codename, manifest.arch):
        locked = None
    if value == DISTRIBUTION:
        return lambda: locked if locked is not None and not fresh else DISTRIBUTION
    if locked is not None and not fresh and not (value and locked == DISTRIBUTION):
        return lambda: locked
    build = wkhtmltopdf.published(manifest.codename, manifest.arch)
    place = pdf_renderer.location(paths, build)
    otherwise: Renderer = locked or DISTRIBUTION
    if place is None:
        return lambda: otherwise
    if place.is_file and not place.is_url:
        return lambda: _of_file(place, build, locked)
    if isinstance(locked, PatchedBuild) and not locked.folder and not value:
        return lambda: locked  # a package of the user's own
    if build is None:
        return lambda: otherwise
    if not place.is_url:
        pdf_renderer.require_one(place, build)
        return lambda: build
    return _query(place, build, otherwise, locked)


def _query(
    place: Location, build: PatchedBuild, otherwise: Renderer, locked: Renderer | None
) -> Callable[[], Renderer]:
    address = place.address(build, next(iter(build.sha256)))
    answers = http.in_parallel({address: lambda: http.available(address, TIMEOUT) or None}, TIMEOUT)

    def wait() -> Renderer:
        if not answers():
            return otherwise
        return _of_file(place, build, locked) if place.is_file else build

    return wait


def _of_file(place: Location, build: PatchedBuild | None, locked: Renderer | None) -> PatchedBuild:
    """The build of one file: the publisher's where it is that file, else one with the version and the hash of the file.

    The entry of the lock keeps its other processors where it has the same version.
    """
    found = wkhtmltopdf.of_file(place.filename, files.sha256(pdf_renderer.fetch(place, place.text)))
    if build and set(found.sha256.items()) <= set(build.sha256.items()):
        return build
    if isinstance(locked, PatchedBuild) and not locked.folder and locked.version == found.version:
        return PatchedBuild(found.version, {**locked.sha256, **found.sha256})
    return found
