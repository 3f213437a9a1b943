"""Run the tests of add-ons in a database of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.addon_checks import require_known
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.pruning import TEST_DATABASE
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.stack.database import create_database, demo_options, identifier, run_odoo, sql
from odpm_tasks.stack.up import container


def failures(log: Sequence[str]) -> list[str]:
    """The errors of an Odoo log, each with the lines that follow it up to the next ordinary line."""
    kept: list[str] = []
    in_error = False
    for line in log:
        if re.match(r"\d{4}-\d\d-\d\d ", line):
            in_error = " ERROR " in line or " CRITICAL " in line or " tests when loading database" in line
        if in_error:
            kept.append(line)
    return kept


def run_tests(
    paths: ProjectPaths,
    observed: RenderedState,
    modules: Sequence[str],
    tags: str,
    keep: bool,
    more: Sequence[str] = (),
) -> None:
    """Install add-ons in a new database and run their tests; `more`: further arguments for Odoo.

    Errors: DescriptionError for an add-on that does not exist, ProgramError where a test fails.
    """
    require_known(modules, observed.stack.all_modules, "--modules")
    chosen = tuple(modules) or observed.stack.modules
    if not chosen:
        raise DescriptionError("the developing project has no add-on to test", todo="inv test --modules NAME")
    database = container(paths, observed, "db")
    name = f"{observed.database}-test-{os.getpid()}"
    create_database(observed, database.id, name)
    sql(database.id, f"COMMENT ON DATABASE {identifier(name)} IS '{TEST_DATABASE}'")
    lines: list[str] = []
    try:
        selected = tags or ",".join(f"/{module}" for module in chosen)
        words = [f"-i{','.join(chosen)}", "--test-enable", f"--test-tags={selected}"]
        run_odoo(
            paths,
            observed,
            name,
            [*words, *demo_options(observed.manifest.odoo_version, False), *more],
            lines.append,
        )
        result = next((line for line in reversed(lines) if " tests when loading database" in line), "")
        terminal.output(result.rsplit(": ", 1)[-1] or "no test ran")
    except ProgramError:
        for line in failures(lines):
            terminal.message(line)
        raise
    finally:
        if not keep:
            sql(database.id, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
