"""Inspect built images."""

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
    """An image and the output of its build."""

    tag: str
    out: str

    @property
    def id(self) -> str:
        return docker("image", "inspect", "--format", "{{.Id}}", self.tag)

    def run(self, *words: str, user: str = "") -> str:
        """Run a program in a container of the image, without its entrypoint."""
        options = [f"--user={user}"] if user else []
        return docker("run", "--rm", *options, f"--entrypoint={words[0]}", self.tag, *words[1:])

    def holding(self, *texts: str) -> str:
        """The files that contain one of these texts, in the folders that a build writes to."""
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
    """Every blob of an image archive, decompressed: layers, also those with hidden files, configuration, manifests."""
    with tarfile.open(archive) as blobs:
        for member in blobs:
            file = blobs.extractfile(member)
            if file is not None:
                data = file.read()
                yield member.name, gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def times(archive: Path) -> dict[str, float]:
    """`LAYER/PATH` -> modification time of every file in every layer."""
    found: dict[str, float] = {}
    for name, data in layers(archive):
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                found |= {f"{name}/{member.name}": member.mtime for member in layer}
    return found
