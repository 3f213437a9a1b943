"""`tools.wkhtmltopdf` of the lock: from a mirror, from a file, without any; and the check before a build."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from odpm_tasks.core.image.wkhtmltopdf import PatchedBuild, published
from odpm_tasks.errors import LockError, ProgramError
from odpm_tasks.image.pdf_renderer import package
from odpm_tasks.project import Project
from tests.e2e.failures import Workspace
from tests.ports import claim_port

pytest_plugins = ["tests.e2e.workspaces"]

OWN = "wkhtmltox_0.12.3-1.own_amd64.deb"
LACKING = "PDF reports have no header"
BOOKWORM = published("bookworm") or PatchedBuild("", {})
PUBLISHED = {"version": BOOKWORM.version, "sha256": dict(BOOKWORM.sha256)}


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on loopback and its folder."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def entry(workspace: Workspace) -> object:
    lock = json.loads((workspace.root / ".odpm/deps.lock.json").read_text(encoding="utf-8"))
    return lock["tools"]["wkhtmltopdf"]


def test_a_mirror_has_the_publisher_s_package(workspace: Workspace, mirror: tuple[str, Path]) -> None:
    """The lock records the published hashes; what the mirror serves is compared with them when it is fetched."""
    url, folder = mirror
    (folder / BOOKWORM.filename("amd64")).write_bytes(b"something else")
    ran = workspace.bench.ok("lock", ODPM_WKHTMLTOPDF=url)
    assert entry(workspace) == PUBLISHED
    assert LACKING not in ran.err
    assert f"wkhtmltopdf {BOOKWORM.version}" in ran.out
    project = project_with(workspace, url)
    with pytest.raises(LockError, match="is not wkhtmltopdf"):
        package(project.paths, BOOKWORM, "amd64")
    assert not list((project.paths.cache / "tools").glob("*.deb"))
    (folder / BOOKWORM.filename("amd64")).unlink()
    with pytest.raises(ProgramError, match="HTTP status 404"):
        package(project.paths, BOOKWORM, "amd64")


def test_a_server_that_does_not_answer_changes_nothing(workspace: Workspace) -> None:
    """Without an entry the lock records the distribution's; an entry stays. What reports lack is told by every run."""
    silent = f"http://127.0.0.1:{claim_port()}"
    ran = workspace.bench.ok("lock", ODPM_WKHTMLTOPDF=silent)
    assert entry(workspace) == "distribution"
    assert LACKING in ran.err
    assert LACKING in workspace.bench.ok("plan", ODPM_WKHTMLTOPDF=silent).err
    assert LACKING not in workspace.bench.ok("plan", ODPM_WKHTMLTOPDF="distribution").err
    path = workspace.root / ".odpm/deps.lock.json"
    path.write_text(path.read_text("utf-8").replace('"distribution"', json.dumps(PUBLISHED)), "utf-8")
    workspace.bench.ok("lock", "--update", ODPM_WKHTMLTOPDF=silent)
    assert entry(workspace) == PUBLISHED


def test_a_file_of_one_s_own(workspace: Workspace, tmp_path: Path) -> None:
    """The lock records its version and hash, keeps them, and refuses another file under the same name."""
    own = tmp_path / OWN
    own.write_bytes(b"a package")
    recorded = {"version": "0.12.3-1.own", "sha256": {"amd64": hashlib.sha256(b"a package").hexdigest()}}
    workspace.bench.ok("lock", ODPM_WKHTMLTOPDF="distribution")
    workspace.bench.ok("lock", "--update", "--only", "wkhtmltopdf", ODPM_WKHTMLTOPDF=str(own))
    assert entry(workspace) == recorded
    workspace.bench.ok("lock", "--update", ODPM_WKHTMLTOPDF="")
    assert entry(workspace) == recorded
    project = project_with(workspace, str(own))
    renderer = project.lock.renderer if project.lock else None
    assert isinstance(renderer, PatchedBuild)
    own.write_bytes(b"another package")
    with pytest.raises(LockError, match="is not wkhtmltopdf"):
        package(project.paths, renderer, "amd64")
    with pytest.raises(LockError, match="no wkhtmltopdf for arm64"):
        package(project.paths, renderer, "arm64")
    own.write_bytes(b"a package")
    kept = package(project.paths, renderer, "amd64")
    own.unlink()
    assert package(project.paths, renderer, "amd64").read_bytes() == b"a package"
    kept.write_bytes(b"damaged")  # the cache is verified, too
    ran = workspace.bench.inv("lock", "--update", "--only", "wkhtmltopdf", ODPM_WKHTMLTOPDF=str(own))
    assert ran.code == 4
    assert f"{OWN} does not exist" in ran.err


def project_with(workspace: Workspace, place: str) -> Project:
    (workspace.root / ".env").write_text(
        f"ODPM_WKHTMLTOPDF={place}\nODPM_CACHE_DIR={workspace.bench.env['ODPM_CACHE_DIR']}\n", encoding="utf-8"
    )
    return Project.at(workspace.root)
