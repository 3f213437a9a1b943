"""Template databases: what the tested add-ons need, installed once for each state of the sources."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress

from odpm_tasks.adapters import terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.sql import comment, end_sessions, show
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.pruning import TEST_TEMPLATE
from odpm_tasks.stack.database import create_database, demo_options, run_odoo, task_container
from odpm_tasks.stack.databases.contents import UNFINISHED
from odpm_tasks.stack.databases.psql import drop, sql
from odpm_tasks.stack.databases.source_state import source_state
from odpm_tasks.testing.databases import existing, hide

PREFIX = "odpm-template-"
KEPT_TEMPLATES = 3
_ASSETS = b"""\
generate = getattr(env["ir.qweb"], "_pregenerate_assets_bundles", None)
if generate:
    generate()
    env.cr.commit()
"""


def template(
    paths: ProjectPaths, observed: RenderedState, database: str, addons: Sequence[str], demo: bool = False
) -> str:
    """The name of a template database with these add-ons, created where it does not exist; the last three are kept.

    Errors: those of `run_odoo`; no unfinished template stays.
    """
    content = [
        observed.manifest.odoo_version,
        observed.manifest.postgres,
        f"demo {demo}, with assets",
        *sorted(addons),
        source_state(paths, observed),
    ]
    name = PREFIX + hashlib.sha256("\0".join(content).encode()).hexdigest()[:16]
    found = _templates(database)
    if name not in found:
        unfinished = [one for one in existing(database) if one.startswith(PREFIX)]
        old = sorted(found, key=lambda one: found[one])[: -(KEPT_TEMPLATES - 1)]
        drop(database, [*old, *(one for one in unfinished if one not in found)])
        try:
            terminal.message(f"creating a template database with {', '.join(addons) or 'base'}; later runs copy it")
            create_database(observed, database, name)
            hide(database, name)
            sql(database, comment(name, UNFINISHED))
            run_odoo(
                paths,
                observed,
                name,
                [f"-i{','.join(addons) or 'base'}", *demo_options(observed.manifest.odoo_version, demo)],
            )
            if "web" in addons:
                _generate_assets(paths, observed, name)
            sql(database, show(name, False))
        except BaseException:
            with suppress(Exception):
                drop(database, [name])
            raise
    sql(database, end_sessions(name))
    sql(database, comment(name, f"{TEST_TEMPLATE}{time.time():.0f}"))
    return name


def _generate_assets(paths: ProjectPaths, observed: RenderedState, name: str) -> None:
    """Generate the bundles of styles and scripts, as Odoo does before tests that use a page (since 16.0). They take most of the time
    of a short run; a bundle to which the tested add-ons add files is generated again. A failure costs that time, nothing else."""
    with terminal.activity() as shown:
        words = ("odoo", "shell", "-d", name, "--no-http")
        task_container(paths, observed, lambda line: shown.note(name, line), *words, stdin=_ASSETS)


def _templates(database: str) -> dict[str, str]:
    """The finished templates, and when each was used."""
    rows = sql(
        database,
        "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datistemplate",
    ).splitlines()
    found = (row.split("|", 1) for row in rows if row.startswith(PREFIX))
    return {name: text.removeprefix(TEST_TEMPLATE) for name, text in found if text.startswith(TEST_TEMPLATE)}
