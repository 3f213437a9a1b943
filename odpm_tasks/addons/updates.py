"""The add-ons to update in a database."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.core.addons.updates import AddonUpdates
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.up import container


def updates(
    paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str], *, changed: bool
) -> AddonUpdates:
    """The add-ons `names`, with `changed` those whose files differ from their last update, and their dependents.

    Errors: DescriptionError for a name that is not installed; those of `sql`.
    """
    server = container(paths, observed, "db").id
    found = addon_hashes.read_hashes(paths, observed.stack, server, database)
    if missing := [name for name in names if name not in found.installed]:
        raise DescriptionError(
            f"{', '.join(missing)} cannot be updated: not installed in the database {database}"
            f"{nearest(missing[0], found.installed)}",
            todo=f"install it: inv mod.install {','.join(missing)}",
        )
    differing = found.changed if changed else ()
    chosen = {*names, *differing}
    dependents = tuple(name for name in addon_hashes.with_dependents(server, database, chosen) if name not in chosen)
    return AddonUpdates(database, differing, tuple(names), dependents)
