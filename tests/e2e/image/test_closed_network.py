"""Building where nothing of the world is reached but mirrors that want a password, and where a registry wants a login."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.baked import Built, layers
from tests.e2e.harness import Bench, docker, git
from tests.standins.mirrors import Mirrors, wheel
from tests.standins.registry import Registry

pytestmark = pytest.mark.docker

# Others each time, so that no layer of an earlier day is found and nobody asks the mirrors.
SYSTEM = sorted(
    random.sample(["bc", "cowsay", "dc", "ed", "figlet", "hello", "jq", "lolcat", "pv", "sl", "toilet", "tree"], 3)
)
VERSION = f"1.{random.randrange(10**6)}"
PASSWORD = "planted-in-a-url-4711"
BASE = "python:3.11-slim-bookworm"
REGISTRY_PASSWORD = "planted-in-a-login"


@pytest.fixture(scope="module")
def mirrors() -> Iterator[Mirrors]:
    with Mirrors(PASSWORD, dict([wheel("acme-secrets", VERSION, "ANSWER = 42\n")])) as running:
        yield running


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry() as one:
        docker("tag", BASE, f"{one.address}/{BASE}")
        docker("push", "--quiet", f"{one.address}/{BASE}")
        yield one
        docker("image", "rm", f"{one.address}/{BASE}")


@pytest.fixture(scope="module")
def image(
    tmp_path_factory: pytest.TempPathFactory,
    clone: Callable[[Path], Bench],
    engine: None,
    mirrors: Mirrors,
    registry: Registry,
) -> Iterator[Built]:
    """An image with a private package and a system package, neither of which came from the usual place."""
    bench = clone(tmp_path_factory.mktemp("closed") / "project")
    bench.env |= {
        "UV_INDEX": mirrors.index,
        "ODPM_APT_MIRROR": mirrors.debian,
        "ODPM_IMAGE_MIRROR": f"{registry.address}/",
    }
    bench.edit(requirements=["acme-secrets"], system_packages=SYSTEM)
    bench.ok("lock")
    git("add", "-A", cwd=bench.root)
    git("commit", "-qm", "Private", cwd=bench.root)
    tag = f"{bench.prefix}/closed:1"
    bench.ok("build-image", "--tag", tag, "--sbom", ODPM_SCENARIO="ci")
    yield Built(tag, (bench.root / ".odpm/build/Dockerfile").read_text(encoding="utf-8"))
    docker("image", "rm", "--force", tag)


def test_packages_came_through_the_mirrors(image: Built, mirrors: Mirrors) -> None:
    states = image.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *SYSTEM)
    assert [line.split() for line in states.splitlines()] == [[name, "ii"] for name in SYSTEM]
    assert image.run("/opt/odoo/venv/bin/python", "-c", "import acme_secrets; print(acme_secrets.ANSWER)") == "42"
    assert [path for path in mirrors.served if path.startswith("/debian/dists/")]
    assert [path for path in mirrors.served if path.endswith(".whl")]


def test_nothing_of_the_mirrors_is_in_any_layer(
    image: Built, mirrors: Mirrors, registry: Registry, tmp_path: Path
) -> None:
    """Neither password nor address: not in a layer (also none that a later one hides), history or configuration."""
    planted = [PASSWORD.encode(), mirrors.address.encode()]
    blobs = dict(layers(image.saved(tmp_path)))
    assert sum(map(len, blobs.values())) > 500_000_000
    assert [name for name, data in blobs.items() if any(word in data for word in planted)] == []
    told = docker("image", "inspect", image.tag) + docker("history", "--no-trunc", image.tag)
    assert PASSWORD not in told + image.out
    assert mirrors.address not in told + image.out
    assert registry.address not in told + image.out


def test_a_registry_with_login_and_tls(clone: Callable[[Path], Bench], tmp_path: Path, image: Built) -> None:
    with Registry(login=("team", REGISTRY_PASSWORD)) as registry:
        bench = clone(tmp_path / "project")
        bench.env["ODPM_SCENARIO"] = "ci"
        tag = f"{registry.address}/team/odoo:1"
        try:
            refused = bench.inv("build-image", "--tag", tag, "--push")
            assert refused.code == 5, refused.said
            assert "docker login" in refused.err
            subprocess.run(
                ["docker", "login", "--username", "team", "--password-stdin", registry.address],
                input=REGISTRY_PASSWORD, text=True, env=bench.environment(), check=True, capture_output=True,
            )  # fmt: skip
            pushed = bench.ok("build-image", "--tag", tag, "--push").out.strip()
            assert pushed == f"{tag}@{Built(tag, '').id}"
            assert registry.tags("team/odoo") == ["1"]
            assert REGISTRY_PASSWORD not in refused.said + pushed
        finally:
            docker("image", "rm", "--force", tag)
