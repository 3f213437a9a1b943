"""The task test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, remainder, task, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.core.config.settings import Settings
    from odpm_tasks.core.testing.text import TestRun
    from odpm_tasks.errors import ProgramError
    from odpm_tasks.testing.choice import TestOptions
    from odpm_tasks.testing.run import Finished


@task(
    word="modules",
    lists=["modules"],
    remainder=True,
    short={"modules": "m"},
    help={
        "modules": "Add-ons to test (repeat or comma separate; default: those of the developing project).",
        "tags": "Odoo's --test-tags, for these add-ons.",
        "since": "The add-ons that changed since a commit or another lock file, and those that depend on them.",
        "shards": "How many databases to test in at the same time (default 1).",
        "junit": "Write the results as JUnit XML to this file.",
        "coverage": "Measure the coverage of the project's add-ons (.odpm/coverage).",
        "failed": "Only the tests that failed when they last ran.",
        "debug": "Wait for a debugger before Odoo starts (developer).",
        "keep": "Keep the test databases.",
        "timeout": "Seconds that one test may take (default 600; 0: any).",
        "format": "text or json.",
    },
)
def test(
    c: Context,
    modules: Sequence[str] = (),
    tags: str = "",
    since: str = "",
    shards: int = 1,
    junit: str = "",
    coverage: bool = False,
    failed: bool = False,
    debug: bool = False,
    keep: bool = False,
    timeout: int = 600,
    format: str = "text",
) -> None:
    """Run the add-ons' Odoo tests in new databases, which are dropped afterwards.

    Exit code 5 where a test failed. Arguments after -- are passed to Odoo.
    """
    from odpm_tasks.adapters.docker import engine
    from odpm_tasks.addons.inventory import addon_graph
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.tasks.stack import rendered_project
    from odpm_tasks.testing import choice, run

    check_format(format)
    options = choice.TestOptions(
        tuple(modules), tags, since, shards, junit, coverage, failed, debug, keep, timeout, tuple(remainder())
    )
    project = rendered_project()
    choice.check_options(options, developer=project.scenario.developer)
    engine.require()
    observed = require_rendered(project.observe())
    graph = addon_graph(project.paths, observed)
    chosen = choice.choose(project.paths, observed, graph, options)
    if chosen is not None:
        finished = run.run_tests(project.paths, observed, graph, options, chosen)
        _show(finished, format)
        _check(finished, options, project.paths.settings)


def _show(finished: Finished, format: str) -> None:

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.reports import report
    from odpm_tasks.core.testing import text

    write_report(
        format,
        lambda: report(text.as_data(finished.run)),
        lambda paint: "\n".join(text.as_text(finished.run, paint)),
    )
    for name in finished.run.kept:
        terminal.message(f"kept: database {name}; look at it: inv shell -d {name}")


def _check(finished: Finished, options: TestOptions, settings: Settings) -> None:
    """Warn where nothing was tested. Errors: ProgramError where tests failed, or where browser tests did not run in an image that
    has Chromium; DescriptionError where no test ran."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.text import plural
    from odpm_tasks.errors import DescriptionError, ProgramError

    run, total = finished.run, finished.run.totals
    problem = _browser_problem(run, settings)
    if finished.error:
        if total.bad:
            terminal.message(f"{total.bad} of {plural(total.tests, 'test')} failed before")
        raise finished.error
    if total.bad:
        raise ProgramError(
            f"{total.bad} of {plural(total.tests, 'test')} failed",
            details=[f"the whole log: {', '.join(run.logs)}"],
            todo="repeat them: inv test --failed",
        )
    if not total.tests and not options.since:
        raise DescriptionError(
            f"no test ran: {', '.join(run.addons)} "
            + ("have no test of these tags" if options.tags else "have no tests"),
            where=f"--tags {options.tags}" if options.tags else "",
            todo="check the tags; inv test --tags '*' runs tests without the tag standard, too",
        )
    if problem:
        raise problem
    if run.untested:
        terminal.warn(f"no test ran of {', '.join(run.untested)}")
    if total.tests and not total.tested:
        terminal.warn(f"nothing was tested: all {plural(total.tests, 'test')} were skipped")


def _browser_problem(run: TestRun, settings: Settings) -> ProgramError | None:
    """The error where the image has Chromium and browser tests were skipped; without Chromium, a message says what they need."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.text import plural
    from odpm_tasks.errors import ProgramError

    skipped = [result for result in run.results if result.lacks_browser]
    if not skipped:
        return None
    number = plural(len(skipped), "browser test")
    if settings.browser and settings.scenario.developer:
        return ProgramError(
            f"{number} did not run although ODPM_BROWSER is on: {skipped[0].reason}",
            details=[f"the whole log: {', '.join(run.logs)}"],
            todo="run them again, in fewer shards if this machine is busy",
        )
    needs = "ODPM_BROWSER=on in .env, then inv up"
    if not settings.scenario.developer:
        needs = 'ODPM_BROWSER=on, and "chromium" in system_packages of odpm.json'
    terminal.message(f"Chromium is missing for {number}: {needs}")
    return None
