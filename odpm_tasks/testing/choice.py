"""What a test run tests: options, the add-ons they choose, and the test tags of each shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from odpm_tasks.adapters import files, terminal
from odpm_tasks.core.addons.graph import BASE, AddonGraph
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.addon_checks import AddonFindings, require_known, require_requested
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.testing import records, tags
from odpm_tasks.core.testing.selection import missing
from odpm_tasks.core.testing.shards import Shard
from odpm_tasks.core.testing.tags import TestTag
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.testing.since import changed_since

TIMEOUT = 600  # seconds


@dataclass(frozen=True)
class TestOptions:
    """The options of `inv test`. `more`: arguments for Odoo. `timeout`: seconds for one test, 0: any."""

    modules: tuple[str, ...] = ()
    tags: str = ""
    since: str = ""
    shards: int = 1
    junit: str = ""
    coverage: bool = False
    failed: bool = False
    debug: bool = False
    keep: bool = False
    timeout: float = TIMEOUT
    more: tuple[str, ...] = ()


TestOptions.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Choice:
    """The add-ons to test, and test tags for them; without tags every test of the add-ons runs."""

    addons: tuple[str, ...]
    tags: tuple[TestTag, ...] = ()

    @property
    def restricted(self) -> bool:
        """Whether only some tests of the add-ons run."""
        return bool(self.tags)

    def test_tags(self, shard: Shard) -> str:
        """Odoo's test tags for a shard."""
        words = [tags.for_addons(self.tags, shard.addons)] if shard.addons else []
        words += [f"/{addon}:{class_}" for addon, class_ in shard.classes]
        words += [f"-/{addon}:{class_}" for addon, class_ in shard.without]
        return ",".join(filter(None, words))


def check_options(options: TestOptions, *, developer: bool) -> None:
    """Refuse options that contradict each other. Errors: UsageError."""
    chosen = [
        name
        for name, given in (("--modules", options.modules), ("--since", options.since), ("--failed", options.failed))
        if given
    ]
    if len(chosen) > 1 or (options.failed and options.tags):
        names = chosen if len(chosen) > 1 else ["--failed", "--tags"]
        raise UsageError(f"{' and '.join(names)} both choose what to test", todo="leave one of them out")
    if options.shards < 1:
        raise UsageError(f"--shards={options.shards} is not a number of shards", todo="inv test --shards 2")
    if options.timeout < 0:
        raise UsageError(f"--timeout={options.timeout} is not a number of seconds", todo="--timeout 0 sets no limit")
    if options.debug and (options.shards > 1 or options.coverage):
        other = "--shards" if options.shards > 1 else "--coverage"
        raise UsageError(f"--debug cannot be combined with {other}", todo=f"inv test --debug without {other}")
    if options.debug and not developer:
        raise UsageError(
            "--debug is available in developer only", todo="ODPM_SCENARIO=developer inv up, then: inv test --debug"
        )


def choose(paths: ProjectPaths, observed: RenderedState, graph: AddonGraph, options: TestOptions) -> Choice | None:
    """The add-ons to test, by the options; None where there is nothing to test, which is reported.

    Errors: DescriptionError for an add-on that does not exist or cannot be installed.
    """
    parts = tags.parse(options.tags)
    named = tags.named_addons(parts)
    require_known((*options.modules, *named), observed.stack.all_modules, "--modules" if options.modules else "--tags")
    if options.failed:
        return _failed(paths, graph)
    if options.since:
        found, notes = changed_since(paths, graph, options.since)
        for note in notes:
            terminal.message(note)
        if not found.test:
            terminal.message(f"no add-on of this project changed since {options.since}: nothing to test")
            return None
        others = [name for name in found.test if name not in found.changed]
        changed = ", ".join(name for name in found.test if name in found.changed) or "what they depend on"
        terminal.message(
            f"changed since {options.since}: {changed}" + (f"; dependents: {', '.join(others)}" if others else "")
        )
        return Choice(found.test, parts)
    own = tuple(name for name in observed.stack.modules if name not in observed.addons.left_out)
    unnamed = not parts or any(not tag.addon for tag in parts if not tag.exclude)
    chosen = tuple(dict.fromkeys((*(options.modules or (own if unnamed else ())), *named)))
    if not chosen:
        raise DescriptionError("the developing project has no add-on to test", todo="inv test --modules NAME")
    if not options.modules and (left_out := observed.addons.left_out):
        terminal.warn(f"not tested, because no source has what they need: {', '.join(left_out)} (inv mod.missing)")
    require_installable(graph, chosen)
    return Choice(tuple(sorted(chosen)), parts)


def _failed(paths: ProjectPaths, graph: AddonGraph) -> Choice | None:
    recorded = records.read_records(files.read_text(paths.root / records.FILE)).failed
    parts = tags.parse(",".join(recorded))
    present = tuple(tag for tag in parts if tag.addon in graph.addons or tag.addon == BASE)
    if not present:
        terminal.message("no test failed in the last run: nothing to repeat")
        return None
    terminal.message(f"repeating {plural(len(present), 'failure')} of the last run")
    return Choice(tuple(sorted(tags.named_addons(present))), present)


def require_installable(graph: AddonGraph, names: Sequence[str]) -> None:
    """Errors: DescriptionError for add-ons that Odoo does not install, and for what they need and no source has."""
    require_requested(AddonFindings(requested=missing(graph, names)))
    if disabled := [name for name in names if name in graph.addons and not graph.addons[name].module.installable]:
        raise DescriptionError(
            f"{', '.join(disabled)} cannot be tested: the manifest says installable False",
            where=graph.addons[disabled[0]].path,
            todo="set installable, or name other add-ons: inv test --modules NAME",
        )
