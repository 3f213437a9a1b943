"""Reading `odpm.json`: text in, one frozen `Manifest` out, or every problem at once with its path and line.

The formats have a module each (`manifest_v1`, `manifest_v2`); here they meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.config.interpolation import Lookup
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.manifest import checks, v2
from odpm_tasks.core.manifest.fields import Problem, requirement_lines
from odpm_tasks.core.manifest.json_document import Document, parse, spell
from odpm_tasks.core.manifest.links import LinkReader
from odpm_tasks.core.manifest.model import DependencyManifest, Manifest, ManifestResult
from odpm_tasks.errors import DescriptionError

SCHEMA = 2


@dataclass
class Examination:
    """What is known about a text: `unset` holds what only the environment lacks, by place."""

    document: Document
    raw: dict[str, Any]
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    unset: list[Problem] = field(default_factory=list)
    manifest: Manifest | None = None

    def lines(self, found: Sequence[Problem]) -> tuple[str, ...]:
        """`line 12: platform.git: what is wrong`, in the order of the file."""
        placed = sorted(found, key=lambda problem: self.document.line(problem.path))
        return tuple(dict.fromkeys(self._line(problem) for problem in placed))

    def _line(self, problem: Problem) -> str:
        if not problem.path:
            return problem.text
        return f"line {self.document.line(problem.path)}: {spell(problem.path)}: {problem.text}"


def read_manifest(text: str, lookup: Lookup, where: str = "odpm.json", tool_version: str = VERSION) -> ManifestResult:
    """The manifest and its warnings; DescriptionError naming every problem.

    Variables in links are expanded with `lookup`, all others stay for who needs them.
    """
    found = examine(text, lookup, where, tool_version)
    wrong = found.lines([*found.errors, *found.unset])
    if found.unset and not found.errors:
        raise invalid(where, wrong, "set it in .env or in the environment, or write a default: ${NAME:-default}")
    if wrong or found.manifest is None:
        raise invalid(where, wrong)
    return ManifestResult(found.manifest, found.lines(found.warnings))


def invalid(where: str, wrong: Sequence[str], todo: str = "") -> DescriptionError:
    """The error that names every problem; one alone is the headline."""
    what, details = (f"{where}, {wrong[0]}", ()) if len(wrong) == 1 else (f"{where} has {len(wrong)} problems", wrong)
    return DescriptionError(what, where=where, details=details, todo=todo or f"mend {where}, then: inv validate")


def problems(
    text: str, lookup: Lookup, where: str = "odpm.json", tool_version: str = VERSION
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Errors and warnings for `inv validate`; a variable that nothing sets, wherever it is named, is a warning here."""
    try:
        found = examine(text, lookup, where, tool_version)
    except DescriptionError as error:
        return (error.what,), ()
    unset = [*found.unset, *_unset_in_blocks(found.raw, lookup)]
    return found.lines(found.errors), found.lines([*found.warnings, *unset])


def examine(text: str, lookup: Lookup, where: str, tool_version: str = VERSION) -> Examination:
    """Everything that can be said about a text; DescriptionError only where it is no JSON object."""
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
        return Problem(
            path, f"this odpm is too old: it is {tool_version} and reads schema {SCHEMA}, the file is schema {schema}"
        )
    if type(schema) is not int or schema != SCHEMA:
        return Problem(path, f"must be the integer {SCHEMA}; the flat format has no such key")
    return None


def _examine_v1(found: Examination, lookup: Lookup) -> None:
    from odpm_tasks.core.manifest import v1  # most projects have the other one

    model, found.errors, found.warnings = v1.check(found.raw)
    reader = LinkReader(lookup)
    if model:
        found.manifest = v1.build(model, reader, sound=not found.errors)
    else:
        reader.look(found.raw, v1.LINKS)
    found.errors += reader.problems
    found.unset = reader.unset


def _examine_v2(found: Examination, lookup: Lookup) -> None:
    model, found.errors = v2.check(found.raw)
    reader = LinkReader(lookup)
    if model:
        found.warnings = v2.warnings(model)
        found.manifest = v2.build(model, reader, sound=not found.errors)
    else:
        reader.look(found.raw, v2.LINKS)
    found.errors += reader.problems
    found.unset = reader.unset


def _unset_in_blocks(raw: Mapping[str, Any], lookup: Lookup) -> list[Problem]:
    """Variables of the blocks that are expanded later: by Compose, at the container's start, when a hook runs."""
    nested = "manifest_schema" in raw
    keys = ("odoo_conf", "services", "service_patches", "hooks", "scenarios") if nested else ("odoo_conf",)
    return [problem for key in keys for problem in checks.unset_variables(raw.get(key), (key,), lookup)]


def read_dependency_manifest(text: str, lookup: Lookup, where: str) -> DependencyManifest:
    """`odpm.json` of a dependency, either format: what adds to the graph, and nothing else is judged.

    A key this odpm does not know, or a block it would refuse at the top, is the business of that repository.
    DescriptionError where the text, one of its links or a requirement cannot be read.
    """
    document = parse(text, where)
    raw = document.value
    if not isinstance(raw, dict):
        raise DescriptionError(f"{where} is not a JSON object", where=where)
    flat = "manifest_schema" not in raw
    found = Examination(document, raw)
    reader = LinkReader(lookup)
    links = reader.links(_texts(raw, "dependencies", found.errors), ("dependencies",))
    key = "requirements_txt" if flat else "requirements"
    lines = _texts(raw, key, found.errors)
    found.errors += reader.problems
    wrong = found.lines([*found.errors, *reader.unset])
    if wrong:
        raise DescriptionError(
            f"{where} cannot be read",
            where=where,
            details=wrong,
            todo="mend it in that repository, or pin a commit where it is right",
        )
    return DependencyManifest(
        dependencies=links,
        requirements=requirement_lines(lines),
        odoo_version=_written(raw, "odoo_version"),
        python=_written(raw, "python_version" if flat else "python"),
    )


def _texts(raw: Mapping[str, Any], key: str, errors: list[Problem]) -> list[str]:
    value = raw.get(key) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        errors.append(Problem((key,), "must be a list of strings"))
        return []
    odd = [index for index, entry in enumerate(value) if any(ord(char) < 32 for char in entry)]
    errors += [Problem((key, index), "contains a line break or control character") for index in odd]
    return [] if odd else value


def _written(raw: Mapping[str, Any], key: str) -> str | None:
    """A version as it is written, also as a number."""
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
