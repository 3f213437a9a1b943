"""Edits of Python files: syntax errors, and whether the definition of a model changed, which the database must follow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# Attributes of a model that Odoo stores when the add-on is updated: tables, columns, the description of models.
_STORED = frozenset(
    {
        "_name", "_inherit", "_inherits", "_description", "_table", "_auto", "_log_access", "_parent_store", "_parent_name",
        "_order", "_rec_name", "_sql_constraints", "_abstract", "_transient",
    }
)  # fmt: skip
# Arguments of a field that name code: whether they are given counts, their value is read when Odoo starts.
_CODE = frozenset({"compute", "inverse", "search", "default", "context", "group_expand"})
_METHODS = frozenset({"init", "_auto_init"})  # they create tables, views and indexes of the database


@dataclass(frozen=True)
class SourceError:
    """An error in a file: message and line, 0 if it is not known."""

    message: str
    line: int = 0


def syntax_error(data: bytes, python: tuple[int, int], host: tuple[int, int]) -> SourceError | None:
    """The syntax error of a Python file; None without one.

    `python`: the version that runs the file, `host`: of this process. An older one may not know the syntax: then None.
    """
    try:
        compile(data, "edited", "exec", dont_inherit=True)
    except SyntaxError as error:
        return None if host < python else SourceError(error.msg, error.lineno or 0)
    except (ValueError, RecursionError, MemoryError) as error:  # for example null bytes
        return SourceError(str(error))
    return None


def same_code(before: bytes, after: bytes) -> bool:
    """Whether two files have the same code: only comments or layout differ."""
    try:
        return ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def definition_change(before: bytes, after: bytes) -> str:
    """What differs in the definition of models, as text; empty if nothing, or if a file cannot be parsed."""
    try:
        old, new = dict(_definitions(ast.parse(before))), dict(_definitions(ast.parse(after)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not changed:
        return ""
    first = changed[0]
    how = "new" if first not in old else "removed" if first not in new else "changed"
    model, _, name = first.partition(".")
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{name} of {model} is {how}{more}"


def imports_change(before: bytes, after: bytes) -> bool:
    """Whether two files import different names: in an `__init__.py`, other models may be loaded."""
    try:
        return _imports(ast.parse(before)) != _imports(ast.parse(after))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _imports(tree: ast.AST) -> set[str]:
    return {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}


def _definitions(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """`CLASS.NAME` and definition of each field, constraint and stored attribute of the classes of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name in _METHODS:
                    yield f"{node.name}.{statement.name}()", ast.dump(statement)
                elif found := _assigned(statement):
                    name, value = found
                    if name in _STORED:
                        yield f"{node.name}.{name}", ast.dump(value)
                    elif isinstance(value, ast.Call) and _is_definition(value.func):
                        yield f"{node.name}.{name}", _call(value)


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    targets = (
        statement.targets
        if isinstance(statement, ast.Assign)
        else [statement.target]
        if isinstance(statement, ast.AnnAssign)
        else []
    )
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    if len(targets) == 1 and isinstance(targets[0], ast.Name) and value is not None:
        return targets[0].id, value
    return None


def _is_definition(function: ast.expr) -> bool:
    """Whether it is `fields.X`, `models.Constraint` or another part of `models`."""
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in {"fields", "models"}
    )


def _call(call: ast.Call) -> str:
    words = [ast.dump(call.func), *map(ast.dump, call.args)]
    words += sorted(
        f"{word.arg}={'code' if word.arg in _CODE and not _is_none(word.value) else ast.dump(word.value)}"
        for word in call.keywords
    )
    return " ".join(words)


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value in {None, False}
