"""The word under the cursor, and the words that it may become."""

from __future__ import annotations

import pytest

from odpm_tasks.core import candidates as module
from odpm_tasks.core.candidates import Cursor, TaskWords, candidates, cursor
from odpm_tasks.tasks.namespace import TASKS as REAL

UP = TaskWords({"--update": "update", "-u": "update", "--database": "database", "-d": "database", "--demo": ""})
RESTART = TaskWords({"--service": "service", "-s": "service"}, ("service",))
GRAPH = TaskWords({"--format": "format"}, ("name",))
COPY = TaskWords({}, ("source", "target"))
TASKS = {"up": UP, "restart": RESTART, "mod.graph": GRAPH, "db.copy": COPY}
PROGRAM = TaskWords({"--list": "", "--search-root": "search_root", "-r": "search_root"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], Cursor("")),
        (["u"], Cursor("u")),
        (["-r", "x"], Cursor("x", "", "", "search_root")),
        (["-r", "up", "re"], Cursor("re")),
        (["up", "--d"], Cursor("--d", "", "up")),
        (["up", "-u", ""], Cursor("", "", "up", "update")),
        (["up", "-u", "up"], Cursor("up", "", "up", "update")),
        (["up", "-u", "sale,st"], Cursor("st", "sale,", "up", "update")),
        (["up", "--update=sale,st"], Cursor("st", "--update=sale,", "up", "update")),
        (["up", "--update", "="], Cursor("", "", "up", "update")),
        (["up", "--update", "=", "st"], Cursor("st", "", "up", "update")),
        (["up", "-u", "restart", ""], Cursor("", "", "up")),
        (["up", "--demo", "re"], Cursor("re", "", "up")),
        (["restart", ""], Cursor("", "", "restart", "service")),
        (["restart", "-"], Cursor("-", "", "restart")),
        (["restart", "db", ""], Cursor("", "", "restart")),
        (["up", "-d", "x", "restart", "-s", "d"], Cursor("d", "", "restart", "service")),
        (["nothing", "x"], Cursor("x")),
        (["db.copy", "pro"], Cursor("pro", "", "db.copy", "source")),
        (["db.copy", "project", "t"], Cursor("t", "", "db.copy", "target")),
        (["db.copy", "project", "trial", "re"], Cursor("re", "", "db.copy")),
        (["restart", "--", "re"], Cursor("re", parameter="--")),
    ],
)
def test_what_the_cursor_is_at(words: list[str], expected: Cursor) -> None:
    assert cursor(words, TASKS, PROGRAM) == expected


def completed(words: list[str], *names: str) -> tuple[str, ...]:
    return candidates(cursor(words, TASKS, PROGRAM), names, TASKS, PROGRAM)


def test_candidates_begin_with_what_is_typed_and_keep_what_is_before() -> None:
    assert completed(["re"]) == ("restart",)
    assert completed(["up", "--d"]) == ("--database", "--demo")
    assert completed(["up", "-u", "sale,st"], "stock", "sale", "stock_account") == ("sale,stock", "sale,stock_account")
    assert completed(["up", "-u", "sale,"], "stock", "sale") == ("sale,changed", "sale,stock")
    assert completed(["up", "--update=sale,"], "sale") == ("--update=sale,changed",)
    assert completed(["up", "--update=c"], "crm") == ("--update=changed", "--update=crm")
    assert completed(["mod.graph", "--format", ""]) == ("json", "mermaid", "text")
    assert completed(["-r", ""]) == ()


@pytest.mark.parametrize(
    "name", ["$(touch x)", "`touch x`", "a;b", "a b", "a\nb", "a'b", 'a"b', "a\\b", "*", "~", "a&b", ""]
)
def test_names_that_a_shell_would_evaluate_are_left_out(name: str) -> None:
    assert completed(["up", "-u", ""], name, "sale") == ("changed", "sale")


def test_kinds_depend_on_the_parameter_and_where_it_is_general_on_the_task() -> None:
    assert [cursor(words, TASKS, PROGRAM).kind for words in (["up", "-u", ""], ["up", "-d", ""], ["restart", ""])] == [
        "add-ons",
        "databases",
        "services",
    ]
    assert cursor(["mod.graph", ""], TASKS, PROGRAM).kind == "add-ons"
    assert cursor(["db.copy", ""], TASKS, PROGRAM).kind == "databases"
    assert cursor(["db.copy", "project", ""], TASKS, PROGRAM).kind is None
    assert Cursor("", "", "db.restore-snapshot", "name").kind == "snapshots"
    assert Cursor("", "", "db.snapshot", "name").kind is None
    assert Cursor("", "", "ide", "name").kind is None
    assert Cursor("", "", "sources.tree", "name").kind == "sources"


def test_each_parameter_with_names_or_choices_is_one_of_a_task() -> None:
    known = {(name, argument.name) for name, task in REAL.items() for argument in task.get_arguments()}
    spelled = {parameter for _, parameter in known} | {f"{name} {parameter}" for name, parameter in known}
    assert {*module._KINDS, *module._CHOICES} <= spelled
