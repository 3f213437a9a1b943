"""What dependencies bring beside their code, by their own `odpm.json`: services, patches of services, hooks.

The project decides: its own services win, `null` leaves one out, and what reaches beyond a container of its own wants the
repository to be named in `trust`. What does not count is kept with the reason, so that a plan can say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from odpm_tasks.core.config.paths import source_folder
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.locking.resolve import Resolution, Source
from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest.json_document import parse, spell
from odpm_tasks.core.manifest.model import BUILTIN_SERVICES, Hooks, Manifest, merge
from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.core.stack.relative_paths import rebased
from odpm_tasks.core.stack.service_policy import needs_trust
from odpm_tasks.core.stack.services import apply_patch
from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class OmittedPart:
    """A service or patch that a dependency brings and that does not count; `decided`: by the project itself."""

    what: str
    why: str
    decided: bool = False


@dataclass(frozen=True)
class Fragment:
    """What one dependency, called `source`, brings. `hooks` run only where it is `trusted`."""

    source: str
    trusted: bool
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=dict)
    omitted: tuple[OmittedPart, ...] = ()


@dataclass(frozen=True)
class Fragments:
    """The fragments of all dependencies that bring something, breadth first."""

    items: tuple[Fragment, ...] = ()
    warnings: tuple[str, ...] = ()

    def source_of(self, service: str) -> str:
        """Who brings a service; empty where no dependency does."""
        return next((fragment.source for fragment in self.items if service in fragment.services), "")

    def merge_into(self, manifest: Manifest) -> Manifest:
        """The description with everything that counts: own services, then theirs; their patches, then our own.

        Errors: DescriptionError for a patch of our own whose service nobody brings.
        """
        services = {name: service for name, service in manifest.services.items() if service is not None}
        patches: dict[str, Any] = {}
        for fragment in self.items:
            services |= fragment.services
            patches = apply_patch(patches, fragment.patches)
        known = (*BUILTIN_SERVICES, *services)
        for name in manifest.service_patches:
            if name not in known and manifest.services.get(name, name) is not None:
                raise _nobody(name, known)
        own = {name: patch for name, patch in manifest.service_patches.items() if name in known}
        return replace(manifest, services=services, service_patches=apply_patch(patches, own))


def fragments(manifest: Manifest, resolution: Resolution, scenario: Scenario) -> Fragments:
    """What the dependencies of a resolved graph bring to a scenario. `manifest` has the scenario's overlay merged."""
    found: list[Fragment] = []
    for source in resolution.sources:
        if source.kind == "platform" or not source.facts.odpm_json:
            continue
        raw = parse(source.facts.odpm_json, f"{source.name}: odpm.json").value
        if isinstance(raw, Mapping) and type(raw.get("manifest_schema")) is int:
            fragment = _fragment(manifest, source, raw, scenario, found)
            if fragment.services or fragment.patches or fragment.hooks or fragment.omitted:
                found.append(fragment)
    told = [
        f"{each.source}: {out.what} is left out: {out.why}" for each in found for out in each.omitted if not out.decided
    ]
    return Fragments(tuple(found), (*told, *_strangers(manifest, resolution)))


