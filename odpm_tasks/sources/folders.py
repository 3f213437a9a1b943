"""Sources that are read from folders: the developing checkout, `file://` sources, and checkouts as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, ProjectPaths
from odpm_tasks.core.locking.graph import Resolution, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import DevelopingState, Pin
from odpm_tasks.core.locking.resolve import drive, resolve
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.core.stack.reserved import Reserved, reserved
from odpm_tasks.errors import DescriptionError, LockError
from odpm_tasks.sources import merge_records
from odpm_tasks.sources.facts import source_folder_facts
from odpm_tasks.sources.project_names import Remotes, stack_name


def file_answer(paths: ProjectPaths, link: Link) -> SourceAnswer:
    """The answer for a `file://` source: the fingerprint of its content. Errors: DescriptionError where it is no folder."""
    root = Path(link.path)
    if not root.is_dir():
        raise DescriptionError("a file:// source is not a folder", where=link.url, todo="correct the path in odpm.json")
    remembered = paths.cache / "fingerprints" / f"{files.sha256(str(root).encode())[:32]}.json"
    return SourceAnswer(fingerprint(root, remembered, writes_cache=paths.writes_cache), source_folder_facts(root))


def canonical_origin(checkout: Path) -> str | None:
    """The canonical URL of the `origin` of a checkout; None without one, or where it is not a link that can be cloned."""
    if not (checkout / ".git").exists():
        return None
    url = git.origin(checkout)
    try:
        return parse_link(url).canonical if url else None
    except DescriptionError:
        return None


def reserved_names(paths: ProjectPaths, manifest: Manifest, remotes: Remotes) -> Reserved:
    """The names and ports of the built-in services, with the settings of this machine."""
    return reserved(stack_name(paths, manifest, remotes), paths.settings.get, manifest.builtin_services)


def developing_url(remotes: Remotes, developing: Link | None) -> str | None:
    """The canonical URL of the developing checkout: of the remote that `developing.git` names, else of `origin`.

    A clone of a fork, with the team's repository as `upstream`, is therefore the developing project, too.
    """
    urls = []
    for _, url in remotes:
        with contextlib.suppress(DescriptionError):
            urls.append(parse_link(url).canonical)
    return developing.canonical if developing and developing.canonical in urls else (urls[0] if urls else None)


def resolve_from_checkouts(paths: ProjectPaths, manifest: Manifest, own: str | None) -> Resolution:
    """The graph of the current checkouts without regard to the lock: their commits and the requirements in their files.

    Errors: LockError where a required repository is not checked out.
    """
    present = {
        url: path
        for path in sorted((paths.odpm / "src").glob("[!.]*"))
        if not path.is_symlink() and (url := canonical_origin(path))
    }

    def answers(queries: Sequence[SourceQuery]) -> list[SourceAnswer]:
        missing = [query for query in queries if not query.link.is_file and query.link.canonical not in present]
        if missing:
            raise LockError(
                f"--no-git-update uses checkouts as they are, and {missing[0].link.name} is not checked out",
                where=" -> ".join(missing[0].required_by),
                details=[f"also missing: {', '.join(query.link.name for query in missing[1:])}"] if missing[1:] else [],
                todo="run the same command without --no-git-update",
            )
        return [file_answer(paths, query.link) if query.link.is_file else checked_out(query) for query in queries]

    def checked_out(query: SourceQuery) -> SourceAnswer:
        path = present[query.link.canonical]
        head = git.head(path)
        commit, facts = (head and head.commit) or "0" * 40, source_folder_facts(path, query.kind)
        below = merge_records.recorded(path, head.base) if head else None
        if below is None:
            return SourceAnswer(commit, facts)
        own = git.blobs(path, below.pin, ["odpm.json"]).get("odpm.json")
        pin_facts = facts.model_copy(update={"odpm_json": own.decode(errors="replace") if own else None})
        return SourceAnswer(commit, facts, below if below.commit == commit else None, pin_facts)

    strict = paths.settings.scenario.strict
    return drive(
        resolve(manifest, {}, paths.settings.get, strict=strict, own=own),
        answers,
    )


_NOT_HASHED = (LOCK_FILE, *PYTHON_LOCKS, ".odpm/.gitignore", "odpm.json")


def developing_state(paths: ProjectPaths, manifest: Manifest, named: Remotes) -> DevelopingState | None:
    """The developing checkout as the lock records it, where `developing.git` names one of its remotes (`named`)."""
    link = manifest.developing
    if link is None or link.canonical != developing_url(named, link):
        return None
    tree = git.tree_digest(paths.root, _NOT_HASHED)
    if tree is None:
        return None
    commit = git.query(paths.root, "rev-parse", "HEAD")
    return DevelopingState(Pin(link.canonical, commit, link.branch, tree=tree), git.changes(paths.root))
