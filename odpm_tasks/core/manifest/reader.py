"""Reads `odpm.json` of either format: returns a frozen `Manifest`, or every problem with its line and path.

Each format has its own module, `v1` and `v2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from odpm_tasks.core.config.interpolation import Lookup
from odpm_tasks.core.config.paths import MANIFEST_FILE
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.manifest import checks, v2
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.fields import Problem, requirement_lines
from odpm_tasks.core.manifest.json_document import Document, parse, spell
from odpm_tasks.core.manifest.links import LinkReader
from odpm_tasks.core.manifest.model import DependencyManifest, Manifest, ManifestResult
from odpm_tasks.core.odoo.series import old_python
from odpm_tasks.errors import DescriptionError

SCHEMA = 2


@dataclass
class Examination:
    """A parsed text, its problems and, if it is valid, its manifest.

    `unset`: variables in links that are not set; the file itself may be valid.
    """

    document: Document
    raw: dict[str, Any]
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    unset: list[Problem] = field(default_factory=list)
    manifest: Manifest | None = None

    def lines(self, found: Sequence[Problem]) -> tuple[str, ...]:
        """The problems as `line 12: platform.git: is required`, in the order of the file."""
        ordered = sorted(found, key=lambda problem: self.document.line(problem.path))
        return tuple(dict.fromkeys(self._line(problem) for problem in ordered))

    def _line(self, problem: Problem) -> str:
        if not problem.path:
            return problem.text
        return f"line {self.document.line(problem.path)}: {spell(problem.path)}: {problem.text}"


def read_manifest(text: str, lookup: Lookup, where: str = MANIFEST_FILE, tool_version: str = VERSION) -> ManifestResult:
    """The manifest and its warnings. Variables in links are expanded with `lookup`, other variables are not expanded.

    Errors: DescriptionError with every problem.
    """
    found = examine(text, lookup, where, tool_version)
    lines = found.lines([*found.errors, *found.unset])
    if found.unset and not found.errors:
        raise invalid(where, lines, "set it in .env or in the environment, or write a default: ${NAME:-default}")
    if lines or found.manifest is None:
        raise invalid(where, lines)
    return ManifestResult(found.manifest, found.lines(found.warnings))


def invalid(where: str, lines: Sequence[str], todo: str = "") -> DescriptionError:
    """The error for a list of problems; a single one is in the first line."""
    what, details = (f"{where}, {lines[0]}", ()) if len(lines) == 1 else (f"{where} has {len(lines)} problems", lines)
    return DescriptionError(what, where=where, details=details, todo=todo or f"fix {where}, then: inv validate")


def problems(
    text: str, lookup: Lookup, where: str = MANIFEST_FILE, tool_version: str = VERSION
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Errors and warnings, as `inv validate` prints them. A variable that is not set is a warning, in any field.

    A requirement that cannot be locked is an error also in the flat format, and so is a Python that is too old for the series:
    `inv lock` refuses both.
    """
    try:
        found = examine(text, lookup, where, tool_version)
    except DescriptionError as error:
        return (error.what,), ()
    key = "python" if "manifest_schema" in found.raw else "python_version"
    old = old_python(found.manifest.odoo_version, found.manifest.python) if found.manifest else ""
    found.errors += [Problem((key,) if key in found.raw else ("odoo_version",), old)] if old else []
    unset = [*found.unset, *_unset_in_blocks(found.raw, lookup)]
    refused = [problem for problem in found.warnings if problem.kind == "odd"]
    warnings = [problem for problem in found.warnings if problem not in refused]
    return found.lines([*found.errors, *refused]), found.lines([*warnings, *unset])


def examine(text: str, lookup: Lookup, where: str, tool_version: str = VERSION) -> Examination:
    """Parse and check a text. Errors: DescriptionError only if it is not a JSON object."""
    document = parse(text, where)
    if not isinstance(document.value, dict):
        raise DescriptionError(f"{where} is not a JSON object", where=where, todo="write { … } with the keys inside")
    found = Examination(document, document.value)
    if "manifest_schema" not in found.raw:
        _examine_v1(found, lookup)
    elif problem := _schema_problem(found.raw, tool_version) or v2.too_new(found.raw, tool_version):
        found.errors.append(problem)
    else:
        _examine_v2(found, lookup)
    return found


def _schema_problem(raw: Mapping[str, Any], tool_version: str) -> Problem | None:
    schema, path = raw["manifest_schema"], ("manifest_schema",)
    if type(schema) is int and schema > SCHEMA:
        return Problem(path, f"is {schema}, but this odpm {tool_version} reads schema {SCHEMA}; install a newer odpm")
    if type(schema) is not int or schema != SCHEMA:
        return Problem(path, f"must be the integer {SCHEMA}; the flat format has no such key")
    return None


