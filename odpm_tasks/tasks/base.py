"""The declaration of tasks: fixed short flags, options from one table, and a message on Ctrl-C."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from odpm_tasks.adapters.signals import ignore_ctrl_c, sigterm_as_ctrl_c
from odpm_tasks.core.planning.options import RunOptions, options_of
from odpm_tasks.tasks import command_line
from odpm_tasks.tasks.command_line import CommandShape, ShapedArgument

if TYPE_CHECKING:
    from odpm_tasks.core.text import Paint

__all__ = ["Context", "check_format", "remainder", "split_list", "task", "write_report"]


class _Task(Task[Any]):
    """A task with declared short flags: a new parameter does not change the flags of others."""

    short: Mapping[str, str] = {}
    shape = CommandShape()

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            argument.__class__ = ShapedArgument
            argument.shape = self.shape  # type: ignore[attr-defined]
        command_line.install()  # only a program that parses a command line calls this
        return arguments

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        if name in self.short:
            options["names"].append(self.short[name])
        return options


def task(
    *,
    short: Mapping[str, str] | None = None,
    run_options: str = "",
    word: str = "",
    lists: Sequence[str] = (),
    remainder: bool = False,
    repeated: Sequence[str] = (),
    **settings: Any,
) -> Callable[[Callable[..., Any]], Task[Any]]:
    """Declare a task. `short`: parameter -> short flag; there are no automatic short flags.

    `run_options`: the name of the task in the table of `RunOptions`. The options of the table become parameters of the task;
    the body receives them as one value, `options`. `word`: the parameter that one word without an option sets. `lists`:
    parameters that are repeated or separated by commas; the body receives tuples. `repeated`: those whose values may contain
    commas. `remainder`: the task passes the arguments after `--` to a program; other tasks refuse them.
    """
    flags = dict(short or {})
    help_ = dict(settings.pop("help", {}))
    optional = list(settings.pop("optional", ()))
    several = {*lists}
    for option in options_of(run_options):
        help_[option.name] = option.metadata["help"]
        flags |= {option.name: option.metadata["short"]} if option.metadata["short"] else {}
        several |= {option.name} if option.default == () else set()
        optional += [option.name] if option.metadata["alone"] else []
    if word:
        help_[word] = f"{help_[word]} Also as a word, without the option."

    listed = several | {*repeated}

    def wrap(body: Callable[..., Any]) -> Task[Any]:
        names = list(inspect.signature(body).parameters)[1:]

        @functools.wraps(body)
        def run(c: Context, *args: Any, **kwargs: Any) -> Any:
            # invoke disables bytecode for the sake of tasks.py; then every run would compile the whole package
            sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
            given = kwargs | dict(zip(names, args, strict=False))
            given = {
                name: _converted(value, name in several) if name in listed else value for name, value in given.items()
            }
            try:
                with sigterm_as_ctrl_c():
                    return body(c, **(_with_options(run_options, given) if run_options else given))
            except KeyboardInterrupt:
                from odpm_tasks.adapters import process

                process.stop_all()
                ignore_ctrl_c()
                raise Exit("odpm: interrupted; no work is lost, run the same command to continue", 130) from None

        with_signature: Any = run
        with_signature.__signature__ = _signature(body, run_options, listed)  # invoke reads it
        declared = _Task(run, auto_shortflags=False, help=help_, iterable=sorted(listed), optional=optional, **settings)
        declared.short, declared.shape = flags, CommandShape(word, remainder)
        return declared

    return wrap


def _signature(body: Callable[..., Any], task_name: str, listed: Collection[str]) -> inspect.Signature:
    """The parameters of a body, with one per option instead of `options`; invoke requires None as the default of a list."""
    own = inspect.signature(body)
    shared = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
        for option in options_of(task_name)
    ]
    parameters = [*(p for name, p in own.parameters.items() if name != "options"), *shared]
    return own.replace(parameters=[p.replace(default=None) if p.name in listed else p for p in parameters])


def _with_options(task_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a body: the options of the table as one value, all others unchanged."""
    table = {option.name: option for option in options_of(task_name)}
    values = {name: _alone(table[name], value) for name, value in given.items() if name in table}
    return {**{name: value for name, value in given.items() if name not in table}, "options": RunOptions(**values)}


def _alone(option: Field[Any], value: Any) -> Any:
    """The value of an option; invoke gives True for one that was typed without its optional value."""
    alone = option.metadata["alone"]
    return (alone if value is True else value or option.default) if alone else value


def _converted(value: Any, split: bool) -> tuple[str, ...]:
    """The values of a list option, split at commas or as they are."""
    if split:
        return split_list(value)
    return (value,) if isinstance(value, str) and value else tuple(value or ())


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


def write_report(format: str, as_json: Callable[[], str], as_text: Callable[[Paint], str]) -> None:
    """Write a report to standard output: one JSON document, or the text for people, whose parts `as_text` colours with its argument."""
    from odpm_tasks.adapters import terminal

    if format == "json":
        terminal.output(as_json())
    else:
        terminal.output_text(as_text(lambda text, style: terminal.paint(text, style, sys.stdout)))
