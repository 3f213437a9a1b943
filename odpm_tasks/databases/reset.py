"""Make a database new: a copy of a template that is kept for each lock, add-ons, language and demo data."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.names import NEW, TEMPLATE
from odpm_tasks.core.databases.reset_templates import last_uses, template_comment
from odpm_tasks.core.databases.snapshots import Snapshot
from odpm_tasks.core.odoo.addon_checks import require_known
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.text import plural
from odpm_tasks.databases import copying, neutralizing, snapshots
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.quiet import new_identity, quietly
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.database import create_database, prepare_database
from odpm_tasks.stack.databases.contents import UNFINISHED
from odpm_tasks.stack.databases.source_state import refresh_indexes, source_state
from odpm_tasks.stack.secrets import admin_password

KEPT = 2  # templates


def reset(access: DatabaseAccess, database: str, options: RunOptions) -> Snapshot | None:
    """Replace a database by a new one with `options.install`, and return the snapshot of the state before; None if there was none.

    Errors: DescriptionError for an unknown add-on; those of `run_odoo`, and the database is as before; those of `quietly`.
    """
    require_known(options.install, {*addon_hashes.addon_folders(access.observed.stack)}, "-i")
    install = options.install or access.observed.modules or ("base",)
    with ThreadPoolExecutor(1) as pool:  # git compares every file of the sources
        digest = pool.submit(_digest, access, install, options.demo)
        copying.remove_leftovers(access)
        template = _template(access, f"{TEMPLATE}{digest.result()}", install, options)
    hidden = copying.copy_hidden(access, template)
    try:
        copying.open_hidden(access, hidden)
        neutralizing.renew_identity(access, hidden)
        return snapshots.publish(access, hidden, database)
    except BaseException:
        copying.discard(access, [hidden])
        raise


def _template(access: DatabaseAccess, name: str, install: Sequence[str], options: RunOptions) -> str:
    """The template for a state of the sources, installed where there is none. Its database and folder have one name."""
    rows = {row["name"]: row["comment"] for row in access.json(sql.hidden_databases())}
    known = last_uses(rows)
    if name not in known:
        terminal.message(f"installing {plural(len(install), 'add-on')} in a template database; later resets copy it")
        copying.remove(access, [*known][KEPT - 1 :])
        _install(access, name, replace(options, install=tuple(install)))
    access.sql(sql.comment(name, template_comment(time.time())))
    return name


def _install(access: DatabaseAccess, name: str, options: RunOptions) -> None:
    hidden = f"{NEW}{new_identity()}"
    observed = replace(access.observed, database=hidden)
    try:
        create_database(observed, access.container, hidden)
        access.sql(f"ALTER DATABASE {sql.identifier(hidden)} IS_TEMPLATE true", sql.comment(hidden, UNFINISHED))
        prepare_database(access.paths, observed, options, create=False)
        refresh_indexes(access.paths, observed)
        access.files("rename", hidden, name)
        quietly(access, [hidden], sql.rename(hidden, name), f"name the template {name}")
        access.sql(sql.show(name, False))
    except BaseException:
        copying.remove(access, [hidden])
        raise


def _digest(access: DatabaseAccess, install: Sequence[str], demo: bool) -> str:
    """What a new database depends on: sources and lock, the project's own add-ons, add-ons, language, country, demo data."""
    paths, observed = access.paths, access.observed
    manifest = observed.manifest
    own = [module.name for module in observed.stack.own.modules]
    password = "" if observed.scenario.developer else admin_password(paths)
    content = [
        manifest.odoo_version, manifest.postgres, manifest.language, manifest.country, dict(manifest.odoo_conf), demo,
        sorted(install), access.lock.digest, source_state(paths, observed), password,
        addon_hashes.current_hashes(paths, observed.stack, own),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()[:16]
