"""The backups in a repository: read from restic's list, chosen by id, time and database, and the errors of the service."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from jsonschema import validate

from odpm_tasks.core.databases import stored_backups as rules
from odpm_tasks.core.report_models import schemas
from odpm_tasks.errors import BusyError, DescriptionError, MachineError, OdpmError, ProgramError, UsageError


def row(identity: str, time: str, database: str, stack: str = "1", **more: object) -> dict[str, object]:
    return {
        "short_id": identity,
        "time": time,
        "paths": [f"/var/lib/odoo/odpm-backup/{database}"],
        "hostname": "shop",
        "tags": ["odpm", f"stack={stack}"],
        **more,
    }


LISTED = rules.read_snapshots(
    json.dumps(
        [
            row("aaaa1111", "2026-11-25T02:30:01.123456789Z", "shop"),
            row("bbbb2222", "2026-11-26T04:30:01.5+02:00", "shop", "2"),
            row("cccc3333", "2026-11-26T02:31:00Z", "shop branch"),
        ]
    )
)


def test_the_list_of_restic_newest_first() -> None:
    assert [one.id for one in LISTED] == ["cccc3333", "bbbb2222", "aaaa1111"]
    assert [one.shown_time for one in LISTED] == ["2026-11-26 02:31:00", "2026-11-26 02:30:01", "2026-11-25 02:30:01"]
    assert LISTED[0].database == "shop branch"
    assert rules.read_snapshots("null") == rules.read_snapshots("") == ()


@pytest.mark.parametrize(
    ("database", "options", "found"),
    [
        ("shop", {}, "bbbb2222"),
        ("shop branch", {}, "cccc3333"),
        ("shop", {"at": datetime(2026, 11, 26, 2, 30, tzinfo=UTC)}, "aaaa1111"),
        ("shop", {"at": datetime(2026, 11, 26, 2, 30, 2, tzinfo=UTC)}, "bbbb2222"),
        ("other", {"identity": "aaaa1111"}, "aaaa1111"),
        ("other", {"identity": "aaaa1111223344"}, "aaaa1111"),
    ],
)
def test_which_backup_is_meant(database: str, options: dict[str, object], found: str) -> None:
    assert rules.choose(LISTED, database, **options).id == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("database", "options", "said"),
    [
        ("other", {}, "there is no backup of other"),
        ("shop", {"at": datetime(2026, 11, 25, 2, 30, tzinfo=UTC)}, "the oldest backup of shop is of 2026-11-25"),
        ("shop", {"identity": "dddd"}, "there is no backup dddd"),
        ("shop", {"identity": "a"}, "there is no backup a"),
    ],
)
def test_no_backup_fits(database: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        rules.choose(LISTED, database, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-27 14:30", "2026-11-27T14:30:00+00:00"),
        ("2026-11-27T14:30+02:00", "2026-11-27T12:30:00+00:00"),
        ("2026-11-27", "2026-11-27T23:59:59.999999+00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert rules.parse_moment(text).isoformat() == moment


def test_a_moment_that_is_none() -> None:
    with pytest.raises(UsageError, match="'yesterday' is not a time"):
        rules.parse_moment("yesterday")


@pytest.mark.parametrize(
    ("code", "kind"), [(4, DescriptionError), (5, ProgramError), (6, BusyError), (8, MachineError)]
)
def test_the_errors_of_the_service(code: int, kind: type[OdpmError]) -> None:
    error = rules.failure(code, ["Fatal: x", "error: the repository is full", "next: free some space"])
    assert type(error) is kind
    assert (error.what, error.todo) == ("the repository is full", "free some space")


def test_an_error_that_the_service_does_not_explain() -> None:
    error = rules.failure(137, ["Killed"])
    assert type(error) is ProgramError
    assert (error.what, error.details) == ("the service backup ended with code 137", ("Killed",))


def test_the_output_names_backups_of_other_stacks() -> None:
    assert rules.backups_text(LISTED[1:], "1").splitlines() == [
        "backup    time (UTC)           database  of",
        "bbbb2222  2026-11-26 02:30:01  shop      shop, another stack",
        "aaaa1111  2026-11-25 02:30:01  shop      this stack",
    ]
    document = json.loads(rules.backups_json(LISTED, "1"))
    validate(document, schemas.schema("backup.list"))
    assert [one["this_stack"] for one in document["backups"]] == [True, False, True]
    assert rules.backups_text((), "1") == "there is no backup yet: inv backup.run"


CHECKS = rules.read_checks('public.res_partner|3|77\npublic."a|b"|0|0\nacme.notes|12|-5\n')


def test_the_checks_of_a_backup() -> None:
    assert CHECKS['public."a|b"'] == rules.CheckedTable(0, "0")
    assert CHECKS["acme.notes"] == rules.CheckedTable(12, "-5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('public.res_partner|3|77\npublic."a|b"|0|0\nacme.notes|12|-5', []),
        ("public.res_partner|3|77\nacme.notes|12|-5", ['the table public."a|b" is missing']),
        (
            'public.res_partner|2|77\npublic."a|b"|0|0\nacme.notes|12|-6\nx.y|1|1',
            [
                "the table x.y was not backed up",
                "the rows of the table acme.notes are others",
                "the table public.res_partner had 3 rows and has 2",
            ],
        ),
    ],
)
def test_what_differs_in_a_restored_copy(text: str, said: list[str]) -> None:
    assert rules.differences(CHECKS, rules.read_checks(text)) == said


def test_the_newest_of_each_database_of_this_stack() -> None:
    assert [one.id for one in rules.newest(LISTED, (), "1")] == ["aaaa1111", "cccc3333"]
    assert [one.id for one in rules.newest(LISTED, ("shop",), "2")] == ["bbbb2222"]
    assert rules.newest(LISTED, (), "3") == []


def test_the_report_of_verify() -> None:
    document = json.loads(rules.verified_json([rules.Verified(LISTED[0], 3, 15, 2)]))
    validate(document, schemas.schema("backup.verify"))
    assert document["verified"][0]["rows"] == 15
