"""The output of `projects`: every project of this machine, and what of it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, clean, unstyled


@dataclass(frozen=True)
class ProjectState:
    """A project of this machine.

    `odoo`: the series, "" where `odpm.json` cannot be read. `state`: `running` (Odoo runs), `partly` (some services run),
    `stopped` (containers exist), `down` (no containers), `gone` (the folder does not exist; containers may be left).
    `running`, `services`: how many containers run and exist. `url`: Odoo's address. `composes`: the names of its Compose projects.
    """

    root: str
    odoo: str
    state: str
    running: int = 0
    services: int = 0
    url: str = ""
    composes: tuple[str, ...] = ()


_WORDS = {
    "running": "running",
    "partly": "Odoo does not run",
    "stopped": "stopped",
    "down": "not started",
    "gone": "the folder is gone",
}


def as_text(projects: Sequence[ProjectState], paint: Paint = unstyled) -> str:
    """A row for each project: folder, series, state, address; below a folder that is gone, how to remove what is left."""
    if not projects:
        return "no project of this machine uses the cache"
    rows = [("project", "Odoo", "state", "address")]
    for one in projects:
        count = f" ({one.running} of {one.services} services)" if one.services else ""
        rows.append((one.root, one.odoo or "?", _WORDS[one.state] + count, one.url or "-"))
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for number, row in enumerate(rows):
        text = clean("  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*wide, 0], strict=True)).rstrip())
        state = projects[number - 1].state if number else ""
        style = "bold" if not number else {"gone": "warn", "down": "dim"}.get(state, "")
        lines.append(paint(text, style) if style else text)
        if state == "gone":
            lines += [f"  docker compose --project-name {name} down" for name in projects[number - 1].composes]
    return "\n".join(lines)


def as_json(projects: Sequence[ProjectState]) -> str:
    """The document of `ProjectsReport`."""
    return report({"projects": [asdict(one) for one in projects]})
