"""Check a release on a database before it serves: add-ons load, columns exist, the login page renders."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from odpm_tasks.adapters import terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import OdpmError, ProgramError
from odpm_tasks.stack import database, odoo_log

_PROGRAM = Path(__file__).parents[1] / "templates" / "check_release.py"
_MARK = "odpm-check: "


def check(paths: ProjectPaths, observed: RenderedState, name: str) -> None:
    """Run the new code on a database, in a container of its own. Nothing is published, no scheduled action runs.

    Errors: ProgramError with exception, add-on, file and line, or with the columns that the database lacks.
    """
    lines: list[str] = []
    words = ("odoo", "shell", "-d", name, "--no-http", "--max-cron-threads=0")
    with terminal.activity() as show:
        show.note(name, "check the new release")
        outcome = database.task_container(paths, observed, lines.append, *words, stdin=_PROGRAM.read_bytes())
    answer = next((line.partition(_MARK)[2] for line in outcome.text.splitlines() if _MARK in line), "")
    found = json.loads(answer) if outcome.ok and answer else {}
    if found and not found["missing"] and found["status"] < 500:
        return
    log = odoo_log.keep_log(paths, "check", name, lines)
    if found and found["missing"]:
        raise _columns_missing(name, found["missing"], log)
    raise _failed(paths, observed, name, lines, log)


def _columns_missing(name: str, missing: Sequence[Sequence[str]], log: str) -> OdpmError:
    addons = list(dict.fromkeys(addon for _, _, addon in missing if addon))
    fields = [f"{model}.{field}" if field else f"table of {model}" for model, field, _ in missing]
    more = f" and {len(fields) - 5} more" if len(fields) > 5 else ""
    return ProgramError(
        f"the new code needs columns that the database {name} lacks: {', '.join(fields[:5])}{more}",
        where=f"add-on {', '.join(addons[:5])}" if addons else "",
        details=[f"the whole log: {log}"],
        todo=f"raise the version in the manifest of the add-on, or: inv up -u {','.join(addons) or 'ADDON'}",
    )


def _failed(paths: ProjectPaths, observed: RenderedState, name: str, lines: Sequence[str], log: str) -> OdpmError:
    masked = odoo_log.masked(paths, lines)
    if failed := odoo_log.find_failure(observed, masked):
        column = re.match(r"Undefined(?:Column|Table)\b", failed.exception)
        return odoo_log.failure_error(
            paths,
            observed,
            replace(failed, file="", line=0) if column else failed,
            f"the new release fails on the database {name}",
            details=[f"the whole log: {log}"],
            todo="raise the version in the manifest of the add-on that defines it, or: inv up -u ADDON"
            if column
            else "",
        )
    last = [line for line in masked if line.strip()][-1:]
    return ProgramError(
        f"the new release fails on the database {name}",
        details=[*last, f"the whole log: {log}"],
        todo="fix it, then inv up",
    )
