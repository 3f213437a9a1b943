"""Packages and requirements that mean harm: no code runs on this machine while locking, no variable leaves it.

A package index on loopback serves archives whose `setup.py` writes a mark; the file must not appear.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, HOST, LOCKS, WEB, Env, Workspace, failure
from tests.standins.package_index import Index, archive, only, wheel

pytest_plugins = ["tests.e2e.workspaces"]
SECRET = "hunter2-of-the-environment"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    yield made
    made.close()


def hostile_setup(mark: Path, requires: str = "['six']") -> str:
    return (
        f"import os\nfrom setuptools import setup\nopen({str(mark)!r}, 'w').write(str(dict(os.environ)))\n"
        f"setup(name='evilpkg', version='1.0', install_requires={requires})\n"
    )


def require(workspace: Workspace, line: str, where: str) -> None:
    """Let a repository of the graph ask for a requirement in one of the three ways."""
    files = dict(FILES[WEB])
    if where == "requirements.txt":
        files["requirements.txt"] = f"{line}\n"
    elif where == "odpm.json":
        files["odpm.json"] = f'{{"manifest_schema": 2, "requirements": ["{line}"]}}'
    else:
        addon = next(name for name in files if name.endswith("__manifest__.py"))
        files[addon] = repr({"name": "x", "version": "1.0", "external_dependencies": {"python": [line]}})
    workspace.publish(WEB, files)
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0"])


@pytest.mark.parametrize("where", ["requirements.txt", "odpm.json", "__manifest__.py"])
def test_a_direct_reference_of_a_repository_is_left_out(
    workspace: Workspace, index: Index, tmp_path: Path, where: str
) -> None:
    """Neither its setup.py runs nor is its address, with a variable in it, ever requested."""
    mark, package = tmp_path / "mark", tmp_path / "evilpkg"
    package.mkdir()
    (package / "setup.py").write_text(hostile_setup(mark), encoding="utf-8")
    for line in (f"evilpkg @ file://{package}", f"evilpkg @ {index.url}${{MY_SECRET_TOKEN}}/evilpkg-1.0.tar.gz"):
        require(workspace, line, where)
        ran = workspace.bench.ok("lock", MY_SECRET_TOKEN=SECRET, **only(index))
        assert "evilpkg" in ran.err
        assert "is left out" in ran.err
        assert SECRET not in ran.out + ran.err
        assert "evilpkg" not in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert not mark.exists()
    assert not [path for path in index.asked if "evilpkg" in path or SECRET in path]


def test_what_a_source_distribution_requires_is_read_and_not_run(
    workspace: Workspace, index: Index, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    data = archive("evilpkg-1.0", {"setup.py": hostile_setup(mark)})
    index.add("evilpkg", "evilpkg-1.0.tar.gz", data)
    index.add("six", "six-1.16.0-py3-none-any.whl", wheel("six", "1.16.0"))
    require(workspace, "evilpkg==1.0", "requirements.txt")
    workspace.bench.ok("lock", **only(index))
    lock = (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert f"evilpkg==1.0 \\\n    --hash=sha256:{hashlib.sha256(data).hexdigest()}\n" in lock
    assert "six==1.16.0" in lock
    assert not mark.exists()


def test_what_only_code_would_tell_needs_docker(
    workspace: Workspace, index: Index, no_docker: Env, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    index.add(
        "evilpkg", "evilpkg-1.0.tar.gz", archive("evilpkg-1.0", {"setup.py": hostile_setup(mark, "list(os.environ)")})
    )
    require(workspace, "evilpkg==1.0", "requirements.txt")
    failure(workspace.bench.inv("lock", **only(index), **no_docker), 8, "only running code of evilpkg", "start Docker")
    assert not mark.exists()


def test_the_first_index_that_knows_a_name_is_used(workspace: Workspace, index: Index, tmp_path: Path) -> None:
    """A public index that has a newer package of a private name does not replace it."""
    public = Index(tmp_path / "public")
    try:
        index.add("corplib", "corplib-1.0-py3-none-any.whl", wheel("corplib", "1.0"))
        public.add("corplib", "corplib-9.9-py3-none-any.whl", wheel("corplib", "9.9"))
        require(workspace, "corplib", "requirements.txt")
        workspace.bench.ok("lock", **only(index, public))
        assert "corplib==1.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
        assert not [path for path in public.asked if "corplib" in path]
    finally:
        public.close()


@pytest.mark.parametrize("login", ["me:hunter2@", "hunter2@", "${MY_SECRET_TOKEN}@"])
def test_a_login_in_a_requirement_never_reaches_the_lock(workspace: Workspace, login: str) -> None:
    workspace.describe(requirements=[f"corplib @ https://{login}host.example/corplib-1.0-py3-none-any.whl"])
    for words in (("lock",), ("validate",)):
        ran = workspace.bench.inv(*words, MY_SECRET_TOKEN=SECRET)
        assert ran.code == 4, ran.err
        assert "hunter2" not in ran.out + ran.err
    assert not any((workspace.root / path).exists() for path in LOCKS)


def test_new_packages_of_untrusted_add_ons_are_listed(workspace: Workspace, index: Index) -> None:
    index.add("leftpad", "leftpad-1.0-py3-none-any.whl", wheel("leftpad", "1.0"))
    require(workspace, "leftpad", "__manifest__.py")
    ran = workspace.bench.ok("lock", **only(index))
    assert "new Python packages that only add-ons of untrusted repositories require: leftpad (web: " in ran.err
    assert "leftpad" not in workspace.bench.ok("lock", **only(index)).err
    assert os.environ.get("MY_SECRET_TOKEN") is None
