"""The type of every key of a Compose service, by the schema of the Compose Specification.

Everything that reads services relies on these types, so they are checked first: for the project's services and patches,
and for those of dependencies. A variable is accepted in place of a number, of true and false, and of one of several words:
Compose replaces it before it checks the type.

The keywords of JSON Schema that the specification uses are checked here, because `plan`, `status` and `up` check services each
time: importing jsonschema takes 50 ms, and it has no values that stand for another type. A test compares the verdicts of both.
"""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from odpm_tasks.core.manifest.fields import Problem, unknown
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.text import cut

SCHEMA = "templates/compose-spec.json"
_NAMES = {
    "object": "an object", "array": "a list", "string": "a string", "integer": "an integer", "number": "a number",
    "boolean": "true or false", "null": "null",
}  # fmt: skip
_CASTABLE = frozenset({"boolean", "integer", "number"})


@cache
def specification() -> dict[str, Any]:
    """The schema of the Compose Specification."""
    found: dict[str, Any] = json.loads(pkgutil.get_data("odpm_tasks", SCHEMA) or b"{}")
    return found


def type_problems(service: Any, path: Path) -> Iterator[Problem]:
    """The values of a service, or of a patch of one, that Compose rejects: at most one problem for each key."""
    if not isinstance(service, Mapping):
        yield Problem(path, "must be an object")
        return
    known = _properties(specification()["$defs"]["service"])
    for key, value in service.items():
        if key in known:
            yield from _first(_problems(value, known[key], (*path, key)))


def _first(problems: Iterator[Problem]) -> Iterator[Problem]:
    for problem in problems:
        yield problem
        return


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an object, including those of the schemas that it combines."""
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        found |= _properties(_resolved(part))
    found |= schema.get("properties", {})
    return found


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref")
    found: Mapping[str, Any] = specification()["$defs"][name.rpartition("/")[2]] if name else schema
    return found


def _problems(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    schema = _resolved(schema)
    choices = schema.get("oneOf") or schema.get("anyOf")
    if choices and all("type" in _resolved(choice) or "oneOf" in _resolved(choice) for choice in choices):
        yield from _of_choices(value, choices, path)
        return
    expected = _types(schema)
    if expected and not any(_is_type(value, name) for name in expected):
        yield Problem(path, f"must be {_listed(expected)}")
    elif isinstance(value, Mapping):
        yield from _of_object(value, schema, path)
    elif isinstance(value, list):
        yield from _of_list(value, schema, path)
    else:
        yield from _of_scalar(value, schema, path)


def _of_choices(value: Any, choices: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Problem]:
    """No problem where one choice fits; else the problem of the choice that fits the type, or the types of all."""
    found = [next(_problems(value, choice, path), None) for choice in choices]
    if None in found:
        return
    deeper = [problem for problem in found if problem and len(problem.path) > len(path)]
    fitting = [
        problem
        for problem, choice in zip(found, choices, strict=True)
        if problem and any(_is_type(value, name) for name in _types(choice))
    ]
    if deeper or fitting:
        yield from [*deeper, *fitting][:1]
    else:
        yield Problem(path, f"must be {_listed([name for choice in choices for name in _types(choice)])}")


def _of_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    properties, patterns = _properties(schema), schema.get("patternProperties", {})
    others = schema.get("additionalProperties", True)
    for key in schema.get("required", ()):
        if key not in value:
            yield Problem((*path, key), "is required")
    for key, below in value.items():
        fitting = [properties[key]] if key in properties else [patterns[p] for p in patterns if re.search(p, key)]
        if not fitting and others is False:
            yield unknown((*path, key), sorted(properties)) if properties else Problem((*path, key), "unknown key")
        if not fitting and isinstance(others, Mapping):
            fitting = [others]
        for part in fitting:
            yield from _problems(below, part, (*path, key))


def _of_list(value: list[Any], schema: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    for index, below in enumerate(value):
        yield from _problems(below, schema.get("items", {}), (*path, index))
    if schema.get("uniqueItems"):
        seen = set()
        for index, below in enumerate(value):
            text = json.dumps(below, sort_keys=True)
            if text in seen:
                yield Problem((*path, index), "occurs twice in the list")
            seen.add(text)


def _of_scalar(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    if isinstance(value, str) and "$" in value:
        return
    if value not in schema.get("enum", [value]):
        yield Problem(path, f"{cut(json.dumps(value), 40)} is not one of: {', '.join(map(str, schema['enum']))}")
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield Problem(path, f"{cut(json.dumps(value), 40)} is not valid")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        if not least <= value <= most:
            yield Problem(
                path, f"must be from {least} to {most}" if "maximum" in schema else f"must be at least {least}"
            )


def _types(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema names, including those of its choices."""
    schema = _resolved(schema)
    found = schema.get("type", [])
    names = [found] if isinstance(found, str) else list(found)
    return names or [name for choice in schema.get("oneOf", ()) for name in _types(choice)]


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, str):
        return name == "string" or (name in _CASTABLE and "$" in value)
    if isinstance(value, bool) or value is None:
        return name == ("null" if value is None else "boolean")
    if isinstance(value, int | float):
        return name == "number" or (name == "integer" and (isinstance(value, int) or value.is_integer()))
    return name == ("object" if isinstance(value, Mapping) else "array")


def _listed(names: Sequence[str]) -> str:
    words = list(dict.fromkeys(_NAMES[name] for name in names))
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
