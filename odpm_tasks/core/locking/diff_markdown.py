"""The difference of two locks as Markdown for a merge request.

Text from other repositories (commit subjects, names, paths) is written as code spans, so that markup, mentions and issue
references in it have no effect.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from odpm_tasks.core.locking.diff_model import AddonChange, LockDiff, RepositoryChange
from odpm_tasks.core.locking.diff_packages import SystemChange
from odpm_tasks.core.locking.diff_text import (
    SHOWN,
    addon_row,
    counts,
    history_word,
    more,
    package_word,
    state_text,
    summary,
    versions,
)
from odpm_tasks.core.sources.commits import CommitRange
from odpm_tasks.core.text import clean, cut


def as_markdown(diff: LockDiff) -> str:
    """A table of repositories, long lists in `<details>`, text from other repositories as code spans."""
    blocks = [f"**Lock** {_code(diff.old)} → {_code(diff.new)}: {summary(diff)}"]
    if diff.repositories:
        blocks.append(
            "\n".join(
                [
                    "| repository | from | to | commits | add-ons |",
                    "|---|---|---|---|---|",
                    *map(_line, diff.repositories),
                ]
            )
        )
    notes = [f"- {_code(r.name)}: {_code(note)}" for r in diff.repositories for note in (*r.merges, *r.notes)]
    if notes:
        blocks.append("\n".join(notes))
    blocks += [_commits(r, r.history) for r in diff.repositories if r.history and r.history.commits]
    if diff.addons:
        rows = [_addon_line(change) for change in diff.addons]
        blocks.append(
            _folded(
                f"Add-ons: {counts(diff.addons)}",
                ["| add-on | repository | change |", "|---|---|---|", *_bounded(rows, "| {} | | |")],
            )
        )
    if diff.packages:
        rows = [
            f"| {_cell(c.name)} | {versions(c.old, _cell)} | {versions(c.new, _cell)} | {package_word(c)} |"
            for c in diff.packages
        ]
        table = ["| package | from | to | |", "|---|---|---|---|", *_bounded(rows, "| {} | | | |")]
        blocks.append(_folded(f"Python packages: {len(diff.packages)}", table))
    if diff.images:
        rows = [f"- {_code(i.reference)}: {_code(i.old[:19] or '–')} → {_code(i.new[:19] or '–')}" for i in diff.images]
        blocks.append(_folded(f"Images: {len(rows)}", rows))
    if diff.tools:
        rows = [f"- {_code(t.name)}: {_code(t.old or '–')} → {_code(t.new or '–')}" for t in diff.tools]
        blocks.append(_folded(f"Tools: {len(rows)}", rows))
    if diff.system:
        blocks.append(_system(diff.system))
    if diff.update:
        reasons = (("version", "version moved"), ("content", "content only"), ("unknown", "not known"))
        parts = [
            f"{sum(why == reason for _, why in diff.update)} {words}"
            for reason, words in reasons
            if any(why == reason for _, why in diff.update)
        ]
        blocks.append(
            f"**To update**: {', '.join(parts)}\n\n```sh\ninv up -u {shlex.quote(clean(diff.update_argument))}\n```"
        )
    return "\n\n".join(blocks)


def _system(change: SystemChange) -> str:
    head = f"Debian packages: {_code(state_text(change.old) or '–')} → {_code(state_text(change.new) or '–')}"
    if not change.packages:
        return f"{head}\n\n{change.note}" if change.note else head
    rows = [
        f"| {_cell(each.name)} | {_cell(each.old)} | {_cell(each.new)} | {'security' * each.security} |"
        for each in change.packages
    ]
    return f"{head}\n\n" + _folded(
        f"Debian packages: {len(rows)}",
        ["| package | from | to | |", "|---|---|---|---|", *_bounded(rows, "| {} | | | |")],
    )


def _line(repository: RepositoryChange) -> str:
    url = (
        repository.url if repository.url.startswith("https://") and not re.search(r"[\s()<>|]", repository.url) else ""
    )
    name = f"[{_cell(repository.name)}]({url})" if url else _cell(repository.name)
    old, new = (f"{_cell(pin.commit[:8])}" if pin else "–" for pin in (repository.old, repository.new))
    branches = {pin.branch for pin in (repository.old, repository.new) if pin and pin.branch}
    if repository.old and repository.new and repository.old.branch != repository.new.branch:
        old, new = (
            f"{text} {_cell(pin.branch or 'no branch')}" for text, pin in ((old, repository.old), (new, repository.new))
        )
    elif branches:
        name += f" {_cell(branches.pop())}"
    return f"| {name} | {old} | {new} | {history_word(repository)} | {counts(repository.addons)} |"


def _commits(repository: RepositoryChange, history: CommitRange) -> str:
    rows = [f"- {_code(commit.id[:8])} {_code(cut(commit.subject))}" for commit in history.commits[:SHOWN]]
    rest = more(history)
    return _folded(f"{_html(repository.name)}: {history_word(repository)}", [*rows, *([f"- {rest}"] if rest else [])])


def _addon_line(change: AddonChange) -> str:
    _, _, words = addon_row(change)
    scripts = "".join(f"<br>{_cell(path)}" for path in change.scripts)
    sign = {"added": "new, ", "removed": "**removed**, "}.get(change.kind, "")
    return f"| {_cell(change.name)} | {_cell(change.repository)} | {sign}{_cell(words)}{scripts} |"


def _bounded(rows: Sequence[str], rest: str) -> list[str]:
    limit = 4 * SHOWN  # the list is folded
    return [*rows[:limit], *([rest.format(f"… and {len(rows) - limit} more")] if len(rows) > limit else [])]


def _folded(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"<details><summary>{title}</summary>", "", *lines, "", "</details>"])


def _code(text: str) -> str:
    """Text from another repository as a code span."""
    text = clean(text) or " "
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    gap = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{gap}{text}{gap}{fence}"


def _cell(text: str) -> str:
    """A code span in a table: a bar would end the cell, also after two backslashes."""
    return re.sub(r"\\*\|", r"\\|", _code(text))


def _html(text: str) -> str:
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
