"""Digests of base images: asked of a real registry, kept in the lock, used wherever the image is named."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.failures import FILES, WEB, Workspace
from tests.e2e.harness import docker
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces"]

BASE, DATABASE = "python:3.11-slim-bookworm", "postgres:15"


def push(address: str, name: str, content: str) -> str:
    """Put an image of one label into the registry; its digest there."""
    there = f"{address}/{name}"
    recipe = f"FROM scratch\nLABEL content={content}\n".encode()
    built = subprocess.run(["docker", "build", "-q", "-t", there, "-"], input=recipe, capture_output=True, check=False)
    assert built.returncode == 0, built.stderr
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", docker("push", there))
    docker("image", "rm", there)
    assert digest
    return digest.group(1)


@pytest.fixture
def registry(engine: None) -> Iterator[Registry]:
    with Registry() as started:
        yield started


@pytest.fixture
def mirrored(workspace: Workspace, registry: Registry) -> Workspace:
    """A ground whose base images come from the registry, and which has services of its own."""
    workspace.bench.env["ODPM_IMAGE_MIRROR"] = f"{registry.address}/"
    workspace.describe(
        services={
            "cache": {"image": f"{registry.address}/team/redis:7"},
            "chosen": {"image": "${CHOSEN:-team/other:1}"},
            "fixed": {"image": f"{registry.address}/team/redis@sha256:{'0' * 64}"},
        },
        scenarios={"server": {"services": {"probe": {"image": f"{registry.address}/team/probe:2"}}}},
    )
    return workspace


def test_digests_are_locked_and_used(mirrored: Workspace, registry: Registry) -> None:
    address = registry.address
    pushed = {name: push(address, name, name[:4]) for name in (BASE, DATABASE, "team/redis:7", "team/probe:2")}
    mirrored.bench.ok("lock")
    expected = {BASE: pushed[BASE], DATABASE: pushed[DATABASE]}
    expected |= {f"{address}/{name}": pushed[name] for name in ("team/redis:7", "team/probe:2")}
    assert mirrored.lock()["images"] == expected
    mirrored.bench.ok("render")
    dockerfile = (mirrored.root / ".odpm/build/Dockerfile").read_text(encoding="utf-8")
    assert f"ARG BASE_IMAGE={BASE}@{pushed[BASE]}\n" in dockerfile
    config = json.loads(_config(mirrored))
    assert config["services"]["db"]["image"] == f"{address}/{DATABASE}@{pushed[DATABASE]}"
    assert config["services"]["cache"]["image"] == f"{address}/team/redis:7@{pushed['team/redis:7']}"
    assert config["services"]["chosen"]["image"] == "team/other:1"
    assert config["services"]["fixed"]["image"].endswith("0" * 64)
    docker("pull", "-q", config["services"]["db"]["image"])
    docker("image", "rm", config["services"]["db"]["image"])
    # nothing is left to do, and the lock is complete
    assert "create" not in mirrored.bench.ok("plan", "--format", "json").out.split("image.build")[0]
    mirrored.bench.ok("lock", "--check")


def _config(workspace: Workspace) -> str:
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=workspace.root, env=workspace.bench.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_images_of_dependencies_are_locked_too(mirrored: Workspace, registry: Registry) -> None:
    search, own = (f"{registry.address}/their/{name}" for name in ("search:1", "own:1"))
    brings = {"manifest_schema": 2, "requires_odpm": "5.0.0", "services": {"search": {"image": search}}}
    brings["scenarios"] = {"ci": {"services": {"probe": {"image": own}}}}
    mirrored.publish(WEB, {**FILES[WEB], "odpm.json": json.dumps(brings)})
    pushed = {name: push(registry.address, name.partition("/")[2], name[-5:]) for name in (search, own)}
    mirrored.bench.ok("lock")
    assert mirrored.lock()["images"] == pushed
    mirrored.bench.ok("render")
    assert json.loads(_config(mirrored))["services"]["search"]["image"] == f"{search}@{pushed[search]}"
    before = mirrored.lock()
    push(registry.address, "their/search:1", "moved")
    mirrored.bench.ok("lock")
    assert mirrored.lock() == before
    mirrored.describe(services={"search": None})
    mirrored.bench.ok("lock")
    assert mirrored.lock()["images"] == {own: pushed[own]}


def test_a_locked_digest_moves_with_update_only(mirrored: Workspace, registry: Registry) -> None:
    first = push(registry.address, DATABASE, "one")
    mirrored.bench.ok("lock")
    second = push(registry.address, DATABASE, "two")
    assert first != second
    mirrored.bench.ok("lock")
    mirrored.bench.ok("lock", "--update", "--only", "web")
    assert mirrored.lock()["images"] == {DATABASE: first}
    assert f"{DATABASE} {second[7:19]}" in mirrored.bench.ok("lock", "--update").out
    assert mirrored.lock()["images"] == {DATABASE: second}
    # another PostgreSQL: the digest of the old one goes, nobody has one of the new
    third = push(registry.address, "postgres:16", "three")
    mirrored.bench.edit(postgres="16")
    assert f"drop image {DATABASE}" in mirrored.bench.ok("lock").out
    assert mirrored.lock()["images"] == {"postgres:16": third}


def test_an_unreachable_registry_changes_nothing(mirrored: Workspace, registry: Registry) -> None:
    digest = push(registry.address, DATABASE, "one")
    mirrored.bench.ok("lock")
    before = mirrored.lock()
    mirrored.bench.env["ODPM_IMAGE_MIRROR"] = "127.0.0.1:9/"
    mirrored.bench.ok("lock", "--update")
    assert mirrored.lock()["images"] == before["images"] == {DATABASE: digest}


def test_without_a_registry_there_is_a_lock_without_images(workspace: Workspace) -> None:
    workspace.bench.env["ODPM_IMAGE_MIRROR"] = "127.0.0.1:9/"
    workspace.bench.ok("lock")
    assert "images" not in workspace.lock()
    workspace.bench.ok("lock", "--check")
    workspace.bench.ok("render", ODPM_SCENARIO="server")
    assert "@sha256" not in (workspace.root / "docker-compose.yml").read_text(encoding="utf-8")


def test_an_invalid_digest_is_reported(workspace_locked: Workspace) -> None:
    path = workspace_locked.root / ".odpm/deps.lock.json"
    data = workspace_locked.lock() | {"images": {DATABASE: "latest"}}
    path.write_text(json.dumps(data), encoding="utf-8")
    ran = workspace_locked.bench.inv("plan")
    assert ran.code == 3
    assert f"images.{DATABASE}" in ran.err
