"""How the lines of a plan look on a stream: coloured and broken to its width on a terminal, plain anywhere else."""

from __future__ import annotations

import sys
from typing import TextIO

from odpm_tasks.adapters import terminal
from odpm_tasks.core.planning.step_text import LineStyle, step_lines
from odpm_tasks.core.planning.steps import Step


def line_style(stream: TextIO, *, full: bool = False) -> LineStyle:
    """`whole`: long details are broken and never cut."""
    return LineStyle(lambda text, style: terminal.paint(text, style, stream), terminal.width(stream), full=full)


def print_done(step: Step, note: str = "") -> None:
    """Tell that a step is done, in the words in which the plan announced it."""
    for line in step_lines(step, line_style(sys.stderr), note):
        terminal.message(line)
