"""Services, patches of services and hooks of dependencies, by their own `odpm.json`.

The project decides: its own services win, `null` disables one, and a service that reaches beyond its container needs its
repository to be in `trust`. Ignored parts are kept with the reason, so that a plan can show them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from odpm_tasks.core.config.paths import source_folder
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.locking.graph import Resolution, Source
from odpm_tasks.core.manifest import checks
from odpm_tasks.core.manifest.json_document import Path, parse, spell
from odpm_tasks.core.manifest.model import Hooks, Manifest, merge
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.sources.trust import is_trusted
from odpm_tasks.core.stack.relative_paths import rebased
from odpm_tasks.core.stack.reserved import Reserved
from odpm_tasks.core.stack.service_conflicts import Others, others, unmet
from odpm_tasks.core.stack.service_policy import ISOLATED, PUBLISHED, needs_trust, without_extensions
from odpm_tasks.core.stack.services import apply_patch, names_in
from odpm_tasks.core.text import cut
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

        The services of an untrusted dependency are in networks of their own, which Odoo joins.
        Errors: DescriptionError for a patch of the project whose service does not exist.
        """
        services = {name: service for name, service in manifest.services.items() if service is not None}
        patches: dict[str, Any] = {}
        networks: dict[str, Mapping[str, Any]] = {}
        for fragment in self.items:
            added = fragment.services
            if not fragment.trusted and added:
                added, own = _isolated(fragment)
                networks |= own
                if (joined := f"{ISOLATED}{_slug(fragment.source)}") in own:
                    patches = apply_patch(patches, {"odoo": {"networks": {joined: {}}}})
            services |= added
            patches = apply_patch(patches, fragment.patches)
        known = (*manifest.builtin_services, *services)
        for name in manifest.service_patches:
            if name not in known and manifest.services.get(name, name) is not None:
                raise _unknown_service(name, known)
        own_patches = {name: patch for name, patch in manifest.service_patches.items() if name in known}
        return replace(
            manifest, services=services, service_patches=apply_patch(patches, own_patches), networks=networks
        )


def fragments(
    manifest: Manifest, resolution: Resolution, scenario: Scenario, reserved: Reserved | None = None
) -> Fragments:
    """The fragments of a resolved graph for a scenario. `manifest` has the scenario's overlay merged.

    `reserved`: the names of the built-in services on this machine. Where two dependencies have a service of one name, a
    trusted one comes first.
    """
    blocks = [block for source in resolution.sources if (block := _read(source, manifest, scenario))]
    graph = _Graph(manifest, scenario, reserved or Reserved(), [each.patches for each in blocks if each.trusted])
    services = {each.source.key: _services(graph, each) for each in sorted(blocks, key=lambda each: not each.trusted)}
    items = [_fragment(graph, each, *services[each.source.key]) for each in blocks]
    items = [each for each in items if each.services or each.patches or each.hooks or each.omitted]
    ignored = [
        f"{fragment.source}: {part.what} is ignored: {part.why}"
        for fragment in items
        for part in fragment.omitted
        if not part.decided
    ]
    return Fragments(tuple(items), (*ignored, *_unknown_trust(manifest, resolution)))


_Parts = dict[str, Mapping[str, Any]]
_MOST = 20  # services of one untrusted dependency, and patches that are named in messages


@dataclass(frozen=True)
class _Block:
    """What the `odpm.json` of one dependency contains for a scenario, not checked."""

    source: Source
    trusted: bool
    services: Mapping[str, Any]
    patches: Mapping[str, Any]
    hooks: Mapping[str, Any]


def _read(source: Source, manifest: Manifest, scenario: Scenario) -> _Block | None:
    """The block of a source; None for the platform and where there is no nested `odpm.json`."""
    if source.kind == "platform" or not source.odpm_json:
        return None
    raw = parse(source.odpm_json, f"{source.name}: odpm.json").value
    if not isinstance(raw, Mapping) or type(raw.get("manifest_schema")) is not int:
        return None
    services, patches, hooks = (_block(raw, key, scenario.name) for key in ("services", "service_patches", "hooks"))
    return _Block(source, is_trusted(manifest.trust, source.link, manifest.links), services, patches, hooks)


