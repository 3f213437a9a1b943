"""Requirements of add-ons (`external_dependencies`): which ones the project needs, and names that no package index has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from odpm_tasks.core.locking.python_requirements import RequirementLine
from odpm_tasks.core.odoo.addons import Module
from odpm_tasks.core.odoo.python_names import system_package


def needed_addons(own: Iterable[Module], others: Iterable[Module], install: Iterable[str] = ()) -> frozenset[str]:
    """The names of the add-ons that a project needs: its installable ones, those to install, and what these depend on."""
    own = [module for module in own if module.installable]
    depends: dict[str, tuple[str, ...]] = {}
    for module in [*own, *others]:
        depends.setdefault(module.name, module.depends)
    found: set[str] = set()
    pending = [*(module.name for module in own), *install]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += depends.get(name, ())
    return frozenset(found)


def with_need(lines: Iterable[RequirementLine], needed: Collection[str]) -> list[RequirementLine]:
    """The lines, with those marked as optional that only an add-on has that the project does not need."""
    return [replace(line, optional=bool(line.addon) and line.addon not in needed) for line in lines]


def without_system_modules(
    lines: Sequence[RequirementLine], system_packages: Collection[str]
) -> tuple[list[RequirementLine], list[RequirementLine]]:
    """The lines that an index may have, and those that only a Debian package has that is not in `system_packages`."""
    held = {package.split("=")[0] for package in system_packages}
    alone = [line for line in lines if line.addon and system_package(line.line)]
    return [line for line in lines if line not in alone], [one for one in alone if system_package(one.line) not in held]


def only_optional(lines: Collection[RequirementLine]) -> bool:
    """Whether only add-ons that the project does not need have these requirements."""
    return bool(lines) and all(line.optional for line in lines)
