"""Facts about repositories: of commits from stores and the cache, of folders from disk.

Facts of a commit never change. They are written into the shared cache where `ProjectPaths.writes_cache` allows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.odoo.requirement_files import REQUIREMENTS, included_files
from odpm_tasks.core.sources import tree_links
from odpm_tasks.core.sources.link import Link
from odpm_tasks.core.text import decoded
from odpm_tasks.sources.unread import deep_addons


class _StoredModule(Module):
    depends: tuple[str, ...]
    auto_install: tuple[str, ...]


class _StoredFacts(Facts):
    """Facts in the cache. Fields without a default are new: facts that an older version wrote are read again."""

    modules: tuple[_StoredModule, ...]
    links_out: tuple[str, ...]
    deep: tuple[str, ...]
    included: tuple[tuple[str, str], ...]
    root: _StoredModule | None


def commit_facts(
    paths: ProjectPaths, reader: Reader, link: Link, commit: str, kind: str = "dependency"
) -> Facts | None:
    """The facts of a repository at a commit, from the cache; None where the cache does not hold the commit."""
    known = _cached_facts(paths, link, commit, kind)
    if known is None and git.store_has(paths.store(link.canonical), commit):
        return _read_facts(paths, reader, link, commit, kind)
    return known


def stored_facts(paths: ProjectPaths, reader: Reader, link: Link, commit: str, kind: str = "dependency") -> Facts:
    """The facts of a repository at a commit that its store holds."""
    return _cached_facts(paths, link, commit, kind) or _read_facts(paths, reader, link, commit, kind)


def _cached_facts(paths: ProjectPaths, link: Link, commit: str, kind: str) -> Facts | None:
    text = files.read_text(paths.facts(link.canonical, commit, platform=kind == "platform"))
    try:
        return _StoredFacts.model_validate_json(text) if text is not None else None
    except ValueError:
        return None  # damaged, or of an older version: it is read again from the store


def _read_facts(paths: ProjectPaths, reader: Reader, link: Link, commit: str, kind: str) -> Facts:
    with reader.reading(paths.store(link.canonical)) as objects:
        tree = objects.tree(commit, tree_links.MAX_DEPTH)
        tree_links.check_size(link.name, tree.size.files, tree.size.depth, tree.size.links)
        links_out = tree_links.links_out(tree.links(tree_links.MAX_TARGET))
        # that the platform has add-ons for tests below this depth is no news
        deep = () if kind == "platform" else addons.too_deep(tree.marked(addons.DEPTH + 1, addons.DEEPEST))
        listed = objects.files(commit, addons.DEPTH)
        selected = addons.select_files(listed)
        tree_links.check_addons(link.name, len(selected.manifests))
        # the hundreds of modules of the platform are counted, not read: its requirements.txt lists their packages
        manifests = () if kind == "platform" else selected.manifests
        contents, large = objects.contents({name: listed[name] for name in selected.others}, addons.MAX_FILE_SIZE)
        modules, large_modules = objects.contents(
            {name: listed[name] for name in manifests}, addons.MAX_FILE_SIZE, addons.MAX_MANIFESTS_SIZE
        )

        def included(names: Sequence[str]) -> dict[str, bytes]:
            return objects.contents({name: listed[name] for name in names if name in listed}, addons.MAX_FILE_SIZE)[0]

        more = _included(contents.get(REQUIREMENTS), included)
    read = addons.within_total(modules)
    skipped = (*large, *large_modules, *(modules.keys() - read.keys()))
    found = addons.facts(listed, {**contents, **read}, skipped, links_out, more).model_copy(update={"deep": deep})
    if paths.writes_cache:
        path = paths.facts(link.canonical, commit, platform=kind == "platform")
        files.write(path, found.model_dump_json().encode(), derived=True)
    return found


def _included(text: bytes | None, read: Callable[[Sequence[str]], Mapping[str, bytes]]) -> dict[str, str]:
    """The files that a `requirements.txt` includes: path -> text. `read` gives the bytes of those that exist."""
    if text is None:
        return {}
    return included_files(decoded(text), lambda names: {name: decoded(data) for name, data in read(names).items()})


def folder_facts(root: Path, kind: str = "dependency", *, with_submodules: bool = False) -> Facts:
    """The facts of a folder as it is now, committed or not. Modules of the platform are counted and not read.

    A symbolic link is followed only to a file in the same folder. `links_out` is empty: see `folder_links_out`. Submodules
    that are checked out are left out by default, as no commit of the folder contains their files.
    """
    inside = root.resolve()
    submodules = set() if with_submodules else {path.parent.name for path in root.glob("*/.git") if path.is_file()}
    patterns = [f"{depth}/{manifest}" for depth in (".", "*", "*/*") for manifest in addons.MANIFESTS]
    found = [root / file for file in addons.REQUEST_FILES] + [
        path for pattern in patterns for path in root.glob(pattern)
    ]
    sizes: dict[str, int] = {}
    for path in found:
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or relative.parts[0] in submodules:
            continue
        if path.is_file() and path.resolve().is_relative_to(inside):  # not a pipe, which would block
            sizes[relative.as_posix()] = path.stat().st_size
    to_read, large = addons.split_by_size(sizes, skip_manifests=kind == "platform")
    contents = {file: files.read(root / file) or b"" for file in to_read}

    def included(names: Sequence[str]) -> dict[str, bytes]:
        paths = {name: root / name for name in names}
        inside_root = {name: path for name, path in paths.items() if path.resolve().is_relative_to(inside)}
        return {
            name: files.read(path) or b""
            for name, path in inside_root.items()
            if path.is_file() and path.stat().st_size <= addons.MAX_FILE_SIZE
        }

    return addons.facts(sorted(sizes), contents, large, included=_included(contents.get(REQUIREMENTS), included))


def source_folder_facts(root: Path, kind: str = "dependency") -> Facts:
    """The facts of a folder that is a source of the stack, with its links that lead out of it.

    Such links are allowed in hidden folders and virtual environments of Python without add-ons, as working folders have them.
    """
    facts = folder_facts(root, kind, with_submodules=True)
    links, private = _links(root)
    with_addons = {module.path.partition("/")[0] for module in facts.modules}
    tolerated = [folder for folder in private if folder.partition("/")[0] not in with_addons]
    deep = () if kind == "platform" else addons.too_deep(deep_addons(root))
    return facts.model_copy(update={"links_out": tree_links.links_out(links, tolerated), "deep": deep})


def own_links_out(root: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """The links in the add-ons folders of the developing project that end outside of these folders.

    Odoo receives these folders only. Hidden folders and virtual environments in them are not read.
    """
    found = []
    for folder in folders:
        links, private = _links(root / folder, prefix=f"{folder}/" if folder else "")
        found += [link for link in links if not any(link[0].startswith(f"{name}/") for name in private)]
    return tree_links.links_out_of_folders(found, folders)


def _links(root: Path, prefix: str = "") -> tuple[list[tuple[str, str]], list[str]]:
    """Path and target of the links below a folder; hidden folders and virtual environments in it. Git's folder is left out."""
    links: list[tuple[str, str]] = []
    private: list[str] = []
    pending = [(os.fspath(root), prefix, False)]
    while pending:
        path, above, is_private = pending.pop()
        for entry in _entries(path):
            name = above + entry.name
            if entry.is_symlink():
                links.append((name, os.readlink(entry.path)))  # noqa: PTH115 - the text unchanged
            elif entry.is_dir(follow_symlinks=False) and entry.name != ".git":
                hidden = not is_private and (entry.name.startswith(".") or os.path.lexists(f"{entry.path}/pyvenv.cfg"))
                private += [name] if hidden else []
                pending.append((entry.path, f"{name}/", is_private or hidden))
    return links, private


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder; none if it cannot be read or has just been removed."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (PermissionError, FileNotFoundError):
        return
