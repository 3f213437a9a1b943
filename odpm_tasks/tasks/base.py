"""How our tasks are declared: stable short flags, and a Ctrl-C that says what comes next."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

__all__ = ["AS_FOUND", "Context", "remainder", "task", "words"]

# what --no-git-update means, wherever a task has it
AS_FOUND = "Take the checkouts as they are: no git, no lock (server: they have to be what the lock names)."


class _Task(Task[Any]):
    """A task whose short flags are declared, so that adding a parameter never moves one."""

    short: Mapping[str, str] = {}

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in self.short:
            options["names"].append(self.short[name])
        return options


def task(*, short: Mapping[str, str] | None = None, **options: Any) -> Callable[[Callable[..., Any]], Task[Any]]:
    """Declare a task: no automatic short flags, `short` maps parameters to the ones it has."""

    def wrap(body: Callable[..., Any]) -> Task[Any]:
        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> Any:
            # invoke has forbidden it, so that nothing appears beside tasks.py; every run would compile all of us anew
            sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
            try:
                return body(*args, **kwargs)
            except KeyboardInterrupt:
                from odpm_tasks.adapters import processes

                processes.stop_all()
                raise Exit("odpm: interrupted; nothing is lost, the same command goes on from here", 130) from None

        made = _Task(run, auto_shortflags=False, **options)
        made.short = short or {}
        return made

    return wrap


def words(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """A list option: `a,b` or repeated, or a list from Python."""
    given = [value] if isinstance(value, str) else list(value or ())
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip())


def remainder() -> list[str]:
    """What stands behind a lone `--` on the command line, word by word (invoke itself joins it to one string)."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
