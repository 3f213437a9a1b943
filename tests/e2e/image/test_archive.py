"""Images of a lock have the packages of the locked state of the Debian archive, whatever was built before and whatever the mirror
has now. apt, the builds and the servers are real; the packages are tiny."""

from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from odpm_tasks.core.image.dockerfile import ImageSpec, base_image
from tests.e2e.baked import Built
from tests.e2e.failures import Workspace, create_workspace, failure
from tests.e2e.harness import docker, git
from tests.standins.archive import DebianArchive, Packages, State, versions
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = pytest.mark.docker

BASE = base_image("3.11", "bookworm")
SPEC = ImageSpec(BASE, "bookworm", "19.0", "3.11", profile="ci")
NAMES = {*SPEC.runtime_packages, *SPEC.build_packages, *SPEC.non_amd64_runtime_packages, *SPEC.non_amd64_build_packages}
RECIPE = f"FROM {BASE}\nCOPY key.gpg /usr/share/keyrings/debian-archive-keyring.gpg\n"


def state(day: int, packages: Packages, security: Packages) -> State:
    """A state of a day of one month. The seconds differ in each run, so that no earlier run has built the same lock."""
    seconds = f"{random.randrange(60):02}:{random.randrange(60):02}Z"
    return State(f"2026-01-{day:02}T01:{seconds}", f"2026-01-{day:02}T02:{seconds}", packages, security)


@dataclass(frozen=True)
class Shop:
    """A project in the scenario ci with the archive as its mirror; locked at the first of two states."""

    workspace: Workspace
    archive: DebianArchive
    first: str  # the digest of the image of the first state

    def build(self, *words: str, **env: str) -> tuple[str, str]:
        """Build the image; its digest, and the messages."""
        ran = self.workspace.bench.ok("build-image", "--tag", self.tag, *words, **env)
        return ran.out.strip().rpartition("@")[2], ran.err

    @property
    def tag(self) -> str:
        return f"{self.workspace.bench.prefix}/shop:1"

    def version(self, package: str) -> str:
        return Built(self.tag, "").run("dpkg-query", "-W", "-f", "${Version}", package)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, workspace_rendered: Workspace, engine: None) -> Iterator[Shop]:
    workspace = create_workspace(tmp_path_factory.mktemp("archive"), workspace_rendered)
    bench = workspace.bench
    with DebianArchive() as archive, Registry() as registry:
        base = f"{registry.address}/{BASE}"
        context = Path(workspace.folder, "base")
        context.mkdir()
        (context / "key.gpg").write_bytes(archive.keyring())
        (context / "Dockerfile").write_text(RECIPE, encoding="utf-8")
        docker("build", "--quiet", "--provenance=false", "--tag", base, str(context))
        docker("push", "--quiet", base)
        bench.env |= {
            "ODPM_BASE_IMAGE_PROFILE": "ci",
            "ODPM_APT_MIRROR": archive.mirror,
            "ODPM_APT_SNAPSHOT": archive.snapshot,
            "ODPM_IMAGE_MIRROR": f"{registry.address}/",
        }
        archive.publish(state(1, versions(NAMES, "1.0"), {"tini": "1.0+deb1"}))
        try:
            bench.ok("lock")
            bench.env["ODPM_SCENARIO"] = "ci"
            git("add", "-A", cwd=workspace.root)
            git("commit", "-qm", "A shop", cwd=workspace.root)
            bench.ok("build", ODPM_SCENARIO="server")
            found = Shop(workspace, archive, "")
            first, messages = found.build("--no-smoke-test")
            assert "moved" not in messages
            archive.publish(state(2, versions(NAMES, "1.0"), {"tini": "1.0+deb2"}))
            yield Shop(workspace, archive, first)
        finally:
            docker("image", "rm", "--force", f"{bench.prefix}/shop:1", base)


def test_lock_and_image_have_the_state_of_the_mirror(shop: Shop) -> None:
    locked, first = shop.workspace.lock()["system"], shop.archive.states[0]
    assert locked == {"release": "bookworm", "archive": first.time, "security": first.security_time}
    label = Built(shop.tag, "").config["Labels"]["odpm.system"]
    assert label == f"Debian bookworm {first.time}, security {first.security_time}"
    assert shop.version("tini") == "1.0+deb1"


