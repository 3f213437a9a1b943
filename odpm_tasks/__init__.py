"""Describe, pin, build and run an Odoo stack: composable invoke tasks over git, uv and Docker Compose.

The shortest `tasks.py`:

    from odpm_tasks import collection
    ns = collection()

Each task is also a plain callable (`odpm_tasks.up(c)`), and `Project` is what own tasks are made of. Names that are not
in `__all__` may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odpm_tasks.tasks.namespace import TASKS, attribute, collection

if TYPE_CHECKING:
    pass
    from odpm_tasks.errors import OdpmError
    from odpm_tasks.project import Project

__version__ = "5.0.0"
__all__ = ["OdpmError", "Project", "collection", "core", *map(attribute, TASKS)]  # noqa: PLE0604
_TASKS = {attribute(name): task for name, task in TASKS.items()}


def __getattr__(name: str) -> Any:
    # what is heavy to import is imported when somebody asks for it: `inv --list` does not
    if name == "Project":
        from odpm_tasks.project import Project

        return Project
    if name == "OdpmError":
        from odpm_tasks.errors import OdpmError

        return OdpmError
    if name == "core":
        import importlib

        return importlib.import_module("odpm_tasks.core")
    task = _TASKS.get(name)
    if task is None:
        raise AttributeError(f"module 'odpm_tasks' has no attribute {name!r}")
    return task
