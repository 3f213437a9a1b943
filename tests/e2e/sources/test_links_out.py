"""Symbolic links in a repository that lead out of its tree: exit 4 before anything is checked out, mounted, baked or served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.core.sources.tree_links import MAX_DEPTH
from tests.e2e.failures import HOST, LOCKS, PLATFORM, SALE, WEB, Env, Workspace, failure
from tests.e2e.harness import git
from tests.e2e.planted import FILE, FOLDER, LINK, commit, grow, plant, tree

pytest_plugins = ["tests.e2e.workspaces"]

PASSWORD = b"/run/secrets/db_password"
PLANT = {b"m/__manifest__.py": (FILE, b"{'installable': False}\n"), b"m/static/pw": (LINK, PASSWORD)}
TOLD = ("web contains symbolic links", "m/static/pw -> /run/secrets/db_password")


def test_a_link_to_a_secret_in_an_addon_that_nobody_installs_is_refused(workspace: Workspace, no_docker: Env) -> None:
    """Also with trust, in every scenario, and by every task that would serve it: before Docker is asked for anything."""
    plant(workspace, PLANT)
    tasks = (("lock",), ("plan", "--refresh"), ("render",), ("up",))
    for words in tasks:
        failure(workspace.bench.inv(*words, **no_docker), 4, *TOLD)
    workspace.describe(trust=["web", f"{HOST}{WEB}"])
    failure(workspace.bench.inv("up", **no_docker), 4, *TOLD)
    assert not (workspace.root / LOCKS[0]).exists()
    assert not workspace.source("web").exists()


def test_a_lock_of_an_older_version_with_such_a_commit_is_refused(workspace_ready: Workspace, no_docker: Env) -> None:
    """The facts of the commit are in the cache, and the checkout exists: both from a version that did not look at links."""
    workspace = workspace_ready
    tip = plant(workspace, PLANT)
    failure(workspace.bench.inv("lock", "--update"), 4, *TOLD)
    (facts,) = (workspace.cache / "facts").rglob(f"{tip}.json")
    known: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    assert known.pop("links_out") == ["m/static/pw -> /run/secrets/db_password"]
    facts.write_text(json.dumps(known), encoding="utf-8")
    data = workspace.lock()
    data["dependencies"][0]["commit"] = tip
    (workspace.root / LOCKS[0]).write_text(json.dumps(data), encoding="utf-8")
    for words, scenario in (("plan", "developer"), ("up", "developer"), ("up", "server"), ("build-image", "ci")):
        failure(workspace.bench.inv(words, ODPM_SCENARIO=scenario, **no_docker), 4, *TOLD)
    web = workspace.source("web")
    store = workspace.cache / "git/git.test" / WEB
    git("fetch", "-q", str(store), tip, cwd=web)
    git("checkout", "-q", tip, cwd=web)
    failure(workspace.bench.inv("up", "--no-git-update", **no_docker), 4, *TOLD)
    plant(workspace, {})
    workspace.bench.ok("lock", "--update")


@pytest.mark.parametrize("repository", [PLATFORM, SALE])
def test_the_platform_and_a_repository_that_a_dependency_asks_for_are_checked(
    workspace: Workspace, repository: str
) -> None:
    workspace.publish(WEB, {"good/__manifest__.py": "{}\n", "oca_dependencies.txt": f"sale {HOST}{SALE} 19.0\n"})
    plant(workspace, PLANT, repository)
    name = "odoo" if repository == PLATFORM else "web -> sale"
    failure(workspace.bench.inv("lock"), 4, f"{name} contains symbolic links", "-> /run/secrets/db_password")


def test_modes_that_git_accepts_for_a_link_and_a_folder_are_recognized(workspace: Workspace) -> None:
    """git uses the file type of a mode only, and of a number that is too long its last 16 bits."""
    repo = workspace.host / WEB
    inner = grow(repo, {b"pw": (LINK, PASSWORD)})
    link = grow(repo, {b"pw": (LINK, PASSWORD)})
    ids = git("ls-tree", link, cwd=repo).split()[2]
    for rows in ([("120777", b"pw", ids)], [("320000", b"pw", ids)], [("040000", b"sub", inner)]):
        commit(repo, tree(repo, rows))
        failure(workspace.bench.inv("lock"), 4, "pw -> /run/secrets/db_password")


def test_a_tree_of_any_size_in_a_few_objects_is_refused_at_once(workspace: Workspace) -> None:
    repo = workspace.host / WEB
    many = grow(repo, {b"f": (FILE, b"x")})
    for _ in range(10):
        many = tree(repo, [(FOLDER, b"d%d" % number, many) for number in range(10)])
    commit(repo, many)
    failure(workspace.bench.inv("lock", timeout=60), 4, "more than 1,000,000 files")
    deep = grow(repo, {b"f": (FILE, b"x")})
    for _ in range(MAX_DEPTH + 1):
        deep = tree(repo, [(FOLDER, b"d", deep)])
    commit(repo, deep)
    failure(workspace.bench.inv("lock", timeout=60), 4, "more than 500 nested folders")


def test_links_of_a_folder_source(workspace: Workspace) -> None:
    mine = workspace.folder / "mine"
    for name in ("good/static", ".venv/bin", "env/bin"):
        (mine / name).mkdir(parents=True)
    (mine / "good/__manifest__.py").write_text("{}\n", encoding="utf-8")
    (mine / "env/pyvenv.cfg").touch()
    for name in (".venv/bin/python", "env/bin/python"):  # as every virtual environment has one
        (mine / name).symlink_to("/usr/bin/python3")
    (mine / "good/same").symlink_to("static")
    workspace.describe(dependencies=[f"file://{mine}"])
    workspace.bench.ok("render")
    for target in (PASSWORD.decode(), str(mine / "good"), "../../../x", "../../env/bin/python", "../../.venv"):
        (mine / "good/static/pw").symlink_to(target)
        for words in (("lock",), ("render",), ("render", "--no-git-update")):
            failure(workspace.bench.inv(*words), 4, f"good/static/pw -> {target}", "replace the links")
        (mine / "good/static/pw").unlink()


def test_links_of_the_project_that_lead_out_of_what_odoo_receives_are_a_warning(workspace: Workspace) -> None:
    root = workspace.root
    for folder in ("addons/one/static", "more/two", "vendor/three"):
        (root / folder).mkdir(parents=True)
        (root / folder.removesuffix("/static") / "__manifest__.py").write_text("{}\n", encoding="utf-8")
    (root / "vendor/three/__manifest__.py").rename(root / "vendor/three/other.py")
    links: dict[str, str | Path] = {
        "addons/three": "../vendor/three",
        "addons/one/static/pw": "../../../.odpm/secrets/developer/db_password",
        "addons/one/static/far": "/etc/hostname",
        "addons/one/two": "../../more/two",
        "addons/uno": "one",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    said = workspace.bench.ok("render").err
    told = [line.removeprefix("warning  ") for line in said.splitlines() if "leads out of the add-ons" in line]
    assert [line.partition(" -> ")[0] for line in told] == [
        "addons/one/static/far",
        "addons/one/static/pw",
        "addons/three",
    ]
