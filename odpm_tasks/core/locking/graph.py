"""The values of the graph of repositories: what is asked, what is answered, and the whole graph."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.wkhtmltopdf import Renderer
from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.locking.pins import match_file_pins
from odpm_tasks.core.locking.python_requirements import RequirementLine
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.sources.link import Link, SourceKind
from odpm_tasks.core.sources.merges import Merged, MergedRef


@dataclass(frozen=True)
class SourceQuery:
    """A query: what does this repository hold at `commit`, or, if that is None, at the tip of `branch`?

    `day` (YYYY-MM-DD): at the last commit of the branch on that day instead of its tip. `required_by`: the names from the
    manifest down to the repository that requires this one. `pinned`: for each merge of the link its commit in the lock, None
    where it is to be resolved; `merged`: the merges of the lock, where they are exactly those of the link.
    """

    link: Link
    branch: str
    commit: str | None
    required_by: tuple[str, ...]
    kind: SourceKind = "dependency"
    day: str | None = None
    pinned: tuple[MergedRef | None, ...] = ()
    merged: Merged | None = None
    odoo_version: str = ""

    @property
    def request(self) -> tuple[Hashable, ...]:
        """The query without `required_by`: queries with the same request have the same answer."""
        merges = (self.link.merges, self.pinned, self.merged)
        return (self.link.url, self.branch, self.commit, self.day, self.kind, *merges)

    @property
    def content(self) -> str | None:
        """The commit whose files are asked for, where it is known: the pin, or the merge commit."""
        if self.link.merges:
            return self.merged.commit if self.merged else None
        return self.commit


@dataclass(frozen=True)
class SourceAnswer:
    """The answer to a query: the commit (of `file://`: the fingerprint) and the facts of the repository at it.

    With merges the commit is the merge commit, and `pin_facts` are the facts of the pin.
    """

    commit: str
    facts: Facts
    merged: Merged | None = None
    pin_facts: Facts | None = None


@dataclass(frozen=True)
class Source:
    """One repository of the stack.

    `commit`: what is checked out; with merges (`merged`) the merge commit. `pin_facts`: the facts of the pin, where there are
    merges. `requires`: the canonical URLs that its own files name, in their order.
    """

    name: str
    kind: SourceKind
    link: Link
    commit: str
    facts: Facts = field(repr=False)
    required_by: tuple[str, ...] = ()
    merged: Merged | None = None
    pin_facts: Facts | None = field(default=None, repr=False)
    requires: tuple[str, ...] = ()

    @property
    def odpm_json(self) -> str | None:
        """The odpm.json whose services and hooks count: that of the pin, never that of a merge."""
        return (self.pin_facts or self.facts).odpm_json

    @property
    def key(self) -> str:
        return self.link.canonical

    @property
    def pin(self) -> Pin:
        pin = Pin(self.key, self.base, self.link.branch, self.link.is_file)
        if self.merged is None:
            return pin
        merges, tree, git = self.merged.merges, self.merged.tree, self.merged.git
        return replace(pin, merges=merges, merged_tree=tree, merged_by=git)

    @property
    def merges(self) -> tuple[str, ...]:
        """What is merged onto the pin, each as `REF COMMIT` or `URL REF COMMIT`."""
        return tuple(f"{merge} {merge.commit}" for merge in self.merged.merges) if self.merged else ()

    @property
    def revision(self) -> str:
        """What is checked out, as text: the short commit, with merges also the pin and what is merged onto it."""
        return f"{self.commit[:8]} ({self.merged})" if self.merged else self.commit[:8]

    @property
    def base(self) -> str:
        """The pinned commit, without merges."""
        return self.merged.pin if self.merged else self.commit


@dataclass(frozen=True)
class Resolution:
    """The resolved graph: the platform, the developing source where it is a separate one, the dependencies breadth first.

    `requirements`: those of all sources except the platform.
    `images`: the digests of base images, None where no registry was queried; `system`: the state of the Debian archive.
    """

    sources: tuple[Source, ...]
    requirements: tuple[RequirementLine, ...]
    warnings: tuple[str, ...]
    odoo_version: str
    images: Mapping[str, str] | None = None
    renderer: Renderer | None = None
    system: ArchiveState | None = None

    @property
    def platform(self) -> Source:
        return next(source for source in self.sources if source.kind == "platform")

    @property
    def ordered(self) -> tuple[Source, ...]:
        """The sources in the order of the add-ons path: developing, dependencies in graph order, the platform last."""
        rank = {"developing": 0, "dependency": 1, "platform": 2}
        return tuple(sorted(self.sources, key=lambda source: rank[source.kind]))

    def lock(self, before: Lock | None) -> Lock:
        """These pins as a lock. Other data of the old lock is kept, and so are its paths of `file://` sources."""
        old = before.pins if before else {}
        fresh = [source.pin for source in self.sources]
        files = match_file_pins(fresh, tuple(old.values()))

        def pin(source: Source) -> Pin:
            known = files.get(source.key) if source.link.is_file else old.get(source.key)
            if known is None:
                return source.pin
            return replace(source.pin, extra=known.extra, url=known.url if source.link.is_file else source.pin.url)

        developing = next(
            (pin(s) for s in self.sources if s.kind == "developing"), before.developing if before else None
        )
        dependencies = tuple(pin(s) for s in self.sources if s.kind == "dependency")
        base = before or Lock(platform=pin(self.platform))
        branchless = any(s.link.branch is None and not s.link.is_file for s in self.sources)
        return replace(
            base,
            platform=pin(self.platform),
            dependencies=dependencies,
            developing=developing,
            images=base.images if self.images is None else self.images,
            renderer=self.renderer or base.renderer,
            system=base.system if self.images is None else self.system,
            odoo_version=self.odoo_version if branchless else None,
        )
