"""The add-ons that changed since a commit of the project or since another lock."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.log import commit_of
from odpm_tasks.core.addons.graph import BASE, AddonGraph
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.diff_model import LockDiff
from odpm_tasks.core.locking.lockfile import read_lock
from odpm_tasks.core.testing.selection import ChangedAddons, addons_of_files, changed_addons
from odpm_tasks.errors import UsageError
from odpm_tasks.locking import diff as locks

_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}


def changed_since(paths: ProjectPaths, graph: AddonGraph, since: str) -> tuple[ChangedAddons, tuple[str, ...]]:
    """The add-ons to test, and notes. `since`: a commit (`REF`, `A..`, `A...`), or the path of another lock file.

    Of a branch, the changes since it was left count, as in a merge request: `REF` is `REF...HEAD`; `A..` is A itself.
    Uncommitted changes count, too. A lock file knows nothing about the project's own add-ons. Errors: UsageError where it is
    neither a commit nor a file; LockError.
    """
    file = Path.cwd() / since
    if commit_of(paths.root, since) is None and ".." not in since and file.is_file():
        text = files.read_text(file) or ""
        found = locks.diff_against_lock(paths, read_lock(text, since), since)
        return _result(paths, graph, (), found)
    commit = _base(paths.root, since)
    names = git.run(paths.root, "diff", "--name-only", "-z", "--relative", "--no-renames", commit, env=_READ_ONLY).text
    words = ("ls-files", "--others", "--exclude-standard", "-z")
    names += git.run(paths.root, *words, env=_READ_ONLY).text
    own = addons_of_files(graph, [name for name in names.split("\0") if name])
    return _result(paths, graph, own, locks.diff_against(paths, commit))


def _base(root: Path, since: str) -> str:
    """The commit to compare with."""
    first, dots, last = since.partition("...") if "..." in since else since.partition("..")
    start, end = commit_of(root, first or "HEAD"), commit_of(root, last or "HEAD")
    for name, commit in ((first, start), (last, end)):
        if commit is None:
            raise UsageError(
                f"{name!r} is neither a commit of this project nor a lock file",
                where="--since",
                todo="name a branch, a commit or a file, for example: inv test --since origin/main",
            )
    if end != commit_of(root, "HEAD"):
        raise UsageError(
            f"--since {since} ends at another commit than the one that is checked out",
            where="--since",
            todo=f"git switch --detach {last}, or test what is checked out: inv test --since {first}",
        )
    assert start is not None
    if dots == "..":
        return start
    outcome = git.run(root, "merge-base", start, "HEAD", check=False)
    return outcome.text.strip() if outcome.ok and outcome.text.strip() else start


def _result(
    paths: ProjectPaths, graph: AddonGraph, own: tuple[str, ...], found: LockDiff
) -> tuple[ChangedAddons, tuple[str, ...]]:
    changed = {*own, *(change.name for change in found.addons if change.kind != "removed")}
    framework = BASE in changed or any(
        repository.role == "platform" and _framework_changed(paths, repository.url, repository.old, repository.new)
        for repository in found.repositories
    )
    result = changed_addons(graph, changed, everything=framework)
    notes = []
    if framework:
        notes.append("the framework of Odoo changed: every add-on of this project is tested")
    if result.platform:
        names = ", ".join(result.platform[:5]) + (" …" if len(result.platform) > 5 else "")
        notes.append(
            f"{len(result.platform)} add-ons of the platform changed ({names}); their own tests do not run: "
            f"inv test -m {result.platform[0]}"
        )
    if found.packages or found.system:
        notes.append("packages of the image changed, too; to test every add-on: inv test")
    return result, tuple(notes)


def _framework_changed(paths: ProjectPaths, url: str, old: object, new: object) -> bool:
    """Whether the folder `odoo` of the platform, without add-ons, differs between two pins; true where that is not known."""
    from odpm_tasks.core.locking.lockfile import Pin

    if not isinstance(old, Pin) or not isinstance(new, Pin) or old.key != new.key:
        return True
    store = paths.store(new.key)
    words = ("diff", "--quiet", old.content, new.content, "--", "odoo", ":(exclude)odoo/addons")
    return not git.run(store, *words, check=False, env=_READ_ONLY).ok
