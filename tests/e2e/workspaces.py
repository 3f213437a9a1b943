"""Fixtures for tests of failures: workspaces in several states, machines without Docker or with a small disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.failures import LOCKS, Env, Workspace, create_workspace


@pytest.fixture(scope="session")
def workspace_rendered(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace after an undisturbed `inv render`: the expected result of every repaired run. Read-only."""
    workspace = create_workspace(tmp_path_factory.mktemp("rendered"))
    workspace.bench.ok("render")
    return workspace


@pytest.fixture
def workspace(tmp_path: Path, workspace_rendered: Workspace) -> Workspace:
    """A new workspace: no locks, an empty cache."""
    return create_workspace(tmp_path, workspace_rendered)


@pytest.fixture
def workspace_locked(workspace: Workspace, workspace_rendered: Workspace) -> Workspace:
    """A workspace like a fresh clone: it has the locks and nothing else."""
    (workspace.root / ".odpm").mkdir()
    for path in (*LOCKS, ".odpm/.gitignore"):
        shutil.copy(workspace_rendered.root / path, workspace.root / path)
    return workspace


@pytest.fixture
def workspace_ready(workspace_locked: Workspace) -> Workspace:
    """A workspace after `inv render`: everything that does not need Docker is done."""
    workspace_locked.bench.ok("render")
    return workspace_locked


@pytest.fixture(scope="session")
def no_docker(tmp_path_factory: pytest.TempPathFactory) -> Env:
    """The environment of a machine without Docker: PATH has every program except `docker`."""
    folder = tmp_path_factory.mktemp("bin")
    for paths in os.environ["PATH"].split(os.pathsep):
        for program in Path(paths).glob("*"):
            if not program.name.startswith("docker"):
                with suppress(FileExistsError):
                    (folder / program.name).symlink_to(program)
    return {"PATH": str(folder)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Creates a file system of a given size (`4m`); called again, it resizes it. Requires root."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root can mount a small file system")
    paths = tmp_path / "small"
    paths.mkdir()

    def size(text: str) -> Path:
        options = f"remount,{text}" if paths.is_mount() else text
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(paths)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
        return paths

    yield size
    if paths.is_mount():
        subprocess.run(["umount", "--lazy", str(paths)], check=False)
