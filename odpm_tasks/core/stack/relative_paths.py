"""Convert paths in a dependency's service from relative to its own root to relative to the project's root."""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Mapping
from typing import Any

from odpm_tasks.core.stack.services import is_local, is_volume_name, short_source


def rebased(service: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """A service with its relative paths below `folder`, a path of the project. Absolute ones and `${NAME}/…` stay."""
    result: dict[str, Any] = copy.deepcopy(dict(service))
    if isinstance(result.get("volumes"), list):
        result["volumes"] = [_volume(entry, folder) for entry in result["volumes"]]
    if "build" in result:
        result["build"] = _build(result["build"], folder)
    for key in ("env_file", "label_file"):
        if key in result:
            result[key] = _files(result[key], folder)
    extends = result.get("extends")
    if isinstance(extends, dict) and "file" in extends:
        extends["file"] = _below(extends["file"], folder)
    develop = result.get("develop")
    for watch in (develop.get("watch") or []) if isinstance(develop, dict) else []:
        if isinstance(watch, dict) and "path" in watch:
            watch["path"] = _below(watch["path"], folder)
    return result


def _volume(entry: Any, folder: str) -> Any:
    if isinstance(entry, dict):
        if entry.get("type") == "bind" and "source" in entry:
            entry["source"] = _below(entry["source"], folder)
        return entry
    source = short_source(str(entry))
    if not source or is_volume_name(source):
        return entry
    return _below(source, folder) + str(entry)[len(source) :]


def _build(build: Any, folder: str) -> Any:
    if isinstance(build, str):
        return _below(build, folder) if is_local(build) else build
    if not isinstance(build, dict):
        return build
    context = build.get("context", ".")
    if is_local(str(context)):
        build["context"] = _below(context, folder)
    more = build.get("additional_contexts")
    if isinstance(more, dict):
        build["additional_contexts"] = {
            name: _below(path, folder) if is_local(str(path)) else path for name, path in more.items()
        }
    elif isinstance(more, list):
        pairs = (str(entry).partition("=") for entry in more)
        build["additional_contexts"] = {
            name: _below(path, folder) if is_local(path) else path for name, _, path in pairs
        }
    return build


def _files(value: Any, folder: str) -> Any:
    if isinstance(value, list):
        return [_files(entry, folder) for entry in value]
    if isinstance(value, dict) and "path" in value:
        return {**value, "path": _below(value["path"], folder)}
    return _below(value, folder)


def _below(path: Any, folder: str) -> Any:
    if not isinstance(path, str) or path.startswith(("/", "~", "$")):
        return path
    return f"./{posixpath.normpath(posixpath.join(folder, path))}"
