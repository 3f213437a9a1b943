"""Tasks about sources: sources.status, sources.tree, sources.prune, sources.unshallow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task, write_report

if TYPE_CHECKING:
    from odpm_tasks.core.config.paths import ProjectPaths
    from odpm_tasks.sources.cache import CacheUsage


@task(
    help={
        "format": "text or json.",
        "refresh": "Ask the git servers which merges are merged upstream, moved or gone.",
    }
)
def status(c: Context, format: str = "text", refresh: bool = False) -> None:
    """Show every source, its checkout and merges, and the cache; offline by default."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.sources import status as sources_text
    from odpm_tasks.project import Project
    from odpm_tasks.sources import status as sources

    check_format(format)
    found, cache = sources.status(Project.find().paths, refresh=refresh)
    width = terminal.width(sys.stdout) or 80
    write_report(
        format,
        lambda: sources_text.as_json(found, cache),
        lambda paint: sources_text.as_text(found, cache, width, paint),
    )


@task(help={"yes": "Do not ask for confirmation."})
def prune(c: Context, yes: bool = False) -> None:
    """Remove the parts of the shared cache that no project uses; asks first."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.text import size
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.sources import cache

    paths = Project.find().paths
    cache.register(paths)
    found = cache.usage(paths)
    for store in found.unsure:
        terminal.warn(f"{store} is kept: cannot determine which objects checkouts still need (inv render may fix it)")
    for line in _unused(paths, found):
        terminal.output_text(line)
    if not found.unused:
        terminal.message("nothing is unused")
        return
    if not yes and not terminal.confirm("Remove this?"):
        raise UsageError("nothing is removed", todo="inv sources.prune --yes")
    terminal.message(f"{size(cache.prune(paths, found.unused))} freed")


@task(help={"name": "The source, as inv sources.status names it."})
def unshallow(c: Context, name: str) -> None:
    """Fetch all history and all branches of a source into its checkout."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.project import Project
    from odpm_tasks.sources import status as sources

    project = Project.find()
    with project.exclusive():
        terminal.message(sources.unshallow(project.paths, name))


@task(
    word="name",
    help={"name": "Only this source, and what asks for it.", "format": "text, mermaid or json."},
)
def tree(c: Context, name: str = "", format: str = "text") -> None:
    """Show which repository asks for which, with the pins. Uses no network."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.locking.tree import SourceTree
    from odpm_tasks.core.planning.observed import ResolvedState
    from odpm_tasks.core.planning.steps import LOCKING
    from odpm_tasks.errors import LockError, UsageError
    from odpm_tasks.project import Project

    check_format(format, ("text", "mermaid", "json"))
    if name and format != "text":
        raise UsageError("NAME is only for text", todo=f"inv sources.tree --format {format}")
    observed = Project.find().observe(LOCKING)
    if not isinstance(observed, ResolvedState):
        raise LockError("the lock or the cache lacks repositories of the graph", todo="inv lock")
    graph = SourceTree(observed.manifest, observed.resolution)
    if format == "text":
        terminal.output(graph.as_text_to(name) if name else graph.as_text())
    else:
        terminal.output(graph.as_mermaid() if format == "mermaid" else graph.as_json())


def _unused(paths: ProjectPaths, found: CacheUsage) -> list[str]:
    """A line for each store with unused commits, one for each other kind of unused part, then the sum."""
    from odpm_tasks.adapters.git import store as stores
    from odpm_tasks.core.text import plural, size

    rows: list[tuple[int, str]] = []
    for item in found.unused:
        if item.kind in {"store", "commits"}:
            name = str(item.path.relative_to(paths.cache / "git")).removesuffix(".git")
            whole = plural(len(stores.commits(item.path)), "commit")
            part = f"{len(item.commits)} of {whole}" if item.commits else "leftovers of an interrupted prune"
            rows.append((item.size, f"{name}  {'unused' if item.kind == 'store' else part}"))
    for kind, words in _KINDS.items():
        items = [item for item in found.unused if item.kind == kind]
        if items:
            rows.append((sum(item.size for item in items), plural(len(items), *words)))
    lines = [f"{size(reclaimable):>8}  {text}" for reclaimable, text in rows]
    total = sum(reclaimable for reclaimable, _ in rows)
    users = plural(len(found.users), "project uses", "projects use")
    return [*lines, f"{size(total):>8}  in all; {users} the cache {paths.cache}"]


_KINDS = {
    "history": (
        "history fetched for a merge or a lock difference",
        "histories fetched for merges and lock differences",
    ),
    "files": ("file tree for an image", "file trees for images"),
    "facts": ("cached fact of a commit or folder", "cached facts of commits and folders"),
    "leftover": ("leftover of a killed run", "leftovers of killed runs"),
    "project": ("project that no longer exists", "projects that no longer exist"),
}
