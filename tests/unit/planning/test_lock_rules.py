"""Rules of the lock in a plan: changed links, folders of this machine, the developing project, `--no-git-update`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from odpm_tasks.core.locking.lockfile import DevelopingState, Pin, PythonLocks
from odpm_tasks.core.planning.observed import Checkout, ObservedState, RenderedState
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import LockError
from tests.unit.builders import ODOO, commit, resolution, source
from tests.unit.planning.test_planner import GRAPH, KNOWN, LOCK, MOVED, OURS, PINNED, WEB, observed, said

A, B, C = "a" * 40, "b" * 40, "c" * 40
OWN = DevelopingState(Pin("https://github.com/me/project", A, tree=B))
RECORDED = replace(KNOWN, developing=OWN.pin)
STRICT = pytest.mark.parametrize("scenario", ["server", "ci"])


def refused(scenario: str = "server", **changes: Any) -> LockError:
    with pytest.raises(LockError) as caught:
        plan(observed(scenario, **changes))
    assert caught.value.exit_code == 3
    return caught.value


# --- links whose commit changed --------------------------------------------------------------------------------------------


CHANGED: dict[str, Any] = {
    "state": ObservedState,
    "unresolved": (replace(PINNED, link=parse_link(f"{WEB} 19.0 {B}"), commit=B),),
}


def test_a_link_that_names_another_commit_updates_the_lock_before_anything_is_fetched() -> None:
    assert plan(observed(**CHANGED)).ready[0] == Step(
        "git.resolve", "update", LOCK, f"web {commit('web')[:8]} -> bbbbbbbb"
    )
    without = replace(KNOWN, dependencies=())
    assert said(observed(**CHANGED, lock=without), "git.resolve") == [("update", LOCK, "web not locked -> bbbbbbbb")]


def test_a_link_that_names_the_locked_commit_changes_nothing() -> None:
    same = replace(PINNED, link=parse_link(f"{WEB} 19.0 {commit('web')}"), commit=commit("web"))
    assert said(observed(state=ObservedState, unresolved=(same,)), "git.resolve") == [("keep", LOCK, "")]


@STRICT
def test_strict_scenarios_reject_a_link_that_names_another_commit(scenario: str) -> None:
    error = refused(scenario, **CHANGED)
    assert error.what.startswith("the lock is out of date")
    assert error.details == (f"web {commit('web')[:8]} -> bbbbbbbb",)


def test_locked_commits_that_the_cache_lacks_are_fetched() -> None:
    found = observed(state=ObservedState, uncached=(WEB,))
    assert said(found, "git.materialize") == [("create", "web", f"fetch {commit('web')[:8]}")]
    assert said(replace(found, uncached=()), "git.materialize") == [("pending", "", "known after git.resolve")]


def test_a_check_of_the_lock_is_an_error_in_developer_too() -> None:
    error = refused("developer", lock=MOVED, checking=True)
    assert (error.what, error.todo) == ("the lock is out of date", "inv lock")


# --- folders of this machine -----------------------------------------------------------------------------------------------


EDITED: dict[str, Any] = {
    "resolution": resolution(*GRAPH.sources, source("file:///srv/addons", at="edited")),
    "lock": replace(KNOWN, dependencies=(*KNOWN.dependencies, Pin("file:///srv/addons", A, file=True))),
    "checkouts": {**OURS, "addons": Checkout("link")},
}


def test_an_edit_in_a_folder_of_this_machine_does_not_change_the_lock_in_developer() -> None:
    assert said(observed(**EDITED), "git.resolve") == [("keep", LOCK, "")]


@STRICT
def test_strict_scenarios_reject_an_edited_folder_of_this_machine(scenario: str) -> None:
    assert refused(scenario, **EDITED).details == (f"addons aaaaaaaa -> {commit('edited')[:8]}",)


# --- the developing project ------------------------------------------------------------------------------------------------


def test_the_developing_project_is_recorded_where_the_lock_lacks_it() -> None:
    assert said(observed(own=OWN), "git.resolve") == [("update", LOCK, "add project aaaaaaaa")]
    assert said(observed(own=OWN, lock=RECORDED), "git.resolve") == [("keep", LOCK, "")]


def test_new_commits_of_the_developing_project_are_never_forced_into_the_lock_in_developer() -> None:
    moved = replace(OWN, pin=replace(OWN.pin, commit=C, tree=C), changes=("a.py",))
    found = observed(own=moved, lock=RECORDED)
    assert said(found, "git.resolve") == said(found, "git.lock_verify") == [("keep", LOCK, "")]


@STRICT
@pytest.mark.parametrize(
    ("lock", "own", "what"),
    [
        (KNOWN, OWN, "the lock does not record the developing project"),
        (replace(KNOWN, developing=replace(OWN.pin, tree=None)), OWN, "the lock does not record the"),
        (RECORDED, replace(OWN, pin=replace(OWN.pin, tree=C)), "the developing project differs from the lock"),
        (RECORDED, replace(OWN, changes=("a.py",)), "the developing project has local changes"),
    ],
)
def test_strict_scenarios_require_the_recorded_content_of_the_developing_project(
    scenario: str, lock: Any, own: DevelopingState, what: str
) -> None:
    error = refused(scenario, lock=lock, own=own)
    assert error.what.startswith(what)
    assert error.details == own.changes
    assert ("git stash" in error.todo) is bool(own.changes)


@STRICT
def test_another_commit_with_the_recorded_content_is_accepted(scenario: str) -> None:
    other = replace(OWN, pin=replace(OWN.pin, commit=C))
    assert plan(observed(scenario, lock=RECORDED, own=other)).ready == ()


# --- checkouts -------------------------------------------------------------------------------------------------------------


def checkout(now: Checkout, scenario: str = "developer", **changes: Any) -> tuple[str, str, str]:
    return said(observed(scenario, checkouts={**OURS, "web": now}, **changes), "git.checkout")[1]


PIN, SHORT = commit("web"), commit("web")[:8]


@pytest.mark.parametrize(
    ("now", "detail"),
    [
        (Checkout("branch", A, "mine", PIN), f"{SHORT} with your branch mine on top"),
        (Checkout("commit", A, None, PIN), f"{SHORT} with your commit aaaaaaaa on top"),
    ],
)
def test_work_on_top_of_the_pin_is_kept_in_developer_and_blocks_in_server(now: Checkout, detail: str) -> None:
    assert checkout(now) == ("keep", ".odpm/src/web", detail)
    assert checkout(now, "server")[0] == "blocked"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (Checkout("branch", A, "mine", B), f"it is on your branch mine, and the locked commit is {SHORT}"),
        (Checkout("commit", A, None, B), f"it is at your commit aaaaaaaa, and the locked commit is {SHORT}"),
        (Checkout("foreign"), "a folder or link that odpm did not create is at this path"),
        (
            Checkout("ours", A, None, A, changes=(" M a", " M b", "M  c", "M  d")),
            "local changes: M a, M b, M  c and 1 more",
        ),
        (Checkout("ours", A, None, A, in_the_way=("new.py",)), "untracked files are in the way: new.py"),
    ],
)
def test_a_checkout_that_a_run_would_refuse_is_blocked_with_the_reason(now: Checkout, reason: str) -> None:
    for scenario in ("developer", "server"):
        assert checkout(now, scenario) == ("blocked", ".odpm/src/web", reason)
        found = observed(scenario, checkouts={**OURS, "web": now})
        assert [step.target for step in plan(found).drift] == [".odpm/src/web"]
        assert [step.target for step in plan(found).ready if step.id == "git.checkout"] == [".odpm/src/web"]


def test_a_checkout_without_work_of_the_user_is_not_blocked() -> None:
    assert checkout(Checkout("ours", A, None, A)) == ("update", ".odpm/src/web", f"aaaaaaaa -> {SHORT}")
    assert checkout(Checkout("ours", PIN, None, PIN, changes=())) == ("keep", ".odpm/src/web", SHORT)
    assert checkout(Checkout("foreign", replaceable=True))[0] == "update"
    assert checkout(Checkout("absent"))[0] == "create"


def test_an_interrupted_move_is_finished_even_at_the_right_commit() -> None:
    assert checkout(Checkout("moving", PIN)) == ("update", ".odpm/src/web", f"{SHORT} -> {SHORT}")


def test_local_changes_at_the_pin_block_with_their_names() -> None:
    changes = ("a", "b", "c", "d")
    assert checkout(Checkout("ours", PIN, changes=changes), "server") == (
        "blocked",
        ".odpm/src/web",
        "local changes: a, b, c and 1 more",
    )


def test_commits_that_a_checkout_depends_on_and_that_are_missing_are_restored() -> None:
    now = Checkout("ours", PIN, gone=(A, B))
    assert checkout(now) == ("update", ".odpm/src/web", "restore missing commits: aaaaaaaa, bbbbbbbb")


# --- Python locks ----------------------------------------------------------------------------------------------------------


def test_existing_python_locks_that_the_lock_does_not_record_are_no_drift() -> None:
    found = observed(lock=replace(KNOWN, venv=None), python=PythonLocks("wanted", "wanted", "the digest"))
    reason = "the Python lock is not the one that the lock records"
    assert said(found, "python.lock") == [("create", ".odpm/requirements.lock", reason)]
    assert not plan(found).drift


def test_docker_steps_name_the_validation_where_no_file_changes() -> None:
    assert plan(observed(state=RenderedState)).steps[-1].detail == "known after compose.validate"
    created = observed(state=RenderedState, current={})
    assert plan(created).steps[-1].detail == "known after compose.generate"


# --- --no-git-update -------------------------------------------------------------------------------------------------------


UNTOUCHED: dict[str, Any] = {"touch_git": False, "reads_lock": False, "lock": None}
SKIPPED = [("skip", "", "--no-git-update")]


def test_no_git_update_reads_no_lock_and_moves_no_checkout() -> None:
    found = observed(**UNTOUCHED, checkouts={**OURS, "web": Checkout("branch", A, "mine", B)}, uncached=(WEB,))
    for step in ("git.lock_load", "git.resolve", "git.materialize", "git.checkout", "git.lock_verify"):
        assert said(found, step) == SKIPPED
    assert said(found, "python.lock") == [("keep", ".odpm/requirements.lock", "")]
    assert plan(found).ready == ()


def test_no_git_update_still_links_folders_of_this_machine() -> None:
    graph = resolution(*GRAPH.sources, source("file:///srv/addons"))
    found = observed(**UNTOUCHED, resolution=graph, checkouts={**OURS, "addons": Checkout("absent")})
    assert said(found, "git.checkout") == [*SKIPPED, ("create", ".odpm/src/addons", "link to /srv/addons")]


def test_no_git_update_is_verified_in_server() -> None:
    untouched: dict[str, Any] = {"touch_git": False}
    found = observed("server", **untouched)
    assert said(found, "git.lock_load") == [("keep", LOCK, "2 repositories")]
    assert said(found, "git.checkout") == SKIPPED
    assert said(found, "git.lock_verify") == [("keep", LOCK, "")]
    assert plan(found).ready == ()
    assert refused(**untouched, lock=None).what.startswith("there is no lock")
    other = resolution(source(f"{ODOO} 19.0", "platform"), source(f"{WEB} 19.0", at="other"))
    assert refused(**untouched, resolution=other).details == (f"web {SHORT} -> {commit('other')[:8]}",)
    edited = {name: replace(now, changes=("a.py",)) for name, now in OURS.items()}
    error = refused(**untouched, checkouts=edited)
    assert error.what.startswith("checkouts have local changes")
    assert error.details == ("odoo", "web")
    assert refused(**untouched, own=OWN).what.startswith("the lock does not record the developing project")


def test_a_commit_in_a_link_is_no_change_where_there_is_no_lock() -> None:
    found = observed(**CHANGED, lock=None)
    assert said(found, "git.resolve") == [("create", LOCK, "pin web 19.0")]
