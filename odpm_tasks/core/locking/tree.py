"""The graph of repositories for people: which file asks for which repository, with its pin."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.core import trees
from odpm_tasks.core.locking.graph import Resolution, Source
from odpm_tasks.core.locking.resolve import TOP
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.reports import report
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import UsageError


class SourceTree:
    """The graph of a resolution. Nodes are the names of sources, and `odpm.json` at the root."""

    def __init__(self, manifest: Manifest, resolution: Resolution) -> None:
        self._sources = {source.name: source for source in resolution.sources}
        self._version = resolution.odoo_version
        names = {source.key: source.name for source in resolution.sources}
        top = [source.name for source in resolution.sources if source.kind != "dependency"]
        top += [names[link.canonical] for link in manifest.dependencies if link.canonical in names]
        self._children: dict[str, Sequence[str]] = {TOP: tuple(dict.fromkeys(top))}
        for source in resolution.sources:
            self._children[source.name] = [names[key] for key in source.requires if key in names]

    def as_text(self) -> str:
        """From odpm.json to every repository."""
        return "\n".join(trees.tree_lines(TOP, self._children, self._label))

    def as_text_to(self, name: str) -> str:
        """From one repository up to everything that asks for it, directly or not. Errors: UsageError for an unknown name."""
        if name not in self._sources:
            raise UsageError(
                f"there is no source {name!r}{nearest(name, self._sources)}", todo="inv sources.tree lists all"
            )
        return "\n".join(trees.tree_lines(name, trees.inverted(self._children), self._label))

    def as_mermaid(self) -> str:
        return trees.mermaid([TOP, *self._sources], self._children, self._label)

    def as_json(self) -> str:
        """`{"sources": [{"name", "kind", "url", "branch", "commit", "merges": [text], "requires": [name], "required_by": [name]}]}`."""
        parents = trees.inverted(self._children)
        data = [
            {
                "name": source.name,
                "kind": source.kind,
                "url": source.key,
                "branch": source.link.branch or (None if source.link.is_file else self._version),
                "commit": source.base,
                "merges": [str(merge) for merge in source.link.merges],
                "requires": list(self._children[source.name]),
                "required_by": parents.get(source.name, []),
            }
            for source in self._sources.values()
        ]
        return report({"sources": data})

    def _label(self, node: str) -> str:
        source = self._sources.get(node)
        return node if source is None else " ".join(filter(None, (node, *self._pin(source))))

    def _pin(self, source: Source) -> tuple[str, ...]:
        merges = "".join(f" + {merge}" for merge in source.link.merges)
        branch = "file" if source.link.is_file else source.link.branch or self._version
        kind = "" if source.kind == "dependency" else f"({source.kind})"
        return branch, source.base[:8] + merges, kind
