"""The commands of docs/databases.md, run in the order of the page; the other checkout is reached by ssh, and is the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.databases.pull_sources import settings_in_dotenv
from tests.e2e.databases.test_copies import copied, databases
from tests.e2e.databases.test_pull import pulling, server
from tests.e2e.harness import Bench
from tests.e2e.stack.test_recipes import run
from tests.standins.sshd import SshServer
from tests.unit.docs.pages import PAGES

__all__ = ["copied", "pulling", "server"]
pytestmark = [pytest.mark.docker, pytest.mark.long]

PAGE = PAGES["docs/databases.md"]
SECTIONS = ("## I need production's data on my laptop", "## I broke my database", "## I want to try an update")
ELSEWHERE = "ssh://odoo@shop.example/srv/shop"


def commands(section: str) -> list[str]:
    return [line.removeprefix("$ ") for line in PAGE.section(section).splitlines() if line.startswith("$ ")]


@pytest.fixture
def laptop(pulling: Bench) -> Iterator[Bench]:
    with settings_in_dotenv(pulling):
        yield pulling
    (pulling.root / "production.zip").unlink(missing_ok=True)
    for name in {"production", "production2", "trial"} & {*databases(pulling)}:
        pulling.ok("db.drop", name, "--yes")


def test_the_commands_of_the_page(laptop: Bench, server: SshServer) -> None:
    names = "SELECT count(*) FROM res_partner WHERE name = 'oops'"
    for section in SECTIONS:
        for command in commands(section):
            out = run(laptop, command.replace(ELSEWHERE, server.url(laptop.root)))
            if command.startswith("inv db.restore-snapshot"):
                assert laptop.sql(names, "production") == "0", command
            if "UPDATE res_partner" in command:
                assert laptop.sql(names, "production") != "0"
            if command == "inv db.list":
                assert "production" in out
            if "password" in command:
                assert laptop.authenticate("production", "admin", "admin")
    assert {*databases(laptop)} & {"production", "production2", "trial"} == {"production"}


def test_every_section_is_known() -> None:
    headings = re.findall(r"^## .*$", PAGE.text, re.MULTILINE)
    assert headings == [*SECTIONS, "## PostgreSQL 15 ends", "## Personal data"]
    assert all(commands(section) for section in headings)
