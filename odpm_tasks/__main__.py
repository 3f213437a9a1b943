"""`python -m odpm_tasks TASK`: every task without a tasks.py, above all `init` in a folder that has none yet."""

from __future__ import annotations

from invoke.program import Program

from odpm_tasks import __version__, collection


def main() -> None:
    Program(name="odpm_tasks", binary="python -m odpm_tasks", namespace=collection(), version=__version__).run()


if __name__ == "__main__":
    main()
