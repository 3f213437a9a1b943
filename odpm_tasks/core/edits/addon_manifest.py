"""Edits of the manifest of an add-on: which keys differ, and what Odoo does with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from typing import Any

from odpm_tasks.core.edits.python_source import SourceError
from odpm_tasks.core.literals import literal

LOADED_KEYS = ("data", "demo", "init_xml", "update_xml", "demo_xml")
_UPDATED = frozenset(
    {"version", "depends", *LOADED_KEYS, "pre_init_hook", "post_init_hook", "uninstall_hook", "auto_install"}
)
_STARTED = frozenset({"depends", "assets", "qweb", "js", "css", "post_load", "bootstrap", "web"})
_IMAGE = frozenset({"external_dependencies"})


def manifest_values(data: bytes) -> Mapping[str, Any] | SourceError:
    """The dictionary of a manifest, or its error."""
    try:
        found = literal(ast.parse(data.decode("utf-8-sig").strip(), mode="eval"))
    except SyntaxError as error:
        return SourceError(error.msg, error.lineno or 0)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        line = re.search(r"on line (\d+)", str(error))
        return SourceError("a manifest contains literals only", int(line[1]) if line else 0)
    return found if isinstance(found, dict) else SourceError("a manifest is a dictionary")


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys whose values differ, in the order of the file."""
    return tuple(key for key in {**before, **after} if before.get(key) != after.get(key))


def needs_image(keys: Collection[str]) -> bool:
    """Whether the Python packages or programs that the add-on requires differ."""
    return bool(_IMAGE & {*keys})


def needs_update(keys: Collection[str]) -> bool:
    return bool(_UPDATED & {*keys})


def needs_reload(keys: Collection[str]) -> bool:
    """Whether Odoo keeps one of these in memory."""
    return bool(_STARTED & {*keys})


def missing_depends(values: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
    """The add-ons of `depends` that no source has."""
    depends = values.get("depends")
    return tuple(name for name in depends if name not in known) if isinstance(depends, list | tuple) else ()


def loaded_files(values: Mapping[str, Any], *, demo: bool) -> frozenset[str]:
    """The files that an update loads; those of demo data if the add-on was installed with it."""
    keys = [key for key in LOADED_KEYS if demo or not key.startswith("demo")]
    return frozenset(name for key in keys for name in (values.get(key) or ()) if isinstance(name, str))
