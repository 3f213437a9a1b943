"""Images of a lock have the packages of the locked state of the Debian archive, whatever was built before and whatever the mirror
has now. apt, the builds and the servers are real; the packages are tiny."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import failure
from tests.e2e.harness import docker

if TYPE_CHECKING:
    from tests.e2e.image.archive_shop import Shop

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.image.archive_shop"]
pytestmark = pytest.mark.docker


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
    ran = shop.workspace.bench.inv("parity", ODPM_IMAGE=shop.tag)
    assert ran.code == 2
    assert "the images have packages of different states of the Debian archive: " in ran.err
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
