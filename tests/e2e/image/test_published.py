"""The commands of docs/scale.md that sign an image, attach its list of content and copy it: real tools, a registry on loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.baked import Built
from tests.e2e.harness import Bench, inv_programs
from tests.standins.image_tools import ensure_image_tools
from tests.standins.registry import Registry
from tests.unit.docs.pages import PAGES

pytestmark = [pytest.mark.docker, pytest.mark.long]

SECTION = "## Signatures, list of content, bundles"
# A registry without TLS, and no public log.
UNENCRYPTED = {
    "cosign sign": "cosign sign --allow-insecure-registry --tlog-upload=false",
    "cosign verify": "cosign verify --allow-insecure-registry --insecure-ignore-tlog",
    "oras attach": "oras attach --plain-http",
    "oras discover": "oras discover --plain-http",
    "skopeo copy": "skopeo --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false",
}


def test_an_image_is_signed_described_and_copied(
    tmp_path: Path, clone: Callable[[Path], Bench], ci_image: Built, registry: Registry
) -> None:
    bench = clone(tmp_path / "project")
    page = PAGES["docs/scale.md"]
    script = "set -e\n" + "".join(
        line.removeprefix("$ ") + "\n"
        for block in page.blocks
        if block.text in page.section(SECTION)
        for line in block.text.splitlines()
    )
    assert len(script.splitlines()) == 10
    for command, replaced in UNENCRYPTED.items():
        assert command in script
        script = script.replace(command, replaced)
    script = script.replace("registry.far.example", f"{registry.address}/far")
    script = script.replace("registry.example", f"{registry.address}/{bench.prefix}")
    tools = ensure_image_tools()
    env = {**bench.environment(), **tools, "COSIGN_PASSWORD": ""}
    env["PATH"] = f"{inv_programs()}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=bench.root, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The signatures were verified against the specified public key" in done.stderr
    assert "application/vnd.cyclonedx+json" in done.stdout
    # the copy has the digest of the original, so its name in a target stays the same
    digest = done.stdout.split("@")[1].split()[0].strip('"')
    far = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.address}/far/team/odoo@{digest}"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert far.returncode == 0, far.stderr
