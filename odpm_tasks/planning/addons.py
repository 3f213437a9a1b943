"""Check the add-ons of a project without preparing it."""

from __future__ import annotations

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.addon_checks import AddonFindings
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.steps import LOCKING
from odpm_tasks.planning import observe
from odpm_tasks.sources import addon_repositories


def check(paths: ProjectPaths, options: RunOptions, *, ask_index: bool) -> AddonFindings | None:
    """See `Project.check_addons`."""
    observed = observe.observe(paths, LOCKING, options)
    if not isinstance(observed, ResolvedState):
        return None
    unknown = [addon.name for addon in observed.addons.missing if not (addon.repository or addon.reason)]
    if not (ask_index and unknown):
        return observed.addons
    addon_repositories.query(paths, observed.manifest.odoo_version, unknown)
    again = observe.observe(paths, LOCKING, options)
    return again.addons if isinstance(again, ResolvedState) else None
