"""Services, patches of services and hooks of dependencies, by their own `odpm.json`.

The project decides: its own services win, `null` disables one, and a service that reaches beyond its container needs its
repository to be in `trust`. Ignored parts are kept with the reason, so that a plan can show them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from odpm_tasks.core.config.paths import source_folder
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.locking.resolve import Resolution, Source
from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest.json_document import parse, spell
from odpm_tasks.core.manifest.model import BUILTIN_SERVICES, Hooks, Manifest, merge
from odpm_tasks.core.sources.trust import is_trusted
from odpm_tasks.core.stack.relative_paths import rebased
from odpm_tasks.core.stack.service_policy import needs_trust
from odpm_tasks.core.stack.services import apply_patch
from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class OmittedPart:
    """An ignored service, patch or hook of a dependency; `decided`: the project itself decided so."""

    what: str
    why: str
    decided: bool = False


@dataclass(frozen=True)
class Fragment:
    """The services, patches and hooks of one dependency; `source` is its name. `hooks` run only where it is `trusted`."""

    source: str
    trusted: bool
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=dict)
    omitted: tuple[OmittedPart, ...] = ()


@dataclass(frozen=True)
class Fragments:
    """The fragments of all dependencies that have one, breadth first."""

    items: tuple[Fragment, ...] = ()
    warnings: tuple[str, ...] = ()

    def source_of(self, service: str) -> str:
        """The dependency that has a service; empty where none has."""
        return next((fragment.source for fragment in self.items if service in fragment.services), "")

    def merge_into(self, manifest: Manifest) -> Manifest:
        """The description with all fragments: the project's services, then theirs; their patches, then the project's.

        Errors: DescriptionError for a patch of the project whose service does not exist.
        """
        services = {name: service for name, service in manifest.services.items() if service is not None}
        patches: dict[str, Any] = {}
        for fragment in self.items:
            services |= fragment.services
            patches = apply_patch(patches, fragment.patches)
        known = (*BUILTIN_SERVICES, *services)
        for name in manifest.service_patches:
            if name not in known and manifest.services.get(name, name) is not None:
                raise _unknown_service(name, known)
        own = {name: patch for name, patch in manifest.service_patches.items() if name in known}
        return replace(manifest, services=services, service_patches=apply_patch(patches, own))


def fragments(manifest: Manifest, resolution: Resolution, scenario: Scenario) -> Fragments:
    """The fragments of a resolved graph for a scenario. `manifest` has the scenario's overlay merged."""
    found: list[Fragment] = []
    for source in resolution.sources:
        if source.kind == "platform" or not source.facts.odpm_json:
            continue
        raw = parse(source.facts.odpm_json, f"{source.name}: odpm.json").value
        if isinstance(raw, Mapping) and type(raw.get("manifest_schema")) is int:
            fragment = _fragment(manifest, source, raw, scenario, found)
            if fragment.services or fragment.patches or fragment.hooks or fragment.omitted:
                found.append(fragment)
    ignored = [
        f"{fragment.source}: {part.what} is ignored: {part.why}"
        for fragment in found
        for part in fragment.omitted
        if not part.decided
    ]
    return Fragments(tuple(found), (*ignored, *_unknown_trust(manifest, resolution)))


def _fragment(
    manifest: Manifest, source: Source, raw: Mapping[str, Any], scenario: Scenario, before: Sequence[Fragment]
) -> Fragment:
    """The fragment of one dependency; `before`: the fragments of dependencies that precede it in the graph."""
    services, patches, hooks = (_block(raw, key, scenario.name) for key in ("services", "service_patches", "hooks"))
    trusted = is_trusted(manifest.trust, source.link, manifest.links)
    kept_services, omitted = _services(manifest, source, services, scenario, before)
    known = {
        *BUILTIN_SERVICES, *manifest.services, *kept_services,
        *(name for fragment in before for name in fragment.services),
    }  # fmt: skip
    kept_patches, omitted_patches = _patches(source, patches, scenario, known, trusted=trusted)
    invalid = list(checks.hook_problems(hooks, ("hooks",)))
    omitted_hooks = [OmittedPart(spell(problem.path), problem.text) for problem in invalid if trusted]
    kept_hooks = {} if invalid else checks.hooks_value(hooks)
    all_omitted = (*omitted, *omitted_patches, *omitted_hooks)
    return Fragment(source.name, trusted, kept_services, kept_patches, kept_hooks, all_omitted)


_Parts = dict[str, Mapping[str, Any]]


