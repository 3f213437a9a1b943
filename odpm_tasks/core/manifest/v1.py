"""The flat format: no `manifest_schema`, lenient, with the defaults of odpm 4.x.

The defaults must not change: another PostgreSQL version breaks the volumes of teams that rely on the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.links import LinkReader, texts_at
from odpm_tasks.core.manifest.model import PLATFORM, Manifest
from odpm_tasks.core.manifest.v2 import Conf, Database, DependencyEntry, ManifestV2, dependency_links

CONTRACTS = ("3.0", "4.0")
LINKS = (("odoo_git_link",), ("developing_project",), ("dependencies",))


def _number(value: Any) -> Any:
    """A number as text: files in the flat format often have numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return str(int(value)) if value == int(value) else str(value)


def _series(value: Any) -> Any:
    """19 and 19.0 become "19.0"."""
    return f"{float(value):.1f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


_NESTED = "an object with merges needs the nested format: inv migrate --write"
_TextOrNumber = str | int | float | None  # for the JSON Schema


class FlatDatabase(Database):
    model_config = ConfigDict(extra="allow", frozen=True)


class ManifestV1(BaseModel):
    """odpm.json, flat format."""

    model_config = ConfigDict(extra="allow", frozen=True)

    odpm_version: Annotated[f.Text, BeforeValidator(_series, json_schema_input_type=_TextOrNumber)] = Field(
        "3.0", description="Contract line: 3.0 or 4.0"
    )
    odoo_version: Annotated[f.Series | None, BeforeValidator(_series, json_schema_input_type=_TextOrNumber)] = Field(
        None, description="Required, unless the branch of odoo_git_link is a version"
    )
    python_version: f.PythonVersion = "3.7"
    distro_name: f.Distro = "debian"
    distro_version: Annotated[f.Release, BeforeValidator(_number, json_schema_input_type=_TextOrNumber)] = "11"
    debian_version: Annotated[f.Release | None, BeforeValidator(_number, json_schema_input_type=_TextOrNumber)] = Field(
        None, description="Old: distro_version"
    )
    postgres_version: Annotated[f.Postgres, BeforeValidator(_number, json_schema_input_type=_TextOrNumber)] = "13"
    dependencies: list[Annotated[DependencyEntry, WithJsonSchema({"type": "string", "minLength": 1})]] = Field(
        default_factory=list, description="Links of add-on repositories"
    )
    requirements_txt: list[str] = Field(default_factory=list, description="Python requirements")
    requirements_ignore: list[f.RequirementName] = Field(
        default_factory=list, description="Distribution or import names to leave out of the Python locks"
    )
    use_oca_dependencies: bool = Field(
        True, description="False: the files oca_dependencies.txt of repositories are not read"
    )
    trust: list[f.Text] = Field(
        default_factory=list, description="Dependencies, by name or address, that may do what others may not"
    )
    odoo_git_link: f.Text = PLATFORM
    odoo_build_date: Annotated[f.BuildDate, BeforeValidator(_number, json_schema_input_type=_TextOrNumber)] = "latest"
    platform_name: f.Package = "odoo"
    arch: f.Arch | None = None
    database: FlatDatabase = FlatDatabase()
    odoo_conf: Conf = Field(default_factory=dict)
    developing_project: f.Text | None = None


KEYS = tuple(ManifestV1.model_fields)


