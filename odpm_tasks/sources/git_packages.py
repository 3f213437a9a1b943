"""Python packages from git in the cache: fetch their commits."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.git import fetch as git_fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.lockfile import PythonLocks
from odpm_tasks.core.sources.link import parse_link, without_credentials
from odpm_tasks.errors import CommitMissingError, DescriptionError, OdpmError, ProgramError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.sources.remote import progress_callback, project_remote


def package_remote(paths: ProjectPaths, name: str, url: str) -> Remote:
    """The server of a package. Variables in `url`, which can only be in its login, are expanded.

    Errors: DescriptionError for a variable that is not set, or whose value leads to another repository.
    """
    where = f"the requirement {name}"
    address = expand(url, paths.settings.get, where)
    if parse_link(address, url).canonical != parse_link(url).canonical:
        raise DescriptionError(
            f"a variable in the address of {name} leads to another repository",
            where=without_credentials(url),
            todo="use variables for user and password alone",
        )
    return project_remote(paths, address)


def fetch_package(paths: ProjectPaths, name: str, url: str, revision: str, show: terminal.Activity) -> str:
    """Fetch a package at a branch, a tag, a ref, a commit or ("") the default branch; returns the commit."""
    store = paths.store(parse_link(url).canonical)
    on_progress = progress_callback(show, name)
    try:
        return git_fetch.fetch(store, package_remote(paths, name, url), revision or "HEAD", on_progress)
    except OdpmError as error:
        error.where = error.where or f"the requirement {name} @ git+{without_credentials(url)}"
        if isinstance(error, ProgramError) and _is_short_id(revision):
            error.todo = "write the commit with all 40 digits: a server does not provide a shortened one"
        if isinstance(error, CommitMissingError):
            _suggest(error, name, revision)
        raise


def _suggest(error: CommitMissingError, name: str, revision: str) -> None:
    """Set the next step where the server does not have the commit of a package."""
    if revision == error.commit:
        error.suggest_change("a requirement", f"the requirement {name}")
    else:
        error.suggest_lock(name)


def _is_short_id(revision: str) -> bool:
    return 7 <= len(revision) < 40 and not set(revision) - set("0123456789abcdef")


def is_cached(paths: ProjectPaths, package: GitPackage) -> bool:
    """Whether the cache holds the files of a package."""
    exported = paths.tree(package.url, package.commit) / "files"
    return exported.exists() or git.store_has(paths.store(package.url), package.commit)


def fetch_missing(paths: ProjectPaths, locks: PythonLocks, names: Sequence[str]) -> None:
    """Fetch the locked commits of these packages."""
    with terminal.activity() as show:

        def fetch(package: GitPackage) -> None:
            show.note(package.name, f"fetch {package.commit[:12]}")
            store, url = paths.store(package.url), locks.addresses.get(package.name, package.url)
            on_progress = progress_callback(show, package.name)
            try:
                git_fetch.fetch(
                    store,
                    package_remote(paths, package.name, url),
                    package.commit,
                    on_progress,
                    branch=package.ref or None,
                )
            except CommitMissingError as error:
                error.where = error.where or f"the requirement {package.name} @ git+{without_credentials(url)}"
                _suggest(error, package.name, package.ref)
                raise
            finally:
                show.done(package.name, f"fetched {package.name} {package.commit[:8]}")

        parallel_map(paths, fetch, [one for one in locks.packages if one.name in names])
