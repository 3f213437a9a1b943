"""`python -m odpm_tasks TASK` runs a task in a folder without a tasks.py, for example `init`."""

from __future__ import annotations

import sys

from invoke.program import Program

from odpm_tasks import __version__, collection
from odpm_tasks.adapters import terminal
from odpm_tasks.errors import OdpmError


def main() -> None:
    try:
        namespace = collection()
    except OdpmError as error:
        sys.exit(f"{error}")
    program = Program(name="odpm_tasks", binary="python -m odpm_tasks", namespace=namespace, version=__version__)
    try:
        with terminal.output_errors():  # of `--list` and `--help`, which invoke prints
            program.run()
    except OdpmError as error:
        terminal.message(f"{error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
