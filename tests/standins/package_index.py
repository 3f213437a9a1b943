"""A package index on loopback, and the archives that it serves."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Index:
    """A simple package index over HTTP; `asked` are the paths of all requests.

    `status` makes every answer that status: an index that asks for a login, or refuses it.
    """

    def __init__(self, folder: Path, *, status: int = 0) -> None:
        self.folder = folder
        self.asked: list[str] = []
        folder.mkdir(parents=True)
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                index.asked.append(self.path)

            def do_GET(self) -> None:
                if status:
                    self.send_error(status)
                else:
                    super().do_GET()

        handler: Any = functools.partial(Handler, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        for tool in ("debugpy", "watchdog"):  # every lock for developers has them
            self.add(tool, f"{tool}-5.0-py3-none-any.whl", wheel(tool, "5.0"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple/"

    def add(self, name: str, filename: str, data: bytes, *, python: str = "") -> None:
        """Add a file to the page of a package. `python`: the `requires-python` that the page states."""
        page = self.folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        (page.parent / filename).write_bytes(data)
        before = page.read_text(encoding="utf-8") if page.exists() else "<!DOCTYPE html>\n"
        digest = hashlib.sha256(data).hexdigest()
        stated = f' data-requires-python="{python.replace(">", "&gt;").replace("<", "&lt;")}"' if python else ""
        page.write_text(f'{before}<a href="{filename}#sha256={digest}"{stated}>{filename}</a>\n', encoding="utf-8")

    def wheel(self, name: str, version: str, metadata: str = "", *, python: str = "") -> None:
        """Add a release with one wheel for every machine."""
        stated = f"Requires-Python: {python}\n{metadata}" if python else metadata
        self.add(name, f"{name}-{version}-py3-none-any.whl", wheel(name, version, stated), python=python)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def only(*indexes: Index) -> dict[str, Any]:
    """The environment in which these are the package indexes, the first one first."""
    first, *rest = indexes
    further = {"UV_INDEX": " ".join([f"corp={first.url}", *(one.url for one in rest[:-1])])} if rest else {}
    return {"UV_DEFAULT_INDEX": indexes[-1].url, **further, "UV_NO_CACHE": "1"}


def archive(top: str, files: Mapping[str, str]) -> bytes:
    """A source distribution: the files of a folder."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def wheel(name: str, version: str, metadata: str = "") -> bytes:
    """A wheel that holds metadata alone."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        folder = f"{name}-{version}.dist-info"
        packed.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
        packed.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{folder}/RECORD", "")
    return data.getvalue()
