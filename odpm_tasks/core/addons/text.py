"""The output of `mod.list`, `mod.explain` and `mod.graph`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core import trees
from odpm_tasks.core.addons.graph import BASE, AddonGraph, UsedAddon
from odpm_tasks.core.reports import report
from odpm_tasks.core.text import clean

TOP = "the add-ons of this project"
SHOWN = 12  # names in one line


@dataclass(frozen=True)
class InstalledAddon:
    """An add-on in the database: its state as Odoo names it, and its version there ("" if it is not installed)."""

    state: str
    version: str = ""


Installed = Mapping[str, InstalledAddon]


def listed(graph: AddonGraph, *, installed: Installed | None = None, all_platform: bool = False) -> list[UsedAddon]:
    """The add-ons that `mod.list` shows, by repository in the order of the add-ons path.

    Those of the platform only if they are installed, or with `all_platform`.
    """
    present = installed or {}
    order = {place.name: number for number, place in enumerate(graph.places)}
    shown = [
        addon
        for name, addon in graph.addons.items()
        if addon.place.kind != "platform" or all_platform or (name in present and present[name].version)
    ]
    return sorted(shown, key=lambda addon: order[addon.place.name])


def list_text(addons: Sequence[UsedAddon], installed: Installed | None) -> str:
    """A row for each add-on: repository, name, version on disk, and, where the database was read, version there and state."""
    if not addons:
        return "there are no add-ons in the sources"
    rows = [("repository", "add-on", "on disk", "installed", "state")]
    for addon in addons:
        state = (installed or {}).get(
            addon.name, InstalledAddon("not in the database" if installed is not None else "")
        )
        on_disk = addon.module.version or "-"
        rows.append(
            (
                addon.place.name,
                addon.name,
                on_disk if addon.module.installable else "not installable",
                state.version or "-",
                _state(addon, state),
            )
        )
    if installed is None:
        rows = [(*row[:3], "", "") for row in rows]
    wide = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        clean("  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*wide, 0], strict=True)).rstrip())
        for row in rows
    )


def _state(addon: UsedAddon, state: InstalledAddon) -> str:
    newer = state.version and addon.module.version and not state.version.endswith(addon.module.version)
    return f"{state.state}, another version on disk" if newer else state.state


def list_json(addons: Sequence[UsedAddon], installed: Installed | None) -> str:
    """`{"addons": [{"name", "repository", "kind", "path", "version", "installable", "installed": version | null,
    "state": text | null, "elsewhere": [repository]}]}`; `installed` and `state` are null where the database was not read.
    """
    data = []
    for addon in addons:
        state = (installed or {}).get(addon.name)
        data.append(
            {
                "name": addon.name,
                "repository": addon.place.name,
                "kind": addon.place.kind,
                "path": addon.path,
                "version": addon.module.version or None,
                "installable": addon.module.installable,
                "installed": (state.version or None) if state else None,
                "state": state.state if state else None,
                "elsewhere": list(addon.elsewhere),
            }
        )
    return report({"addons": data})


def explanation(graph: AddonGraph, name: str, installed: Installed | None) -> dict[str, Any]:
    """What is known about one add-on. Errors: DescriptionError for an unknown name."""
    addon = graph.require(name)
    everything = graph.all_dependents([name]) - {name}
    reason = graph.reasons.get(name)
    state = (installed or {}).get(name)
    return {
        "name": name,
        "summary": addon.module.summary,
        "version": addon.module.version or None,
        "installable": addon.module.installable,
        "path": addon.path,
        "repository": addon.place.name,
        "url": addon.place.url,
        "revision": addon.place.revision,
        "elsewhere": list(addon.elsewhere),
        "depends": list(addon.module.depends),
        "missing": [other for other in graph.depends(name) if other not in graph.addons],
        "auto_install": list(addon.module.auto_install),
        "python": list(addon.module.python),
        "bin": list(addon.module.bin),
        "dependents": sorted(graph.dependents.get(name, ())),
        "all_dependents": sorted(everything),
        "reason": str(reason) if reason else None,
        "state": state.state if state else None,
        "installed": (state.version or None) if state else None,
    }


def explanation_text(data: Mapping[str, Any]) -> str:
    """The explanation as aligned lines."""
    version = data["version"] or "no version"
    lines = [f"{data['name']} {version}{'' if data['installable'] else ' (not installable)'}"]
    rows = [
        ("summary", data["summary"]),
        ("folder", data["path"]),
        ("repository", " ".join(filter(None, (data["repository"], data["url"], data["revision"])))),
        ("not used", f"the add-on of this name in {_names(data['elsewhere'])}" if data["elsewhere"] else ""),
        ("depends on", _names(data["depends"])),
        ("missing", f"{_names(data['missing'])}: in no source" if data["missing"] else ""),
        ("Python", _names(data["python"])),
        ("programs", _names(data["bin"])),
        ("needed by", _needed_by(data["dependents"], data["all_dependents"])),
        ("why", data["reason"] or "nothing of this project needs it"),
        ("database", f"{data['state']} {data['installed'] or ''}".strip() if data["state"] else ""),
    ]
    lines += [f"  {label:<11} {clean(text)}" for label, text in rows if text]
    return "\n".join(lines)


def _needed_by(direct: Sequence[str], everything: Sequence[str]) -> str:
    if not direct:
        return "no add-on"
    more = f"; {len(everything)} with those that depend on them" if len(everything) > len(direct) else ""
    return _names(direct) + more


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def children(graph: AddonGraph, roots: Iterable[str], *, below_platform: bool) -> dict[str, tuple[str, ...]]:
    """The graph below `roots`. Add-ons of the platform have no children unless `below_platform`."""
    found: dict[str, tuple[str, ...]] = {TOP: tuple(roots)}
    pending = list(found[TOP])
    while pending:
        name = pending.pop()
        if name in found:
            continue
        addon = graph.addons.get(name)
        stop = addon is None or (addon.place.kind == "platform" and not below_platform)
        found[name] = () if stop else graph.depends(name)
        pending += found[name]
    return found


def label(graph: AddonGraph, name: str) -> str:
    """An add-on in a graph: name, version and repository."""
    addon = graph.addons.get(name)
    if addon is None:
        return name if name in {TOP, BASE} else f"{name} (in no source)"
    return clean(f"{name} {addon.module.version}".strip() + f" ({addon.place.name})")


def graph_text(graph: AddonGraph, roots: Sequence[str], *, below_platform: bool = False) -> str:
    """The graph as a tree; of one root, the tree below it."""
    below = children(graph, roots, below_platform=below_platform)
    root = roots[0] if len(roots) == 1 else TOP
    return "\n".join(trees.tree_lines(root, below, lambda name: label(graph, name)))


def graph_mermaid(graph: AddonGraph, roots: Sequence[str], *, below_platform: bool = False) -> str:
    below = children(graph, roots, below_platform=below_platform)
    return trees.mermaid([name for name in below if name != TOP], below, lambda name: label(graph, name))


def graph_json(graph: AddonGraph, roots: Sequence[str], *, below_platform: bool = False) -> str:
    """`{"addons": [{"name", "repository": name | null, "version": text | null, "depends": [name]}]}`."""
    below = children(graph, roots, below_platform=below_platform)
    data = []
    for name, depends in below.items():
        addon = graph.addons.get(name)
        if name != TOP:
            data.append(
                {
                    "name": name,
                    "repository": addon.place.name if addon else None,
                    "version": (addon.module.version or None) if addon else None,
                    "depends": list(depends),
                }
            )
    return report({"addons": data})
