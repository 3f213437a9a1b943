"""The command line of all tasks: one optional word, arguments after `--`, the nearest name for an unknown one, completion.

invoke has no optional positional argument and no hook for its parser, so its state machine is replaced by `_Machine`. Contexts of
tasks that are not odpm's are parsed as before.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from invoke import program as invoke_program
from invoke.exceptions import Exit
from invoke.parser import parser as invoke_parser
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext, to_flag
from invoke.program import Program

from odpm_tasks.adapters import terminal
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import OdpmError, UsageError

if TYPE_CHECKING:
    from odpm_tasks.core.candidates import TaskWords

_EXACT = "ODPM_COMPLETION"  # set by our scripts for shells: the words are those up to the cursor


@dataclass(frozen=True)
class CommandShape:
    """What a task takes besides its options. `word`: the parameter that one word sets, if any.

    `remainder`: the arguments after `--` are passed to a program.
    """

    word: str = ""
    remainder: bool = False


class ShapedArgument(Argument):
    """An argument of a task of odpm, with the shape of its command; invoke passes nothing else of a task to its parser."""

    shape: CommandShape


class _Machine(invoke_parser.ParseMachine):
    _worded: object = None  # the context that has its word

    def handle(self, token: str) -> None:
        """Handle a word as invoke does; a word that invoke does not know is the task's optional word, or an error."""
        shape = _shape(self.context)
        ours = shape is not None or (
            not (self.context and self.context.name) and any(map(_shape, self.contexts.values()))
        )
        if self.ignore_unknown or not ours or self._known(token):
            super().handle(token)
            return
        if shape is None:
            raise UsageError(f"there is no task {token!r}{nearest(token, self.contexts)}", todo="inv --list")
        if not shape.word or re.match("-.", token):
            raise _unknown(token, self.context, list(self.contexts))
        argument = self.context.args[shape.word.replace("_", "-")]
        if self._worded is self.context:
            raise UsageError(
                f"{self.context.name} takes one word, and {token!r} is another one",
                todo=f"separate several by commas, or use --{argument.names[0]}; inv --help {self.context.name}",
            )
        self.complete_flag()
        self.flag = None
        self._worded = self.context
        argument.value = token

    def finish(self) -> None:
        """As invoke does, and refuse arguments after `--` that no task of the line takes."""
        super().finish()
        shapes = [_shape(context) for context in self.result if context.name]
        if self.ignore_unknown or "--" not in sys.argv or not shapes or any(s is None or s.remainder for s in shapes):
            return
        words, name = " ".join(sys.argv[sys.argv.index("--") :]), self.result[-1].name
        raise UsageError(f"{name} takes nothing after --: {words}", todo=f"inv --help {name}")

    def error(self, msg: str) -> None:
        """The errors of invoke for a task of odpm: an option without its value, a task without its word."""
        if _shape(self.context):
            name, required = self.context.name, self.context.missing_positional_args
            if required:
                raise UsageError(f"{name} needs a {required[0].name}", todo=f"inv --help {name}")
            if self.flag is not None and self.flag.raw_value is None:
                raise UsageError(f"--{self.flag.names[0]} needs a value", todo=f"inv --help {name}")
        super().error(msg)

    def _known(self, token: str) -> bool:
        """Whether invoke gives a meaning to this token here: a flag, the value of a flag, a task."""
        return bool(
            self.current_state == "unknown"
            or (self.context and (token in self.context.flags or token in self.context.inverse_flags))
            or self.waiting_for_flag_value
            or (self.context and self.context.missing_positional_args)
            or token in self.contexts
            or (self.initial and token in self.initial.flags)
        )


# the metaclass of state machines gives a subclass no states
_Machine._class_states = invoke_parser.ParseMachine._class_states
_Machine._class_transitions = invoke_parser.ParseMachine._class_transitions


def _shape(context: Any) -> CommandShape | None:
    """The shape of a context's task; None where it is not one of odpm."""
    arguments = context.args.values() if context else ()
    return next((arg.shape for arg in arguments if isinstance(arg, ShapedArgument)), None)


