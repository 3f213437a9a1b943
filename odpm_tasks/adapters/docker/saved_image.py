"""Images as archives of `docker save`: their configuration, and the files of their layers."""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from odpm_tasks.errors import ProgramError

_PIECE = 1 << 20  # bytes read at a time

FileFacts = Mapping[str, str]


@dataclass(frozen=True)
class SavedImage:
    """`configuration`: the image's configuration. `layers`: names in the archive, in order."""

    archive: Path
    configuration: Mapping[str, Any]
    layers: tuple[str, ...]

    def files(self, layer: int) -> dict[str, FileFacts]:
        """Path -> type, mode, owner, time, target of a link and content (size and hash) of each file of a layer."""
        with tarfile.open(self.archive) as blobs:
            blob = blobs.extractfile(self.layers[layer])
            with tarfile.open(fileobj=blob, mode="r|*") as content:
                return {member.name: _facts(content, member) for member in content}


def read(archive: Path) -> SavedImage:
    """Read an archive of `docker save`. Errors: ProgramError where it is none."""
    try:
        with tarfile.open(archive) as blobs:
            manifest = json.loads(_text(blobs, "manifest.json"))[0]
            return SavedImage(archive, json.loads(_text(blobs, manifest["Config"])), tuple(manifest["Layers"]))
    except (tarfile.TarError, ValueError, KeyError, IndexError):
        raise ProgramError("cannot read what docker save has written", where=str(archive)) from None


def _text(blobs: tarfile.TarFile, name: str) -> bytes:
    file = blobs.extractfile(name)
    return file.read() if file else b""


def _facts(content: tarfile.TarFile, member: tarfile.TarInfo) -> FileFacts:
    facts = {
        "type": stat.filemode(member.mode)[0] if member.isreg() else member.type.decode(errors="replace"),
        "mode": f"{member.mode:04o}",
        "owner": f"{member.uid}:{member.gid}",
        "time": f"{datetime.fromtimestamp(member.mtime, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "target": member.linkname,
        "attributes": " ".join(f"{key}={value}" for key, value in sorted(member.pax_headers.items()) if "xattr" in key),
    }
    if file := content.extractfile(member) if member.isreg() else None:
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
        facts["content"] = f"{member.size} bytes, SHA-256 {digest.hexdigest()[:12]}"
    return facts
