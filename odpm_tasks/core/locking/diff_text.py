"""The difference of two locks as text and as JSON.

Commit subjects and add-on names come from other repositories: control characters are removed from the text.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.locking.diff_model import AddonChange, LockDiff, RepositoryChange
from odpm_tasks.core.locking.diff_packages import Locked, PackageChange, SystemChange
from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.reports import report
from odpm_tasks.core.sources.commits import CommitRange
from odpm_tasks.core.text import Paint, clean, cut, plural, unstyled

SHOWN = 30  # lines of one list in the text; the JSON has all
_STYLES = {"+": "create", "-": "bad", "~": "update"}


# --- text -----------------------------------------------------------------------------------------------------------


def as_text(diff: LockDiff, paint: Paint = unstyled) -> str:
    """For a terminal: a block per repository, then Python packages, images, and the modules to update."""
    head = f"{paint('lock', 'bold')}  {diff.old} -> {diff.new}: {summary(diff)}"
    blocks = [_repository(repository, paint) for repository in diff.repositories]
    if diff.packages:
        rows = [_package_row(change) for change in diff.packages]
        blocks.append([f"  {paint('Python packages', 'bold')}", *_rows(rows, paint)])
    if diff.images:
        images = [
            (_sign(image.old, image.new), image.reference, _arrow(image.old[:19], image.new[:19]))
            for image in diff.images
        ]
        blocks.append([f"  {paint('Images', 'bold')}", *_rows(images, paint)])
    if diff.tools:
        tools = [(_sign(tool.old, tool.new), tool.name, _arrow(tool.old, tool.new)) for tool in diff.tools]
        blocks.append([f"  {paint('Tools', 'bold')}", *_rows(tools, paint)])
    if diff.system:
        blocks.append(_system(diff.system, paint))
    if diff.update:
        blocks.append(_update(diff, paint))
    return "\n".join([head, *("\n" + "\n".join(block) for block in blocks)])


def _repository(repository: RepositoryChange, paint: Paint) -> list[str]:
    lines = [f"  {paint(repository.name, 'bold')}  {_pins(repository)}{history_word(repository, '  ')}"]
    if repository.old and repository.new and repository.old.key != repository.new.key:
        lines.append(f"    was {repository.old.url}")
    lines += [f"    {clean(change)}" for change in repository.merges]
    lines += [f"    {paint('note', 'warn')}  {clean(note)}" for note in repository.notes]
    if repository.history:
        commits = repository.history.commits[:SHOWN]
        lines += [f"    {paint(commit.id[:8], 'dim')}  {cut(commit.subject)}" for commit in commits]
        lines += [f"    {rest}"] if (rest := more(repository.history)) else []
    return [
        *lines,
        *_rows([addon_row(change) for change in repository.addons], paint, [c.scripts for c in repository.addons]),
    ]


def _rows(rows: Sequence[tuple[str, str, str]], paint: Paint, below: Sequence[Sequence[str]] = ()) -> list[str]:
    """Sign, name and change in columns, at most SHOWN of them, each followed by its lines of `below`."""
    shown = rows[:SHOWN]
    width = max((len(clean(name)) for _, name, _ in shown), default=0)
    lines: list[str] = []
    for number, (sign, name, words) in enumerate(shown):
        lines.append(f"    {paint(sign, _STYLES[sign])} {clean(name):<{width}}  {clean(words)}".rstrip())
        lines += [f"        {clean(path)}" for path in (below[number] if below else ())]
    return [*lines, f"    … and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else lines


def _system(change: SystemChange, paint: Paint) -> list[str]:
    lines = [f"  {paint('Debian packages', 'bold')}  {_arrow(*map(state_text, (change.old, change.new)))}"]
    if change.note:
        lines.append(f"    {paint('note', 'warn')}  {clean(change.note)}")
    changes = sorted(change.packages or (), key=lambda each: (not each.security, each.name))
    return [
        *lines,
        *_rows([("~", c.name, f"{_arrow(c.old, c.new)}{'  security' * c.security}") for c in changes], paint),
    ]


def state_text(state: ArchiveState | None) -> str:
    return str(state) if state else ""


def _update(diff: LockDiff, paint: Paint) -> list[str]:
    lines = [f"  {paint('To update', 'bold')}"]
    for reason, parts in (("version", "version"), ("content", "content only"), ("unknown", "not known")):
        names = [clean(name) for name, why in diff.update if why == reason]
        if names:
            rest = f" … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            lines.append(f"    {parts:<12}  {', '.join(names[:SHOWN])}{rest}")
    return [*lines, f"    inv up -u {shlex.quote(clean(diff.update_argument))}"]


# --- JSON -----------------------------------------------------------------------------------------------------------


def as_json(diff: LockDiff) -> str:
    """The difference as data. Missing values are null, commits are 40 hex digits::

    {"old": "HEAD (1a2b3c4d)", "new": "now", "changed": true,
     "repositories": [{
        "name": "web", "url": canonical URL, "role": "platform" | "dependency" | "developing",
        "change": "added" | "removed" | "moved",
        "old": {"commit", "branch", and if there are some "merges": [{"ref", "url" | null, "commit"}]} | null, "new": likewise,
        "commits": {"count": int | null (not known), "rewritten": bool (the old commit is not an ancestor),
                    "list": [{"id", "subject"}] newest first, at most 250} | null (no commits, or not known),
        "addons": [{"name", "change": "added" | "removed" | "version" | "content" | "moved" | "unknown",
                    "old": version | null, "new": version | null, "migrations": [path in the repository],
                    "moved_from": name of a repository | null}],
        "notes": [what is not known, and why]}],
     "python": [{"name", "change": "added" | "removed" | "moved" | "hashes", "developer": bool (only in the developer lock),
                 "old": [{"version", "marker"}], "new": likewise}],
     "images": [{"reference", "old": digest | null, "new": digest | null}],
     "tools": [{"name", "old": version | null, "new": version | null}],
     "system": {"old": {"release", "archive", "security"} | null, "new": likewise,
                "packages": [{"name", "old", "new", "security": bool}] | null (not known),
                "note": why they are not known | null} | null (the same state),
     "update": {"modules": [{"name", "reason": "version" | "content" | "unknown"}],
                "argument": the argument of -u ("base" alone where base is one of them)}}
    """
    return report(
        {
            "old": diff.old,
            "new": diff.new,
            "changed": not diff.same,
            "repositories": [_repository_data(repository) for repository in diff.repositories],
            "python": [
                {
                    "name": c.name,
                    "change": c.kind,
                    "developer": c.developer,
                    "old": _locked(c.old),
                    "new": _locked(c.new),
                }
                for c in diff.packages
            ],
            "images": [{"reference": i.reference, "old": i.old or None, "new": i.new or None} for i in diff.images],
            "tools": [{"name": t.name, "old": t.old or None, "new": t.new or None} for t in diff.tools],
            "system": _system_data(diff.system) if diff.system else None,
            "update": {
                "modules": [{"name": name, "reason": reason} for name, reason in diff.update],
                "argument": diff.update_argument,
            },
        },
    )


def _system_data(change: SystemChange) -> dict[str, Any]:
    return {
        "old": change.old.data if change.old else None,
        "new": change.new.data if change.new else None,
        "packages": None if change.packages is None else [asdict(each) for each in change.packages],
        "note": change.note or None,
    }


def _repository_data(repository: RepositoryChange) -> dict[str, Any]:
    history = repository.history
    return {
        "name": repository.name,
        "url": repository.url,
        "role": repository.role,
        "change": repository.kind,
        "old": _pin(repository.old),
        "new": _pin(repository.new),
        "commits": {
            "count": history.count if history.complete else None,
            "rewritten": history.rewritten,
            "list": [{"id": commit.id, "subject": commit.subject} for commit in history.commits],
        }
        if history
        else None,
        "addons": [
            {
                "name": change.name,
                "change": change.kind,
                "old": change.old or None,
                "new": change.new or None,
                "migrations": list(change.scripts),
                "moved_from": change.moved_from or None,
            }
            for change in repository.addons
        ],
        "notes": list(repository.notes),
    }


def _pin(pin: Pin | None) -> dict[str, Any] | None:
    if pin is None:
        return None
    merges = [{"ref": merge.ref, "url": merge.url, "commit": merge.commit} for merge in pin.merges]
    return {"commit": pin.commit, "branch": pin.branch, **({"merges": merges} if merges else {})}


def _locked(rows: Iterable[Locked]) -> list[dict[str, str | None]]:
    return [{"version": row.version, "marker": row.marker or None} for row in rows]


# --- phrases ----------------------------------------------------------------------------------------------------------


def summary(diff: LockDiff) -> str:
    parts: list[str] = []
    kinds = [repository.kind for repository in diff.repositories]
    for kind in ("moved", "added", "removed"):
        if count := kinds.count(kind):
            parts.append(f"{plural(count, 'repository', 'repositories') if not parts else count} {kind}")
    if diff.packages:
        parts.append(plural(len(diff.packages), "Python package"))
    if diff.images:
        parts.append(plural(len(diff.images), "image"))
    if diff.tools:
        parts.append(plural(len(diff.tools), "tool"))
    if diff.system and diff.system.packages is not None:
        security = sum(change.security for change in diff.system.packages)
        parts.append(f"{plural(len(diff.system.packages), 'Debian package')} ({plural(security, 'security update')})")
    elif diff.system:
        parts.append("state of the Debian archive")
    return ", ".join(parts) or "nothing changed"


def _pins(repository: RepositoryChange) -> str:
    old, new = repository.old, repository.new
    if old and new:
        if old.branch == new.branch:
            moved = (
                _arrow(old.commit[:8], new.commit[:8]) if old.commit != new.commit else f"{new.commit[:8]} as before"
            )
            return f"{new.branch}  {moved}" if new.branch else moved
        return _arrow(*(f"{pin.branch or '(no branch)'} {pin.commit[:8]}" for pin in (old, new)))
    added_or_removed = ((new, "added"), (old, "removed"))
    return next(
        ("  ".join(filter(None, (pin.branch, pin.commit[:8], word))) for pin, word in added_or_removed if pin), ""
    )


def history_word(repository: RepositoryChange, before: str = "") -> str:
    history = repository.history
    if history is None:
        return "" if before or repository.kind == "moved" else repository.kind
    if not history.complete:
        number = "unknown commits" if history.rewritten else f"at least {plural(history.count, 'commit')}"
    else:
        number = plural(history.count, "commit")
    return f"{before}{number}{', rewritten' if history.rewritten else ''}"


def more(history: CommitRange) -> str:
    if not history.complete:
        return "… and more, not counted" if history.commits else ""
    hidden = history.count - len(history.commits[:SHOWN])
    return f"… and {hidden} more" if hidden > 0 else ""


def counts(changes: Iterable[AddonChange]) -> str:
    kinds = [change.kind for change in changes]
    words = {
        "added": "added",
        "removed": "removed",
        "version": "new version",
        "content": "content",
        "moved": "moved",
        "unknown": "not known",
    }
    return ", ".join(f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds)


def addon_row(change: AddonChange) -> tuple[str, str, str]:
    sign = {"added": "+", "removed": "-"}.get(change.kind, "~")
    words = {
        "added": change.new,
        "removed": change.old,
        "version": _arrow(change.old, change.new),
        "content": f"{change.new}  content".strip(),
        "moved": change.new,
        "unknown": f"{change.new}  not known".strip(),
    }[change.kind]
    came = f"from {change.moved_from}" if change.moved_from else ""
    return sign, change.name, "  ".join(part for part in (words, came) if part)


def _package_row(change: PackageChange) -> tuple[str, str, str]:
    words = "hashes only: same version, other files" if change.hashes else ""
    arrow = versions(change.new) if change.hashes else _arrow(versions(change.old), versions(change.new))
    return (
        _sign(change.old, change.new),
        change.name,
        "  ".join(part for part in (arrow, words, "(developer)" if change.developer else "") if part),
    )


def package_word(change: PackageChange) -> str:
    parts = ["hashes only" if change.hashes else change.kind, "developer" if change.developer else ""]
    return ", ".join(word for word in parts if word)


def versions(rows: Sequence[Locked], show: Callable[[str], str] = str) -> str:
    return ", ".join(show(f"{row.version} [{row.marker}]" if row.marker else row.version) for row in rows) or (
        "" if show is str else "–"
    )


def _sign(old: object, new: object) -> str:
    return "~" if old and new else "+" if new else "-"


def _arrow(old: str, new: str) -> str:
    return f"{old} -> {new}" if old and new else new or old
