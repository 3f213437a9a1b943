"""The document of `status`, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from jsonschema import validate

from odpm_tasks.core.stack.pages import page
from odpm_tasks.core.stack.status import (
    BackupData,
    PageData,
    ReleaseData,
    RepositoryData,
    ServiceData,
    StatusDocument,
    as_json,
    as_text,
    running_ports,
    schema,
)

ODOO = ServiceData(
    service="odoo", state="running", health="healthy", ports=("127.0.0.1:8072->8072/tcp", "127.0.0.1:8070->8069/tcp")
)
DB = ServiceData(service="db", state="running", health="healthy", ports=())
WEB = RepositoryData(name="web", kind="dependency", branch="19.0", commit="a" * 40)
RUNNING = StatusDocument(
    schema_version=1,
    odpm="5.0.0",
    scenario="developer",
    odoo="19.0",
    project="shop",
    database="shop",
    url="http://localhost:8070",
    dev="",
    debug=False,
    problem="",
    folder=None,
    services=(DB, ODOO),
    repositories=(WEB,),
)


@dataclass(frozen=True)
class Case:
    changes: dict[str, object]
    line: str


def test_the_whole_text() -> None:
    assert as_text(RUNNING).splitlines() == [
        "scenario    developer, Odoo 19.0, project shop",
        "web         http://localhost:8070   database shop",
        "service     db           running healthy",
        "service     odoo         running healthy   127.0.0.1:8072->8072/tcp 127.0.0.1:8070->8069/tcp",
        "repository  web                  19.0     aaaaaaaa  dependency",
    ]


@pytest.mark.parametrize(
    "case",
    [
        Case({"services": (), "url": None}, "service     none is running: inv up"),
        Case(
            {"services": None, "url": None, "problem": "docker is not installed"},
            "service     not known: docker is not installed",
        ),
        Case({"url": None}, "web         not running   database shop"),
        Case({"services": None, "url": None, "problem": "x"}, "web         not known   database shop"),
        Case({"repositories": None}, "repository  not resolved yet: inv lock"),
        Case({"dev": "reload", "debug": True}, "switches    --dev=reload --debug, until --dev=none and --no-debug"),
        Case(
            {"login": "user admin, password admin"},
            "web         http://localhost:8070   database shop, user admin, password admin",
        ),
        Case({"mail": "http://localhost:8025"}, "mail        http://localhost:8025"),
        Case(
            {"pages": (PageData(service="adminer", url="http://localhost:1"),)},
            "page        http://localhost:1   adminer",
        ),
        Case({"folder": "/old"}, "folder      the containers were started in /old"),
    ],
    ids=lambda case: case.line,
)
def test_each_state_has_its_line(case: Case) -> None:
    assert case.line in as_text(RUNNING.model_copy(update=case.changes)).splitlines()


def test_the_json_fits_the_schema() -> None:
    for document in (RUNNING, RUNNING.model_copy(update={"services": None, "repositories": None, "url": None})):
        validate(json.loads(as_json(document)), schema())


def test_there_is_an_address_only_where_odoo_runs() -> None:
    assert page(running_ports((DB, ODOO)), "odoo") == "http://localhost:8070"
    assert page(running_ports((DB, ODOO.model_copy(update={"state": "exited"}))), "odoo") == ""
    assert page(running_ports((DB,)), "odoo") == ""


def test_releases_and_an_interrupted_deployment() -> None:
    """The newest first; JSON has them, too."""
    time = "2026-11-27T20:28:06+00:00"
    made = (
        ReleaseData(
            release="b" * 12, commit="2" * 40, time=time, current=True, rollback=False, updates=("shop", "test")
        ),
        ReleaseData(release="a" * 12, commit="1" * 40, time=time, current=False, rollback=True),
    )
    status = RUNNING.model_copy(update={"releases": made, "interrupted": True})
    assert [line for line in as_text(status).splitlines() if line.startswith(("release", "deployment"))] == [
        "deployment  was interrupted: inv up goes back or on",
        "release     bbbbbbbbbbbb  2026-11-27T20:28  22222222  current; updated shop, test",
        "release     aaaaaaaaaaaa  2026-11-27T20:28  11111111  rollback",
    ]
    found = json.loads(as_json(status))
    validate(found, schema())
    assert found["releases"][0]["updates"] == ["shop", "test"]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["2026-11-27 02:31 UTC, verified 2026-11-20, daily at 02:30, to /srv/b"]),
        ({"last": None, "verified": None}, ["none yet, daily at 02:30, to /srv/b"]),
        (
            {"problem": "the repository is full", "verified": None},
            [
                "2026-11-27 02:31 UTC, daily at 02:30, to /srv/b",
                "PROBLEM: the repository is full; to repeat it: inv backup.run",
            ],
        ),
        ({"running": True, "last": None, "verified": None}, ["none yet, daily at 02:30, to /srv/b", "one is running"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_backups(changes: dict[str, object], lines: list[str]) -> None:
    data: dict[str, object] = {
        "repository": "/srv/b", "schedule": "02:30", "running": False, "last": "2026-11-27T02:31:00Z",
        "verified": "2026-11-20T08:00:00Z", "problem": "", **changes,
    }  # fmt: skip
    status = RUNNING.model_copy(update={"backup": BackupData.model_validate(data)})
    assert [line[12:] for line in as_text(status).splitlines() if line.startswith("backup ")] == lines
    validate(json.loads(as_json(status)), schema())
