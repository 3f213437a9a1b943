"""The lines of steps on a stream: coloured and wrapped to the width of a terminal, plain elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from odpm_tasks.adapters import terminal
from odpm_tasks.core.planning.step_text import LineStyle, step_lines
from odpm_tasks.core.planning.steps import Step


def line_style(stream: TextIO, *, full: bool = False) -> LineStyle:
    """The layout of lines on a stream. `full`: long details are wrapped and never cut."""
    return LineStyle(lambda text, style: terminal.paint(text, style, stream), terminal.width(stream), full=full)


def print_done(step: Step, note: str = "") -> None:
    """Print a step that is done, in the words of the plan."""
    for line in step_lines(step, line_style(sys.stderr), note):
        terminal.message(line)
