"""Template databases: what the tested add-ons need, installed once for each state of the sources."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.pruning import TEST_TEMPLATE
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack import prefetch
from odpm_tasks.stack.database import create_database, demo_options, identifier, run_odoo, sql, task_container
from odpm_tasks.testing.databases import end_sessions, existing, hide

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
        _content(paths, observed),
    ]
    name = PREFIX + hashlib.sha256("\0".join(content).encode()).hexdigest()[:16]
    found = _templates(database)
    if name not in found:
        unfinished = [one for one in existing(database) if one.startswith(PREFIX)]
        old = sorted(found, key=lambda one: found[one])[: -(KEPT_TEMPLATES - 1)]
        _drop(database, [*old, *(one for one in unfinished if one not in found)])
        try:
            terminal.message(f"creating a template database with {', '.join(addons) or 'base'}; later runs copy it")
            create_database(observed, database, name)
            hide(database, name)
            sql(database, f"COMMENT ON DATABASE {identifier(name)} IS '{prefetch.UNFINISHED}'")
            run_odoo(
                paths,
                observed,
                name,
                [f"-i{','.join(addons) or 'base'}", *demo_options(observed.manifest.odoo_version, demo)],
            )
            if "web" in addons:
                _generate_assets(paths, observed, name)
            sql(database, f"ALTER DATABASE {identifier(name)} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        except BaseException:
            with suppress(Exception):
                _drop(database, [name])
            raise
    end_sessions(database, name)
    sql(database, f"COMMENT ON DATABASE {identifier(name)} IS '{TEST_TEMPLATE}{time.time():.0f}'")
    return name


def _generate_assets(paths: ProjectPaths, observed: RenderedState, name: str) -> None:
    """Generate the bundles of styles and scripts, as Odoo does before tests that use a page (since 16.0). They take most of the time
    of a short run; a bundle to which the tested add-ons add files is generated again. A failure costs that time, nothing else."""
    with terminal.activity() as show:
        words = ("odoo", "shell", "-d", name, "--no-http")
        task_container(paths, observed, lambda line: show.note(name, line), *words, stdin=_ASSETS)


def _templates(database: str) -> dict[str, str]:
    """The finished templates, and when each was used."""
    rows = sql(
        database,
        "SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datistemplate",
    ).splitlines()
    found = (row.split("|", 1) for row in rows if row.startswith(PREFIX))
    return {name: text.removeprefix(TEST_TEMPLATE) for name, text in found if text.startswith(TEST_TEMPLATE)}


def _drop(database: str, names: Sequence[str]) -> None:
    for name in names:
        sql(database, f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false ALLOW_CONNECTIONS true")
        sql(database, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")


def _content(paths: ProjectPaths, observed: RenderedState) -> str:
    """What the add-ons of a template consist of: the image where it has the sources, else each checkout with local changes."""
    if not observed.scenario.mounts:
        return docker.image_id(observed.image)
    checkouts = [
        source.name
        for source in observed.stack.resolution.ordered
        if source.kind != "developing" and not source.link.is_file
    ]
    states = parallel_map(paths, lambda name: _checkout_state(paths, name), checkouts)
    return "\0".join([*states, files.sha256(b"\0".join(observed.stack.locks))])


def _checkout_state(paths: ProjectPaths, name: str) -> str:
    """The commit of a checkout, and a digest of its uncommitted changes."""
    checkout, env = paths.source(name), {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    head = git.run(checkout, "rev-parse", "HEAD", env=env, check=False).text.strip()
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    state = git.run(checkout, *words, env=env, check=False).text
    digest = hashlib.sha256(state.encode())
    for row in filter(None, state.split("\0")):
        digest.update(files.read(checkout / row[3:]) or b"" if (checkout / row[3:]).is_file() else b"")
    return f"{name} {head} {digest.hexdigest() if state else 'clean'}"
