"""What can follow on an incomplete command line: which names the word under the cursor may stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["add-ons", "databases", "services", "snapshots", "sources"]
_KINDS: Mapping[str, Kind] = {
    "database": "databases",
    "install": "add-ons",
    "update": "add-ons",
    "modules": "add-ons",
    "depends": "add-ons",
    "service": "services",
    "only": "sources",
    "mod.explain name": "add-ons",
    "mod.graph name": "add-ons",
    "db.copy source": "databases",
    "db.rename source": "databases",
    "db.restore-snapshot name": "snapshots",
    "db.drop-snapshot name": "snapshots",
    "sources.tree name": "sources",
    "sources.unshallow name": "sources",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "format": ("json", "text"),
    "mod.graph format": ("json", "mermaid", "text"),
    "sources.tree format": ("json", "mermaid", "text"),
    "lock format": ("json", "markdown", "text"),
    "db.backup archive": ("dump", "zip"),
    "dev": ("all", "none", "qweb", "reload", "xml"),
    "debug": ("on", "wait"),
    "update": ("changed",),
    "ide name": ("both", "none", "odools", "pycharm", "vscode"),
    "shell": ("bash", "fish", "zsh"),
}
# A shell evaluates what a careless script prints, and names of files, add-ons and databases are those of others.
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.@+-]*")


@dataclass(frozen=True)
class TaskWords:
    """What a task takes. `flags`: option -> its parameter, empty for an option without a value. `words`: the parameters that words
    without an option set, in their order."""

    flags: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cursor:
    """The word under the cursor.

    `typed`: its last part; `kept`: the part before, which stays (`--update=`, `sale,`). `task`: that it belongs to. `parameter`:
    whose value it is; if empty, it is a task or an option.
    """

    typed: str
    kept: str = ""
    task: str = ""
    parameter: str = ""

    @property
    def kind(self) -> Kind | None:
        """The kind of names that it may stand for; None for other values."""
        return _KINDS.get(f"{self.task} {self.parameter}") or _KINDS.get(self.parameter)

    @property
    def choices(self) -> tuple[str, ...]:
        """The fixed values that it may have."""
        return _CHOICES.get(f"{self.task} {self.parameter}") or _CHOICES.get(self.parameter, ())


def cursor(words: Sequence[str], tasks: Mapping[str, TaskWords], program: TaskWords) -> Cursor:
    """Find what the last of `words` is. They follow the name of the program; the last may be empty.

    `tasks`: by name. `program`: the options before the first task. A shell that splits words at `=` gives it as a word.
    """
    task, parameter, left = "", "", [""]
    if "--" in words[:-1]:  # the rest is of another program
        return Cursor(words[-1], parameter="--")
    for text in words[:-1]:
        if text == "=":
            continue
        if parameter:
            parameter = ""
        elif text.startswith("-"):
            parameter = _flags(task, tasks, program).get(text, "")
        elif text in tasks:
            task, left = text, [*tasks[text].words, ""]
        else:
            left = left[1:] or [""]
    last = "" if words[-1] == "=" else words[-1]
    flag, equals, value = last.partition("=")
    if not parameter and equals and flag in _flags(task, tasks, program):
        return _listed(Cursor(value, f"{flag}=", task, _flags(task, tasks, program)[flag]))
    if not parameter and not last.startswith("-"):
        parameter = left[0]
    return _listed(Cursor(last, "", task, parameter)) if parameter else Cursor(last, "", task)


def _flags(task: str, tasks: Mapping[str, TaskWords], program: TaskWords) -> Mapping[str, str]:
    return tasks[task].flags if task else program.flags


def _listed(found: Cursor) -> Cursor:
    """After a comma, the next value begins."""
    before, comma, typed = found.typed.rpartition(",")
    return Cursor(typed, f"{found.kept}{before}{comma}", found.task, found.parameter)


def candidates(
    found: Cursor, names: Iterable[str], tasks: Mapping[str, TaskWords], program: TaskWords
) -> tuple[str, ...]:
    """The complete words that the cursor may become, sorted. `names`: those of its kind. A name with characters that mean something
    to a shell is left out, and in a list what is listed already."""
    if found.parameter:
        known: Iterable[str] = (*names, *found.choices)
    elif found.typed.startswith("-"):
        known = _flags(found.task, tasks, program)
    else:
        known = tasks
    listed = found.kept.rpartition("=")[2].split(",")
    fitting = {name for name in known if name.startswith(found.typed) and name not in listed and _PLAIN.fullmatch(name)}
    return tuple(f"{found.kept}{name}" for name in sorted(fitting))
