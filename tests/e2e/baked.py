"""Images that were built, as tests look at them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.harness import docker


@dataclass(frozen=True)
class Built:
    """An image and what its build printed."""

    tag: str
    out: str

    @property
    def id(self) -> str:
        return docker("image", "inspect", "--format", "{{.Id}}", self.tag)

    def run(self, *words: str, user: str = "") -> str:
        """A program in a container of the image, past its entrypoint."""
        options = [f"--user={user}"] if user else []
        return docker("run", "--rm", *options, f"--entrypoint={words[0]}", self.tag, *words[1:])

    def holding(self, *texts: str) -> str:
        """The files of the image that hold one of these texts, where a build might have left it."""
        folders = "/etc /opt/odoo/venv /root /run /tmp /usr/local /var/cache /var/lib/odoo"
        patterns = [word for text in texts for word in ("-e", text)]
        return self.run("sh", "-c", f'grep -rlF "$@" {folders} || [ $? = 1 ]', "-", *patterns, user="0")

    @property
    def config(self) -> dict[str, Any]:
        entry: dict[str, Any] = json.loads(docker("image", "inspect", self.tag))[0]["Config"]
        return entry

    def saved(self, folder: Path) -> Path:
        """The image as an archive."""
        path = folder / "image.tar"
        docker("save", "--output", str(path), self.tag)
        return path


def layers(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Every blob of an image archive, unpacked: layers, configuration, manifests; also what a later layer hides."""
    with tarfile.open(archive) as blobs:
        for member in blobs:
            file = blobs.extractfile(member)
            if file is not None:
                data = file.read()
                yield member.name, gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def times(archive: Path) -> dict[str, float]:
    """When each file of each layer was last changed, by its name."""
    found: dict[str, float] = {}
    for name, data in layers(archive):
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                found |= {f"{name}/{member.name}": member.mtime for member in layer}
    return found
