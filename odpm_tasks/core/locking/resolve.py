"""The graph of repositories: which repository requires which, at which commit.

`resolve` is a generator without side effects. It yields the queries of one level (each a repository at a pin or at a branch),
is sent the answers, and returns the whole graph. The caller decides where the answers come from (server, cache, folder) and
how many queries run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from odpm_tasks.core.locking.graph import Resolution, Source, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.locking.python_requirements import RequirementLine, external_dependency, repository_requirements
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_dependency_manifest
from odpm_tasks.core.odoo.addons import MAX_FILE_SIZE, Facts
from odpm_tasks.core.sources.link import Link, SourceKind, source_names
from odpm_tasks.core.sources.link_policy import MOST, check_links
from odpm_tasks.core.sources.merges import known_result, pinned
from odpm_tasks.core.sources.oca_dependencies import parse_oca_dependencies
from odpm_tasks.core.sources.tree_links import links_out_error
from odpm_tasks.core.sources.trust import is_trusted
from odpm_tasks.core.text import limited
from odpm_tasks.errors import DescriptionError, OdpmError

TOP = "odpm.json"
MAX_REQUIREMENTS = 2_000  # of one repository; the largest of the OCA have about a hundred


@dataclass
class _Graph:
    manifest: Manifest
    lookup: Callable[[str], str | None]
    strict: bool
    pins: Mapping[str, Pin]
    own: str | None = None
    queries: dict[str, SourceQuery] = field(default_factory=dict)
    answers: dict[str, SourceAnswer] = field(default_factory=dict)
    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    requirements: list[RequirementLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, link: Link, required_by: tuple[str, ...], kind: SourceKind = "dependency") -> SourceQuery | None:
        """Add a requirement to the graph; the new query, or None for a known repository and for the developing checkout.

        Errors: DescriptionError for two revisions of one repository below the manifest, and for more than MOST repositories.
        """
        key = link.canonical
        if key == self.own and len(required_by) > 1:
            return None
        branch = link.branch or self.manifest.odoo_version
        known = self.queries.get(key)
        if known is None:
            if len(self.queries) >= MOST:
                raise DescriptionError(
                    f"{required_by[-1]} requires more repositories than a stack may have: more than {MOST}",
                    where=" -> ".join(required_by[-4:]),
                    todo="remove that repository, or pin a commit of it that requires fewer",
                )
            query = self.queries[key] = self._query(key, link, branch, required_by, kind)
            return query
        same = (branch, link.commit, link.merges) == (known.branch, known.link.commit, known.link.merges)
        top_level_wins = len(known.required_by) == 1 and len(required_by) > 1
        if not same and not top_level_wins:
            raise DescriptionError(
                f"{key} is required at two revisions",
                where=TOP,
                details=[
                    f"{_revision(known.branch, known.link)}: {' -> '.join(known.required_by)}",
                    f"{_revision(branch, link)}: {' -> '.join(required_by)}",
                ],
                todo="remove one of the two links of odpm.json"
                if len(known.required_by) == len(required_by) == 1
                else "name the repository and the revision you want in the dependencies of odpm.json",
            )
        return None

    def _query(self, key: str, link: Link, branch: str, required_by: tuple[str, ...], kind: SourceKind) -> SourceQuery:
        pin = self.pins.get(key)
        commit = link.commit or (
            pin.commit if pin and pin.fits(link, self.manifest.odoo_version) and not link.is_file else None
        )
        dated = kind == "platform" and commit is None and self.manifest.build_date != "latest"
        version = self.manifest.odoo_version
        return SourceQuery(
            link,
            branch,
            commit,
            required_by,
            kind,
            self.manifest.build_date if dated else None,
            pinned(link.merges, pin.merges if pin else (), version),
            known_result(commit, link.merges, pin.merged, version) if pin and link.merges else None,
            version,
        )

    def read(self, query: SourceQuery, facts: Facts) -> list[SourceQuery]:
        """Add the requirements of a repository to the graph; the new queries."""
        chain = (*query.required_by, query.link.name)
        label = " -> ".join(chain[1:])
        if facts.links_out:
            raise links_out_error(label, facts.links_out, folder=query.link.is_file)
        for name in facts.too_large:
            raise DescriptionError(
                f"{label}: {name} is larger than {MAX_FILE_SIZE // 1000} kB and is not read",
                where=TOP,
                todo="pin a commit of that repository with a smaller file, or remove the repository",
            )
        trusted, before = self._trusts(query.link), len(self.requirements)
        if query.kind == "platform":
            return []
        self.requirements += repository_requirements(facts, label, trusted=trusted)
        for module in facts.modules:
            if module.installable:
                lines = (
                    external_dependency(name, f"{label}: {module.path}", trusted=trusted, addon=module.name)
                    for name in module.python
                )
                self.requirements += [line for line in lines if line]
        self.warnings += limited(
            [f"{label}: {name} is not a readable manifest; Odoo will not load this module" for name in facts.broken], 20
        )
        links: list[Link] = []
        if facts.oca_dependencies and query.link.oca_dependencies and self.manifest.use_oca_dependencies:
            where = f"{label}: oca_dependencies.txt"
            links += parse_oca_dependencies(facts.oca_dependencies, where)
        if facts.odpm_json:
            links += self._nested(facts.odpm_json, label, trusted=trusted)
        if not query.link.is_file:
            check_links(links, label, self.manifest.links, trusted=trusted)
        if len(self.requirements) - before > MAX_REQUIREMENTS:
            raise DescriptionError(
                f"{label} requires more than {MAX_REQUIREMENTS} Python packages",
                where=TOP,
                todo="pin another commit of that repository, or remove the repository",
            )
        self.requires[query.link.canonical] = tuple(dict.fromkeys(link.canonical for link in links))
        return [new for link in links if (new := self.add(link, chain))]

    def _trusts(self, link: Link) -> bool:
        return is_trusted(self.manifest.trust, link, self.manifest.links)

    def _nested(self, text: str, label: str, *, trusted: bool) -> Iterable[Link]:
        nested = read_dependency_manifest(text, self.lookup, f"{label}: odpm.json")
        for program, theirs, ours in (
            ("Odoo", nested.odoo_version, self.manifest.odoo_version),
            ("Python", nested.python, self.manifest.python),
        ):
            if theirs and _major_minor(theirs) != _major_minor(ours):
                message = f"{label} is for {program} {theirs}, this project for {ours}"
                if self.strict:
                    raise DescriptionError(
                        message,
                        where=TOP,
                        todo="pin a compatible revision of it, or change the version of this project",
                    )
                self.warnings.append(f"{message}; in server and ci this is an error")
        self.requirements += [RequirementLine(line, f"{label}: odpm.json", trusted) for line in nested.requirements]
        return nested.dependencies if trusted else self._without_merges(nested.dependencies, label)

    def _without_merges(self, links: Sequence[Link], label: str) -> list[Link]:
        """The links of an untrusted repository: it must not choose what is merged into another repository, or leave out its
        `oca_dependencies.txt`."""
        for link in links:
            left_out = [f"the merge {merge} into {link.name}" for merge in link.merges]
            left_out += [] if link.oca_dependencies else [f"oca_dependencies: false of {link.name}"]
            for name in left_out[:1]:
                more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
                self.warnings.append(
                    f"{label}: odpm.json: {name}{more} is left out: add {link.name} to the dependencies of odpm.json, "
                    f"or {label} to trust"
                )
        return [replace(link, merges=(), oca_dependencies=True) for link in links]


def resolve(
    manifest: Manifest,
    pins: Mapping[str, Pin],
    lookup: Callable[[str], str | None] = lambda name: None,
    *,
    strict: bool = False,
    own: str | None = None,
) -> Generator[tuple[SourceQuery, ...], Sequence[SourceAnswer], Resolution]:
    """Walk the graph breadth first, from the links of the manifest to the requirements of each repository at its commit.

    `pins`: by canonical URL; a repository without a pin that fits is queried at its branch. `own`: the canonical URL of the
    developing checkout; it is not a source, whether `developing.git` or another repository names it. Where one repository
    is required at two revisions, the manifest wins; without a line in the manifest that is a DescriptionError with both
    chains.
    """
    graph = _Graph(manifest, lookup, strict, pins, own)
    roots: list[tuple[Link, SourceKind]] = [(manifest.platform, "platform")]
    if manifest.developing and manifest.developing.canonical != own:
        roots.append((manifest.developing, "developing"))
    roots += [(link, "dependency") for link in manifest.dependencies]
    level = [query for link, kind in roots if (query := graph.add(link, (TOP,), kind))]
    while level:
        answers = yield tuple(level)
        following: list[SourceQuery] = []
        for query, answer in zip(level, answers, strict=True):
            facts = answer.facts if query.kind == "platform" else answer.facts.in_folder(query.link.name)
            graph.answers[query.link.canonical] = replace(answer, facts=facts)
            following += graph.read(query, facts)
        level = following
    names = source_names([query.link for query in graph.queries.values()])
    sources = tuple(
        Source(
            names[query.link.canonical],
            query.kind,
            query.link,
            graph.answers[key].commit,
            graph.answers[key].facts,
            query.required_by,
            graph.answers[key].merged,
            graph.answers[key].pin_facts,
            graph.requires.get(key, ()),
        )
        for key, query in graph.queries.items()
    )
    return Resolution(sources, tuple(graph.requirements), tuple(graph.warnings), manifest.odoo_version)


def prefetch(
    manifest: Manifest,
    pins: Mapping[str, Pin],
    lookup: Callable[[str], str | None],
    own: str | None = None,
) -> Callable[[SourceQuery, Facts], list[SourceQuery]]:
    """A function that predicts the queries that follow from one answer. Errors are left to `resolve`."""
    graph = _Graph(manifest, lookup, False, pins, own)
    for link in (manifest.platform, *manifest.dependencies):
        graph.add(link, (TOP,))

    def following(query: SourceQuery, facts: Facts) -> list[SourceQuery]:
        try:
            return graph.read(query, facts)
        except OdpmError:
            return []

    return following


def drive(
    walk: Generator[tuple[SourceQuery, ...], Sequence[SourceAnswer], Resolution],
    answer: Callable[[tuple[SourceQuery, ...]], Sequence[SourceAnswer]],
) -> Resolution:
    """Run `resolve` to its end. `answer` answers the queries of one level."""
    try:
        queries = next(walk)
        while True:
            try:
                answers = answer(queries)
            except OdpmError:
                walk.close()
                raise
            queries = walk.send(answers)
    except StopIteration as done:
        result: Resolution = done.value
        return result


def _revision(branch: str, link: Link) -> str:
    words = [f"{branch} {link.commit[:12]}" if link.commit else branch, *(str(merge) for merge in link.merges)]
    return " + ".join(words)


def _major_minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