def test_layers_are_compressed_although_the_environment_was_built_before(shop: Shop, tmp_path: Path) -> None:
    """The layers of an environment image are not compressed; an image that is pushed does not take them from the cache."""
    with tarfile.open(Built(shop.tag, "").saved(tmp_path)) as archive:
        blobs = [file.read() for member in archive if (file := archive.extractfile(member))]
    manifests = [json.loads(data) for data in blobs if data.startswith(b"{")]
    types = {layer["mediaType"] for manifest in manifests for layer in manifest.get("layers", ())}
    assert types
    assert [kind for kind in types if not kind.endswith("gzip")] == []


def test_every_order_of_builds_gives_the_image_of_the_lock(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.archive, "snapshots", False)
    assert shop.build("--show-log")[0] == shop.first  # the mirror has moved, the cache has the layers
    # without the layers, the packages are those that the mirror has
    moved, messages = shop.build("--no-cache")
    assert moved != shop.first
    assert "the Debian mirror has moved since the lock" in messages
    assert (
        "1 package with another version than in the last build of this lock: tini:all 1.0+deb1 -> 1.0+deb2" in messages
    )
    assert shop.version("tini") == "1.0+deb2"
    assert shop.build("--show-log")[0] == shop.first
    # a build that is killed while it installs packages, at the locked state
    monkeypatch.setattr(shop.archive, "snapshots", True)
    shop.archive.served.clear()
    run = shop.workspace.start("build-image", "--no-cache", "--tag", shop.tag)
    run.wait_until(lambda: any(path.endswith(".deb") for path in shop.archive.served), 120)
    run.kill(programs=True)
    again, messages = shop.build("--verify")
    assert again == shop.first
    assert f"built again without cache: the same digest {shop.first}" in messages
    assert "packages come from the snapshot service" in messages
    assert "has moved since the lock (" not in messages
    assert json.loads((shop.workspace.root / ".odpm/build/image.json").read_text(encoding="utf-8"))["verified"] is True


def test_verify_names_the_first_file_that_differs(shop: Shop) -> None:
    bench = shop.workspace.bench
    bench.template(lambda ours: f"{ours}USER 0:0\nRUN date +%s%N > /opt/odoo/built\nUSER 1000:1000\n")
    try:
        ran = bench.inv("build-image", "--tag", f"{bench.prefix}/never:1", "--no-smoke-test", "--verify")
        message = failure(
            ran, 2, "another digest", "RUN date +%s%N > /opt/odoo/built", "/opt/odoo/built: content 20 bytes"
        )
        assert "var/lib" not in message
        assert docker("image", "ls", "--quiet", f"{bench.prefix}/never") == ""
    finally:
        (bench.root / ".odpm/templates/Dockerfile.j2").unlink()


def test_strict_builds_the_locked_state_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.archive, "snapshots", False)
    workspace = shop.workspace
    before = (workspace.root / "odpm.json").read_text(encoding="utf-8")
    workspace.describe(distro={"name": "debian", "version": "12", "strict": True})
    try:
        ran = workspace.bench.inv("build-image", "--tag", f"{workspace.bench.prefix}/never:1", "--no-cache")
        failure(ran, 5, "the Debian mirror has moved since the lock", "distro.strict", shop.archive.states[1].time)
        assert shop.build("--show-log")[0] == shop.first  # the cache has the layers of the locked state
    finally:
        (workspace.root / "odpm.json").write_text(before, encoding="utf-8")


def test_lock_diff_names_the_packages_that_move(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions of the image that was built from the old state, and those of the mirror."""
    bench, lock = shop.workspace.bench, shop.workspace.root / ".odpm/deps.lock.json"
    shop.build("--show-log")  # the last image has the old state
    before = lock.read_text(encoding="utf-8")
    try:
        assert shop.archive.states[1].time in bench.ok("lock", "--update", ODPM_SCENARIO="developer").out
        shown = bench.ok("lock", "--diff").out
        assert "1 Debian package (1 security update)" in shown
        assert "~ tini  1.0+deb1 -> 1.0+deb2  security\n" in shown
        # the mirror moves again, and the snapshot service does not answer
        monkeypatch.setattr(shop.archive, "snapshots", False)
        monkeypatch.setattr(shop.archive, "current", 0)
        assert "neither the mirror nor the snapshot service has the new state" in bench.ok("lock", "--diff").out
    finally:
        lock.write_text(before, encoding="utf-8")
