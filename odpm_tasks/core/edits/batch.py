"""The decisions about edits that were made at once: what is done now, what waits, and the lines that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from odpm_tasks.core.edits.values import Decision
from odpm_tasks.core.text import Paint, clean, plural, unstyled

MOST_LINES = 12
_STOPPING = frozenset({"Python", "manifest"})  # with an error in one of these, Odoo loads no add-on that contains it


@dataclass(frozen=True)
class Todo:
    """`done`: the decisions that these actions cover. `waiting`: those that wait for an error to be corrected, or for `inv up`."""

    update: tuple[str, ...] = ()
    overwrite: bool = False
    reload: bool = False
    by_odoo: bool = False
    assets: bool = False
    done: tuple[Decision, ...] = ()
    waiting: tuple[Decision, ...] = ()
    errors: tuple[Decision, ...] = ()

    @property
    def acts(self) -> bool:
        return bool(self.update or self.reload or self.assets)


def todo(decisions: Sequence[Decision], *, reloads_itself: bool = False, up_is_new: bool = False) -> Todo:
    """What to do about all decisions at once: one update of several add-ons, one reload.

    An error in Python or in a manifest stops updates and reloads, one in another file the update of its add-on. `up_is_new`: one
    of the edits needs `inv up` and was not announced before: updates and reloads wait once, as they may need it. `reloads_itself`: Odoo
    reloads when a Python file is edited.
    """
    errors = tuple(one for one in decisions if one.action == "error")
    stopped = up_is_new or any(one.kind in _STOPPING for one in errors)
    broken = {one.addon for one in errors}
    waiting: list[Decision] = []
    done: list[Decision] = []
    for one in decisions:
        loads = one.action in {"update", "reload"}
        if one.action in {"error", "up"}:
            continue
        waits = loads and (stopped or (one.action == "update" and one.addon in broken))
        (waiting if waits else done).append(one)
    reloading = [one for one in done if one.action == "reload" or one.reload]
    update = tuple(dict.fromkeys(one.addon for one in done if one.action == "update"))
    return Todo(
        update,
        any(one.overwrite for one in done),
        bool(reloading),
        bool(reloading) and reloads_itself and not update and all(one.path.endswith(".py") for one in reloading),
        any(one.action == "assets" for one in done),
        tuple(done),
        tuple(waiting),
        errors,
    )


def edit_lines(decisions: Sequence[Decision], paint: Paint = unstyled) -> list[str]:
    """A line for each edit: path, action, reason; of more than MOST_LINES a line for each action and reason. Errors first."""
    ordered = sorted(decisions, key=lambda one: (one.action != "error", one.path))
    if len(ordered) <= MOST_LINES:
        rows = [(_place(one), one) for one in ordered]
    else:
        errors = [(_place(one), one) for one in ordered if one.action == "error"]
        rest = sorted((one for one in ordered if one.action != "error"), key=_group)
        rows = list(errors)
        for _, found in groupby(rest, key=_group):
            group = list(found)
            name = group[0].path if len(group) == 1 else f"{plural(len(group), 'file')} as {group[0].path}"
            rows.append((name, group[0]))
    wide = max((len(name) for name, _ in rows), default=0)
    labels = max((len(one.label) for _, one in rows), default=0)
    return [_line(name, one, min(wide, 60), labels, paint) for name, one in rows]


def _group(one: Decision) -> tuple[str, str, str]:
    return one.label, one.kind, one.reason


def _place(one: Decision) -> str:
    return f"{one.path}:{one.line}" if one.line else one.path


def _line(name: str, one: Decision, wide: int, labels: int, paint: Paint) -> str:
    style = {"error": "bad", "nothing": "dim", "up": "warn"}.get(one.action, "")
    text = clean(f"{name:<{wide}}  {one.label:<{labels}}  {one.kind}: {one.reason}")
    return paint(text, style) if style else text


def actions_text(found: Todo, reloaded: str = "reload") -> str:
    """What was done, in a few words: `-u shop,stock, reload`. `reloaded`: `restart` where Odoo had ended."""
    words = [f"-u {','.join(found.update)}"] if found.update else []
    words += [reloaded] if found.reload else []
    words += ["clear assets"] if found.assets and not (found.update or found.reload) else []
    return ", ".join(words)


def waiting_text(found: Todo, *, up_is_new: bool) -> str:
    """What to type, or what else has to be done, before the rest of the edits is acted on; empty without such."""
    if up_is_new:
        changed = " -u changed" if any(one.action == "update" for one in found.waiting) else ""
        others = f"; {plural(len(found.waiting), 'other edit')} wait until the next one" if found.waiting else ""
        return f"next:     inv up{changed}{others}"
    return f"waiting:  {plural(len(found.waiting), 'edit')} until the error is corrected" if found.waiting else ""
