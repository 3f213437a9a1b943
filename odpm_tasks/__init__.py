"""Describe, pin, build and run an Odoo stack: composable invoke tasks over git, uv and Docker Compose.

The shortest `tasks.py`:

    from odpm_tasks import collection
    ns = collection()

Each task is also a plain callable (`odpm_tasks.up(c)`). `Project` provides what a project's own tasks need, and
`odpm_tasks.core` the values and pure functions. Names that are not in `__all__` may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odpm_tasks.core.config.version import VERSION
from odpm_tasks.tasks.namespace import TASKS, attribute, collection

if TYPE_CHECKING:
    from odpm_tasks import core as core
    from odpm_tasks.errors import OdpmError
    from odpm_tasks.project import Project

__version__ = VERSION
__all__ = ["OdpmError", "Project", "collection", "core", *map(attribute, TASKS)]  # noqa: PLE0604
_TASKS = {attribute(name): task for name, task in TASKS.items()}
_LAZY = {"Project": "odpm_tasks.project", "OdpmError": "odpm_tasks.errors"}


def __getattr__(name: str) -> Any:
    # heavy modules are imported on first use: `inv --list` needs none of them
    if name in _TASKS:
        return _TASKS[name]
    import importlib

    if name == "core":
        return importlib.import_module("odpm_tasks.core")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'odpm_tasks' has no attribute {name!r}")
