"""Python literals in files of other people: the values of an expression, in bounded time."""

from __future__ import annotations

import ast

_MOST = 100  # members other than strings; those of a manifest are strings


def literal(tree: ast.AST) -> object:
    """The value of a literal, as `ast.literal_eval` returns it.

    A set or dictionary with many members that are not strings is refused: numbers and tuples can be chosen so that all
    have the same hash, and a megabyte of them takes minutes.
    Errors: ValueError, TypeError, SyntaxError, MemoryError, RecursionError.
    """
    for node in ast.walk(tree):
        members = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.Set) else []
        if len(members) > _MOST and sum(not _is_text(member) for member in members) > _MOST:
            raise ValueError("too many members that are not strings")
    value: object = ast.literal_eval(tree)
    return value


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
