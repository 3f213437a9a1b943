"""Describe, pin, build and run an Odoo stack: composable invoke tasks over git, uv and Docker Compose.

The shortest `tasks.py`:

    from odpm_tasks import collection
    ns = collection()

Each task is also a plain callable (`odpm_tasks.up(c)`). `Project` provides what a project's own tasks need, and
`odpm_tasks.core` the values and pure functions. Names that are not in `__all__` may change.
"""

from __future__ import annotations

import os
import sys


def _search_project_last() -> None:
    """Move the project's folder to the end of the import path: invoke and `python -m` put it first.

    Otherwise an add-on called `queue` or `email` hides the module of Python with that name.
    """
    try:
        current = {"", os.getcwd()}  # noqa: PTH109 - pathlib imports modules that may be hidden
    except FileNotFoundError:  # removed
        current = {""}
    projects = [entry for entry in sys.path if entry in current or os.path.exists(f"{entry}/odpm.json")]  # noqa: PTH110
    sys.path[:] = [entry for entry in sys.path if entry not in projects] + projects


_search_project_last()

from typing import TYPE_CHECKING, Any  # noqa: E402

from odpm_tasks.core.config.version import VERSION  # noqa: E402
from odpm_tasks.tasks.namespace import TASKS, attribute, collection  # noqa: E402

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
