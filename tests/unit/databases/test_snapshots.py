"""What is recorded of a snapshot, and which automatic ones are kept."""

from __future__ import annotations

import pytest

from odpm_tasks.core.databases.snapshots import (
    Kind,
    RecordedLock,
    Snapshot,
    differences,
    find,
    new_name,
    record,
    recorded,
    superfluous,
)
from odpm_tasks.errors import DescriptionError


def snapshot(number: int, kind: Kind = "update", database: str = "shop") -> Snapshot:
    return Snapshot(f"odpm.snapshot.{number}", database, f"s{number}", f"2025-11-{number:02}T08:00:00+00:00", kind)


def test_a_record_reads_back() -> None:
    lock = RecordedLock("ab", {"odoo": "c" * 40})
    one = Snapshot("odpm.snapshot.1", "shop 'é'", "x", "2025-11-27T08:45:01+00:00", "manual", "19.0", lock, "a comment")
    assert recorded(one.id, record(one)) == one


@pytest.mark.parametrize("comment", [None, "", "text", "[]", "{}", '{"odpm": "template"}', '{"odpm": "snapshot"}'])
def test_other_comments_are_no_record(comment: str | None) -> None:
    assert recorded("odpm.snapshot.1", comment) is None


def test_names_are_times_and_unique() -> None:
    created = "2025-11-27T08:45:01+00:00"
    assert new_name("manual", created, []) == "20251127-084501"
    assert new_name("update", created, ["before-update-20251127-084501"]) == "before-update-20251127-084501-2"


def test_the_last_three_automatic_ones_of_each_kind_and_database_are_kept() -> None:
    updates = [snapshot(number) for number in range(1, 6)]
    others = [snapshot(6, "restore"), snapshot(7, "manual"), snapshot(8, database="other")]
    assert [one.name for one in superfluous([*updates, *others])] == ["s2", "s1"]


def test_find_by_name_or_the_newest() -> None:
    known = [snapshot(1), snapshot(3), snapshot(2), snapshot(9, database="other")]
    assert find(known, "shop").name == "s3"
    assert find(known, "shop", "s1").name == "s1"
    with pytest.raises(DescriptionError, match="no snapshot 's9'"):
        find(known, "shop", "s9")
    with pytest.raises(DescriptionError, match="no snapshot of the database empty"):
        find(known, "empty")


def test_differences_name_each_source() -> None:
    then = RecordedLock("1", {"odoo": "a" * 40, "web": "b" * 40, "gone": "c" * 40})
    now = RecordedLock("2", {"odoo": "a" * 40, "web": "d" * 40, "new": "e" * 40})
    assert differences(then, then) == []
    assert differences(RecordedLock(), now) == []
    assert differences(then, now) == [
        "web: bbbbbbbb then, dddddddd now",
        "gone: cccccccc then, is gone now",
        "new: was not there then, eeeeeeee now",
    ]
    assert differences(then, RecordedLock("2", then.sources)) == [
        "the lock differs in packages or images, not in repositories"
    ]
    unknown = ["the lock differs; the commits of one of them are not known"]
    assert differences(then, RecordedLock("2")) == differences(RecordedLock("2"), then) == unknown
    assert differences(then, RecordedLock("1")) == []
