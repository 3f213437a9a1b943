"""The add-ons of a stack: where each is, what depends on what, and why Odoo installs it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.sources.link import SourceKind
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError

BASE = "base"  # Odoo's first add-on, in odoo/addons, which facts do not contain


@dataclass(frozen=True)
class AddonPlace:
    """The add-ons of one repository, in the order of the add-ons path. `folder`: where the repository is on this machine."""

    name: str
    kind: SourceKind
    facts: Facts = field(repr=False)
    folder: str = ""
    url: str = ""
    revision: str = ""


@dataclass(frozen=True)
class UsedAddon:
    """An add-on that Odoo uses, and its place. `elsewhere`: the repositories whose add-on of this name is not used."""

    module: Module
    place: AddonPlace
    elsewhere: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.module.name

    @property
    def path(self) -> str:
        """Its folder, as seen from the project's root."""
        return f"{self.place.folder}/{self.place.facts.path_in_repository(self.module)}".strip("/")


@dataclass(frozen=True)
class Reason:
    """Why an add-on is installed: `chain` from an add-on of the project down to it, or the add-ons that trigger it."""

    chain: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.triggers:
            return f"installs itself where {' and '.join(sorted(self.triggers))} are installed (auto_install)"
        return "an add-on of this project" if len(self.chain) < 2 else " -> ".join(self.chain)


class AddonGraph:
    """All add-ons by name. Odoo uses the first of a name on the add-ons path."""

    def __init__(self, places: Sequence[AddonPlace]) -> None:
        self.places = tuple(places)
        found: dict[str, list[tuple[AddonPlace, Module]]] = {}
        for place in places:
            for module in place.facts.visible:
                found.setdefault(module.name, []).append((place, module))
        self.addons: dict[str, UsedAddon] = {
            name: UsedAddon(first[0][1], first[0][0], tuple(place.name for place, _ in first[1:]))
            for name, first in sorted(found.items())
        }

    def require(self, name: str) -> UsedAddon:
        """The add-on of a name. Errors: DescriptionError for an unknown one."""
        if name not in self.addons:
            raise DescriptionError(
                f"there is no add-on {name!r} in the sources{nearest(name, self.addons)}",
                todo="inv mod.list shows the add-ons; inv mod.missing what is needed and in no source",
            )
        return self.addons[name]

    @property
    def own(self) -> tuple[str, ...]:
        """The installable add-ons of the developing project."""
        return tuple(
            name for name, addon in self.addons.items() if addon.place.kind == "developing" and addon.module.installable
        )

    def depends(self, name: str) -> tuple[str, ...]:
        """What an add-on depends on, without `base`."""
        addon = self.addons.get(name)
        return tuple(other for other in addon.module.depends if other != BASE) if addon else ()

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """The add-ons that name another one in `depends`."""
        found: dict[str, list[str]] = {}
        for name in self.addons:
            for other in self.depends(name):
                found.setdefault(other, []).append(name)
        return {name: tuple(others) for name, others in found.items()}

    def all_dependents(self, names: Iterable[str]) -> frozenset[str]:
        """The add-ons that depend on one of `names`, directly or not, and these."""
        found, pending = {*names}, [*names]
        while pending:
            new = {*self.dependents.get(pending.pop(), ())} - found
            found |= new
            pending += new
        return frozenset(found)

    @cached_property
    def reasons(self) -> Mapping[str, Reason]:
        """Why Odoo installs an add-on when those of the project are installed: what they need, and what installs itself."""
        found: dict[str, Reason] = {}
        self._add(self.own, {name: Reason((name,)) for name in self.own}, found)
        triggered = {
            name: addon.module.auto_install
            for name, addon in self.addons.items()
            if addon.module.auto_install and addon.module.installable
        }
        growing = True
        while growing:
            present = {BASE, *found}
            new = [name for name, triggers in triggered.items() if name not in found and {*triggers} <= present]
            self._add(new, {name: Reason((name,), triggered[name]) for name in new}, found)
            growing = bool(new)
        return found

    def _add(self, roots: Iterable[str], reasons: Mapping[str, Reason], found: dict[str, Reason]) -> None:
        """Add `roots` and what they need, breadth first, so that each chain is a shortest one."""
        pending = deque(name for name in roots if name not in found)
        found.update({name: reasons[name] for name in pending})
        while pending:
            name = pending.popleft()
            for other in self.depends(name):
                if other in self.addons and other not in found:
                    found[other] = Reason((*found[name].chain, other))
                    pending.append(other)
