"""`inv prune` on a running stack: what it removes, what it never removes, and a run that is killed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from odpm_tasks.adapters.docker import disk_usage
from odpm_tasks.core.databases.reset_templates import template_comment
from odpm_tasks.core.databases.snapshots import Snapshot, record
from odpm_tasks.core.stack.pruning import TEST_DATABASE, CacheRecord, old_records
from odpm_tasks.housekeeping import engine_parts
from odpm_tasks.image import built
from odpm_tasks.project import Project
from tests.e2e.harness import Bench, docker

pytestmark = pytest.mark.docker

IMAGE = f"odpm/environment:19.0-odd-{os.getpid()}"
NEWER = f"odpm/environment:19.0-odd-{os.getpid()}newer"
SNAPSHOTS = (
    Snapshot("odpm.snapshot.1", "project", "before-update-1", "2026-11-25T08:00:00+00:00", "update"),
    Snapshot("odpm.snapshot.2", "project", "before-update-2", "2026-11-26T08:00:00+00:00", "update"),
    Snapshot("odpm.snapshot.3", "project", "mine", "2026-11-24T08:00:00+00:00", "manual"),
)
TEMPLATES = {"odpm.template.1": time.time() - 60, "odpm.template.2": time.time()}
OLD_LOG, NEW_LOG = ".odpm/logs/20250101-000000-odoo-project.log", ".odpm/logs/20261127-000000-odoo-project.log"


OWN = (*(one.id for one in SNAPSHOTS), *TEMPLATES)


@pytest.fixture
def littered(developer: Bench) -> Iterator[Bench]:
    """The running stack with an image, logs and databases that nothing uses, and some of the user's."""
    paths = Project.at(developer.root, ODPM_CACHE_DIR=developer.env["ODPM_CACHE_DIR"]).paths
    service = str(developer.containers()["db"]["Image"])
    for name in (IMAGE, NEWER):
        docker("tag", service, name)
        built.record(paths, name)
        time.sleep(0.01)  # the newer one has a later time
    for name, age in ((OLD_LOG, 8), (NEW_LOG, 6)):
        path = developer.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a log\n", encoding="utf-8")
        os.utime(path, (time.time() - age * 86400,) * 2)
    for name in ("project-test-1", "project-test-2", "project-test-3"):
        developer.sql(f'CREATE DATABASE "{name}"')
    for name in ("project-test-1", "project-test-2"):  # the third one is a user's
        developer.sql(f"COMMENT ON DATABASE \"{name}\" IS '{TEST_DATABASE}'")
    for one in SNAPSHOTS:  # as `db.snapshot` and updates make them
        developer.sql(f'CREATE DATABASE "{one.id}" IS_TEMPLATE true')
        developer.sql(f"COMMENT ON DATABASE \"{one.id}\" IS '{record(one)}'")
    for template, used in TEMPLATES.items():  # as `db.reset` makes them
        developer.sql(f'CREATE DATABASE "{template}" IS_TEMPLATE true')
        developer.sql(f"COMMENT ON DATABASE \"{template}\" IS '{template_comment(used)}'")
    for name in ("project-test-1", SNAPSHOTS[0].id, "odpm.template.1"):
        developer.inside("mkdir", "-p", f"/var/lib/odoo/filestore/{name}/ab")
    yield developer
    for name in OWN:
        if developer.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            developer.sql(f'ALTER DATABASE "{name}" IS_TEMPLATE false')
    for name in ("project-test-1", "project-test-2", "project-test-3", *OWN):
        developer.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    for name in (OLD_LOG, NEW_LOG):
        (developer.root / name).unlink(missing_ok=True)
    docker("image", "rm", "--force", IMAGE, NEWER)
    for name in (IMAGE, NEWER):
        built.forget(paths, name)


def names(bench: Bench) -> set[str]:
    """The unused things that the test has made, as prune lists them."""
    data = json.loads(bench.ok("prune", "--list-only", "--format", "json").out)
    assert data["freed"] is None
    return {one["name"] for one in data["unused"]}


