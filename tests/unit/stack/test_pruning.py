"""What `prune` takes for unused: images, build cache, test databases; its text and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odpm_tasks.core.report_models.schemas import REPORTS
from odpm_tasks.core.stack.pruning import (
    TEST_DATABASE,
    BuiltImage,
    CacheRecord,
    Kept,
    NamelessImage,
    Pruning,
    Unused,
    as_json,
    as_text,
    bytes_of,
    is_test_database,
    old_records,
    summary,
    unused_images,
)
from odpm_tasks.errors import MachineError
from odpm_tasks.housekeeping import prune

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def image(tag: str, *roots: str) -> BuiltImage:
    return BuiltImage(f"odpm/environment:{tag}", frozenset(roots))


def tags(found: dict[str, str]) -> list[str]:
    return [name.rpartition(":")[2] for name in found]


def test_the_newest_image_of_each_kind_and_those_in_use_are_kept() -> None:
    built = [
        image("19.0-dev-4", "/shop"), image("19.0-dev-3", "/shop", "/bank"), image("19.0-dev-2", "/shop"),
        image("19.0-server-1", "/shop"), image("19.0-dev-1", "/shop"), image("18.0-dev-1", "/gone"),
    ]  # fmt: skip
    used = {"odpm/environment:19.0-dev-2"}
    assert tags(unused_images(built, used, ["/shop", "/bank"], ["/shop"])) == ["19.0-dev-1"]
    every = unused_images(built, used, ["/shop", "/bank"], ["/shop", "/bank", "/gone"])
    assert tags(every) == ["19.0-dev-1", "18.0-dev-1"]
    assert tags(unused_images(built, set(), ["/bank"], ["/bank"])) == []


def record(name: str, description: str, *, parent: str = "", days: int = 8, **flags: bool) -> CacheRecord:
    return CacheRecord(name, parent, description, 1, NOW - timedelta(days=days), **flags)


@pytest.mark.parametrize(
    ("description", "ours"),
    [
        ("[platform 1/2] COPY --from=src-odoo [files, /opt/odoo/src/odoo]", True),
        ("[linux/amd64/v2 ci 1/3] COPY --from=venv /opt/odoo/venv /opt/odoo/venv", True),
        ("mount / from exec /bin/sh -c . /mnt/steps;     update_lists", True),
        ('mount / from exec /bin/sh -c /opt/uv/bin/uv venv -q --python "$(command -v python3)" /opt/odoo/venv', True),
        ('cached mount /var/cache/odpm-uv from exec /bin/sh -c x with id "/odpm-uv-bookworm-3.11"', True),
        ("local source for src-web", True),
        ("local source for context", False),
        ("[builder 1/2] COPY . /src", False),
        ("[stage-0 2/4] COPY secret /there", False),
        ("mount / from exec /bin/sh -c apt-get update", False),
    ],
)
def test_which_records_of_the_build_cache_are_odpms(description: str, ours: bool) -> None:
    assert [one.id for one in old_records([record("a", description)], NOW)] == (["a"] if ours else [])


def test_a_record_stays_while_it_is_new_used_or_the_base_of_another() -> None:
    text = "[venv 1/2] COPY requirements.lock /opt/uv/"
    records = [
        record("old", text), record("new", text, days=6), record("shared", text, shared=True),
        record("busy", text, in_use=True), record("base", text), record("middle", text, parent="base"),
        record("top", "[app 1/1] COPY . /", parent="middle"),
    ]  # fmt: skip
    assert [one.id for one in old_records(records, NOW)] == ["old"]
    assert {one.id for one in old_records(records, NOW, days=0)} == {"old", "new"}


@pytest.mark.parametrize(
    ("name", "comment", "expected"),
    [
        ("shop-test-17", TEST_DATABASE, True),
        ("shop-test-17", "odpm: kept test database", True),
        ("shop-test-17", "", False),
        ("shop-test", TEST_DATABASE, False),
        ("shop", TEST_DATABASE, False),
    ],
)
def test_a_test_database_is_known_by_its_name_and_its_comment(name: str, comment: str, expected: bool) -> None:
    assert is_test_database(name, comment) is expected


def test_only_images_of_odpm_have_a_revision() -> None:
    labels = {"org.opencontainers.image.revision": "0" * 40}
    assert NamelessImage("a", 1, labels).revision == ""
    assert NamelessImage("a", 1, labels | {"odpm.version": "5.0.0"}).revision == "0" * 40


def test_sizes_as_docker_writes_them() -> None:
    assert [bytes_of(text) for text in ("0B", "1.382kB", "40.45MB", "1.19GB", "N/A")] == [
        0, 1382, 40_450_000, 1_190_000_000, None,
    ]  # fmt: skip


FOUND = Pruning(
    (
        Unused("image", "odpm/environment:19.0-dev-1", 1_200_000_000, "built here, and no project uses it", "", ("x",)),
        Unused("log", ".odpm/logs/a.log", 2500, "9 days old", "/shop", ("/shop/.odpm/logs/a.log",)),
        Unused("build cache", "of odpm's image builds", 3_000_000, "2 records", ids=("a", "b"), count=2),
    ),
    (Kept("volume", "shop_db-developer", None, "/shop"), Kept("database", "shop", 40_000_000, "/shop")),
)


def test_text_and_json_of_what_is_found() -> None:
    assert as_text(FOUND).splitlines() == [
        "   1.2 GB  image        odpm/environment:19.0-dev-1  built here, and no project uses it",
        "     3 kB  log          .odpm/logs/a.log  9 days old",
        "   3.0 MB  build cache  of odpm's image builds  2 records",
        "   1.2 GB  in all",
        "kept:",
        "        ?  volume       shop_db-developer  /shop",
        "  40.0 MB  database     shop  /shop",
    ]
    assert as_text(Pruning(())) == "nothing is unused"
    assert summary(FOUND) == "1 image, 1 log, 2 records of the build cache"
    data = json.loads(as_json(FOUND, None))
    REPORTS["prune"].model_validate(data)
    assert (data["bytes"], data["freed"], len(data["unused"]), len(data["kept"])) == (1_203_002_500, None, 3, 2)


def test_a_project_that_cannot_be_read_may_use_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, **options: bool) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(MachineError, match="what it uses is not known: Permission denied"):
        prune._is_project(Path("/srv/other"))
