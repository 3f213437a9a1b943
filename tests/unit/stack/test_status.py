"""The document of `status`, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from jsonschema import validate

from odpm_tasks.core.stack.pages import page
from odpm_tasks.core.stack.status import (
    PageData,
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
