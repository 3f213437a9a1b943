"""The nested format, `"manifest_schema": 2`. It is strict: an unknown key is an error, so a typo is never ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.backup import BackupBlock
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.links import LinkReader, texts_at
from odpm_tasks.core.manifest.model import OVERLAY_KEYS, Manifest
from odpm_tasks.core.manifest.odpm4 import reference_problems, replacement
from odpm_tasks.core.manifest.targets import TargetBlock, target_problems
from odpm_tasks.core.manifest.web import WebBlock
from odpm_tasks.core.sources.link import Link

# keys of the flat format and their paths in the nested one
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

SINCE_5 = "5.0.0"  # the first odpm that reads SINCE_5_KEYS, merges, the hook `post_up` and services with `build`
SINCE_5_KEYS = (
    "audit_waivers", "backup", "requirements_ignore", "system_packages", "targets", "trust", "use_oca_dependencies", "web",
)  # fmt: skip
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


def _none_if_empty(value: Any) -> Any:
    """`false` and "" are None: odpm 4.x wrote them for no country."""
    return None if value is False or value == "" else value


_MERGES = "Merged onto it, in this order: #N, refs/… (each with an optional commit), or URL[ BRANCH[ COMMIT]]"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Platform(Strict):
    git: f.Text = Field(description="Link of the platform: URL[ BRANCH[ COMMIT]]")
    build_date: f.BuildDate = Field("latest", description="latest, YYYY-MM-DD or YYYYMMDD")
    merges: list[f.Text] = Field(default_factory=list, description=_MERGES)


class Dependency(Strict):
    """A dependency with merges, or whose `oca_dependencies.txt` is not read."""

    git: f.Text = Field(description="Link of the repository: URL[ BRANCH[ COMMIT]]")
    merges: list[f.Text] = Field(default_factory=list, description=_MERGES)
    oca_dependencies: bool = Field(True, description="false: oca_dependencies.txt of the repository is not read")


# the tags are left out of paths in messages (see fields.read_model)
DependencyEntry: TypeAlias = Annotated[
    Annotated[f.Text, Tag("[link]")] | Annotated[Dependency, Tag("[object]")],
    Discriminator(lambda value: "[object]" if isinstance(value, (Mapping, Dependency)) else "[link]"),
]


class DependencyList(Strict):
    """The dependencies of a dependency's own odpm.json."""

    dependencies: list[DependencyEntry]


class DistroBlock(Strict):
    name: f.Distro
    version: f.Release = Field(description="Debian release, number or code name")
    strict: bool = Field(False, description="Build images from the locked state of the Debian archive alone")


class Developing(Strict):
    git: f.Text = Field(description="Link of the developing project; default: the checkout that contains the file")


class Database(Strict):
    language: Annotated[f.Language | None, BeforeValidator(_none_if_empty)] = None
    country: Annotated[
        f.Country | None, BeforeValidator(_none_if_empty, json_schema_input_type=str | Literal[False] | None)
    ] = None


class HookBlock(Strict):
    post_clone: HookList = ()
    post_prepare: HookList = ()
    pre_up: HookList = ()
    post_up: HookList = ()


class Locks(Strict):
    git: dict[str, f.Commit] = Field(
        default_factory=dict, description="Canonical URL -> commit; if not empty, these pins override the lock"
    )
    venv: f.Text | None = Field(None, description="Hash of the Python locks")


class Overlay(Strict):
    """The part of a manifest that a scenario can change. The composition is the same in every scenario."""

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
    requires_odpm: f.OdpmVersion = Field(description="The oldest odpm that reads this file")
    odoo_version: f.Series | None = Field(None, description="Default: the branch of platform.git")
    platform: Platform
    platform_name: f.Package = "odoo"
    arch: f.Arch | None = None
    python: f.PythonVersion
    distro: DistroBlock
    postgres: f.Postgres
    developing: Developing | None = None
    dependencies: list[DependencyEntry] = Field(
        default_factory=list, description="Links of add-on repositories, or objects with a link and merges"
    )
    requirements: list[f.Text] = Field(default_factory=list, description="Python requirements")
    requirements_ignore: list[f.RequirementName] = Field(
        default_factory=list, description="Distribution or import names to leave out of the Python locks"
    )
    use_oca_dependencies: bool = Field(
        True, description="False: the files oca_dependencies.txt of repositories are not read"
    )
    system_packages: list[f.DebianPackage] = Field(default_factory=list, description="Debian packages for the image")
    database: Database = Database()
    odoo_conf: Conf = Field(default_factory=dict)
    services: Services = Field(default_factory=dict)
    service_patches: Patches = Field(default_factory=dict)
    hooks: HookBlock = HookBlock()
    backup: BackupBlock | None = None
    trust: list[f.Text] = Field(
        default_factory=list,
        description="Dependencies, by name or address, whose hooks, patches and privileged services are used",
    )
    audit_waivers: dict[str, f.Text] = Field(
        default_factory=dict,
        description="Findings of `audit` that are accepted: CODE or CODE SUBJECT -> the reason",
    )
    web: WebBlock | None = None
    targets: dict[str, TargetBlock] = Field(
        default_factory=dict, description="Other machines that run the image, by name"
    )
    scenarios: Scenarios = Scenarios()
    locks: Locks = Locks()


