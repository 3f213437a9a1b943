"""One description, two processors: the image for arm64, built and run on amd64 with an emulator.

The platforms of one image, a manifest list in a registry, and their comparison.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import say
from tests.e2e.harness import docker
from tests.standins.emulation import BINFMT, NAME, PLATFORM, emulation, native
from tests.standins.images import ARM64, ensure_image

pytestmark = [
    pytest.mark.docker,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="registers an emulator, needs root"),
    pytest.mark.skipif(native(), reason="this machine runs programs for arm64 itself"),
]

BASE = "python:3.11-slim-bookworm"


@pytest.fixture(scope="module")
def emulated(engine: None) -> Iterator[None]:
    """This machine runs programs for arm64, and has the base image for it."""
    with emulation(say):
        ensure_image(f"{ARM64}{BASE}", say)
        yield
    assert not (BINFMT / NAME).exists()


def test_a_container_runs_programs_for_arm64(emulated: None) -> None:
    words = ["run", "--rm", f"--platform={PLATFORM}", "--network=none", f"{ARM64}{BASE}", "python3", "-c"]
    assert docker(*words, "import platform; print(platform.machine())") == "aarch64"
