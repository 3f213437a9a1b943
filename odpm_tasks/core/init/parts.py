"""Combines the conversions of several parts of one project, such as its repositories and its services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from odpm_tasks.core.init.conversion import Conversion, conversion, excerpt
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.model import merge
from odpm_tasks.core.sources.link import canonical


def combined(parts: Sequence[Conversion]) -> Conversion:
    """The conversions of several parts of one project as one; where two parts set the same, the first wins.

    A repository that two parts name with different links is reported.
    """
    if len(parts) == 1:
        return parts[0]
    draft, lines = ProjectDraft(), []
    for part in parts:
        draft, problems = _merged(draft, part.draft)
        lines += problems
    lines += [line for part in parts for line in part.not_converted]
    minor = [line for part in parts for line in part.minor]
    return conversion(draft, lines, minor, [line for part in parts for line in part.advice])


def _merged(first: ProjectDraft, second: ProjectDraft) -> tuple[ProjectDraft, list[str]]:
    texts = ("odoo", "platform", "build_date", "python", "debian", "postgres", "language")
    values: dict[str, Any] = {name: getattr(first, name) or getattr(second, name) for name in texts}
    lines = [
        f"{name.capitalize()} {getattr(second, name)} of another part of the project: {getattr(first, name)} is used"
        for name in ("odoo", "platform", "postgres")
        if getattr(first, name) and getattr(second, name) and getattr(first, name) != getattr(second, name)
    ]
    links = {canonical(link.split(" ")[0]): link for link in first.dependencies}
    for link in second.dependencies:
        used = links.setdefault(canonical(link.split(" ")[0]), link)
        if used != link:
            lines.append(f"{excerpt(link)}: another part of the project has {excerpt(used)}, which is used")
    values["dependencies"] = tuple(links.values())
    for name in ("requirements", "requirements_ignore", "system_packages"):
        values[name] = tuple(dict.fromkeys([*getattr(first, name), *getattr(second, name)]))
    values["odoo_conf"] = merge(second.odoo_conf, first.odoo_conf)
    values["server_conf"] = merge(second.server_conf, first.server_conf)
    values["services"] = {**second.services, **first.services}
    values["service_patches"] = {**second.service_patches, **first.service_patches}
    values["pins"] = {**second.pins, **first.pins}
    values["merges"] = {**second.merges, **first.merges}
    return replace(first, **values), lines