def cleaned(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The values without known keys that are null or ""; these count as missing. Unknown keys are kept."""
    return {key: value for key, value in raw.items() if key not in KEYS or value not in (None, "")}


def check(raw: Mapping[str, Any]) -> tuple[ManifestV1 | None, list[Problem], list[Problem]]:
    """The model, the problems and the warnings that do not depend on the environment."""
    values = cleaned(raw)
    model, problems = f.read_model(ManifestV1, values, {})
    warnings = _contract(values, problems) + _unknown(raw) + _release(model)
    for problem in checks.conf_problems(values.get("odoo_conf"), ("odoo_conf",)):
        if problem.kind == "refused":
            warnings.append(replace(problem, text=f"{problem.text}; ignored"))
        else:
            problems.append(problem)
    if isinstance(entries := values.get("dependencies"), list):
        problems += [Problem(("dependencies", i), _NESTED, "nested") for i, at in enumerate(entries) if _is_map(at)]
    for line, path in texts_at(values, ("requirements_txt",)):
        if found := _requirement(line, path):
            (warnings if found.kind == "odd" else problems).append(found)
    return model, problems, warnings


def _contract(values: Mapping[str, Any], problems: list[Problem]) -> list[Problem]:
    """Check the version of the flat format: a newer one is a problem, a missing or older one a warning."""
    path = ("odpm_version",)
    if "odpm_version" not in values:
        return [Problem((), 'odpm_version is missing, 3.0 is assumed: write "odpm_version": "4.0"')]
    line = str(_series(values["odpm_version"]))
    if line in CONTRACTS:
        return []
    try:
        newer = Version(line) > Version(CONTRACTS[-1])
    except InvalidVersion:
        newer = True
    known = " and ".join(CONTRACTS)
    if newer:
        problems.append(Problem(path, f"is not a supported version of the flat format; supported: {known}"))
        return []
    return [Problem(path, f"is older than the supported versions ({known}); read as 3.0")]


def _unknown(raw: Mapping[str, Any]) -> list[Problem]:
    database = raw.get("database")
    nested = [key for key in raw if key not in KEYS and key in ManifestV2.model_fields]
    names = [key for key in raw if key not in (*KEYS, *nested)]
    names += (
        [f"database.{key}" for key in database or () if key not in Database.model_fields] if _is_map(database) else []
    )
    warnings = []
    if nested:
        words = "has no effect: it is a key" if len(nested) == 1 else "have no effect: they are keys"
        warnings.append(Problem((), f"{', '.join(nested)} {words} of the nested format: inv migrate --write"))
    if names:
        warnings.append(
            Problem((), f"unknown {'key is' if len(names) == 1 else 'keys are'} ignored: {', '.join(names)}")
        )
    return warnings


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


def _release(model: ManifestV1 | None) -> list[Problem]:
    if model is None or model.debian_version is None or "distro_version" not in model.model_fields_set:
        return []
    if model.debian_version == model.distro_version:
        return []
    return [Problem(("debian_version",), f"has no effect: distro_version is {model.distro_version}")]


def _requirement(line: str, path: Path) -> Problem | None:
    try:
        f.single_line(line)
    except ValueError as invalid:
        return Problem(path, str(invalid))
    error = f.requirement_error(line)
    return Problem(path, error, "odd") if error else None


def odoo_conf(model: ManifestV1) -> dict[str, dict[str, str]]:
    """The options without those that odpm sets; the flat format ignores them."""
    ignored = {problem.path[1:] for problem in checks.conf_problems(model.odoo_conf, ("odoo_conf",))}
    return {
        section: {key: value for key, value in options.items() if (section, key) not in ignored}
        for section, options in checks.conf_value(model.odoo_conf).items()
    }


def build(model: ManifestV1, reader: LinkReader, *, valid: bool) -> Manifest | None:
    """The manifest; None in the same cases as in `v2.build`."""
    platform = reader.link(model.odoo_git_link, ("odoo_git_link",))
    dependencies = dependency_links(model.dependencies, reader)
    developing = reader.link(model.developing_project, ("developing_project",)) if model.developing_project else None
    series = model.odoo_version or (platform.branch if platform else None)
    if platform and not re.fullmatch(f.SERIES, series or ""):
        reader.problems.append(
            Problem(("odoo_version",), "is required: the branch of odoo_git_link is not an Odoo version")
        )
    if platform is None or series is None or not valid:
        return None
    written = model.model_fields_set
    return Manifest(
        format=1,
        requires_odpm=model.odpm_version,
        odoo_version=series,
        platform=platform,
        build_date=model.odoo_build_date,
        platform_name=model.platform_name,
        arch=model.arch,
        python=model.python_version,
        distro_name=model.distro_name,
        distro_version=release(model),
        postgres=model.postgres_version,
        dependencies=dependencies,
        requirements=f.requirement_lines(model.requirements_txt),
        requirements_ignore=tuple(model.requirements_ignore),
        use_oca_dependencies=model.use_oca_dependencies,
        trust=tuple(model.trust),
        developing=developing,
        language=model.database.language,
        country=model.database.country.upper() if model.database.country else None,
        odoo_conf=odoo_conf(model) if "odoo_conf" in written else {},
    )


def release(model: ManifestV1) -> str:
    """`distro_version`, otherwise `debian_version`, its old name, otherwise the default."""
    if "distro_version" in model.model_fields_set or model.debian_version is None:
        return model.distro_version
    return model.debian_version