def _fragment(
    manifest: Manifest, source: Source, raw: Mapping[str, Any], scenario: Scenario, before: Iterable[Fragment]
) -> Fragment:
    services, patches, hooks = (_block(raw, key, scenario.name) for key in ("services", "service_patches", "hooks"))
    faults = _faults(services)
    trusted = is_trusted(manifest, source)
    taken: dict[str, Mapping[str, Any]] = {}
    left: list[OmittedPart] = []
    for name, service in services.items():
        if service is None:
            continue
        seen = rebased(service, source_folder(source.name)) if isinstance(service, Mapping) else {}
        rival = next((each for each in before if name in each.services), None)
        if name in manifest.services:
            kept = manifest.services[name] is not None
            left.append(
                OmittedPart(name, "the project has its own" if kept else "odpm.json leaves it out", decided=True)
            )
        elif name in faults:
            left.append(OmittedPart(name, faults[name]))
        elif not trusted and (what := needs_trust(service)):
            left.append(OmittedPart(name, f"it wants {what}, and odpm.json does not trust {source.name}"))
        elif seen != service and not scenario.mounts:
            left.append(OmittedPart(name, f"it wants files of its checkout, and {scenario.name} has none"))
        elif rival:
            same = rival.services[name] == seen
            left.append(
                OmittedPart(name, f"{rival.source} brings {'the same' if same else 'another one'} first", decided=same)
            )
        else:
            taken[name] = seen
    known = {*BUILTIN_SERVICES, *manifest.services, *taken, *(name for each in before for name in each.services)}
    counting: dict[str, Mapping[str, Any]] = {}
    for name, patch in patches.items():
        if not trusted:
            left.append(OmittedPart(f"patch of {name}", f"odpm.json does not trust {source.name}"))
        elif name not in known or not isinstance(patch, Mapping):
            left.append(
                OmittedPart(
                    f"patch of {name}", "there is no such service" if name not in known else "must be an object"
                )
            )
        elif (seen := rebased(patch, source_folder(source.name))) != patch and not scenario.mounts:
            left.append(
                OmittedPart(f"patch of {name}", f"it wants files of its checkout, and {scenario.name} has none")
            )
        else:
            counting[name] = seen
    wrong = list(checks.hook_problems(hooks, ("hooks",)))
    left += [OmittedPart(spell(problem.path), problem.text) for problem in wrong if trusted]
    sound = {} if wrong else checks.hooks_value(hooks)
    return Fragment(source.name, trusted, taken, counting, sound, tuple(left))


def _block(raw: Mapping[str, Any], key: str, scenario: str) -> dict[str, Any]:
    """A block of a dependency's description as the scenario sees it; empty where it has another form."""
    overlays = raw.get("scenarios")
    overlay = overlays.get(scenario) if isinstance(overlays, Mapping) else None
    base, above = (block.get(key) if isinstance(block, Mapping) else None for block in (raw, overlay))
    return merge(base if isinstance(base, Mapping) else {}, above if isinstance(above, Mapping) else {})


def _faults(services: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with services, by name; the first thing of each."""
    faults: dict[str, str] = {
        name: "must be an object" for name, each in services.items() if not isinstance(each, Mapping)
    }
    for problem in checks.service_problems({"services": services}):
        text = "the name is built in" if problem.kind == "refused" else problem.text
        below = f"{spell(problem.path[2:])}: " if problem.path[2:] else ""
        faults.setdefault(str(problem.path[1]), below + text)
    return faults


def is_trusted(manifest: Manifest, source: Source) -> bool:
    """Whether the project trusts a repository: by its name below `.odpm/src`, or by its address."""
    return any(entry == source.name or _address(entry) == source.key for entry in manifest.trust)


def _address(entry: str) -> str | None:
    try:
        link: Link = parse_link(entry)
    except DescriptionError:
        return None
    return link.canonical


def _strangers(manifest: Manifest, resolution: Resolution) -> list[str]:
    names = [source.name for source in resolution.sources if source.kind != "platform"]
    keys = [source.key for source in resolution.sources]
    told = []
    for entry in manifest.trust:
        if entry not in names and _address(entry) not in keys:
            near = get_close_matches(entry, [*names, *keys], n=1, cutoff=0.5)
            hint = f"the nearest is `{near[0]}`" if near else f"there are: {', '.join(names) or 'none'}"
            told.append(f"odpm.json: trust: {entry} is no dependency of this stack; {hint}")
    return told


def _nobody(name: str, known: Iterable[str]) -> DescriptionError:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"the nearest is `{near[0]}`" if near else f"there are: {', '.join(known)}"
    return DescriptionError(
        f"neither the project nor a dependency brings a service {name!r}; {hint}",
        where=f"odpm.json: service_patches.{name}",
        todo="correct the name, or leave the patch out",
    )
