"""The nested format, `"manifest_schema": 2`: strict, so that a slip of the pen is never a setting that silently does nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.links import LinkReader, texts_at
from odpm_tasks.core.manifest.model import OVERLAY_KEYS, Manifest

# What people still write from the flat format, and where it went.
RENAMED = {
    "python_version": "python",
    "odoo_git_link": "platform.git",
    "odoo_build_date": "platform.build_date",
    "distro_name": "distro.name",
    "distro_version": "distro.version",
    "debian_version": "distro.version",
    "postgres_version": "postgres",
    "requirements_txt": "requirements",
    "developing_project": "developing.git",
    "odpm_version": "requires_odpm",
}

LINKS = (("platform", "git"), ("developing", "git"), ("dependencies",))

_ARGV = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_HOOK = {
    "oneOf": [
        {"type": "string", "description": "package.module:function"},
        {"type": "array", "items": {"anyOf": [_ARGV, {"type": "string"}]}},
    ]
}
_SERVICE_KEYS: dict[str, Any] = {key: {} for key in sorted(checks.SERVICE_KEYS)}
_SERVICE = {
    "type": "object",
    "properties": _SERVICE_KEYS,
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}
_PATCHES = {"type": "object", "additionalProperties": _SERVICE}
_SERVICES = {"type": "object", "additionalProperties": {"anyOf": [_SERVICE, {"type": "null"}]}}
_CONF = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
}

HookList = Annotated[Any, WithJsonSchema(_HOOK)]
Services = Annotated[dict[str, dict[str, Any] | None], WithJsonSchema(_SERVICES)]
Patches = Annotated[dict[str, dict[str, Any]], WithJsonSchema(_PATCHES)]
Conf = Annotated[dict[str, dict[str, Any]], WithJsonSchema(_CONF)]


def _nothing(value: Any) -> Any:
    """`false` and "" mean no country, as odpm 4.x wrote it."""
    return None if value is False or value == "" else value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Platform(Strict):
    git: f.Text = Field(description="Link of the platform: URL[ BRANCH[ COMMIT]]")
    build_date: f.BuildDate = Field("latest", description="latest, YYYY-MM-DD or YYYYMMDD")


class DistroBlock(Strict):
    name: f.Distro
    version: f.Release = Field(description="Debian release, number or code name")


class Developing(Strict):
    git: f.Text = Field(description="Link of the developing project; without it: the checkout that holds the file")


class Database(Strict):
    language: Annotated[f.Language | None, BeforeValidator(_nothing)] = None
    country: Annotated[
        f.Country | None, BeforeValidator(_nothing, json_schema_input_type=str | Literal[False] | None)
    ] = None


class HookBlock(Strict):
    post_clone: HookList = ()
    post_prepare: HookList = ()
    pre_up: HookList = ()
    post_up: HookList = ()


class Locks(Strict):
    git: dict[str, f.Commit] = Field(
        default_factory=dict, description="Canonical URL -> commit; not empty: the pins that count"
    )
    venv: f.Text | None = Field(None, description="Hash of the Python locks")


class Overlay(Strict):
    """Packaging only: composition is the same in every scenario."""

    odoo_conf: Conf = Field(default_factory=dict)
    services: Services = Field(default_factory=dict)
    service_patches: Patches = Field(default_factory=dict)
    hooks: HookBlock = HookBlock()


class Scenarios(Strict):
    developer: Overlay = Overlay()
    server: Overlay = Overlay()
    ci: Overlay = Overlay()


class ManifestV2(Strict):
    """odpm.json, nested format."""

    manifest_schema: Literal[2]
    requires_odpm: f.OdpmVersion = Field(description="Smallest odpm that reads this file")
    odoo_version: f.Series | None = Field(None, description="Default: the branch of platform.git")
    platform: Platform
    platform_name: f.Package = "odoo"
    arch: f.Arch | None = None
    python: f.PythonVersion
    distro: DistroBlock
    postgres: f.Postgres
    developing: Developing | None = None
    dependencies: list[f.Text] = Field(default_factory=list, description="Links of add-on repositories")
    requirements: list[f.Text] = Field(default_factory=list, description="Python requirements")
    system_packages: list[f.DebianPackage] = Field(default_factory=list, description="Debian packages for the image")
    database: Database = Database()
    odoo_conf: Conf = Field(default_factory=dict)
    services: Services = Field(default_factory=dict)
    service_patches: Patches = Field(default_factory=dict)
    hooks: HookBlock = HookBlock()
    trust: list[f.Text] = Field(
        default_factory=list,
        description="Dependencies, by NAME or address, whose hooks, patches and far-reaching services count",
    )
    scenarios: Scenarios = Scenarios()
    locks: Locks = Locks()


def too_new(raw: Mapping[str, Any], tool_version: str) -> Problem | None:
    """The one problem that makes all others pointless: the file is for a newer odpm."""
    wanted = raw.get("requires_odpm")
    try:
        newer = isinstance(wanted, str) and Version(wanted) > Version(tool_version)
    except InvalidVersion:
        return None  # the model says so
    return (
        Problem(("requires_odpm",), f"this description needs odpm {wanted}, this is {tool_version}") if newer else None
    )


def check(raw: Mapping[str, Any]) -> tuple[ManifestV2 | None, list[Problem]]:
    """The model, and every problem that can be told without the environment."""
    model, problems = f.read_model(ManifestV2, raw, RENAMED)
    problems += checks.service_problems(raw)
    problems += _block_problems(raw)
    for line, path in texts_at(raw, ("requirements",)):
        if fault := f.requirement_fault(line):
            problems.append(Problem(path, fault))
    return model, problems


def _block_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    yield from checks.conf_problems(raw.get("odoo_conf"), ("odoo_conf",))
    yield from checks.hook_problems(raw.get("hooks"), ("hooks",))
    scenarios = raw.get("scenarios")
    for name, overlay in scenarios.items() if isinstance(scenarios, Mapping) else ():
        if isinstance(overlay, Mapping):
            path = ("scenarios", name)
            yield from checks.conf_problems(overlay.get("odoo_conf"), (*path, "odoo_conf"), scenario=name)
            yield from checks.hook_problems(overlay.get("hooks"), (*path, "hooks"))


def warnings(model: ManifestV2) -> list[Problem]:
    new = [key for key in ("system_packages", "trust") if getattr(model, key)]
    if Version(model.requires_odpm) >= Version("5.0.0"):
        return []
    return [Problem((key,), f"needs odpm 5.0.0, but requires_odpm says {model.requires_odpm}") for key in new]


def build(model: ManifestV2, reader: LinkReader, *, sound: bool) -> Manifest | None:
    """The value; None where a link is missing that it cannot be without, or where the rest is not `sound`.

    The links are looked at in any case: `reader` keeps what is wrong with them.
    """
    platform = reader.link(model.platform.git, ("platform", "git"))
    dependencies = reader.links(model.dependencies, ("dependencies",))
    developing = reader.link(model.developing.git, ("developing", "git")) if model.developing else None
    pins = reader.pins(model.locks.git, ("locks", "git"))
    series = model.odoo_version or (platform.branch if platform else None)
    if platform and not re.fullmatch(f.SERIES, series or ""):
        reader.problems.append(Problem(("odoo_version",), "is required: the branch of platform.git does not tell it"))
    if platform is None or series is None or not sound:
        return None
    return Manifest(
        format=2,
        requires_odpm=model.requires_odpm,
        odoo_version=series,
        platform=platform,
        build_date=model.platform.build_date,
        platform_name=model.platform_name,
        arch=model.arch,
        python=model.python,
        distro_name=model.distro.name,
        distro_version=model.distro.version,
        postgres=model.postgres,
        dependencies=dependencies,
        requirements=f.requirement_lines(model.requirements),
        system_packages=tuple(model.system_packages),
        developing=developing,
        language=model.database.language,
        country=model.database.country.upper() if model.database.country else None,
        locks_git=pins,
        locks_venv=model.locks.venv,
        trust=tuple(model.trust),
        scenarios={name: _blocks(getattr(model.scenarios, name)) for name in model.scenarios.model_fields_set},
        **_blocks(model),
    )


def _blocks(model: ManifestV2 | Overlay) -> dict[str, Any]:
    """The four blocks that a scenario may change, in the form of the value; those that are written."""
    forms: dict[str, Any] = {
        "odoo_conf": checks.conf_value(model.odoo_conf),
        "services": model.services,
        "service_patches": model.service_patches,
        "hooks": checks.hooks_value(model.hooks.model_dump(exclude_unset=True)),
    }
    return {key: forms[key] for key in OVERLAY_KEYS if key in model.model_fields_set}
