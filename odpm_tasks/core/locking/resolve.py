"""The graph of repositories: who asks for whom, at which commit.

`resolve` is a generator that knows the rules and nothing of the world: it yields the questions of one level (each a
repository at a pin or at a branch), is sent the answers, and in the end returns the whole graph. Whoever drives it
decides whether to ask a server, the cache or nobody, and how many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from odpm_tasks.core.locking.lockfile import Lock, Pin, match_file_pins
from odpm_tasks.core.locking.python_requirements import RequirementLine, external_dependency, requirement_lines
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_dependency_manifest
from odpm_tasks.core.odoo.addons import MAX_FILE_SIZE, Facts
from odpm_tasks.core.sources.link import Link, source_names
from odpm_tasks.core.sources.link_policy import MOST, check_links
from odpm_tasks.core.sources.oca_dependencies import parse_oca_dependencies
from odpm_tasks.errors import DescriptionError, OdpmError

Kind = Literal["platform", "dependency", "developing"]
TOP = "odpm.json"


@dataclass(frozen=True)
class SourceQuery:
    """A question: what is in this repository at `commit`, or, where that is None, at the tip of `branch`?

    `day` (YYYY-MM-DD) asks for the branch's last commit of that day instead of its tip.
    """

    link: Link
    branch: str
    commit: str | None
    required_by: tuple[str, ...]
    kind: Kind = "dependency"
    day: str | None = None

    @property
    def what(self) -> tuple[str, str, str | None, str | None, Kind]:
        """What is asked, whoever asks: two questions with the same are answered by one request."""
        return (self.link.url, self.branch, self.commit, self.day, self.kind)


@dataclass(frozen=True)
class SourceAnswer:
    """An answer: the commit (of `file://`: the fingerprint) and what the repository holds there."""

    commit: str
    facts: Facts


@dataclass(frozen=True)
class Source:
    """One repository of the stack."""

    name: str
    kind: Kind
    link: Link
    commit: str
    facts: Facts = field(repr=False)
    required_by: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.link.canonical

    @property
    def pin(self) -> Pin:
        return Pin(self.key, self.commit, self.link.branch, self.link.is_file)


@dataclass(frozen=True)
class Resolution:
    """The resolved graph: the platform, then dependencies breadth first, the developing source where it is one of its own.

    `images` are the digests of base images; None where nobody was asked.
    """

    sources: tuple[Source, ...]
    requirements: tuple[RequirementLine, ...]
    warnings: tuple[str, ...]
    odoo_version: str
    images: Mapping[str, str] | None = None

    @property
    def platform(self) -> Source:
        return next(source for source in self.sources if source.kind == "platform")

    def lock(self, before: Lock | None) -> Lock:
        """These pins as a lock; what the old one knew beyond pins stays, also the paths it gives `file://` sources."""
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
            odoo_version=self.odoo_version if branchless else None,
        )


@dataclass
class _Graph:
    manifest: Manifest
    lookup: Callable[[str], str | None]
    strict: bool
    pins: Mapping[str, Pin]
    own: str | None = None
    given: Callable[[str], bool] = lambda name: False
    wanted: dict[str, SourceQuery] = field(default_factory=dict)
    found: dict[str, SourceAnswer] = field(default_factory=dict)
    requirements: list[RequirementLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def want(self, link: Link, required_by: tuple[str, ...], kind: Kind = "dependency") -> SourceQuery | None:
        """Take note of a wish; None where it is known already, or the developing checkout itself is what is wanted.

        A contradiction below the top level is an error, and so are too many wishes.
        """
        key = link.canonical
        if key == self.own and len(required_by) > 1:
            return None
        branch = link.branch or self.manifest.odoo_version
        known = self.wanted.get(key)
        if known is None:
            if len(self.wanted) >= MOST:
                raise DescriptionError(
                    f"{required_by[-1]} asks for more repositories than a stack has: it would be more than {MOST}",
                    where=" -> ".join(required_by[-4:]),
                    todo="leave that repository out, or name a commit of it that asks for less",
                )
            ask = self.wanted[key] = self._ask(key, link, branch, required_by, kind)
            return ask
        same = (branch, link.commit) == (known.branch, known.link.commit)
        top_level_wins = len(known.required_by) == 1 and len(required_by) > 1
        if not same and not top_level_wins:
            raise DescriptionError(
                f"{key} is asked for at two revisions",
                where=TOP,
                details=[
                    f"{_spot(known.branch, known.link.commit)}: {' -> '.join(known.required_by)}",
                    f"{_spot(branch, link.commit)}: {' -> '.join(required_by)}",
                ],
                todo="name the repository and the revision you want in the dependencies of odpm.json",
            )
        return None

    def _ask(self, key: str, link: Link, branch: str, required_by: tuple[str, ...], kind: Kind) -> SourceQuery:
        pin = self.pins.get(key)
        commit = link.commit or (
            pin.commit if pin and pin.fits(link, self.manifest.odoo_version) and not link.is_file else None
        )
        dated = kind == "platform" and commit is None and self.manifest.build_date != "latest"
        return SourceQuery(link, branch, commit, required_by, kind, self.manifest.build_date if dated else None)

    def read(self, ask: SourceQuery, facts: Facts) -> list[SourceQuery]:
        """What one repository asks for in turn."""
        by = (*ask.required_by, ask.link.name)
        label = " -> ".join(by[1:])
        for name in facts.too_large:
            raise DescriptionError(
                f"{label}: {name} is larger than any such file, {MAX_FILE_SIZE // 1000} kB, and is not read",
                where=TOP,
                todo="pin a commit of that repository where it is right, or leave the repository out",
            )
        self.requirements += requirement_lines(facts.requirements or "", f"{label}: requirements.txt")
        if ask.kind == "platform":
            return []
        for module in facts.modules:
            if module.installable:
                self.requirements += [external_dependency(name, f"{label}: {module.path}") for name in module.python]
        self.warnings += [
            f"{label}: {name} is not a readable manifest; Odoo will not see this module" for name in facts.broken
        ]
        links: list[Link] = []
        if facts.oca_dependencies:
            where = f"{label}: oca_dependencies.txt"
            links += parse_oca_dependencies(facts.oca_dependencies, where)
        if facts.odpm_json:
            links += self._nested(facts.odpm_json, label)
        if not ask.link.is_file:
            mine = (self.manifest.platform, self.manifest.developing, *self.manifest.dependencies)
            check_links(links, label, filter(None, mine), self.given)
        return [new for link in links if (new := self.want(link, by))]

    def _nested(self, text: str, label: str) -> Iterable[Link]:
        nested = read_dependency_manifest(text, self.lookup, f"{label}: odpm.json")
        mine = self.manifest
        for what, theirs, ours in (
            ("Odoo", nested.odoo_version, mine.odoo_version),
            ("Python", nested.python, mine.python),
        ):
            if theirs and _major_minor(theirs) != _major_minor(ours):
                message = f"{label} is made for {what} {theirs}, this project for {ours}"
                if self.strict:
                    raise DescriptionError(
                        message, where=TOP, todo="pin a revision of it that fits, or change this project's version"
                    )
                self.warnings.append(f"{message}; in server and ci this is an error")
        self.requirements += [RequirementLine(line, f"{label}: odpm.json") for line in nested.requirements]
        return nested.dependencies


def resolve(
    manifest: Manifest,
    pins: Mapping[str, Pin],
    lookup: Callable[[str], str | None] = lambda name: None,
    *,
    strict: bool = False,
    own: str | None = None,
    given: Callable[[str], bool] = lambda name: False,
) -> Generator[tuple[SourceQuery, ...], Sequence[SourceAnswer], Resolution]:
    """Walk the graph: manifest dependencies, then breadth first what each repository asks for at its commit.

    `pins` (by canonical URL) say which commits count; what has no fitting pin is asked at its branch. `own` is the
    canonical URL of the checkout itself: a `developing.git` that names it is no source, nor is it one where a repository
    asks for it in turn. `given` tells which variables are written down for odpm. The same repository asked at two
    revisions: the top-level manifest wins, else DescriptionError with both chains.
    """
    graph = _Graph(manifest, lookup, strict, pins, own, given)
    level = [ask for ask in [graph.want(manifest.platform, (TOP,), "platform")] if ask]
    if manifest.developing and manifest.developing.canonical != own:
        level += [ask for ask in [graph.want(manifest.developing, (TOP,), "developing")] if ask]
    level += [ask for link in manifest.dependencies if (ask := graph.want(link, (TOP,)))]
    while level:
        answers = yield tuple(level)
        following: list[SourceQuery] = []
        for ask, answer in zip(level, answers, strict=True):
            graph.found[ask.link.canonical] = answer
            following += graph.read(ask, answer.facts)
        level = following
    names = source_names([ask.link for ask in graph.wanted.values()])
    sources = tuple(
        Source(
            names[ask.link.canonical],
            ask.kind,
            ask.link,
            graph.found[key].commit,
            graph.found[key].facts,
            ask.required_by,
        )
        for key, ask in graph.wanted.items()
    )
    return Resolution(sources, tuple(graph.requirements), tuple(graph.warnings), manifest.odoo_version)


def prefetch(
    manifest: Manifest,
    pins: Mapping[str, Pin],
    lookup: Callable[[str], str | None],
    own: str | None = None,
    given: Callable[[str], bool] = lambda name: False,
) -> Callable[[SourceQuery, Facts], list[SourceQuery]]:
    """What an answer will probably lead to, told as soon as it is there; contradictions are for `resolve` to find."""
    graph = _Graph(manifest, lookup, False, pins, own, given)
    for link in (manifest.platform, *manifest.dependencies):
        graph.want(link, (TOP,))

    def look(ask: SourceQuery, facts: Facts) -> list[SourceQuery]:
        try:
            return graph.read(ask, facts)
        except OdpmError:
            return []

    return look


def drive(
    walk: Generator[tuple[SourceQuery, ...], Sequence[SourceAnswer], Resolution],
    answer: Callable[[tuple[SourceQuery, ...]], Sequence[SourceAnswer]],
) -> Resolution:
    """Run `resolve` to its end with somebody who answers one level of questions at a time."""
    try:
        questions = next(walk)
        while True:
            try:
                answers = answer(questions)
            except OdpmError:
                walk.close()
                raise
            questions = walk.send(answers)
    except StopIteration as done:
        result: Resolution = done.value
        return result


def _spot(branch: str, commit: str | None) -> str:
    return f"{branch} {commit[:12]}" if commit else branch


def _major_minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
