"""A directed graph as text: a tree with lines, as `uv tree` prints it, or a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Children = Mapping[str, Sequence[str]]
SHOWN_ABOVE = "(*)"


def tree_lines(root: str, children: Children, label: Callable[[str], str]) -> list[str]:
    """A line for each path from `root`. A node that was shown with its children is shown later without them, with (*).

    `children`: the children of each node; a missing node has none. Cycles end at the node that is shown above.
    """
    lines = [label(root)]
    shown = {root}
    pending = [(root, "", iter(_numbered(children.get(root, ()))))]
    while pending:
        _, indent, rest = pending[-1]
        following = next(rest, None)
        if following is None:
            pending.pop()
            continue
        node, last = following
        below = children.get(node, ())
        repeated = bool(below) and node in shown
        lines.append(f"{indent}{'└── ' if last else '├── '}{label(node)}{f' {SHOWN_ABOVE}' if repeated else ''}")
        if below and not repeated:
            shown.add(node)
            pending.append((node, indent + ("    " if last else "│   "), iter(_numbered(below))))
    if any(line.endswith(SHOWN_ABOVE) for line in lines):
        lines.append(f"{SHOWN_ABOVE} its branch is shown above")
    return lines


def _numbered(nodes: Sequence[str]) -> list[tuple[str, bool]]:
    return [(node, number == len(nodes)) for number, node in enumerate(nodes, 1)]


def mermaid(nodes: Sequence[str], children: Children, label: Callable[[str], str]) -> str:
    """A flowchart of Mermaid, which GitHub and GitLab draw. Edges to nodes that are not in `nodes` are left out."""
    ids = {node: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[node]}["{_escaped(label(node))}"]' for node in nodes]
    lines += [f"  {ids[node]} --> {ids[child]}" for node in nodes for child in children.get(node, ()) if child in ids]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """A label in quotes: Mermaid reads entities such as #quot; in it."""
    return "".join(f"#{ord(char)};" if char in '"#<>&`\\' else char for char in text)


def inverted(children: Children) -> dict[str, list[str]]:
    """The parents of each node."""
    parents: dict[str, list[str]] = {}
    for node, below in children.items():
        for child in below:
            parents.setdefault(child, []).append(node)
    return parents
