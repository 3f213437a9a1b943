"""A bundle starts from archives of images, on a machine that reaches no network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.harness import Bench, docker, eventually
from tests.e2e.targets.test_bundle import DOMAIN, Bundle, describe
from tests.standins.common import run
from tests.standins.images import ensure_images
from tests.standins.second_engine import SecondEngine

pytestmark = [pytest.mark.docker, pytest.mark.long]

NAME = "registry.example/team/odoo:19.0"


@pytest.fixture
def machine(tmp_path: Path, engine: None) -> Iterator[SecondEngine]:
    """A machine without a network."""
    with SecondEngine(tmp_path / "second") as found:
        found.disconnect()
        assert run("ip", "-netns", found.name, "route", "show", "default") == ""
        yield found


def test_a_bundle_starts_from_archives_without_a_network(
    tmp_path: Path, clone: Callable[[Path], Bench], ci_image: Built, machine: SecondEngine
) -> None:
    ensure_images(("caddy:2",), say)
    bench = clone(tmp_path / "project")
    try:
        bench.ok("build-image", "--tag", NAME, "--output", str(tmp_path / "odoo.tar"), ODPM_SCENARIO="ci")
    finally:
        docker("image", "rm", "--force", NAME)
    target = {"kind": "compose", "domain": DOMAIN, "database": {"name": "shop"}}
    describe(bench, targets={"production": target}, web={"domain": DOMAIN, "tls": "off"}, services={})
    lock = bench.root / ".odpm/deps.lock.json"
    locked = json.loads(lock.read_text(encoding="utf-8"))
    lock.write_text(json.dumps(locked | {"images": {"postgres:15": f"sha256:{'0' * 64}"}}), encoding="utf-8")
    folder = tmp_path / "bundle"
    words = ("deploy.render", "--output", str(folder), "--image", NAME)
    bench.ok(*words)
    assert f"postgres:15@sha256:{'0' * 64}" in images(folder)  # no archive that is loaded has a digest of a registry
    bench.ok(*words, "--by-tag")
    others = images(folder) - {NAME}
    assert others == {"postgres:15", "caddy:2"}
    docker("save", "--output", str(tmp_path / "images.tar"), *others)

    for name in ("odoo.tar", "images.tar"):
        machine.docker("load", "--input", str(tmp_path / name))
    bundle = Bundle(folder, "project-production", {"DOCKER_HOST": f"unix://{machine.socket}"}, machine.within)
    bundle.ok("./make-secrets.sh")
    bundle.ok("docker", "compose", "up", "--detach", "--wait")
    eventually(lambda: bundle.get("/web/login") == "200")
    assert bundle.run("docker", "pull", "--quiet", "debian:bookworm-slim").returncode != 0
    bundle.ok("docker", "compose", "run", "--rm", "update", "-u", "base")
    bundle.ok("docker", "compose", "down", "--volumes", "--timeout", "5")


def images(folder: Path) -> set[str]:
    words = ["docker", "compose", "config", "--images"]
    return set(subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.split())
