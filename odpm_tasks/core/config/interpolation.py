"""`${NAME}`, `${NAME:-default}` and `$$`; any other `$` is itself.

`:-` works as in Compose: the default counts where the variable is unset or empty, and may hold references itself. A value
that was put in is not read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from odpm_tasks.errors import DescriptionError

Lookup = Callable[[str], str | None]

_TOKEN = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<end>\}|:-)|\}")


@dataclass(frozen=True, slots=True)
class VariableReference:
    """A variable that a text names; `default` is the text after `:-` as written, None without one."""

    name: str
    default: str | None = None


@dataclass(slots=True)
class _Frame:
    """One open `${NAME:-`: what its default gives so far, and what that default would miss."""

    name: str
    begin: int  # where the default begins in the text
    mark: int = 0  # how many references were known before this one
    out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def expand(text: str, lookup: Lookup, where: str) -> str:
    """The text with every reference replaced; `where` names file and field for the error."""
    result, missing, _ = _walk(text, lookup)
    if missing:
        names = ", ".join(missing)
        raise DescriptionError(
            f"{names} {'is' if len(missing) == 1 else 'are'} not set and no default is given",
            where=where,
            todo=f"set {names} in .env or in the environment, or write ${{{missing[0]}:-default}}",
        )
    return result


def missing(text: str, lookup: Lookup) -> tuple[str, ...]:
    """Names that `expand` would need and not find."""
    return _walk(text, lookup)[1]


def references(text: str) -> tuple[VariableReference, ...]:
    """Every variable the text names, in order, those inside of defaults too."""
    return _walk(text, lambda name: "", collect=True)[2]


def escape(text: str) -> str:
    """A text that `expand` turns into the given one."""
    return text.replace("$", "$$")


def _walk(
    text: str, lookup: Lookup, *, collect: bool = False
) -> tuple[str, tuple[str, ...], tuple[VariableReference, ...]]:
    """One pass with a stack of open defaults, so that depth costs nothing."""
    frames = [_Frame("", 0)]
    found: list[VariableReference] = []
    position = 0
    for token in _TOKEN.finditer(text):
        top = frames[-1]
        top.out.append(text[position : token.start()])
        position = token.end()
        if token[0] == "$$":
            top.out.append("$")
        elif token["end"] == ":-":
            frames.append(_Frame(token["name"], position, len(found)))
        elif token["name"]:
            if collect:
                found.append(VariableReference(token["name"]))
            _put(top, token["name"], lookup)
        elif len(frames) > 1:
            frames.pop()
            if collect:
                found.insert(top.mark, VariableReference(top.name, text[top.begin : token.start()]))
            _put(frames[-1], top.name, lookup, default=top)
        else:
            top.out.append("}")
    frames[-1].out.append(text[position:])
    for open_frame in frames[1:]:  # `${NAME:-` that nobody closed is plain text
        frames[0].out += [f"${{{open_frame.name}:-", *open_frame.out]
        frames[0].missing += open_frame.missing
    return "".join(frames[0].out), tuple(dict.fromkeys(frames[0].missing)), tuple(found)


def _put(frame: _Frame, name: str, lookup: Lookup, default: _Frame | None = None) -> None:
    value = lookup(name)
    if default is not None and not value:
        frame.out.append("".join(default.out))
        frame.missing += default.missing
    elif value is None:
        frame.missing.append(name)
    else:
        frame.out.append(value)
