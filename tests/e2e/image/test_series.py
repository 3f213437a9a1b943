"""The environment image with the pins of a series is built, and every Python package in it can be imported.

The stand-in of the base image has the Python of its Debian release alone; pins of a series differ between versions of
Python, so this proves those for that version.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from odpm_tasks.image.census import read_census
from tests.e2e.failures import FILES, HOST, PLATFORM, Workspace
from tests.e2e.harness import docker

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.docker_workspaces"]
pytestmark = [pytest.mark.docker, pytest.mark.long]
PINS = Path(__file__).parent / "series"


@pytest.mark.parametrize("series", [path.stem for path in sorted(PINS.glob("*.txt"))])
def test_packages_of_a_series_are_built_and_imported(docker_workspace: Workspace, series: str) -> None:
    requirements = (PINS / f"{series}.txt").read_text(encoding="utf-8")
    docker_workspace.publish(PLATFORM, {**FILES[PLATFORM], "requirements.txt": requirements}, branch=series)
    docker_workspace.describe(platform={"git": f"{HOST}{PLATFORM} {series}"}, dependencies=[])
    bench = docker_workspace.bench
    bench.env |= {"ODPM_IMAGE_MIRROR": "", "ODPM_APT_MIRROR": "", "ODPM_BASE_IMAGE_PROFILE": "ci"}
    bench.ok("lock")
    bench.ok("build")
    compose = (bench.root / "docker-compose.yml").read_text(encoding="utf-8")
    found = re.search(r"odpm/environment:[\w.-]+", compose)
    assert found
    try:
        census = read_census(found[0], imports=True, smoke=True)
        assert census.unimportable == {}
        shown = docker("run", "--rm", "--entrypoint=python", found[0], "-m", "site")
        assert "dist-packages" not in shown  # of Debian's Python
    finally:
        docker("image", "rm", "--force", found[0])