@dataclass(frozen=True)
class _Graph:
    """What the services of one dependency meet.

    `patches`: those of trusted dependencies, not checked. `before`: the services that are used of the dependencies that
    have been read, by the name of the dependency.
    """

    manifest: Manifest
    scenario: Scenario
    reserved: Reserved
    patches: Sequence[Mapping[str, Any]]
    before: list[tuple[str, _Parts]] = field(default_factory=list)

    def others(self) -> Others:
        valid = [
            {name: patch for name, patch in block.items() if not any(checks.patch_problems(patch, ()))}
            for block in self.patches
        ]
        return others(
            self.manifest, [*((parts, {}) for _, parts in self.before), *(({}, v) for v in valid)], self.reserved
        )

    def available(self) -> _Parts:
        """The services of the project and of the dependencies that have been read."""
        own = {name: service for name, service in self.manifest.services.items() if service is not None}
        return {name: service for _, parts in self.before for name, service in parts.items()} | own


def _fragment(graph: _Graph, block: _Block, services: _Parts, omitted: Sequence[OmittedPart]) -> Fragment:
    """The fragment of one dependency, with its services."""
    known = {*graph.manifest.builtin_services, *graph.manifest.services, *graph.available()}
    patches, omitted_patches = _patches(graph, block, known)
    invalid = list(checks.hook_problems(block.hooks, ("hooks",)))
    omitted_hooks = [OmittedPart(spell(problem.path), problem.text) for problem in invalid if block.trusted]
    hooks = {} if invalid else checks.hooks_value(block.hooks)
    all_omitted = (*omitted, *omitted_patches, *omitted_hooks)
    return Fragment(block.source.name, block.trusted, services, patches, hooks, all_omitted)


def _services(graph: _Graph, block: _Block) -> tuple[_Parts, list[OmittedPart]]:
    """The services that count, with paths of the project, and those that do not. Those that count are added to the graph."""
    source, trusted = block.source, block.trusted
    named = {name: service for name, service in block.services.items() if service is not None}
    distrust = f"and odpm.json does not trust {source.name}"
    if not trusted and len(named) > _MOST:
        return {}, [OmittedPart(f"the list of {len(named)} services", f"a dependency has at most {_MOST}, {distrust}")]
    faults, around = _faults(block.services), graph.others()
    kept: _Parts = {}
    omitted: list[OmittedPart] = []
    for name, service in named.items():
        shown = cut(name, 60)
        if name in graph.manifest.services:
            own = graph.manifest.services[name] is not None
            why = "the project has its own" if own else "odpm.json disables it"
            omitted.append(OmittedPart(shown, why, decided=True))
            continue
        if name in faults:
            omitted.append(OmittedPart(shown, cut(faults[name], 200)))
            continue
        plain = service if trusted else without_extensions(service)
        moved = rebased(plain, source_folder(source.name))
        rival, theirs = next(((who, parts[name]) for who, parts in graph.before if name in parts), ("", None))
        if why := graph.reserved.refusal(name, plain):
            omitted.append(OmittedPart(shown, why))
        elif not trusted and (what := needs_trust(plain) or around.needed_by(name, plain)) and theirs != moved:
            omitted.append(OmittedPart(shown, f"it needs {what}, {distrust}"))
        elif moved != plain and not graph.scenario.mounts:
            omitted.append(OmittedPart(shown, _no_checkouts(graph.scenario)))
        elif rival:
            which = "the same service" if theirs == moved else "another service of this name"
            omitted.append(OmittedPart(shown, f"{rival} has {which}", decided=theirs == moved))
        else:
            kept[name] = moved
    available = graph.available()
    while not trusted and (found := next(_unmet(kept, named, available), None)):
        name, why = found
        del kept[name]
        omitted.append(OmittedPart(name, f"{why}, {distrust}"))
    graph.before.append((source.name, kept))
    return kept, omitted


