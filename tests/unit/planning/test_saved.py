"""Saved plans as values: their content, what is refused, how changes are named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from odpm_tasks.core.locking.lockfile import DevelopingState, Pin
from odpm_tasks.core.planning.observed import Checkout, ObservedState, Running
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.saved import (
    ExternalInputs,
    ProjectIdentity,
    SavedPlan,
    check_announced,
    check_fits,
    check_unchanged,
    dependencies,
    differences,
    dump,
    load,
    saved,
)
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.errors import DriftError, UsageError
from tests.unit.builders import ODOO, commit, resolution, source
from tests.unit.planning.test_planner import (
    COMPOSE,
    CONF,
    FILES,
    GOOD_PYTHON,
    KNOWN,
    LOCK,
    MOVED,
    OURS,
    RENDERED,
    UNRESOLVED,
    observed,
)

MINE = ProjectIdentity(folder="shop", name="shop")
SEEN = ExternalInputs(
    {"odpm.json": b"{}", LOCK: b"lock", ".odpm/state.toml": None}, {"ODOO_PORT": "8070"}, {"TOKEN": True}
)


def saved_of(found: ObservedState, inputs: ExternalInputs = SEEN, **options: Any) -> SavedPlan:
    return saved(plan(found), MINE, RunOptions(**options), dependencies(found, inputs), "5.0.0")


def test_load_returns_what_was_saved() -> None:
    made = saved_of(observed(current={**FILES, CONF: None}), install=("sale",), dev="all")
    assert load(dump(made), "p.json", "5.0.0") == made
    assert made.options.install == ("sale",)
    assert {(s.action, s.target) for s in made.steps if s.action == "create"} == {("create", CONF)}


def test_no_difference_without_a_change() -> None:
    before = dependencies(observed(), SEEN)
    assert differences(before, dependencies(observed(), SEEN)) == {}
    check_unchanged(before, before, "p.json")


@pytest.mark.parametrize(
    ("found", "inputs", "name", "what"),
    [
        (observed(), replace(SEEN, files={**SEEN.files, "odpm.json": b"{ }"}), "odpm.json", "has changed"),
        (observed(), replace(SEEN, files={**SEEN.files, "odpm.json": None}), "odpm.json", "no longer exists"),
        (observed(), replace(SEEN, files={**SEEN.files, ".odpm/state.toml": b"x"}), ".odpm/state.toml", "exists now"),
        (observed(), replace(SEEN, settings={"ODOO_PORT": "8071"}), "ODOO_PORT", "has changed"),
        (observed(), replace(SEEN, settings={"ODOO_PORT": None}), "ODOO_PORT", "is not set"),
        (observed(), replace(SEEN, variables={"TOKEN": False}), "TOKEN", "was set, is not set"),
        (observed(lock=MOVED), replace(SEEN, files={**SEEN.files, LOCK: b"other"}), f"{LOCK}: web", "is aaaaaaaaaaaa"),
        (
            observed(checkouts={**OURS, "web": Checkout("branch", commit("web"), "mine", commit("web"))}),
            SEEN,
            ".odpm/src/web",
            f"is branch {commit('web')[:12]} on mine",
        ),
        (observed(current={**FILES, COMPOSE: b"edited"}), SEEN, COMPOSE, "has changed"),
        (observed(current={**FILES, COMPOSE: None}), SEEN, COMPOSE, "no longer exists"),
        (observed(running=Running(False, "running", "db, odoo", "ready")), SEEN, "the image", "no longer exists"),
        (
            observed(running=Running(True, "changed", "odoo is exited", "ready")),
            SEEN,
            "the services",
            "was running (db, odoo), is changed (odoo is exited)",
        ),
        (
            observed(running=Running(True, "running", "db, odoo", "absent")),
            SEEN,
            "the database project",
            "no longer exists",
        ),
        (observed(modules=("mine", "other")), SEEN, "the project's add-ons", "has changed"),
        (observed(**UNRESOLVED), SEEN, ".odpm/src/odoo", "is no longer known"),
    ],
)
def test_changes_are_named(found: ObservedState, inputs: ExternalInputs, name: str, what: str) -> None:
    changes = differences(dependencies(observed(), SEEN), dependencies(found, inputs))
    assert what in changes[name]
    assert changes.keys().isdisjoint({LOCK})  # an entry of it says more
    with pytest.raises(DriftError) as caught:
        check_unchanged(dependencies(observed(), SEEN), dependencies(found, inputs), "p.json")
    assert name in caught.value.what or len(changes) > 3
    assert caught.value.exit_code == 2
    assert len(str(caught.value).splitlines()) <= 5


def test_values_unknown_at_saving_are_ignored() -> None:
    assert differences(dependencies(observed(**UNRESOLVED), SEEN), dependencies(observed(), SEEN)) == {}


def test_no_value_of_a_variable_is_in_the_file() -> None:
    inputs = replace(SEEN, settings={"ODPM_DEV": "a value of mine"}, variables={"DB_PASSWORD": True})
    text = dump(saved_of(observed(), inputs))
    assert '"DB_PASSWORD": "set"' in text
    assert "a value of mine" not in text


STEP = Step("git.checkout", "update", ".odpm/src/web", "aaaaaaaa -> bbbbbbbb")


def test_a_step_outside_the_plan_is_refused() -> None:
    found = observed(checkouts={**OURS, "web": Checkout("absent")})
    made = saved_of(found)
    announced = plan(found).ready
    assert announced
    check_announced(made, announced, "p.json", begun=False)
    for strange in (STEP, replace(announced[0], detail="other"), replace(announced[0], action="update")):
        with pytest.raises(DriftError) as caught:
            check_announced(made, [*announced, strange], "p.json", begun=True)
        assert strange.detail in str(caught.value)
        assert "earlier steps are done" in str(caught.value)


def test_a_pending_step_may_become_any_action() -> None:
    made = saved_of(observed(**UNRESOLVED, lock=None))
    check_announced(made, [STEP], "p.json", begun=True)
    with pytest.raises(DriftError):
        check_announced(made, [Step("git.lock_load", "update", LOCK)], "p.json", begun=True)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not a saved plan"),
        ("hello", "not a saved plan"),
        ("[]", "not a saved plan"),
        ('{"manifest_schema": 2}', "not a saved plan"),
        ("[" * 100_000, "not a saved plan"),
        ('{"odpm_plan": 2, "odpm": "7.1"}', "made by odpm 7.1, this is 5.0.0"),
        ('{"odpm_plan": 1, "odpm": "5.0.1"}', "made by odpm 5.0.1, this is 5.0.0"),
        ('{"odpm_plan": 1, "odpm": "5.0.0"}', "broken: project"),
    ],
)
def test_other_files_are_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text, "p.json", "5.0.0")
    assert what in str(caught.value)
    assert "p.json" in str(caught.value)
    assert "inv plan --out" in str(caught.value)


def test_a_plan_of_another_project_or_scenario_is_refused() -> None:
    made = saved_of(observed())
    check_fits(made, MINE, "developer", "p.json")
    with pytest.raises(UsageError, match="belongs to another project: shop"):
        check_fits(made, ProjectIdentity(folder="shop", name="web"), "developer", "p.json")
    with pytest.raises(UsageError) as caught:
        check_fits(made, MINE, "server", "p.json")
    assert caught.value.todo == "ODPM_SCENARIO=developer inv up --plan p.json"


def test_every_pin_of_the_lock_is_one_entry() -> None:
    names = [name for name in dependencies(observed(), SEEN) if name.startswith(LOCK)]
    assert names == [LOCK, *(f"{LOCK}: {name}" for name in ("odoo", "web"))]
    assert (
        json.loads(dump(saved_of(observed())))["depends_on"][f"{LOCK}: web"]
        == f"{KNOWN.dependencies[0].commit[:12]} 19.0"
    )


OWN = DevelopingState(Pin("https://github.com/me/project", "a" * 40, tree="b" * 40))
FOLDER = resolution(source(f"{ODOO} 19.0", "platform"), source("file:///srv/addons", at="one"))
LINKED = {"odoo": OURS["odoo"], "addons": Checkout("link")}


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ({"own": OWN}, {"own": replace(OWN, pin=replace(OWN.pin, tree="c" * 40))}, "the project's committed files"),
        ({"own": OWN}, {"own": replace(OWN, changes=("a.py",))}, "the project's committed files"),
        ({}, {"python": replace(GOOD_PYTHON, inputs="other")}, "the Python requirements"),
        ({}, {"checkouts": {**OURS, "web": replace(OURS["web"], changes=("a.py",))}}, ".odpm/src/web"),
        ({}, {"checkouts": {**OURS, "web": replace(OURS["web"], gone=("a" * 40,))}}, ".odpm/src/web"),
        (
            {"resolution": FOLDER, "checkouts": LINKED},
            {"resolution": replace(FOLDER, sources=(FOLDER.sources[0], source("file:///srv/addons", at="two")))},
            ".odpm/src/addons",
        ),
        ({}, {"rendered": replace(RENDERED, files={**FILES, CONF: b"other"})}, f"{CONF} as rendered"),
        ({"modules": ("a", "b")}, {"modules": ("ab",)}, "the project's add-ons"),
    ],
)
def test_a_plan_is_refused_after_a_change_of(before: dict[str, Any], after: dict[str, Any], name: str) -> None:
    saved_state, now = dependencies(observed(**before), SEEN), dependencies(observed(**{**before, **after}), SEEN)
    assert set(differences(saved_state, now)) == {name}
    with pytest.raises(DriftError, match=name):
        check_unchanged(saved_state, now, "p.json")


def test_a_plan_that_saw_no_database_depends_on_none() -> None:
    unknown = observed(running=Running(True, "running"))
    assert not [name for name in dependencies(unknown, SEEN) if "database" in name]


def test_the_file_has_no_option_that_chooses_ports() -> None:
    options = json.loads(dump(saved_of(observed(), free_ports=True, dev="all")))["options"]
    assert options["dev"] == "all"
    assert "free_ports" not in options