def _examine_v1(found: Examination, lookup: Lookup) -> None:
    from odpm_tasks.core.manifest import v1  # imported only for flat files

    model, found.errors, found.warnings = v1.check(found.raw)
    reader = LinkReader(lookup)
    if model:
        found.manifest = v1.build(model, reader, valid=not found.errors)
    else:
        reader.check(found.raw, v1.LINKS)
    found.errors += reader.problems
    found.unset = reader.unset


def _examine_v2(found: Examination, lookup: Lookup) -> None:
    model, found.errors = v2.check(found.raw)
    reader = LinkReader(lookup)
    if model:
        found.warnings = v2.warnings(model)
        found.manifest = v2.build(model, reader, valid=not found.errors)
    else:
        reader.check(found.raw, v2.LINKS)
    found.errors += reader.problems
    found.unset = reader.unset


def _unset_in_blocks(raw: Mapping[str, Any], lookup: Lookup) -> list[Problem]:
    """Unset variables in the blocks that are expanded later: by Compose, at container start, when a hook runs."""
    nested = "manifest_schema" in raw
    keys = ("odoo_conf", "services", "service_patches", "hooks", "scenarios", "web") if nested else ("odoo_conf",)
    return [problem for key in keys for problem in checks.unset_variables(raw.get(key), (key,), lookup)]


def read_dependency_manifest(text: str, lookup: Lookup, where: str) -> DependencyManifest:
    """Read the part of a dependency's `odpm.json`, of either format, that adds to the graph.

    Other keys are not checked: unknown keys and invalid blocks are no error here.
    Errors: DescriptionError if the text, a link or a requirement cannot be read.
    """
    document = parse(text, where)
    raw = document.value
    if not isinstance(raw, dict):
        raise DescriptionError(
            f"{where} is not a JSON object",
            where=where,
            todo="fix it in that repository, or pin a commit without this error",
        )
    flat = "manifest_schema" not in raw
    found = Examination(document, raw)
    reader = LinkReader(lookup)
    links = v2.dependency_links(_entries(raw, found.errors), reader)
    key = "requirements_txt" if flat else "requirements"
    lines = _texts(raw, key, found.errors)
    found.errors += reader.problems
    problem_lines = found.lines([*found.errors, *reader.unset])
    if problem_lines:
        raise DescriptionError(
            f"{where} cannot be read",
            where=where,
            details=problem_lines,
            todo="fix it in that repository, or pin a commit without this error",
        )
    return DependencyManifest(
        dependencies=links,
        requirements=requirement_lines(lines),
        odoo_version=_version_text(raw, "odoo_version"),
        python=_version_text(raw, "python_version" if flat else "python"),
    )


def _entries(raw: Mapping[str, Any], errors: list[Problem]) -> list[str | v2.Dependency]:
    """`dependencies`: links, or objects with a link and merges. Other keys of an object are not checked."""
    value = raw.get("dependencies") or []
    if not isinstance(value, list):
        errors.append(Problem(("dependencies",), "must be a list"))
        return []
    found: list[str | v2.Dependency] = []
    for index, entry in enumerate(value):
        known = {key: entry[key] for key in v2.Dependency.model_fields if key in entry} if _is_map(entry) else {}
        model, wrong = f.read_model(v2.DependencyList, {"dependencies": [known if _is_map(entry) else entry]}, {})
        errors += [replace(problem, path=("dependencies", index, *problem.path[2:])) for problem in wrong]
        found += model.dependencies if model else []
    return found


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _texts(raw: Mapping[str, Any], key: str, errors: list[Problem]) -> list[str]:
    value = raw.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        errors.append(Problem((key,), "must be a list of strings"))
        return []
    odd = [index for index, entry in enumerate(value) if any(ord(char) < 32 for char in entry)]
    errors += [Problem((key, index), "contains a line break or control character") for index in odd]
    return [] if odd else value


def _version_text(raw: Mapping[str, Any], key: str) -> str | None:
    """A version that is a string or a number in the file, as text."""
    value = raw.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def schema_v1() -> dict[str, Any]:
    """JSON Schema of the flat format."""
    from odpm_tasks.core.manifest import v1

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **v1.ManifestV1.model_json_schema()}


def schema_v2() -> dict[str, Any]:
    """JSON Schema of the nested format."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **v2.ManifestV2.model_json_schema()}