def _services(
    manifest: Manifest, source: Source, services: Mapping[str, Any], scenario: Scenario, before: Sequence[Fragment]
) -> tuple[_Parts, list[OmittedPart]]:
    """The services that count, with paths of the project, and those that do not."""
    faults, trusted = _faults(services), is_trusted(manifest.trust, source.link, manifest.links)
    kept: _Parts = {}
    omitted: list[OmittedPart] = []
    for name, service in services.items():
        if service is None:
            continue
        moved = rebased(service, source_folder(source.name)) if isinstance(service, Mapping) else {}
        rival = next((fragment for fragment in before if name in fragment.services), None)
        if name in manifest.services:
            own = manifest.services[name] is not None
            why = "the project has its own" if own else "odpm.json disables it"
            omitted.append(OmittedPart(name, why, decided=True))
        elif name in faults:
            omitted.append(OmittedPart(name, faults[name]))
        elif not trusted and (what := needs_trust(service)):
            omitted.append(OmittedPart(name, f"it needs {what}, and odpm.json does not trust {source.name}"))
        elif moved != service and not scenario.mounts:
            omitted.append(OmittedPart(name, _no_checkouts(scenario)))
        elif rival:
            same = rival.services[name] == moved
            which = "the same service" if same else "another service of this name"
            omitted.append(OmittedPart(name, f"{rival.source} has {which}", decided=same))
        else:
            kept[name] = moved
    return kept, omitted


def _patches(
    source: Source, patches: Mapping[str, Any], scenario: Scenario, known: Collection[str], *, trusted: bool
) -> tuple[_Parts, list[OmittedPart]]:
    """The patches that count, with paths of the project, and those that do not; `known`: all services."""
    kept: _Parts = {}
    omitted: list[OmittedPart] = []
    for name, patch in patches.items():
        if not trusted:
            why = f"odpm.json does not trust {source.name}"
        elif name not in known:
            why = "there is no such service"
        elif not isinstance(patch, Mapping):
            why = "must be an object"
        elif (moved := rebased(patch, source_folder(source.name))) != patch and not scenario.mounts:
            why = _no_checkouts(scenario)
        else:
            kept[name] = moved
            continue
        omitted.append(OmittedPart(f"patch of {name}", why))
    return kept, omitted


def _no_checkouts(scenario: Scenario) -> str:
    return f"it needs files of its checkout, and {scenario.name} has no checkouts"


def _block(raw: Mapping[str, Any], key: str, scenario: str) -> dict[str, Any]:
    """A block of a dependency's description with the scenario's overlay; empty where it is not an object."""
    overlays = raw.get("scenarios")
    overlay = overlays.get(scenario) if isinstance(overlays, Mapping) else None
    base, above = (block.get(key) if isinstance(block, Mapping) else None for block in (raw, overlay))
    return merge(base if isinstance(base, Mapping) else {}, above if isinstance(above, Mapping) else {})


def _faults(services: Mapping[str, Any]) -> dict[str, str]:
    """The first problem of each invalid service, by name."""
    faults: dict[str, str] = {
        name: "must be an object" for name, each in services.items() if not isinstance(each, Mapping)
    }
    for problem in checks.service_problems({"services": services}):
        text = "the name is built in" if problem.kind == "refused" else problem.text
        below = f"{spell(problem.path[2:])}: " if problem.path[2:] else ""
        faults.setdefault(str(problem.path[1]), below + text)
    return faults


def _unknown_trust(manifest: Manifest, resolution: Resolution) -> list[str]:
    """A warning for each entry of `trust` that trusts nothing."""
    sources = [source for source in resolution.sources if source.kind != "platform"]
    names, keys = [source.name for source in sources], [source.key for source in sources]
    warnings = []
    for entry in manifest.trust:
        if any(is_trusted((entry,), source.link, manifest.links) for source in sources):
            continue
        indirect = next((source for source in sources if entry in {source.name, source.link.name}), None)
        near = get_close_matches(entry, [*names, *keys], n=1, cutoff=0.5)
        if indirect:
            hint = f"another dependency requires it, so that only its address can be trusted: {indirect.key}"
            warnings.append(f"odpm.json: trust: {entry} is not in the dependencies of odpm.json; {hint}")
        else:
            hint = f"the nearest is `{near[0]}`" if near else f"available: {', '.join(names) or 'none'}"
            warnings.append(f"odpm.json: trust: {entry} is not a dependency of this stack; {hint}")
    return warnings


def _unknown_service(name: str, known: Iterable[str]) -> DescriptionError:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"the nearest is `{near[0]}`" if near else f"available: {', '.join(known)}"
    return DescriptionError(
        f"no service of the project or its dependencies is named {name!r}; {hint}",
        where=f"odpm.json: service_patches.{name}",
        todo="correct the name, or remove the patch",
    )
