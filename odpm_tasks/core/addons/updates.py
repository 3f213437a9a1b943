"""The output of `mod.update --list-only`: the add-ons to update, and those that Odoo updates with them."""

from __future__ import annotations

from dataclasses import dataclass

from odpm_tasks.core.reports import report


@dataclass(frozen=True)
class AddonUpdates:
    """`changed`: the files differ from the last update; `named`: chosen by name; `dependents`: installed add-ons that depend on
    these."""

    database: str
    changed: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """What is passed to Odoo."""
        return tuple(sorted({*self.changed, *self.named}))


def as_text(found: AddonUpdates) -> str:
    """One line for each add-on with its reason, sorted by name."""
    reasons = {
        **dict.fromkeys(found.dependents, "depends on one of these"),
        **dict.fromkeys(found.named, "named"),
        **dict.fromkeys(found.changed, "changed"),
    }
    if not reasons:
        return f"no add-on of {found.database} changed since its last update"
    wide = max(map(len, reasons))
    return "\n".join(f"{name:<{wide}}  {reasons[name]}" for name in sorted(reasons))


def as_json(found: AddonUpdates) -> str:
    """`{"database", "changed": [name], "named": [name], "dependents": [name]}`."""
    return report(
        {
            "database": found.database,
            "changed": list(found.changed),
            "named": list(found.named),
            "dependents": list(found.dependents),
        }
    )
