"""A project whose Debian packages come from an archive of the tests; the fixture `shop`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from odpm_tasks.core.image.image_spec import ImageSpec, base_image
from tests.e2e.baked import Built
from tests.e2e.failures import Workspace, create_workspace
from tests.e2e.harness import docker, git
from tests.standins.archive import DebianArchive, Packages, State, versions
from tests.standins.registry import Registry

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
