"""Snapshots and copies on PostgreSQL 18: where files can share blocks, a copy needs no space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from odpm_tasks.core.stack.database_volumes import database_volumes
from odpm_tasks.project import Project
from tests.e2e.conftest import say
from tests.e2e.databases.test_upgrade_postgres import TASKS
from tests.e2e.failures import Workspace
from tests.e2e.harness import Bench, docker
from tests.standins.file_systems import file_system
from tests.standins.images import ensure_image

pytestmark = [
    pytest.mark.docker,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system"),
]
pytest_plugins = ["tests.e2e.docker_workspaces", "tests.e2e.workspaces"]


@pytest.fixture(params=["xfs", "btrfs", "other"])
def stack(request: pytest.FixtureRequest, tmp_path: Path, docker_workspace: Workspace) -> Iterator[tuple[Bench, Path]]:
    """PostgreSQL 18 with a database of about 300 MB, on a file system of that kind; and the folder of its data."""
    ensure_image("postgres:18", say)
    bench = docker_workspace.bench
    del bench.env["ODPM_IMAGE_MIRROR"]
    docker_workspace.describe(postgres="18")
    (bench.root / "tasks.py").write_text(TASKS, encoding="utf-8")
    volume = database_volumes(bench.prefix, "developer", Project.at(bench.root).manifest, ()).name
    labels = [f"com.docker.compose.project={bench.prefix}", "com.docker.compose.volume=db-developer-18"]
    words = ["volume", "create", *(f"--label={label}" for label in labels)]
    if request.param == "other":
        docker(*words, volume)
        yield filled(bench), Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", volume))
        return
    with file_system(request.param, tmp_path) as mounted:
        docker(*words, "--opt=type=none", "--opt=o=bind", f"--opt=device={mounted}", volume)
        yield filled(bench), mounted
        bench.remove()


def filled(bench: Bench) -> Bench:
    bench.ok("database")
    docker("volume", "rm", f"{bench.prefix}_odoo-developer")  # there is no Odoo, and no image of it
    bench.inside("createdb", "-U", "postgres", "-O", "odoo", "shop", service="db")
    bench.sql(
        "CREATE TABLE a AS SELECT n, md5(n::text) || repeat('x', 900) AS b FROM generate_series(1, 300000) n", "shop"
    )
    bench.sql("CHECKPOINT")
    return bench


def used(folder: Path) -> int:
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def test_a_snapshot_shares_its_blocks(stack: tuple[Bench, Path]) -> None:
    bench, folder = stack
    size, before = int(bench.sql("SELECT pg_database_size('shop')")), used(folder)
    name = bench.ok("db.snapshot", "-d", "shop").out.strip()
    if folder.name in {"xfs", "btrfs"}:  # elsewhere other programs use the file system, too
        assert used(folder) - before < size / 5
    rows = "SELECT count(*), md5(string_agg(b, '' ORDER BY n)) FROM a"
    kept = bench.sql(rows, "shop")
    bench.sql("DELETE FROM a WHERE n > 5", "shop")
    bench.ok("db.restore-snapshot", name, "-d", "shop", "--yes")
    assert bench.sql(rows, "shop") == kept