def too_new(raw: Mapping[str, Any], tool_version: str) -> Problem | None:
    """The problem that the file requires a newer odpm, if it does; other problems are then not checked."""
    required = raw.get("requires_odpm")
    try:
        newer = isinstance(required, str) and Version(required) > Version(tool_version)
    except InvalidVersion:
        return None  # the model reports it
    text = f"the file requires odpm {required} or later, this is {tool_version}"
    return Problem(("requires_odpm",), text) if newer else None


def check(raw: Mapping[str, Any]) -> tuple[ManifestV2 | None, list[Problem]]:
    """The model, and the problems that do not depend on the environment."""
    model, problems = f.read_model(ManifestV2, raw, RENAMED)
    problems = [
        replace(problem, text=text) if problem.kind == "unknown" and (text := replacement(problem.path)) else problem
        for problem in (*problems, *checks.service_problems(raw))
    ]
    for key in (*OVERLAY_KEYS, "scenarios"):
        problems += reference_problems(raw.get(key), (key,))
    problems += _block_problems(raw)
    for line, path in texts_at(raw, ("requirements",)):
        if error := f.requirement_error(line):
            problems.append(Problem(path, error))
    return model, problems


def _block_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    yield from checks.conf_problems(raw.get("odoo_conf"), ("odoo_conf",))
    yield from checks.hook_problems(raw.get("hooks"), ("hooks",))
    yield from checks.waiver_problems(raw.get("audit_waivers"))
    yield from checks.backup_problems(raw)
    yield from target_problems(raw)
    scenarios = raw.get("scenarios")
    for name, overlay in scenarios.items() if isinstance(scenarios, Mapping) else ():
        if isinstance(overlay, Mapping):
            path = ("scenarios", name)
            yield from checks.conf_problems(overlay.get("odoo_conf"), (*path, "odoo_conf"), scenario=name)
            yield from checks.hook_problems(overlay.get("hooks"), (*path, "hooks"))


def warnings(model: ManifestV2) -> list[Problem]:
    """Keys that need a newer odpm than `requires_odpm`."""
    new: list[Path] = [
        (key,) for key in SINCE_5_KEYS if key in model.model_fields_set and getattr(model, key) not in ([], {})
    ]
    new += [("distro", "strict")] if model.distro.strict else []
    new += [("platform", "merges")] if model.platform.merges else []
    new += [("dependencies", index) for index, entry in enumerate(model.dependencies) if not isinstance(entry, str)]
    if Version(model.requires_odpm) >= Version(SINCE_5):
        return []
    return [Problem(path, f"needs odpm {SINCE_5}, but requires_odpm is {model.requires_odpm}") for path in new]


def build(model: ManifestV2, reader: LinkReader, *, valid: bool) -> Manifest | None:
    """The manifest; None if the link of the platform cannot be read, or if the model is not `valid`.

    All links are read in any case; `reader` collects their problems.
    """
    platform = reader.link(model.platform.git, ("platform", "git"))
    platform = reader.with_merges(platform, model.platform.merges, ("platform", "merges"))
    dependencies = dependency_links(model.dependencies, reader)
    developing = reader.link(model.developing.git, ("developing", "git")) if model.developing else None
    pins = reader.pins(model.locks.git, ("locks", "git"))
    series = model.odoo_version or (platform.branch if platform else None)
    if platform and not re.fullmatch(f.SERIES, series or ""):
        reader.problems.append(
            Problem(("odoo_version",), "is required: the branch of platform.git is not an Odoo version")
        )
    if platform is None or series is None or not valid:
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
        distro_strict=model.distro.strict,
        postgres=model.postgres,
        dependencies=dependencies,
        requirements=f.requirement_lines(model.requirements),
        requirements_ignore=tuple(model.requirements_ignore),
        use_oca_dependencies=model.use_oca_dependencies,
        system_packages=tuple(model.system_packages),
        developing=developing,
        language=model.database.language,
        country=model.database.country.upper() if model.database.country else None,
        locks_git=pins,
        locks_venv=model.locks.venv,
        trust=tuple(model.trust),
        audit_waivers=model.audit_waivers,
        web=model.web.value() if model.web else None,
        backup=model.backup.value() if model.backup else None,
        targets={name: block.value(name) for name, block in model.targets.items()},
        scenarios={name: _blocks(getattr(model.scenarios, name)) for name in model.scenarios.model_fields_set},
        **_blocks(model),
    )


def dependency_links(entries: Sequence[str | Dependency], reader: LinkReader) -> tuple[Link, ...]:
    """The links of `dependencies`, each with its merges."""
    links = []
    for index, entry in enumerate(entries):
        path = ("dependencies", index)
        if isinstance(entry, str):
            link = reader.link(entry, path)
        else:
            link = reader.with_merges(reader.link(entry.git, (*path, "git")), entry.merges, (*path, "merges"))
            link = link and replace(link, oca_dependencies=entry.oca_dependencies)
        links += [link] if link else []
    return tuple(links)


def _blocks(model: ManifestV2 | Overlay) -> dict[str, Any]:
    """Those of the four blocks of an overlay that are set in the file, as values of a `Manifest`."""
    blocks: dict[str, Any] = {
        "odoo_conf": checks.conf_value(model.odoo_conf),
        "services": model.services,
        "service_patches": model.service_patches,
        "hooks": checks.hooks_value(model.hooks.model_dump(exclude_unset=True)),
    }
    return {key: blocks[key] for key in OVERLAY_KEYS if key in model.model_fields_set}
