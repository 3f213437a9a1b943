"""Interpolation of `${NAME}`, `${NAME:-default}` and `$$`; any other `$` is literal.

As in Compose, the default is used if the variable is unset or empty, and may itself contain references. The value of a
variable is inserted as it is and not interpolated.
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
    """A reference to a variable; `default` is the text after `:-` as written, None if there is none."""

    name: str
    default: str | None = None


@dataclass(slots=True)
class _Frame:
    """One open `${NAME:-`: the expanded default so far, and the unset variables in it."""

    name: str
    begin: int  # offset of the default in the text
    position: int = 0  # index of this reference in the result
    out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def expand(text: str, lookup: Lookup, where: str) -> str:
    """The text with every reference replaced. `where`: file and field, for the error message.

    Errors: DescriptionError naming the variables that are not set and have no default.
    """
    result, missing, _ = _parse(text, lookup)
    if missing:
        names = ", ".join(missing)
        raise DescriptionError(
            f"{names} {'is' if len(missing) == 1 else 'are'} not set and no default is given",
            where=where,
            todo=f"set {names} in .env or in the environment, or write ${{{missing[0]}:-default}}",
        )
    return result


def missing(text: str, lookup: Lookup) -> tuple[str, ...]:
    """The variables that `expand` needs and `lookup` does not have, without duplicates."""
    return _parse(text, lookup)[1]


def references(text: str) -> tuple[VariableReference, ...]:
    """Every reference in the text, in order, including those in defaults."""
    return _parse(text, lambda name: "", collect=True)[2]


def escape(text: str) -> str:
    """The text escaped for `expand`, which then returns it unchanged."""
    return text.replace("$", "$$")


def _parse(
    text: str, lookup: Lookup, *, collect: bool = False
) -> tuple[str, tuple[str, ...], tuple[VariableReference, ...]]:
    """Expanded text, unset variables and references (only with `collect`).

    One pass with a stack of open defaults: time is linear in the length, and nesting has no limit.
    """
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
            _append(top, token["name"], lookup)
        elif len(frames) > 1:
            frames.pop()
            if collect:
                found.insert(top.position, VariableReference(top.name, text[top.begin : token.start()]))
            _append(frames[-1], top.name, lookup, default=top)
        else:
            top.out.append("}")
    frames[-1].out.append(text[position:])
    for open_frame in frames[1:]:  # `${NAME:-` without a closing brace is literal
        frames[0].out += [f"${{{open_frame.name}:-", *open_frame.out]
        frames[0].missing += open_frame.missing
    return "".join(frames[0].out), tuple(dict.fromkeys(frames[0].missing)), tuple(found)


def _append(frame: _Frame, name: str, lookup: Lookup, default: _Frame | None = None) -> None:
    value = lookup(name)
    if default is not None and not value:
        frame.out.append("".join(default.out))
        frame.missing += default.missing
    elif value is None:
        frame.missing.append(name)
    else:
        frame.out.append(value)
