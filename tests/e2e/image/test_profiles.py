"""Images of a small stack for other platforms and profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import Workspace
from tests.e2e.harness import docker
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = pytest.mark.docker

INDEX = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def small(workspace_locked: Workspace, engine: None) -> Iterator[Workspace]:
    """A stack with an environment that is built in seconds: no Python packages, no PDF renderer."""
    env = workspace_locked.bench.env
    env |= {"ODPM_SCENARIO": "ci", "ODPM_BASE_IMAGE_PROFILE": "ci"}
    for name in ("ODPM_IMAGE_MIRROR", "ODPM_APT_MIRROR"):
        env.pop(name, None)
    yield workspace_locked
    for tag in docker(
        "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"*/{workspace_locked.bench.prefix}/*"
    ).split():
        docker("image", "rm", "--force", tag)


def test_several_platforms_give_a_multi_platform_image(small: Workspace, registry: Registry) -> None:
    """Two platforms that this machine can run, so both are built."""
    name = f"{small.bench.prefix}/odoo"
    one, several = (f"{registry.address}/{name}:{tag}" for tag in ("1.0", "several"))
    small.bench.ok("build-image", "--tag", one)
    small.bench.ok("build-image", "--tag", several, "--push", "--platform", "linux/amd64,linux/amd64/v2")
    listed = json.loads(registry.get(f"/v2/{name}/manifests/several", INDEX) or b"{}")["manifests"]
    assert [entry["platform"].get("variant", "") for entry in listed] == ["", "v2"]
    assert Built(one, "").id in {entry["digest"] for entry in listed}


@pytest.mark.long
def test_unsupported_platform_is_reported(small: Workspace) -> None:
    """If the base image has no such platform, the builder uses another one; else this machine cannot run it."""
    ran = small.bench.inv("build-image", "--tag", f"{small.bench.prefix}/never:1", "--platform", "linux/s390x")
    assert ran.code in {5, 8}, ran.output
    assert "linux/s390x" in ran.err
    assert docker("image", "ls", "--quiet", f"{small.bench.prefix}/never") == ""


@pytest.mark.long
def test_profile_full_has_node_tools_and_lists_them(small: Workspace, registry: Registry) -> None:
    image = Built(f"{registry.address}/{small.bench.prefix}/full:1", "")
    words = ("build-image", "--tag", image.tag, "--sbom")
    small.bench.ok(*words, ODPM_BASE_IMAGE_PROFILE="full")
    assert image.run("rtlcss", "--version").endswith("4.3.0")
    assert image.run("lessc", "--version").startswith("lessc ")
    assert image.run("wkhtmltopdf", "--version").startswith("wkhtmltopdf ")
    assert image.run("sh", "-c", "command -v npm gcc || echo none") == "none"
    bill = json.loads((small.root / ".odpm/build/sbom.cdx.json").read_text(encoding="utf-8"))
    assert "pkg:npm/rtlcss@4.3.0" in {component.get("purl") for component in bill["components"]}
