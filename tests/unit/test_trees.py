"""Graphs as text: every edge is shown, each branch once, cycles end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.trees import inverted, mermaid, tree_lines

GRAPH = {"top": ["a", "b"], "a": ["c"], "b": ["c", "d"], "c": ["e"], "d": ["b"]}


def test_a_branch_is_shown_once_and_cycles_end() -> None:
    assert "\n".join(tree_lines("top", GRAPH, str.upper)) == (
        """\
TOP
├── A
│   └── C
│       └── E
└── B
    ├── C (*)
    └── D
        └── B (*)
(*) its branch is shown above"""
    )


def test_a_tree_without_repetition_has_no_note() -> None:
    assert tree_lines("top", {"top": ["leaf", "leaf"]}, str) == ["top", "├── leaf", "└── leaf"]


def test_deep_graphs_need_no_recursion() -> None:
    assert len(tree_lines("0", {str(n): [str(n + 1)] for n in range(5000)}, str)) == 5001


@given(st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=4, unique=True), max_size=10))
def test_each_node_that_is_reached_is_shown_with_its_children_once(edges: dict[int, list[int]]) -> None:
    graph = {str(node): [str(child) for child in below] for node, below in edges.items()}
    reached, pending = {"0"}, ["0"]
    while pending:
        new = {*graph.get(pending.pop(), [])} - reached
        reached |= new
        pending += new
    lines = tree_lines("0", graph, str)
    assert len([line for line in lines if "──" in line]) == sum(len(graph.get(node, [])) for node in reached)


def test_parents() -> None:
    assert inverted(GRAPH) == {"a": ["top"], "b": ["top", "d"], "c": ["a", "b"], "d": ["b"], "e": ["c"]}


def test_a_flowchart_names_each_node_once_and_escapes_labels() -> None:
    text = mermaid(["top", "a", "b"], GRAPH, lambda node: f'{node} "x" <b> #1')
    assert text.splitlines() == [
        "flowchart LR",
        '  n0["top #34;x#34; #60;b#62; #35;1"]',
        '  n1["a #34;x#34; #60;b#62; #35;1"]',
        '  n2["b #34;x#34; #60;b#62; #35;1"]',
        "  n0 --> n1",
        "  n0 --> n2",
    ]
