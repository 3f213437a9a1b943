"""Fixtures for the tests of the git adapter: a server's repository, a store, a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import fetch
from odpm_tasks.adapters.git import remote as git_remote
from tests.unit import repositories
from tests.unit.repositories import packed, repository, save

URL = "https://github.com/OCA/web"


def near(path: Path) -> git_remote.Remote:
    """The remote for a local repository that is used as a server."""
    return git_remote.remote(URL, mirrors=[(URL, f"file://{path}")])


@pytest.fixture(scope="session")
def shared_origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that `origin` copies: creating one takes a dozen git commands. Read-only."""
    where = repository(tmp_path_factory.mktemp("server") / "web", {"a/one.py": "1\n", "README": "web\n"})
    repositories.git(where, "tag", "-a", "-m", "annotated", "v1")
    repositories.git(where, "tag", "light")
    save(where, "second", {"a/one.py": "2\n", "a/two.py": "2\n", "README": None})
    repositories.git(where, "branch", "18.0", "v1^{commit}")
    return packed(where)


@pytest.fixture
def origin(tmp_path: Path, shared_origin: Path) -> Path:
    """A repository on a server: two commits on 19.0, one on 18.0, a tag of each kind."""
    return Path(shutil.copytree(shared_origin, tmp_path / "server" / "web", symlinks=True))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "git" / "web.git"


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory, shared_origin: Path) -> Path:
    """A store with both commits of 19.0 and, in the folder `first` beside it, a checkout of the first one. Read-only."""
    store = tmp_path_factory.mktemp("cache") / "web.git"
    fetch.fetch(store, near(shared_origin), "19.0")
    repositories.check_out(store.with_name("first"), store, fetch.fetch(store, near(shared_origin), "v1"), URL)
    return store


@pytest.fixture
def checkout(tmp_path: Path, shared_store: Path) -> Path:
    """A checkout of the first commit."""
    return Path(shutil.copytree(shared_store.with_name("first"), tmp_path / "project" / "web", symlinks=True))