def _unknown(token: str, context: Any, tasks: Sequence[str]) -> UsageError:
    flags = [name for name in (*context.flags, *context.inverse_flags) if name.startswith("--")]
    if token.startswith("-"):
        return UsageError(
            f"{context.name} has no option {token}{nearest(token, flags)}", todo=f"inv --help {context.name}"
        )
    return UsageError(
        f"{context.name} takes no word, and there is no task {token!r}{nearest(token, tasks)}",
        todo=f"inv --help {context.name}; inv --list shows the tasks",
    )


_help_for = ParserContext.help_for


def _help_with_values(self: ParserContext, flag: str) -> tuple[str, str]:
    """The help of an option; invoke omits that an option with several values takes a value."""
    names, text = _help_for(self, flag)
    argument = self.flags[flag]
    if isinstance(argument, ShapedArgument) and argument.kind is list:
        names = ", ".join(f"{name} STRING" if len(name) == 2 else f"{name}=STRING" for name in names.split(", "))
    return names, text


_parse_cleanup = Program.parse_cleanup


def _print_and_exit(self: Program) -> None:
    """Invoke's `--list` and `--help`: full or closed output ends them as it ends a task, without a traceback."""
    goes_on = False
    try:
        with terminal.output_errors():
            try:
                _parse_cleanup(self)
                goes_on = True
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()
    except OdpmError as error:
        raise Exit(str(error), error.exit_code) from None
    if not goes_on:  # the reader has closed the pipe
        raise Exit


def _words_of(contexts: Mapping[str, Any]) -> dict[str, TaskWords]:
    """What each task takes, from the contexts of invoke's parser."""
    from odpm_tasks.core.candidates import TaskWords

    found = {}
    for name, context in contexts.items():
        flags = {
            to_flag(spelled): argument.name if argument.takes_value else ""
            for argument in context.args.values()
            for spelled in argument.names
        }
        optional = {argument.shape.word for argument in context.args.values() if hasattr(argument, "shape")} - {""}
        words = (*(argument.name for argument in context.positional_args), *optional)
        found[name] = TaskWords({**flags, **dict.fromkeys(context.inverse_flags, "")}, words)
    return found


def _answer(given: Sequence[str], contexts: Mapping[str, Any], initial: Any) -> tuple[str, ...]:
    """The candidates for the last of the words that a shell gives; the first is the name of the program.

    The scripts of invoke omit an empty last word: only a word that begins with a dash and is no option is incomplete there.
    """
    from pathlib import Path

    from odpm_tasks.core.candidates import candidates, cursor
    from odpm_tasks.stack.names import names, project_folder

    tasks, program = _words_of(contexts), _words_of({"": initial})[""]
    words = list(given)[1:]
    if _EXACT not in os.environ:
        words = " ".join(given).split()[1:]
        options = {flag for one in (*tasks.values(), program) for flag in one.flags}
        if not (words and words[-1].startswith("-") and words[-1] not in options):
            words.append("")
    found = cursor(words or [""], tasks, program)
    root = project_folder(Path.cwd()) if found.kind else None
    known = names(root, found.kind, found.typed) if root and found.kind else ()
    return candidates(found, known, tasks, program)


def _complete(parser: invoke_parser.Parser, initial_context: ParserContext, **named: Any) -> NoReturn:
    """Print the candidates for the command line of a shell, one on a line, and end. `inv --complete` of invoke calls it."""
    del named
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if found := _answer(given, parser.contexts, initial_context):
        terminal.output("\n".join(found))
    raise Exit


def install() -> None:
    """Use these rules for the command lines of this process."""
    invoke_parser.ParseMachine = _Machine  # type: ignore[misc]
    ParserContext.help_for = _help_with_values  # type: ignore[method-assign]
    Program.parse_cleanup = _print_and_exit  # type: ignore[method-assign]
    invoke_program.complete = _complete  # type: ignore[attr-defined,assignment]
