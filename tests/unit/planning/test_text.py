"""The text of a plan: complete outputs for literal states at several widths; the text of a step that is done."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from odpm_tasks.core.planning.commits import Move, planned_moves
from odpm_tasks.core.planning.document import as_json, document, schema
from odpm_tasks.core.planning.observed import Checkout, ObservedState, Running
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.step_text import LineStyle, step_lines
from odpm_tasks.core.planning.steps import ORDER, Step, phase
from odpm_tasks.core.planning.text import plan_lines
from odpm_tasks.core.sources.commits import Commit, CommitRange
from tests.unit.builders import commit
from tests.unit.planning.test_planner import CONF, EXTENDED, FILES, OURS, PLATFORM, UNRESOLVED, A, observed

FRESH = observed(**UNRESOLVED, lock=None, unresolved=(PLATFORM,))
DRIFTED = observed(
    manifest=EXTENDED,
    checkouts={**OURS, "web": Checkout("ours", A)},
    current={**FILES, CONF: b"[options]\nmine"},
    edited=frozenset({CONF}),
    running=Running(True, "changed", "update the services", postgres="changed", postgres_detail="recreate db (image)"),
)


def seen(found: ObservedState, width: int | None = None, **how: Any) -> str:
    return "\n".join(plan_lines(plan(found), LineStyle(width=width), **how))


def test_nothing_to_do() -> None:
    assert seen(observed()) == (
        "plan  developer  nothing to do, everything is as described\n"
        "\n"
        "sources  6 kept, 1 skipped\n"
        "python   1 kept\n"
        "files    4 kept, 3 skipped\n"
        "run      6 kept, 2 skipped"
    )


def test_pending_steps_are_one_line() -> None:
    assert seen(FRESH) == (
        "plan  developer  1 to create, 20 pending\n"
        "\n"
        "sources  1 skipped\n"
        "  + create  git.resolve  .odpm/deps.lock.json  pin odoo 19.0\n"
        "  ? pending git.materialize … git.lock_verify  known after git.resolve\n"
        "python   ? known after git.resolve\n"
        "files    ? known after git.resolve\n"
        "run      ? known after git.resolve"
    )


def test_columns_are_aligned() -> None:
    shown = seen(DRIFTED)
    assert f"  ~ update  git.checkout        .odpm/src/web          aaaaaaaa -> {commit('web')[:8]}\n" in shown
    assert f"  ~ update  template.odoo_conf  {CONF}  your edits are kept as {CONF}.orig\n" in shown
    assert "  > run     hooks.post_clone    make css\n" in shown
    assert shown.splitlines()[0] == "plan  developer  3 to update, 3 to run, 5 pending"


@pytest.mark.parametrize("found", [FRESH, DRIFTED, observed()])
@pytest.mark.parametrize("width", [160, 80, 50, 30])
def test_lines_are_wrapped_at_any_width(found: ObservedState, width: int) -> None:
    """Wrapping loses no word and keeps the order."""
    text = seen(found, width)
    assert max(len(line) for line in text.splitlines()) <= max(width, 46)  # a step's name is not broken
    if width >= 50:
        assert text.split() == seen(found).split()
        assert max(len(line) for line in text.splitlines()) <= width


def test_a_long_detail_is_cut_on_a_terminal_only() -> None:
    step = Step("git.resolve", "update", "lock", ", ".join(f"repository-{n}" for n in range(60)))
    cut = step_lines(step, LineStyle(width=80))
    assert len(cut) == 3
    assert cut[-1].endswith("…")
    whole = step_lines(step, LineStyle(width=80, full=True))
    assert "repository-59" in whole[-1]
    assert step_lines(step, LineStyle()) == [f"  ~ update  git.resolve          lock  {step.detail}"]


def test_a_step_has_the_same_text_in_the_plan_and_when_done() -> None:
    announced = seen(DRIFTED).splitlines()
    for step in plan(DRIFTED).ready:
        (done,) = step_lines(step, LineStyle(), "1.2 s")
        assert any(line.split() == done.split()[:-2] for line in announced)
        assert done.endswith("  1.2 s")


def test_paint_adds_only_colour() -> None:
    painted = "\n".join(plan_lines(plan(DRIFTED), LineStyle(paint=lambda text, style: f"⟦{style}:{text}⟧")))
    assert "⟦update:  ~ update  ⟧" in painted
    assert "⟦pending:5 pending⟧" in painted
    assert re.sub(r"⟦\w+:|⟧", "", painted) == seen(DRIFTED)


def test_control_characters_are_removed() -> None:
    (line,) = step_lines(Step("hooks.pre_up", "run", "echo \x1b[2J\r"))
    assert line.isprintable()


def test_verbose_shows_every_step() -> None:
    lines = seen(observed(), verbose=True).splitlines()
    assert [line for line in lines if not line.startswith("  ")][2:] == ["sources", "python", "files", "run"]
    assert len([line for line in lines if line.startswith("  ")]) == len(plan(observed()).steps)


def test_every_step_belongs_to_a_phase() -> None:
    phases = [phase(step) for step in ORDER]
    assert list(dict.fromkeys(phases)) == ["sources", "python", "files", "run"]
    assert [phases.count(name) for name in ("sources", "python", "files", "run")] == [6, 1, 7, 8]


# --- how -------------------------------------------------------------------------------------------------------------

OLD, NEW = Commit(A, "2025-01-02", "Old"), Commit(commit("web"), "2025-03-04", "New \x1b[31m")


def test_a_moving_repository_shows_its_commits() -> None:
    (one,) = planned_moves(plan(DRIFTED))
    assert (one.folder, one.old, one.new) == ("web", A, commit("web"))
    between = CommitRange((NEW, Commit("c" * 40, "2025-02-03", "Middle")), 40)
    shown = seen(DRIFTED, diff=True, moves={one.step: Move("web", OLD, NEW, between)})
    assert (
        "      - aaaaaaaa  2025-01-02  Old\n"
        f"      + {commit('web')[:8]}  2025-03-04  New ?[31m\n"
        "        cccccccc  2025-02-03  Middle\n"
        "        … and 38 more\n"
    ) in shown
    rewritten = seen(DRIFTED, diff=True, moves={one.step: Move("web", OLD, NEW, replace(between, rewritten=True))})
    assert "the branch was rewritten" in rewritten
    unknown = seen(DRIFTED, diff=True, moves={one.step: Move("web", OLD, Commit(NEW.id))})
    assert f"+ {NEW.id[:8]}  not on this machine yet" in unknown
    assert "the commits between are not on this machine" in unknown


def test_a_file_shows_its_diff_once() -> None:
    shown = seen(DRIFTED, diff=True)
    assert shown.count(f"      --- a/{CONF}\n      +++ b/{CONF}\n") == 1
    assert "      -mine\n" in shown
    new = seen(observed(current={**FILES, CONF: None}), diff=True)
    assert "      --- /dev/null\n" in new


def test_a_pinned_uncached_commit_is_a_move() -> None:
    found = observed(**UNRESOLVED, unresolved=(replace(PLATFORM, commit=A),))
    assert [(one.folder, one.old, one.new) for one in planned_moves(plan(found))] == [("odoo", None, A)]


@pytest.mark.parametrize("found", [FRESH, DRIFTED, observed("ci"), observed("server")])
@pytest.mark.parametrize("diff", [False, True])
def test_the_document_matches_its_schema(found: ObservedState, diff: bool) -> None:
    made = plan(found)
    moves = {one.step: Move(one.folder, OLD, NEW, CommitRange((NEW,), 1)) for one in planned_moves(made)}
    text = as_json(document(made, moves, "5.0.0", diff=diff))
    data = json.loads(text)
    jsonschema.validate(data, schema())
    assert [(s["id"], s["action"], s["target"], s["detail"]) for s in data["steps"]] == [
        (s.id, s.action, s.target, s.detail) for s in made.steps
    ]
    assert data["drift"] == bool(made.drift) == any(step["drift"] for step in data["steps"])
    assert sum(step["move"] is not None for step in data["steps"]) == len(moves)
    assert any(step["diff"] for step in data["steps"]) == (diff and found is DRIFTED)


def test_the_document_has_the_commits_of_a_move() -> None:
    made = plan(DRIFTED)
    step = planned_moves(made)[0].step
    old, new = Commit(A, "2026-01-02", "[FIX] web: why"), Commit(commit("web"))
    between = CommitRange((old,), 7, rewritten=True)
    moves = {step: Move("web", old, new, between)}
    (found,) = [
        entry["move"] for entry in json.loads(as_json(document(made, moves, "5.0.0")))["steps"] if entry["move"]
    ]
    known = {"commit": A, "date": "2026-01-02", "subject": "[FIX] web: why"}
    assert found == {
        "repository": "web",
        "old": known,
        "new": {"commit": commit("web"), "date": None, "subject": None},
        "between": {"count": 7, "rewritten": True, "commits": [known]},
    }
    alone = json.loads(as_json(document(made, {step: Move("web", None, new)}, "5.0.0")))["steps"]
    assert [(entry["move"]["old"], entry["move"]["between"]) for entry in alone if entry["move"]] == [(None, None)]


def test_the_document_has_diffs_on_request_only() -> None:
    made = plan(DRIFTED)
    without = [entry.diff for entry in document(made, {}, "5.0.0").steps]
    with_diff = [entry.diff for entry in document(made, {}, "5.0.0", diff=True).steps]
    assert without == [None] * len(made.steps)
    assert [entry.target for entry, lines in zip(made.steps, with_diff, strict=True) if lines] == [CONF]
