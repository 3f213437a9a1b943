"""The installed add-ons of a server's database and the sources: raised versions are updated, missing add-ons refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker


@pytest.fixture
def manifest(server_stack: Bench) -> Iterator[Path]:
    """The manifest of the project's add-on."""
    path = server_stack.root / "addons/stack_info/__manifest__.py"
    before = path.read_bytes()
    yield path
    path.write_bytes(before)
    server_stack.commit("Restore")


def update_step(bench: Bench, *words: str) -> tuple[str, str]:
    steps = json.loads(bench.inv("plan", "--format", "json", *words).out)["steps"]
    step = next(step for step in steps if step["id"] == "db.update")
    return step["action"], step["detail"]


def installed(bench: Bench) -> str:
    return bench.sql("SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'", "project")


def test_a_raised_version_is_updated(server_stack: Bench, manifest: Path) -> None:
    before = installed(server_stack)
    text = manifest.read_text("utf-8")
    server_stack.set_version("19.0.9.0.0")
    server_stack.commit("Raise the version")  # what is not committed is not deployed
    change = f"stack_info {before} -> 19.0.9.0.0"
    assert update_step(server_stack) == ("update", f"update {change}")
    assert update_step(server_stack, "--no-module-update") == ("skip", f"not updated: {change}")
    kept = server_stack.ok("up", "--no-module-update")
    assert f"not updated in the database project: {change}" in kept.err
    assert installed(server_stack) == before
    server_stack.ok("plan", "--strict", "--no-module-update")

    server_stack.ok("up")
    assert installed(server_stack) == "19.0.9.0.0"
    assert update_step(server_stack) == ("keep", "")

    manifest.write_text(text, "utf-8")
    server_stack.commit("Lower the version")
    newer = server_stack.ok("up")
    assert f"newer add-ons than the sources: stack_info 19.0.9.0.0 -> {before}" in newer.err
    server_stack.sql(f"UPDATE ir_module_module SET latest_version = '{before}' WHERE name = 'stack_info'", "project")


def test_an_installed_add_on_that_is_gone_is_refused(server_stack: Bench) -> None:
    folder = server_stack.root / "addons/stack_info"
    away = folder.rename(server_stack.root.parent / "away")
    server_stack.commit("Remove an add-on")
    try:
        before = server_stack.containers()["odoo"]["State"]["StartedAt"]
        ran = server_stack.inv("up")
        assert ran.code == 4, ran.output
        assert "installed in the database project and in no source: stack_info" in ran.err
        assert "inv mod.uninstall stack_info" in ran.err
        assert server_stack.containers()["odoo"]["State"]["StartedAt"] == before
    finally:
        away.rename(folder)
        server_stack.commit("Restore")
    server_stack.ok("up")