def _unmet(kept: _Parts, named: Mapping[str, Any], available: _Parts) -> Iterator[tuple[str, str]]:
    for name in kept:
        if why := unmet(name, kept, named.keys(), available):
            yield name, why


def _isolated(fragment: Fragment) -> tuple[_Parts, dict[str, Mapping[str, Any]]]:
    """The services of an untrusted dependency in networks of their own, and the options of these networks.

    The network with Odoo leads to no other service and to no other machine. A published port needs a network that is not
    internal: it has no translation of addresses, so that no answer from elsewhere returns. Without raw packets a container
    reaches only the addresses of its own networks.
    """
    shared, published = f"{ISOLATED}{_slug(fragment.source)}", f"{PUBLISHED}{_slug(fragment.source)}"
    services: _Parts = {}
    networks: dict[str, Mapping[str, Any]] = {}
    for name, service in fragment.services.items():
        wanted = names_in(service, "networks") or ["default"]
        joined = [shared if network == "default" else network for network in wanted]
        networks |= {network: {"internal": True} for network in joined}
        if service.get("ports"):
            joined.append(published)
            networks[published] = {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}
        dropped = list(dict.fromkeys([*(service.get("cap_drop") or []), "NET_RAW"]))
        # an image may have labels for a proxy of this machine
        labels = {"traefik.enable": "false"}
        services[name] = {**service, "networks": joined, "cap_drop": dropped, "labels": labels}
    return services, networks


def _slug(source: str) -> str:
    """The name of a dependency as part of the name of a network; another dependency has another one."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda letter: f"_{ord(letter[0]):x}_", source)


def _patches(graph: _Graph, block: _Block, known: Collection[str]) -> tuple[_Parts, list[OmittedPart]]:
    """The patches that count, with paths of the project, and those that do not; `known`: all services."""
    kept: _Parts = {}
    omitted: list[OmittedPart] = []
    source = block.source
    if not block.trusted and len(block.patches) > _MOST:
        return {}, [OmittedPart(f"the list of {len(block.patches)} patches", f"odpm.json does not trust {source.name}")]
    for name, patch in block.patches.items():
        if not block.trusted:
            why = f"odpm.json does not trust {source.name}"
        elif name not in known:
            why = "there is no such service"
        elif problem := next(checks.patch_problems(patch, ()), None):
            why = _message(problem.path, problem.text)
        elif name != "db" and (refusal := graph.reserved.refusal("", patch)):
            why = refusal
        elif (moved := rebased(patch, source_folder(source.name))) != patch and not graph.scenario.mounts:
            why = _no_checkouts(graph.scenario)
        else:
            kept[name] = moved
            continue
        omitted.append(OmittedPart(f"patch of {cut(name, 60)}", cut(why, 200)))
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
        faults.setdefault(str(problem.path[1]), _message(problem.path[2:], text))
    return faults


def _message(path: Path, text: str) -> str:
    return f"{spell(path)}: {text}" if path else text


def _unknown_trust(manifest: Manifest, resolution: Resolution) -> list[str]:
    """A warning for each entry of `trust` that trusts nothing."""
    sources = [source for source in resolution.sources if source.kind != "platform"]
    names, keys = [source.name for source in sources], [source.key for source in sources]
    warnings = []
    for entry in manifest.trust:
        if any(is_trusted((entry,), source.link, manifest.links) for source in sources):
            continue
        indirect = next((source for source in sources if entry in {source.name, source.link.name}), None)
        chosen = next((source for source in sources if canonical(entry) == source.key), None)
        near = get_close_matches(entry, [*names, *keys], n=1, cutoff=0.5)
        if chosen:
            how = "its commit, which may be one of a fork" if chosen.link.commit else "an address without encryption"
            hint = f"a dependency chooses {how}; add it to the dependencies of odpm.json"
            warnings.append(f"odpm.json: trust: {entry} is not trusted: {hint}")
        elif indirect:
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
