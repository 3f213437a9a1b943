"""The values of the difference of two locks: the sides that are compared, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from odpm_tasks.core.locking.changes import merge_changes
from odpm_tasks.core.locking.diff_packages import PackageChange, SystemChange
from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.sources.commits import CommitRange
from odpm_tasks.core.sources.link import SourceKind

AddonKind = Literal["added", "removed", "version", "content", "moved", "unknown"]


# --- input ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CommitAddon:
    """An add-on at one commit. `tree` is the git id of its folder; `scripts` are paths in the repository.

    `root_name`: the name of an add-on whose folder is the root of the repository (`path` is ""). `version` is read only
    where the add-on differs between both sides.
    """

    path: str
    tree: str = ""
    version: str = ""
    scripts: tuple[str, ...] = ()
    root_name: str = ""

    @property
    def name(self) -> str:
        return self.root_name or self.path.rsplit("/", 1)[-1]


AddonsByName = Mapping[str, CommitAddon]  # the add-ons of a repository at one commit


@dataclass(frozen=True)
class PinPair:
    """The pins of one repository on both sides; None on the side without it. At least one side has a pin."""

    name: str
    role: SourceKind
    old: Pin | None
    new: Pin | None

    @property
    def pin(self) -> Pin:
        """The new pin, else the old one."""
        if (pin := self.new or self.old) is None:
            raise ValueError("a pair without a pin")
        return pin

    @property
    def moved(self) -> bool:
        return self.old is not None and self.new is not None and self.old.content != self.new.content


@dataclass(frozen=True)
class PairDetails:
    """The add-ons of each side (None: not known), the commits between both pins, and notes about what is not known."""

    old: AddonsByName | None = None
    new: AddonsByName | None = None
    history: CommitRange | None = None
    notes: tuple[str, ...] = ()


# --- output -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddonChange:
    """One add-on that differs.

    `version`: another version, possibly in another repository (`moved_from`). `content`: other files, the same version.
    `moved`: the same add-on in another repository. `unknown`: not known whether it changed. `scripts`: the migration scripts
    that Odoo runs between both versions.
    """

    name: str
    kind: AddonKind
    repository: str
    old: str = ""
    new: str = ""
    scripts: tuple[str, ...] = ()
    moved_from: str = ""


@dataclass(frozen=True)
class RepositoryChange:
    name: str
    url: str
    role: SourceKind
    old: Pin | None
    new: Pin | None
    history: CommitRange | None = None
    addons: tuple[AddonChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def merges(self) -> tuple[str, ...]:
        """The changes of what is merged onto the pin, one phrase each."""
        return merge_changes(self.old, self.new) if self.new else ()

    @property
    def kind(self) -> Literal["added", "removed", "moved"]:
        return "added" if self.old is None else "removed" if self.new is None else "moved"


@dataclass(frozen=True)
class ImageChange:
    """A base image with another digest; "" on the side without one."""

    reference: str
    old: str
    new: str


@dataclass(frozen=True)
class ToolChange:
    """A tool of the image with another version; "" on the side without one."""

    name: str
    old: str
    new: str


@dataclass(frozen=True)
class LockDiff:
    """The whole difference. `old` and `new` are the labels of both sides."""

    old: str
    new: str
    repositories: tuple[RepositoryChange, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    images: tuple[ImageChange, ...] = ()
    tools: tuple[ToolChange, ...] = ()
    system: SystemChange | None = None

    @property
    def same(self) -> bool:
        return not (self.repositories or self.packages or self.images or self.tools or self.system)

    @property
    def addons(self) -> tuple[AddonChange, ...]:
        return tuple(change for repository in self.repositories for change in repository.addons)

    @property
    def update(self) -> tuple[tuple[str, str], ...]:
        """The modules to update with the reason (`version`, `content`, `unknown`), sorted by name, each once."""
        rank = ("version", "content", "unknown")
        found: dict[str, str] = {}
        for change in sorted(self.addons, key=lambda c: rank.index(c.kind) if c.kind in rank else 9):
            if change.kind in rank:
                found.setdefault(change.name, change.kind)
        return tuple(sorted(found.items()))

    @property
    def update_argument(self) -> str:
        """The argument of `-u`. Every module depends on `base`, so `base` alone updates all."""
        names = [name for name, _ in self.update]
        return "base" if "base" in names else ",".join(names)
