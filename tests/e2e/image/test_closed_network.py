"""Builds with mirrors that require a password and without other network access, and a registry that requires a login."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.baked import Built, layers
from tests.e2e.harness import docker
from tests.e2e.image.conftest import PASSWORD, SYSTEM, Small
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = pytest.mark.docker

REGISTRY_PASSWORD = "planted-in-a-login"


def test_packages_are_downloaded_from_the_mirrors(small_image: Small) -> None:
    image, served = small_image.image, small_image.mirrors.served
    states = image.run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *SYSTEM)
    assert [line.split() for line in states.splitlines()] == [[name, "ii"] for name in SYSTEM]
    assert image.run("/opt/odoo/venv/bin/python", "-c", "import acme_secrets; print(acme_secrets.ANSWER)") == "42"
    assert [path for path in served if path.startswith("/debian/dists/")]
    assert [path for path in served if path.endswith(".whl")]


def test_no_layer_contains_data_of_the_mirrors(small_image: Small, tmp_path: Path) -> None:
    """Passwords and URLs are in no layer (even if a later layer hides the file), history or configuration."""
    image, addresses = small_image.image, (small_image.mirrors.address, small_image.registry.address)
    planted = [PASSWORD.encode(), addresses[0].encode()]
    blobs = dict(layers(image.saved(tmp_path)))
    assert sum(map(len, blobs.values())) > 100_000_000
    assert [name for name, data in blobs.items() if any(word in data for word in planted)] == []
    # check of the search: it finds a text that is in one layer
    assert [name for name, data in blobs.items() if b"odoo:x:1000:1000:" in data]
    told = docker("image", "inspect", "--format", "{{json .Config}}", image.tag)
    told += docker("history", "--no-trunc", image.tag) + small_image.dockerfile
    assert "ODPM_TEST_RUN" in told
    assert [word for word in (PASSWORD, *addresses) if word in told] == []


def test_a_registry_with_login_and_tls(small_image: Small, tmp_path: Path) -> None:
    bench = replace(small_image.workspace.bench, env={**small_image.workspace.bench.env, "HOME": str(tmp_path)})
    with Registry(login=("team", REGISTRY_PASSWORD)) as registry:
        tag = f"{registry.address}/team/odoo:1"
        try:
            refused = bench.inv("build-image", "--tag", tag, "--push")
            assert refused.code == 5, refused.output
            assert "docker login" in refused.err
            subprocess.run(
                ["docker", "login", "--username", "team", "--password-stdin", registry.address],
                input=REGISTRY_PASSWORD, text=True, env=bench.environment(), check=True, capture_output=True,
            )  # fmt: skip
            pushed = bench.ok("build-image", "--tag", tag, "--push").out.strip()
            assert pushed == f"{tag}@{Built(tag, '').id}"
            assert registry.tags("team/odoo") == ["1"]
            assert REGISTRY_PASSWORD not in refused.output + pushed
        finally:
            docker("image", "rm", "--force", tag)
