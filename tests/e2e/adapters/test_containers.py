"""Containers that are removed while something else removes them."""

from __future__ import annotations

import subprocess
import uuid

import pytest

from odpm_tasks.adapters.docker import engine as docker

pytestmark = pytest.mark.docker

IMAGE = "python:3.11-slim-bookworm"
_MANY_FILES = """
import os
os.mkdir("/many")
for number in range(10_000):
    open(f"/many/{number}", "w").close()
print("made", flush=True)
input()
"""


def test_the_name_of_a_container_that_is_being_removed_is_free_afterwards(engine: None) -> None:
    name = f"odpm-test-{uuid.uuid4().hex[:12]}"
    words = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--network=none",
        "--name",
        name,
        IMAGE,
        "python3",
        "-c",
        _MANY_FILES,
    ]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        assert first.stdout.readline() == "made\n"
        with subprocess.Popen(["docker", "rm", "--force", name], stdout=subprocess.DEVNULL):
            while state(name) == "running":  # then it is being removed, with its many files
                pass
            docker.remove_containers([name])
            again = subprocess.run([*words[:-3], "true"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def state(container: str) -> str:
    words = ["docker", "inspect", "--format", "{{.State.Status}}", container]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
