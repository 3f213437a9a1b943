"""The declaration of tasks: fixed short flags, options from one table, and a message on Ctrl-C."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from odpm_tasks.core.planning.options import RunOptions, options_of

__all__ = ["Context", "check_format", "remainder", "split_list", "task"]


class _Task(Task[Any]):
    """A task with declared short flags: a new parameter does not change the flags of others."""

    short: Mapping[str, str] = {}

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in self.short:
            options["names"].append(self.short[name])
        return options


def task(
    *, short: Mapping[str, str] | None = None, run_options: str = "", **settings: Any
) -> Callable[[Callable[..., Any]], Task[Any]]:
    """Declare a task. `short`: parameter -> short flag; there are no automatic short flags.

    `run_options`: the name of the task in the table of `RunOptions`. The options of the table become parameters of the task;
    the body receives them as one value, `options`.
    """
    flags = dict(short or {})
    help_ = dict(settings.pop("help", {}))
    for option in options_of(run_options):
        help_[option.name] = option.metadata["help"]
        flags |= {option.name: option.metadata["short"]} if option.metadata["short"] else {}

    def wrap(body: Callable[..., Any]) -> Task[Any]:
        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> Any:
            # invoke disables bytecode for the sake of tasks.py; then every run would compile the whole package
            sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
            try:
                return body(*args, **(_with_options(run_options, kwargs) if run_options else kwargs))
            except KeyboardInterrupt:
                from odpm_tasks.adapters import process

                process.stop_all()
                raise Exit("odpm: interrupted; no work is lost, run the same command to continue", 130) from None

        if run_options:
            with_signature: Any = run
            with_signature.__signature__ = _signature(body, run_options)  # invoke reads it
        declared = _Task(run, auto_shortflags=False, help=help_, **settings)
        declared.short = flags
        return declared

    return wrap


def _signature(body: Callable[..., Any], task_name: str) -> inspect.Signature:
    """The parameters of a body, with one per option instead of `options`. The default of a list option is text."""
    own = inspect.signature(body)
    shared = [
        inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default="" if option.default == () else option.default
        )
        for option in options_of(task_name)
    ]
    return own.replace(parameters=[*(p for name, p in own.parameters.items() if name != "options"), *shared])


def _with_options(task_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a body: the options of the table as one value, all others unchanged."""
    table = {option.name: option for option in options_of(task_name)}
    values: dict[str, Any] = {
        name: split_list(value) if isinstance(table[name].default, tuple) else value
        for name, value in given.items()
        if name in table
    }
    return {**{name: value for name, value in given.items() if name not in table}, "options": RunOptions(**values)}


def split_list(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The values of a list option: `a,b`, a repeated option, or a list from Python."""
    given = [value] if isinstance(value, str) else list(value or ())
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip())


def remainder() -> list[str]:
    """The arguments after `--` on the command line; invoke joins them to one string."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


def check_format(format: str, formats: Sequence[str] = ("text", "json")) -> None:
    """Check the value of `--format`. Errors: UsageError naming the formats."""
    if format not in formats:
        from odpm_tasks.errors import UsageError

        raise UsageError(f"unknown format {format!r}", todo=f"--format {', '.join(formats[:-1])} or {formats[-1]}")
