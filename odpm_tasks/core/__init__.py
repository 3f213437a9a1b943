"""Values and pure functions: nothing here starts a process, opens a file or prints.

The names in `__all__` are public; docs/tasks.md describes each. Other names below this package may change. A name is
imported when it is first used, because `inv --list` imports this package and needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odpm_tasks.core.config.paths import ProjectPaths as ProjectPaths
    from odpm_tasks.core.config.scenario import Scenario as Scenario
    from odpm_tasks.core.config.scenario import scenario as scenario
    from odpm_tasks.core.config.settings import Layer as Layer
    from odpm_tasks.core.config.settings import Settings as Settings
    from odpm_tasks.core.locking.changes import lock_changes as lock_changes
    from odpm_tasks.core.locking.graph import Resolution as Resolution
    from odpm_tasks.core.locking.graph import Source as Source
    from odpm_tasks.core.locking.graph import SourceAnswer as SourceAnswer
    from odpm_tasks.core.locking.graph import SourceQuery as SourceQuery
    from odpm_tasks.core.locking.lockfile import Lock as Lock
    from odpm_tasks.core.locking.lockfile import Pin as Pin
    from odpm_tasks.core.locking.lockfile import read_lock as read_lock
    from odpm_tasks.core.locking.lockfile import write_lock as write_lock
    from odpm_tasks.core.locking.resolve import drive as drive
    from odpm_tasks.core.locking.resolve import resolve as resolve
    from odpm_tasks.core.manifest.model import Manifest as Manifest
    from odpm_tasks.core.manifest.model import ManifestResult as ManifestResult
    from odpm_tasks.core.manifest.reader import problems as problems
    from odpm_tasks.core.manifest.reader import read_manifest as read_manifest
    from odpm_tasks.core.odoo.addons import Facts as Facts
    from odpm_tasks.core.odoo.addons import Module as Module
    from odpm_tasks.core.odoo.series import Series as Series
    from odpm_tasks.core.odoo.series import series as series
    from odpm_tasks.core.planning.observed import ObservedState as ObservedState
    from odpm_tasks.core.planning.options import RunOptions as RunOptions
    from odpm_tasks.core.planning.planner import plan as plan
    from odpm_tasks.core.planning.steps import ORDER as ORDER
    from odpm_tasks.core.planning.steps import PREPARING as PREPARING
    from odpm_tasks.core.planning.steps import Plan as Plan
    from odpm_tasks.core.planning.steps import Step as Step
    from odpm_tasks.core.sources.link import Link as Link
    from odpm_tasks.core.sources.link import canonical as canonical
    from odpm_tasks.core.sources.link import parse_link as parse_link
    from odpm_tasks.core.stack.render import Rendered as Rendered
    from odpm_tasks.core.stack.render import Stack as Stack
    from odpm_tasks.core.stack.render import render as render

_MODULES = {
    "config.paths": ("ProjectPaths",),
    "config.scenario": ("Scenario", "scenario"),
    "config.settings": ("Layer", "Settings"),
    "manifest.model": ("Manifest", "ManifestResult"),
    "manifest.reader": ("problems", "read_manifest"),
    "sources.link": ("Link", "canonical", "parse_link"),
    "odoo.addons": ("Facts", "Module"),
    "odoo.series": ("Series", "series"),
    "locking.lockfile": ("Lock", "Pin", "read_lock", "write_lock"),
    "locking.changes": ("lock_changes",),
    "locking.graph": ("Resolution", "Source", "SourceAnswer", "SourceQuery"),
    "locking.resolve": ("drive", "resolve"),
    "stack.render": ("Rendered", "Stack", "render"),
    "planning.observed": ("ObservedState",),
    "planning.options": ("RunOptions",),
    "planning.steps": ("ORDER", "PREPARING", "Plan", "Step"),
    "planning.planner": ("plan",),
}
_MODULE_OF = {name: f"odpm_tasks.core.{module}" for module, names in _MODULES.items() for name in names}
__all__ = [*_MODULE_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'odpm_tasks.core' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
