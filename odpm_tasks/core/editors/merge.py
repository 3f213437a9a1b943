"""The three-way merge of settings: what odpm wrote before, what the file contains now, what odpm writes now.

A value that the user changed or removed stays so; a value that odpm wrote and the user did not touch follows the description.
Members of an object are merged one by one, and so are the elements of a list: an object in a list is known by its name, any
other element by its value.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal

Path = tuple[str | int, ...]
_KEYS = ("name", "label", "id", "localRoot")
_UNNAMED = "default"
_FIRST = "localRoot"  # the first path mapping that fits is used: ours are more specific than one of the whole folder
MISSING: Any = object()


@dataclass(frozen=True)
class Edit:
    """One change of a document; `path` is valid after the changes before it.

    `add`: a new member, or a new element at this index. `set`: another value. `remove`: without a value.
    """

    kind: Literal["add", "set", "remove"]
    path: Path
    value: Any = None


@dataclass
class Merge:
    """The result. `kept`: where the user's value stays, as paths with names. `written`: the values that are odpm's after it."""

    value: Any
    edits: list[Edit] = field(default_factory=list)
    kept: list[tuple[str, ...]] = field(default_factory=list)
    written: Any = None


def merge(current: Any, wanted: Any, base: Any = MISSING) -> Merge:
    """Merge `wanted` into `current`; `base`: the values that odpm wrote before, MISSING where it wrote none."""
    result = Merge(copy.deepcopy(current))
    result.written = _merged(result, (), (), (result.value, wanted, base))
    return result


def _merged(result: Merge, path: Path, named: tuple[str, ...], values: tuple[Any, Any, Any]) -> Any:
    """Merge the value at a path; returns what is odpm's of it, MISSING if nothing is."""
    current, wanted, base = values
    if isinstance(current, dict) and isinstance(wanted, dict):
        return _merged_object(result, path, named, current, wanted, base if isinstance(base, dict) else {})
    if isinstance(current, list) and isinstance(wanted, list):
        return _merged_list(result, path, named, current, wanted, base if isinstance(base, list) else [])
    if current == wanted and type(current) is type(wanted):
        return wanted
    if base is not MISSING and current == base:
        _put(result, path, wanted)
        return wanted
    result.kept.append(named)
    return MISSING


def _merged_object(
    result: Merge,
    path: Path,
    named: tuple[str, ...],
    current: dict[str, Any],
    wanted: dict[str, Any],
    base: dict[str, Any],
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in current:
            ours = _merged(result, (*path, key), (*named, key), (current[key], value, base.get(key, MISSING)))
        elif key in base:
            result.kept.append((*named, key))
            ours = base[key]
        else:
            current[key] = copy.deepcopy(value)
            result.edits.append(Edit("add", (*path, key), value))
            ours = value
        if ours is not MISSING:
            written[key] = ours
    for key in base.keys() - wanted.keys():
        if key in current and current[key] == base[key]:
            del current[key]
            result.edits.append(Edit("remove", (*path, key)))
    return written


def _merged_list(
    result: Merge, path: Path, named: tuple[str, ...], current: list[Any], wanted: list[Any], base: list[Any]
) -> list[Any]:
    written: list[Any] = []
    before = {_identity(element): element for element in base}
    kept_names = {_identity(element) for element in wanted}
    for index in range(len(current) - 1, -1, -1):
        name = _identity(current[index])
        if name in before and name not in kept_names and current[index] == before[name]:
            del current[index]
            result.edits.append(Edit("remove", (*path, index)))
    at = 0 if any(isinstance(element, dict) and _FIRST in element for element in wanted) else len(current)
    for element in wanted:
        name = _identity(element)
        found = next((i for i, one in enumerate(current) if _identity(one) == name), None)
        if found is not None:
            ours = _merged(result, (*path, found), (*named, name), (current[found], element, before.get(name, MISSING)))
            at = found + 1
        elif name in before:
            result.kept.append((*named, name))
            ours = before[name]
        else:
            current.insert(at, copy.deepcopy(element))
            result.edits.append(Edit("add", (*path, at), element))
            at += 1
            ours = element
        if ours is not MISSING:
            written.append(ours)
    return written


def _identity(element: Any) -> str:
    if isinstance(element, dict):
        return next((str(element[key]) for key in _KEYS if key in element), _UNNAMED)
    return str(element)


def _put(result: Merge, path: Path, value: Any) -> None:
    if not path:
        result.value = copy.deepcopy(value)
    else:
        target = result.value
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = copy.deepcopy(value)
    result.edits.append(Edit("set", path, value))
