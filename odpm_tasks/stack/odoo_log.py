"""Logs of Odoo: keep them in `.odpm/logs/`, and turn a failure in one into an error with add-on, file and line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.command import redact
from odpm_tasks.core.config.paths import SOURCE_ROOT, ProjectPaths, source_folder
from odpm_tasks.core.odoo import log as odoo_logs
from odpm_tasks.core.odoo.log import OdooFailure
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import ProgramError
from odpm_tasks.stack.secrets import passwords

KEPT_LOGS = 20


def keep_log(paths: ProjectPaths, what: str, database: str, lines: Sequence[str]) -> str:
    """Write a log to `.odpm/logs/`, without secrets, and remove the oldest. Returns its path in the checkout."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", database)
    path = paths.odpm / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}-{what}-{name}.log"
    text = "\n".join(masked(paths, lines)) + "\n"
    files.write(path, text.encode(errors="replace"), 0o600)
    remove_oldest(path.parent, f"*-{what}-*.log")
    return str(path.relative_to(paths.root))


def remove_oldest(folder: Path, pattern: str, kept: int = KEPT_LOGS) -> None:
    """Remove all files of a pattern but the last ones in the order of their names, which begin with the time."""
    for old in sorted(folder.glob(pattern))[:-kept]:
        files.remove(old)


def masked(paths: ProjectPaths, lines: Sequence[str]) -> list[str]:
    """The lines without passwords."""
    secrets = passwords(paths)
    text = "\n".join(lines)
    for secret in secrets:
        text = text.replace(secret, "***")
    return [redact(line) for line in text.split("\n")]


def find_failure(observed: RenderedState, lines: Sequence[str]) -> OdooFailure | None:
    """The failure in a log, see `odpm_tasks.core.odoo.log`."""
    return odoo_logs.failure(lines, platform_folder(observed))


def platform_folder(observed: RenderedState) -> str:
    """The folder of Odoo's own sources in the container."""
    return f"{SOURCE_ROOT}/{observed.stack.resolution.platform.name}"


def failure_error(
    paths: ProjectPaths,
    observed: RenderedState,
    failure: OdooFailure,
    context: str,
    *,
    details: Sequence[str] = (),
    todo: str = "",
) -> ProgramError:
    """The error for a failure of Odoo. `context`: what failed, for example "Odoo failed on shop"."""
    if model := odoo_logs.missing_model(failure):
        failure = _extension(paths, observed, failure, model)
        todo = (
            todo
            or "correct the name, or add the add-on that defines the model to `depends`; then the same command again"
        )
    addon = f", add-on {failure.addon}" if failure.addon else ""
    where = "" if failure.locked else host_path(observed, failure.file)
    if where and failure.line:
        where += f":{failure.line}"
    if failure.addon and not where:
        where = addon_folder(observed, failure.addon)
    return ProgramError(
        f"{context}{addon}: {failure.exception}",
        where=where,
        details=(*failure.details[: 2 - len(details)], *details),
        todo=todo or "fix it, then run the same command again",
    )


def _extension(paths: ProjectPaths, observed: RenderedState, failure: OdooFailure, model: str) -> OdooFailure:
    """The failure with the place of the class that extends a model: Odoo's log has no frame of it, and when an installed
    add-on is loaded not even its name. The project's add-ons are searched first, Odoo's own not at all."""
    places = [(module.name, module.path) for module in observed.stack.own.modules]
    for source in observed.stack.resolution.ordered:
        if source.kind != "platform":
            folder = source_folder(source.name)
            places += [
                (m.name, f"{folder}/{source.facts.path_in_repository(m)}".rstrip("/")) for m in source.facts.modules
            ]
    for name, place in places:
        if failure.addon in {"", name}:
            for file in sorted((paths.root / place).rglob("*.py")):
                text = files.read_text(file) or ""
                if line := odoo_logs.extension_line(text, model):
                    return replace(
                        failure, addon=name, file=f"{name}/{file.relative_to(paths.root / place)}", line=line
                    )
    return failure


def host_path(observed: RenderedState, file: str) -> str:
    """The path in the checkout of a file in Odoo's container, or of a file named `ADDON/PATH`."""
    if file.startswith("/"):
        return observed.stack.container_paths.in_checkout(file)
    addon, _, path = file.partition("/")
    folder = addon_folder(observed, addon) if path else ""
    return f"{folder}/{path}" if folder else file


def addon_folder(observed: RenderedState, name: str) -> str:
    """The folder of an add-on in the checkout, that of the source which Odoo searches first; empty if there is none."""
    own = [module.path for module in observed.stack.own.modules if module.name == name]
    for source in observed.stack.resolution.ordered:
        own += [
            f"{source_folder(source.name)}/{source.facts.path_in_repository(module)}".rstrip("/")
            for module in source.facts.modules
            if module.name == name
        ]
    return own[0] if own else ""
