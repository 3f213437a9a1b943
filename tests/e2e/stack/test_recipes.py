"""The commands of docs/recipes.md, run in the order of the page on a running stack."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from tests.e2e.harness import Bench, inv_programs
from tests.unit.docs.pages import PAGES, rows

pytestmark = pytest.mark.docker

PAGE = PAGES["docs/recipes.md"]
LOOK = ("## Look", "## Add-ons and repositories", "## This machine")
CHANGE = ("## Start and stop", "## Work on an add-on", "## Databases")
MADE = (".vscode", ".run", "odools.toml", "saved.plan", "addons/shop_limit")
EXIT_CODES = {"inv doctor": {0, 8}, "inv doctor --fix": {0, 8}}  # 8: this machine lacks something


def commands(sections: Sequence[str]) -> list[str]:
    cells = [row[1] for section in sections for row in rows(PAGE.section(section))]
    return [cell.strip("`").replace("\\|", "|") for cell in cells]


@pytest.fixture
def used(developer: Bench) -> Iterator[Bench]:
    """The running stack; what the recipes make is removed again."""
    yield developer
    for name in MADE:
        path = developer.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def run(bench: Bench, command: str) -> str:
    env = {**bench.environment(), "PATH": f"{inv_programs()}{os.pathsep}{os.environ['PATH']}"}
    words = ["bash", "-c", command]
    done = subprocess.run(
        words,
        cwd=bench.root,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in EXIT_CODES.get(command, {0}), f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_what_shows_something(used: Bench) -> None:
    out = {command: run(used, command) for command in commands(LOOK)}
    assert used.url("") in out["inv status"]
    assert out["inv open --print"].strip() == used.url("/web")
    assert "admin" in out['inv psql -c "SELECT login FROM res_users"']
    assert "stack_info -> partner_firstname" in out["inv mod.explain partner_firstname"]
    assert len(out) > 25
    assert (used.root / ".vscode/launch.json").exists()


@pytest.mark.long
def test_what_changes_something(used: Bench) -> None:
    # templates of tests and automatic snapshots stay
    users = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname !~ '^odpm[-.]'"
    before = used.sql(users)
    out = {command: run(used, command) for command in commands(CHANGE)}
    assert "shop_limit" in out["inv mod.update --list-only"] or "no add-on" in out["inv mod.update --list-only"]
    assert "0 failed, 0 error(s)" in out["inv test shop_limit"]
    assert '"second"' in out["inv db.list --format json"]
    assert used.sql(users) == before
    assert used.sql("SELECT state FROM ir_module_module WHERE name = 'shop_limit'", "project") == "uninstalled"
    assert "nothing to do" in used.ok("up").err


def test_the_rest_needs_something_else_and_every_section_is_known() -> None:
    headings = [line for line in PAGE.text.splitlines() if line.startswith("## ")]
    assert headings == [*LOOK, *CHANGE, "## With other machines"]
    rest = rows(PAGE.section("## With other machines"))
    assert all(len(row) == 3 and row[2] for row in rest)
    known = commands([*LOOK, *CHANGE])
    assert len(known) == len({*known})
