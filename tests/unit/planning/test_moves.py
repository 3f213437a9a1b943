"""The repositories that a plan moves, and the steps that can be done now."""

from __future__ import annotations

from dataclasses import replace

from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.planning.commits import PlannedMove, planned_moves
from odpm_tasks.core.planning.observed import Checkout, ObservedState
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.steps import Plan, Step
from tests.unit.builders import ODOO, commit, resolution, source
from tests.unit.planning.test_planner import GRAPH, KNOWN, OURS, PINNED, WEB, observed

A = "a" * 40


def test_checkouts_at_another_commit_are_moved() -> None:
    graph = resolution(*GRAPH.sources, source("file:///srv/addons"))
    checkouts = {"odoo": Checkout("ours", A), "web": OURS["web"], "addons": Checkout("absent")}
    decided = plan(observed(resolution=graph, lock=replace(graph.lock(None), venv="the digest"), checkouts=checkouts))
    (step,) = [step for step in decided.steps if step.target == ".odpm/src/odoo"]
    assert planned_moves(decided) == (PlannedMove(step, "odoo", ODOO, A, commit("odoo")),)


def test_a_checkout_that_is_at_the_right_commit_is_not_moved() -> None:
    edited = {**OURS, "web": replace(OURS["web"], changes=("a.py",))}
    assert planned_moves(plan(observed(checkouts=edited))) == ()


def test_an_absent_checkout_has_no_commit_to_move_from() -> None:
    (move,) = planned_moves(plan(observed(checkouts={**OURS, "web": Checkout("absent")})))
    assert (move.key, move.old, move.new) == (WEB, None, commit("web"))


def test_pins_that_the_cache_lacks_are_moves_before_the_graph_is_known() -> None:
    lock = replace(KNOWN, dependencies=(*KNOWN.dependencies, Pin("file:///srv/addons", A, file=True)))
    found = observed(state=ObservedState, lock=lock, uncached=(WEB,))
    (move,) = planned_moves(plan(found))
    assert (move.step.id, move.folder, move.key, move.old, move.new) == (
        "git.materialize",
        "web",
        WEB,
        None,
        commit("web"),
    )
    queried = observed(state=ObservedState, lock=lock, unresolved=(replace(PINNED, commit=commit("web")),))
    assert [(move.key, move.new) for move in planned_moves(plan(queried))] == [(WEB, commit("web"))]
    assert planned_moves(plan(observed(state=ObservedState, lock=lock))) == ()


def test_nothing_after_a_pending_step_is_ready() -> None:
    create, pending = Step("git.resolve", "create", "x"), Step("git.checkout", "pending", "", "known after git.resolve")
    later = Step("compose.up", "create", "y")
    assert Plan(observed(), (create, pending, later)).ready == (create,)
