"""What to test, and what a template database can contain beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from odpm_tasks.core.addons.graph import BASE, AddonGraph
from odpm_tasks.core.odoo.addon_checks import MissingAddon

MUTABLE = frozenset({"developing"})


@dataclass(frozen=True)
class ChangedAddons:
    """The add-ons to test since a commit or a lock. `platform`: changed add-ons of the platform, which are not tested."""

    test: tuple[str, ...]
    changed: tuple[str, ...]
    platform: tuple[str, ...] = ()


def needs(graph: AddonGraph, addons: Iterable[str]) -> frozenset[str]:
    """The add-ons that these depend on, directly or not, and these; without `base`."""
    found: set[str] = set()
    pending = [name for name in addons if name != BASE]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += graph.depends(name)
    return frozenset(found)


def missing(graph: AddonGraph, addons: Iterable[str]) -> tuple[MissingAddon, ...]:
    """The add-ons in no source that these need, directly or not, each with one that names it."""
    needed = sorted(needs(graph, addons))
    absent = [name for name in needed if name not in graph.addons]
    return tuple(
        MissingAddon(name, tuple(other for other in needed if name in graph.depends(other))[:1]) for name in absent
    )


def template_addons(graph: AddonGraph, tested: Iterable[str], also: Iterable[str] = ()) -> tuple[str, ...] | None:
    """The add-ons to install before: what the tested ones need, without those whose files may change or that need a tested one.

    Tests at installation need that the tested add-ons are installed in the run itself. None: no template, `base` is tested.
    `also`: add-ons of an earlier template; those that no source has any more are left out.
    """
    chosen = {*tested}
    if BASE in chosen:
        return None
    needed = needs(graph, {*chosen, *(name for name in also if name in graph.addons)})
    changing = {
        name
        for name in needed
        if (addon := graph.addons.get(name)) and _may_change(addon.place.kind, addon.place.revision)
    }
    return tuple(sorted(needed - graph.all_dependents(chosen | changing)))


def _may_change(kind: str, revision: str) -> bool:
    """Whether files of a repository change without a change of the lock. A `file://` source has no branch in its revision."""
    return kind in MUTABLE or " " not in revision


def changed_addons(graph: AddonGraph, changed: Iterable[str], *, everything: bool = False) -> ChangedAddons:
    """The changed add-ons and their dependents, of those that the project uses.

    Add-ons of the platform are not tested themselves. `everything`: the platform's own framework changed.
    """
    found = {name for name in changed if name in graph.addons}
    used = {*graph.own, *(name for name in graph.reasons)}
    reached = (used if everything else graph.all_dependents(found)) & used
    kinds = {name: graph.addons[name].place.kind for name in reached if name in graph.addons}
    test = {name for name, kind in kinds.items() if not everything or kind == "developing" or name in found}
    return ChangedAddons(
        tuple(sorted(name for name in test if kinds[name] != "platform" and graph.addons[name].module.installable)),
        tuple(sorted(found)),
        tuple(sorted(name for name in found & used if graph.addons[name].place.kind == "platform")),
    )


def addons_of_files(graph: AddonGraph, paths: Sequence[str]) -> tuple[str, ...]:
    """The add-ons of the developing project that contain one of these files; paths in the project."""
    folders = {addon.path: name for name, addon in graph.addons.items() if addon.place.kind == "developing"}
    found = set()
    for path in paths:
        parts = path.split("/")
        for length in range(len(parts) - 1, -1, -1):
            if (name := folders.get("/".join(parts[:length]))) is not None:
                found.add(name)
                break
    return tuple(sorted(found))