def is_image(name: str) -> bool:
    return bool(docker("image", "ls", "--quiet", name))


def test_what_is_unused_is_listed_then_removed_after_a_question(littered: Bench) -> None:
    container = littered.containers()["db"]["Id"]
    unused = {IMAGE, OLD_LOG, "project-test-1", "project-test-2", "before-update-1", "odpm.template.1"}
    with littered.running("psql", "-d", "project-test-1", "-c", "SELECT pg_sleep(600)"):
        for _ in range(300):
            if littered.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'project-test-1'") == "1":
                break
            time.sleep(0.1)
        assert names(littered) == unused - {"project-test-1"}  # it is in use
    littered.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'project-test-1'")
    asked = littered.inv("prune")
    assert asked.code == 1
    assert "next:  inv prune --yes" in asked.err
    assert names(littered) == unused
    data = json.loads(littered.ok("prune", "--yes", "--format", "json").out)
    assert data["freed"] == data["bytes"] > 0
    kept = {(one["kind"], one["name"]) for one in data["kept"]}
    assert {("database", "project"), ("database", "project-test-3")} <= kept
    assert ("volume", f"{littered.prefix}_db-developer-15") in kept
    assert not is_image(IMAGE)
    assert is_image(NEWER)
    assert not (littered.root / OLD_LOG).exists()
    assert (littered.root / NEW_LOG).exists()
    known = littered.sql(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname ~ 'project|odpm'"
    )
    assert known == "odpm.snapshot.2 odpm.snapshot.3 odpm.template.2 project project-test-3"
    for name in ("project-test-1", SNAPSHOTS[0].id, "odpm.template.1"):
        assert littered.inside("test", "-e", f"/var/lib/odoo/filestore/{name}").code == 1
    assert littered.inside("test", "-e", "/var/lib/odoo/filestore/project").code == 0
    assert littered.containers()["db"]["Id"] == container
    assert names(littered) == set()


@pytest.mark.parametrize("after", [1.5, 4.0])
def test_a_killed_run_is_finished_by_the_next_one(littered: Bench, after: float) -> None:
    with littered.running("prune", "--yes"):
        time.sleep(after)
    littered.ok("prune", "--yes")
    assert names(littered) == set()
    assert not is_image(IMAGE)
    assert is_image(NEWER)
    assert littered.sql("SELECT count(*) FROM pg_database WHERE datname IN ('project', 'project-test-3')") == "2"


def test_a_run_is_refused_while_another_one_works_on_the_project(littered: Bench) -> None:
    with Project.at(littered.root).exclusive():
        ran = littered.inv("prune", "--yes")
    assert ran.code == 6
    assert "holds the project" in ran.err
    assert is_image(IMAGE)
    assert littered.inv("prune", "--format", "json").code == 1


def test_old_records_of_our_builds_leave_the_build_cache(tmp_path: Path, engine: None) -> None:
    name = f"odd-{os.getpid()}"
    (tmp_path / name).write_bytes(os.urandom(1000))
    (tmp_path / "Dockerfile").write_text(
        f"FROM scratch AS steps\nCOPY {name} /\nFROM scratch\nCOPY --from=steps / /\n", encoding="utf-8"
    )
    docker("buildx", "build", "--quiet", "--output=type=cacheonly", str(tmp_path))

    def mine() -> list[CacheRecord]:
        records = [engine_parts.record(row) for row in disk_usage.disk_usage().build_cache]
        return [one for one in records if name in one.description]

    found = mine()
    assert [one.size for one in found if one.description.startswith("[steps 1/1] COPY")]
    assert not old_records(found, datetime.now(UTC))
    old = old_records(found, datetime.now(UTC), days=0)
    disk_usage.remove_build_cache([one.id for one in old])
    assert old
    assert not {one.id for one in old} & {one.id for one in mine()}
