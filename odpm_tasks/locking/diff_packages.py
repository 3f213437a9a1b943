"""The Debian packages that move between two states of the archive, as far as they are known.

The old versions are those of the last image that was built here from the old state; the new ones are those of the mirror or the
snapshot service, where it has the new state.
"""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections import Counter
from functools import partial

from odpm_tasks.adapters import http
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.archive import ArchiveState, Mirror, index_urls
from odpm_tasks.core.image.debian import newest, newest_versions, packages_file
from odpm_tasks.core.locking.diff_packages import SystemChange, package_changes
from odpm_tasks.image import archive
from odpm_tasks.image.archive_builds import BuiltPackages, built_packages

_TIMEOUT = 60.0  # seconds for all downloads
_QUERY = 5.0  # seconds for the state of the mirror
_SIZE = 100_000_000  # bytes of a list of packages, packed; that of a release has 9 MB
_UNPACKED = 500_000_000


def system_change(paths: ProjectPaths, old: ArchiveState | None, new: ArchiveState | None) -> SystemChange | None:
    """The change of the state; None where both are equal."""
    if old == new:
        return None
    if old is None or new is None:
        return SystemChange(old, new)
    built = next((entry for entry in built_packages(paths) if entry.state == old), None)
    if built is None:
        return SystemChange(old, new, note="which packages move is not known: no image of the old state was built here")
    if old.release != new.release:
        return SystemChange(old, new, note="another release: all packages move")
    mirror = _mirror_with(paths, new)
    if mirror is None:
        return SystemChange(
            old,
            new,
            note="which packages move is not known: neither the mirror nor the snapshot service has the new state",
        )
    architecture = _architecture(built)
    found = _versions(new.release, mirror, architecture)
    if found is None:
        return SystemChange(old, new, note="which packages move is not known: the lists of packages cannot be read")
    rows = ((*name.rpartition(":")[::2], version) for name, version in built.packages.items())
    installed = {name: version for name, arch, version in rows if arch in (architecture, "all")}
    own = {name: version for name, version in installed.items() if name in built.installed}
    return SystemChange(old, new, package_changes(own, found["archive"], found["security"]))


def _mirror_with(paths: ProjectPaths, state: ArchiveState) -> Mirror | None:
    """A mirror that has a state: that of this machine, else the snapshot service."""
    mirror = archive.mirror(paths.settings)
    if mirror and archive.start_query(state.release, {"mirror": mirror}, _QUERY)().get("mirror") == state:
        return mirror
    service = archive.snapshot(paths.settings, state)
    return service[0] if service and service[1] == state else None


def _architecture(built: BuiltPackages) -> str:
    """The processor that most packages are for."""
    counts = Counter(name.rpartition(":")[2] for name in built.packages)
    del counts["all"]
    return counts.most_common(1)[0][0] if counts else "amd64"


def _versions(release: str, mirror: Mirror, architecture: str) -> dict[str, dict[str, str]] | None:
    """The newest versions in the archive and in the security archive; None where a list of packages cannot be read."""
    indexes = index_urls(release, mirror)
    texts = http.in_parallel({url: partial(archive.index_text, url, _TIMEOUT) for url in indexes}, _TIMEOUT)()
    named = {url: packages_file(texts.get(url, ""), architecture) for url in indexes}
    lists = http.in_parallel(
        {
            url: partial(_packages, f"{url.removesuffix('InRelease')}{entry[0]}", entry[1])
            for url, entry in named.items()
            if entry
        },
        _TIMEOUT,
    )()
    if len(lists) < len(indexes):
        return None
    found: dict[str, dict[str, str]] = {"archive": {}, "security": {}}
    for url, kind in indexes.items():
        found[kind] = newest(found[kind], newest_versions(lists[url]))
    return found


def _packages(url: str, sha256: str) -> str | None:
    """A list of packages, if it is the one that the index names."""
    data = http.get(url, _TIMEOUT, _SIZE)
    if data is None or hashlib.sha256(data).hexdigest() != sha256:
        return None
    try:
        if url.endswith(".xz"):
            data = lzma.LZMADecompressor().decompress(data, _UNPACKED)
        elif url.endswith(".gz"):
            data = zlib.decompressobj(wbits=31).decompress(data, _UNPACKED)
    except (lzma.LZMAError, zlib.error):
        return None
    return data.decode(errors="replace")
