"""`init --from` with real repositories: what was converted locks at the commits of the old project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, HOST, PLATFORM, SALE, WEB, Workspace, failure, publish
from tests.e2e.harness import git
from tests.standins.package_index import Index, only, wheel

pytest_plugins = ["tests.e2e.workspaces"]
CONTRACT = "https://github.com/OCA/contract"
MODULES = f"""[submodule "odoo"]
\tpath = odoo/src
\turl = {HOST}{PLATFORM}
\tbranch = 19.0
[submodule "web"]
\tpath = odoo/external-src/web
\turl = ../../{WEB}
\tbranch = 19.0
[submodule "sale"]
\tpath = odoo/external-src/sale
\turl = {HOST}fork/sale.git
\tbranch = merge-branch-1
"""
PENDING = f"""../odoo/external-src/sale:
  remotes:
    OCA: {HOST}{SALE}
  merges:
  - OCA 19.0
  - OCA refs/pull/3/head
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    data = wheel("odoo_addon_contract", "19.0.1.0.0", f"Home-page: {CONTRACT}\n")
    made.add("odoo-addon-contract", "odoo_addon_contract-19.0.1.0.0-py3-none-any.whl", data)
    yield made
    made.close()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_submodules_are_locked_at_their_commits_and_pending_merges_are_merged(workspace: Workspace) -> None:
    root, inv = workspace.root, workspace.bench
    platform = git("rev-parse", "19.0", cwd=workspace.host / PLATFORM)
    web = git("rev-parse", "19.0", cwd=workspace.host / WEB)
    workspace.publish(WEB, {**FILES[WEB], "web_thing/new.py": "B = 1\n"})
    base = git("rev-parse", "19.0", cwd=workspace.host / SALE)
    pull = publish(workspace.host / SALE, {**FILES[SALE], "sale_thing/pull.py": "C = 1\n"}, pull="3")
    (root / "odpm.json").unlink()
    write(root, {".gitmodules": MODULES, "pending-merges.d/sale.yml": PENDING, "mine/__manifest__.py": "{}\n"})
    git("remote", "add", "origin", f"{HOST}acme/shop.git", cwd=root)
    git("add", "-A", cwd=root)
    links = (("odoo/src", platform), ("odoo/external-src/web", web), ("odoo/external-src/sale", "3" * 40))
    for path, commit in links:
        git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}", cwd=root)
    git("commit", "-qm", "The project of the other tool", cwd=root)

    assert "submodules" in inv.ok("init", "--from").err
    inv.ok("lock")
    pins = {entry["url"]: entry for entry in [workspace.lock()["platform"], *workspace.lock()["dependencies"]]}
    assert pins[f"{HOST}odoo/odoo"]["commit"] == platform
    assert pins[f"{HOST}team/web"]["commit"] == web
    assert pins[f"{HOST}team/sale"]["commit"] == base
    assert [(merge["ref"], merge["commit"]) for merge in pins[f"{HOST}team/sale"]["merges"]] == [
        ("refs/pull/3/head", pull)
    ]
    inv.ok("lock", "--check")
    inv.ok("render")
    assert git("rev-parse", "HEAD", cwd=workspace.source("web")) == web
    assert (workspace.source("sale") / "sale_thing/pull.py").exists()
    assert "submodules of the project" not in inv.ok("plan").err
    recorded = git("ls-tree", "-r", "HEAD", cwd=root)
    assert all(f"160000 commit {commit}\t{path}" in recorded for path, commit in links)


def test_the_package_index_names_the_repositories_of_add_ons_when_asked(workspace: Workspace, index: Index) -> None:
    root, inv = workspace.root, workspace.bench
    (root / "odpm.json").unlink()
    write(root, {"requirements.txt": "odoo-addon-contract==19.0.1.0.0\nodoo-addon-unknown-thing\n"})
    unasked = inv.ok("init", "--from", ".")
    assert "2 add-ons of the package index: contract, unknown_thing" in unasked.err
    (root / "odpm.json").unlink()
    asked = inv.ok("init", "--from", ".", "--ask-index", **only(index))
    assert "1 add-on of the package index: unknown_thing" in asked.err
    assert json.loads((root / "odpm.json").read_text())["dependencies"] == [CONTRACT]
    (root / "odpm.json").unlink()
    inv.ok("init", "--from", ".")  # from the cache
    assert json.loads((root / "odpm.json").read_text())["dependencies"] == [CONTRACT]


def test_an_index_that_does_not_answer_is_an_error_and_nothing_is_written(workspace: Workspace, index: Index) -> None:
    (workspace.root / "odpm.json").unlink()
    write(workspace.root, {"requirements.txt": "odoo-addon-contract==19.0.1.0.0\n"})
    settings = only(index)
    index.close()
    failure(workspace.bench.inv("init", "--from", ".", "--ask-index", **settings), 5, "does not answer")
    assert not (workspace.root / "odpm.json").exists()


BROKEN = {
    "gitmodules": ({".gitmodules": "[submodule\n"}, ".gitmodules cannot be read"),
    "compose": ({"compose.yaml": "services: {odoo: {image: 'odoo:19', x: [}}\n"}, "is not YAML"),
    "pyproject": ({"requirements.txt": "odoo-addon-x\n", "pyproject.toml": "[project\n"}, "is not TOML"),
    "large": ({"requirements.txt": "odoo-addon-x\n" + "#" * 1_000_001}, "at most 1,000,000 are read"),
}


@pytest.mark.parametrize(("files", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_an_error_and_nothing_is_written(
    workspace: Workspace, files: dict[str, str], message: str
) -> None:
    (workspace.root / "odpm.json").unlink()
    write(workspace.root, files)
    failure(workspace.bench.inv("init", "--from"), 4, message)
    assert not (workspace.root / "odpm.json").exists()
