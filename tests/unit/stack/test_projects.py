"""`projects` and `open`: the state of each project of a machine, and the address of a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import validate

from odpm_tasks.adapters.docker.engine import Container
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.stack.pages import mailbox, other_pages, page
from odpm_tasks.core.stack.projects import ProjectState, as_json, as_text
from odpm_tasks.core.stack.published_ports import published_port
from odpm_tasks.stack import projects as stacks
from tests.unit.builders import MINIMAL

PORTS = ("127.0.0.1:18069->8069/tcp", "127.0.0.1:18072->8072/tcp")


def container(service: str, state: str = "running", ports: tuple[str, ...] = ()) -> Container:
    return Container("0" * 64, service, state, "", "", oneoff=False, ports=ports)


@pytest.mark.parametrize(
    ("containers", "state", "address"),
    [
        ([], "down", ""),
        ([container("odoo", ports=PORTS), container("db")], "running", "http://localhost:18069"),
        ([container("odoo"), container("db")], "running", ""),
        ([container("odoo", "exited"), container("db")], "partly", ""),
        ([container("odoo", "exited"), container("db", "exited")], "stopped", ""),
    ],
)
def test_the_state_of_a_project(tmp_path: Path, containers: list[Container], state: str, address: str) -> None:
    (tmp_path / "odpm.json").write_text(json.dumps(MINIMAL), encoding="utf-8")
    found = stacks._state(tmp_path, {"shop": (str(tmp_path), tuple(containers)), "other": ("/elsewhere", ())})
    assert (found.state, found.url, found.odoo) == (state, address, "19.0")
    assert found.composes == ("shop",)


def test_a_folder_that_is_gone_and_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    gone = stacks._state(tmp_path / "gone", {"shop": (str(tmp_path / "gone"), (container("db"),))})
    assert (gone.state, gone.running) == ("gone", 1)
    (tmp_path / "odpm.json").write_text("{", encoding="utf-8")
    assert stacks._state(tmp_path, {}).odoo == ""


def test_text_and_json() -> None:
    found = [
        ProjectState("/srv/shop", "19.0", "running", 3, 3, "http://localhost:8069", ("shop",)),
        ProjectState("/srv/old", "", "gone", 1, 2, "", ("old",)),
    ]
    assert as_text(found).splitlines() == [
        "project    Odoo  state                                 address",
        "/srv/shop  19.0  running (3 of 3 services)             http://localhost:8069",
        "/srv/old   ?     the folder is gone (1 of 2 services)  -",
        "  docker compose --project-name old down",
    ]
    validate(json.loads(as_json(found)), schema("projects"))
    assert as_text([]) == "no project of this machine uses the cache"


@pytest.mark.parametrize(
    ("ports", "inside", "port"),
    [
        (PORTS, 8069, "18069"),
        (PORTS, 0, "18069"),
        (PORTS, 8025, ""),
        (("[::]:53->53/udp", "0.0.0.0:9000->80/tcp", "[::]:9000->80/tcp"), 0, "9000"),
        ((), 0, ""),
    ],
)
def test_the_port_of_a_service(ports: tuple[str, ...], inside: int, port: str) -> None:
    assert published_port(ports, inside) == port


RUNNING = {
    "odoo": PORTS,
    "db": ("127.0.0.1:15432->5432/tcp",),
    "queue": ("127.0.0.1:16379->6379/tcp",),
    "adminer": ("127.0.0.1:18080->8080/tcp",),
}


@pytest.mark.parametrize(
    ("more", "name", "address"),
    [
        ({}, "", ""),
        (
            {"smtpfake": ("127.0.0.1:11025->1025/tcp", "127.0.0.1:18025->8025/tcp")},
            "smtpfake",
            "http://localhost:18025",
        ),
        ({"old": ("127.0.0.1:11080->1080/tcp",)}, "old", "http://localhost:11080"),
        (
            {"a": ("127.0.0.1:1->8025/tcp",), "mailcatcher": ("127.0.0.1:2->8025/tcp",)},
            "mailcatcher",
            "http://localhost:2",
        ),
        ({"mailcatcher": ()}, "mailcatcher", ""),
    ],
)
def test_the_mailbox_is_found_by_its_port(more: dict[str, tuple[str, ...]], name: str, address: str) -> None:
    ports = {**RUNNING, **more}
    assert (mailbox(ports), page(ports, mailbox(ports))) == (name, address)


def test_databases_and_queues_have_no_page() -> None:
    assert other_pages(RUNNING) == {"adminer": "http://localhost:18080"}
