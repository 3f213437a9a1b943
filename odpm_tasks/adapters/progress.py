"""The progress display on a terminal: as many rows and columns as fit."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

WIDE = 72  # columns of the terminal from which size and rate are shown


class _Rows(Progress):
    """One row per task, at most as many as the terminal has lines; a last row counts the others."""

    def __init__(self, console: Console) -> None:
        self._console = console  # the base class calls get_renderables before it sets its own
        super().__init__(*_columns(console.width), console=console, transient=True, expand=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        limit = max(1, self._console.height - 2)
        tasks = self.tasks
        yield self.make_tasks_table(tasks[:limit])
        if len(tasks) > limit:
            yield Text(f"  and {len(tasks) - limit} more", style="dim")


def rows() -> Progress:
    """The display, a context manager; it clears its rows at the end."""
    return _Rows(Console(stderr=True, highlight=False))


def _columns(width: int) -> list[str | ProgressColumn]:
    wide = width >= WIDE
    columns: list[str | ProgressColumn] = [
        SpinnerColumn(),
        _field("name", Column(no_wrap=True, overflow="ellipsis", max_width=width // 3)),
        _field("text", Column(no_wrap=True, overflow="ellipsis", ratio=1), style="dim"),
        _field("percent", Column(no_wrap=True, justify="right", min_width=4)),
    ]
    if wide:
        columns += [
            _field("size", Column(no_wrap=True, justify="right", min_width=10)),
            _field("rate", Column(no_wrap=True, justify="right", min_width=12)),
            TimeElapsedColumn(Column(no_wrap=True)),
        ]
    return columns


def _field(name: str, column: Column, style: str = "none") -> TextColumn:
    text = f"{{task.fields[{name}]}}"
    return TextColumn(text, style=style, justify=column.justify, markup=False, table_column=column)
