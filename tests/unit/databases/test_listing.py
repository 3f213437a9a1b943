"""The output of `db.list` and `db.snapshots`."""

from __future__ import annotations

import json

from odpm_tasks.core.databases import listing
from odpm_tasks.core.databases.snapshots import RecordedLock, Snapshot
from odpm_tasks.core.report_models.databases import DatabasesReport, SnapshotsReport

NOW = RecordedLock("a" * 64, {"odoo": "c" * 40})
ROW = {"name": "shop", "size": 22_800_000, "owner": "odoo", "comment": None}
FOUND = {"base": "19.0.1.3", "addons": 16, "neutralized": True, "lock": listing.lock_value(NOW)}


def test_list_of_databases() -> None:
    shop = listing.listed(ROW, FOUND, 63_000, ["s2", "s1", "s0", "before"], "unfinished!")
    half = listing.listed({**ROW, "name": "half", "comment": "unfinished!"}, {}, 0, [], "unfinished!")
    other = listing.listed({**ROW, "name": "other", "size": 10}, {}, 0, [], "unfinished!")
    assert listing.databases_text([shop, half, other], NOW) == (
        "database  size     filestore  series      add-ons  neutralised  lock     snapshots\n"
        "shop      22.8 MB  63 kB      19.0        16       yes          current  s2, s1, s0 and 1 more\n"
        "half      22.8 MB  0 kB       unfinished  -        -            -        -\n"
        "other     1 kB     0 kB       not Odoo    -        -            -        -"
    )
    document = json.loads(listing.databases_json([shop, other], NOW))
    DatabasesReport.model_validate(document)
    assert document["databases"][0]["lock"] == {"digest": NOW.digest, "current": True, "sources": dict(NOW.sources)}
    assert document["databases"][1]["series"] is None


def test_list_of_snapshots() -> None:
    taken = Snapshot("odpm.snapshot.1", "shop", "s1", "2025-11-27T08:45:01+00:00", "manual", "19.0", NOW)
    listed = [listing.ListedSnapshot(taken, 22_800_000, 63_000, 1_000)]
    assert listing.snapshots_text(listed, NOW).splitlines()[1] == (
        "shop      s1        2025-11-27 08:45  22.8 MB  63 kB      1 kB       current"
    )
    SnapshotsReport.model_validate(json.loads(listing.snapshots_json(listed, NOW)))


def test_a_lock_that_cannot_be_read_is_unknown() -> None:
    for text in (None, "", "[]", "{}", '{"digest": "a"}'):
        assert listing.read_lock_value(text) == RecordedLock()
