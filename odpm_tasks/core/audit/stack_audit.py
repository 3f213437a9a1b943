"""What `audit` finds in a running stack, waivers for it, text, and JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from odpm_tasks.core.config.audit_codes import CODES
from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, clean, plural, unstyled

AuditLevel = Literal["error", "note"]


@dataclass(frozen=True)
class AuditFinding:
    """One finding. `subject`: the service, database or file; `evidence`: what was read; `todo`: what to type or change.

    An `error` fails the audit, a `note` does not. `waiver`: the reason for which odpm.json accepts it.
    """

    code: str
    level: AuditLevel
    subject: str
    what: str
    evidence: str = ""
    todo: str = ""
    waiver: str = ""

    @property
    def fails(self) -> bool:
        return self.level == "error" and not self.waiver


def waived(findings: Iterable[AuditFinding], waivers: Mapping[str, str]) -> tuple[AuditFinding, ...]:
    """The findings with the reasons of odpm.json, those that fail first. `waivers`: `CODE` or `CODE SUBJECT` -> reason."""
    found = [
        replace(one, waiver=waivers.get(f"{one.code} {one.subject}") or waivers.get(one.code, "")) for one in findings
    ]
    return tuple(sorted(found, key=lambda one: (not one.fails, one.level == "note", one.code, one.subject)))


def unused_waivers(findings: Iterable[AuditFinding], waivers: Mapping[str, str]) -> tuple[str, ...]:
    """The keys that match no finding: they hide what comes later."""
    keys = {key for one in findings for key in (one.code, f"{one.code} {one.subject}")}
    return tuple(key for key in waivers if key not in keys)


def as_text(findings: Sequence[AuditFinding], unused: Sequence[str], paint: Paint = unstyled) -> str:
    """Each finding with its evidence and its command, then the number of those that fail."""
    lines = []
    for one in findings:
        state = "waived" if one.waiver else one.level
        head = f"{state:<7} {one.code:<17} {clean(one.subject)}: {clean(one.what)}"
        lines.append(paint(head, "bad" if one.fails else "warn" if one.level == "note" else "keep"))
        for label, text in (("", one.evidence), ("next: ", "" if one.waiver else one.todo), ("reason: ", one.waiver)):
            lines += [f"{'':<25} {label}{clean(text)}"] if text else []
    lines += [f"note    waiver            {key}: odpm.json accepts it, and there is no such finding" for key in unused]
    failing = sum(one.fails for one in findings)
    rest = len(findings) - failing
    total = f"{plural(len(CODES), 'rule')}, {plural(failing, 'finding') if failing else 'nothing fails'}"
    return "\n".join([*lines, f"{total}, {plural(rest, 'note or waiver', 'notes or waivers')}" if rest else total])


def as_json(findings: Sequence[AuditFinding], unused: Sequence[str]) -> str:
    """The document of `AuditReport`."""
    return report(
        {
            "rules": len(CODES),
            "failed": sum(one.fails for one in findings),
            "findings": [{**asdict(one), "waiver": one.waiver or None} for one in findings],
            "unused_waivers": list(unused),
        }
    )


def one_line(text: str, limit: int = 120) -> str:
    """Evidence in one line of bounded length."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
