"""Work of the user's in a checkout when the lock moves: the run ends with 7, changes nothing, and its way out works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.failures import (
    FILES,
    HOST,
    SALE,
    WEB,
    Workspace,
    checkout_state,
    failure,
    file_digests,
    run_shell,
    suggested_command,
)
from tests.e2e.harness import Bench, git

pytest_plugins = ["tests.e2e.workspaces"]

LATER = {**FILES[WEB], "web_thing/models.py": "A = 2\n", "web_thing/new.py": "N = 1\n", "kept.log": "theirs\n"}


@pytest.fixture
def moved(workspace_ready: Workspace) -> Workspace:
    """A ground whose lock has moved on by a commit of `web`; its checkout is still where it was."""
    workspace_ready.publish(WEB, LATER)
    workspace_ready.bench.ok("lock", "--update", "--only", "web")
    return workspace_ready


def refused(workspace: Workspace, *words: str) -> str:
    """The run ends with 7, a second one as well, and nothing in the checkout has changed."""
    before = checkout_state(workspace.source("web"))
    failure(workspace.bench.inv("render"), 7, str(workspace.source("web")), *words)
    message = failure(workspace.bench.inv("up"), 7, str(workspace.source("web")), *words)
    assert checkout_state(workspace.source("web")) == before
    return message


def out_of_it(workspace: Workspace, message: str) -> None:
    """Type what the messages say, one after another, until the run goes through."""
    for _ in range(3):
        run_shell(workspace, suggested_command(message))
        ran = workspace.bench.inv("render")
        if ran.code == 0:
            break
        message = failure(ran, 7)
    else:
        pytest.fail(f"three ways out, and still: {message}")
    web = workspace.source("web")
    assert git("rev-parse", "HEAD", cwd=web) == workspace.lock()["dependencies"][0]["commit"]
    assert (web / "web_thing/new.py").read_text(encoding="utf-8") == "N = 1\n"


def dirty(web: Path) -> None:
    (web / "web_thing/models.py").write_text("A = 'mine'\n", encoding="utf-8")


def staged(web: Path) -> None:
    (web / "web_thing/mine.py").write_text("M = 'mine'\n", encoding="utf-8")
    git("add", "web_thing/mine.py", cwd=web)


def deleted(web: Path) -> None:
    (web / "web_thing/models.py").unlink()


@pytest.mark.parametrize("work", [dirty, staged, deleted])
def test_changes_of_tracked_files(moved: Workspace, work: Callable[[Path], None]) -> None:
    web = moved.source("web")
    work(web)
    before = file_digests(web)
    out_of_it(moved, refused(moved, "local changes", "web_thing/m"))
    assert "stash@{0}" in git("stash", "list", cwd=web)
    git("checkout", "-q", "stash@{0}^", cwd=web)
    git("stash", "pop", "-q", cwd=web)
    assert file_digests(web) == before


def test_an_untracked_file_in_the_way(moved: Workspace) -> None:
    mine = moved.source("web") / "web_thing/new.py"
    mine.write_text("mine\n", encoding="utf-8")
    message = refused(moved, "web_thing/new.py")
    assert re.search(r"next:.*\b(mv|git) ", message), f"no command to type\n{message}"
    mine.rename(moved.folder / "kept")
    moved.bench.ok("render")


def test_an_ignored_file_in_the_way(moved: Workspace) -> None:
    """git itself overwrites what is ignored without a word."""
    mine = moved.source("web") / "kept.log"
    mine.write_text("mine\n", encoding="utf-8")
    refused(moved, "kept.log")
    assert mine.read_text(encoding="utf-8") == "mine\n"


def test_an_untracked_folder_in_the_way(moved: Workspace) -> None:
    mine = moved.source("web") / "web_thing/new.py/mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine\n", encoding="utf-8")
    refused(moved)


def test_untracked_files_that_are_not_in_the_way_are_kept(moved: Workspace) -> None:
    mine = moved.source("web") / "web_thing/mine.py"
    mine.write_text("mine\n", encoding="utf-8")
    moved.bench.ok("render")
    assert mine.read_text(encoding="utf-8") == "mine\n"


def test_an_own_commit(moved: Workspace) -> None:
    web = moved.source("web")
    dirty(web)
    git("commit", "-qam", "mine", cwd=web)
    mine = git("rev-parse", "HEAD", cwd=web)
    out_of_it(moved, refused(moved, "your own commit", mine[:12]))
    assert git("branch", "--contains", mine, cwd=web) != ""


def test_an_own_branch(moved: Workspace) -> None:
    git("checkout", "-q", "-b", "mine", cwd=moved.source("web"))
    out_of_it(moved, refused(moved, "'mine'"))
    assert "mine" in git("branch", "--list", cwd=moved.source("web"))


def test_an_own_branch_with_a_commit(moved: Workspace) -> None:
    web = moved.source("web")
    git("checkout", "-q", "-b", "mine", cwd=web)
    dirty(web)
    git("commit", "-qam", "mine", cwd=web)
    mine = git("rev-parse", "HEAD", cwd=web)
    out_of_it(moved, refused(moved, "'mine'"))
    assert git("rev-parse", "mine", cwd=web) == mine


def test_a_foreign_folder(workspace_locked: Workspace) -> None:
    mine = workspace_locked.source("web") / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n", encoding="utf-8")
    before = file_digests(workspace_locked.root / ".odpm/src/web")
    message = failure(workspace_locked.bench.inv("render"), 7, str(workspace_locked.source("web")))
    assert file_digests(workspace_locked.source("web")) == before
    run_shell(workspace_locked, suggested_command(message))
    workspace_locked.bench.ok("render")
    assert any(path.read_text(encoding="utf-8") == "mine\n" for path in workspace_locked.folder.rglob("mine.txt"))


def test_a_foreign_file(workspace_locked: Workspace) -> None:
    (workspace_locked.root / ".odpm/src").mkdir()
    workspace_locked.source("web").write_text("mine\n", encoding="utf-8")
    failure(workspace_locked.bench.inv("render"), 7, str(workspace_locked.source("web")))
    assert workspace_locked.source("web").read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_of_the_users_own(workspace_locked: Workspace, there: bool) -> None:
    target = workspace_locked.folder / "elsewhere"
    if there:
        git("clone", "-q", str(workspace_locked.host / WEB), str(target), cwd=workspace_locked.folder)
        dirty(target)
    (workspace_locked.root / ".odpm/src").mkdir()
    workspace_locked.source("web").symlink_to(target)
    before = checkout_state(target) if there else ()
    ran = workspace_locked.bench.inv("render")
    if ran.code:
        failure(ran, 7, str(workspace_locked.source("web")))
    assert workspace_locked.source("web").readlink() == target
    assert there is target.exists()
    if there:
        assert checkout_state(target) == before


def test_a_clone_that_the_user_made(moved: Workspace) -> None:
    """A colleague replaced our checkout by a full clone, at another commit and with work in it."""
    web = moved.source("web")
    shutil.rmtree(web)
    git("clone", "-q", str(moved.host / WEB), str(web), cwd=moved.root)
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)
    (web / "mine.txt").write_text("mine\n", encoding="utf-8")
    message = refused(moved)
    assert "None" not in message, message


def test_a_folder_of_this_machine_that_becomes_a_repository(workspace_ready: Workspace) -> None:
    """The link in `.odpm/src` is ours, the folder that it leads to is not."""
    target = workspace_ready.folder / "work/web"
    git("clone", "-q", str(workspace_ready.host / WEB), str(target), cwd=workspace_ready.folder)
    shutil.rmtree(workspace_ready.source("web"))
    workspace_ready.describe(dependencies=[f"file://{target}"])
    workspace_ready.bench.ok("render")
    assert workspace_ready.source("web").readlink() == target
    before = checkout_state(target)
    workspace_ready.describe()
    workspace_ready.bench.ok("render")
    assert not workspace_ready.source("web").is_symlink()
    assert git("status", "--porcelain", cwd=workspace_ready.source("web")) == ""
    assert checkout_state(target) == before


def test_a_repository_that_becomes_a_folder_of_this_machine(workspace_ready: Workspace) -> None:
    target = workspace_ready.folder / "work/web"
    git("clone", "-q", str(workspace_ready.host / WEB), str(target), cwd=workspace_ready.folder)
    dirty(workspace_ready.source("web"))
    before = checkout_state(workspace_ready.source("web"))
    workspace_ready.describe(dependencies=[f"file://{target}"])
    message = failure(workspace_ready.bench.inv("render"), 7, str(workspace_ready.source("web")))
    assert checkout_state(workspace_ready.source("web")) == before
    run_shell(workspace_ready, suggested_command(message))
    workspace_ready.bench.ok("render")
    assert workspace_ready.source("web").readlink() == target


def test_work_in_an_obsolete_source_is_kept(workspace_ready: Workspace) -> None:
    dirty(workspace_ready.source("web"))
    before = checkout_state(workspace_ready.source("web"))
    workspace_ready.describe(dependencies=[f"{HOST}{SALE} 19.0"])
    workspace_ready.bench.ok("render")
    assert checkout_state(workspace_ready.source("web")) == before


def test_changes_are_kept_while_the_lock_does_not_change(workspace_ready: Workspace) -> None:
    dirty(workspace_ready.source("web"))
    before = checkout_state(workspace_ready.source("web"))
    for words in (("render",), ("plan",), ("lock",)):
        workspace_ready.bench.ok(*words)
    assert checkout_state(workspace_ready.source("web")) == before


def test_the_other_checkouts_move_although_one_cannot(moved: Workspace) -> None:
    later = moved.publish("odoo/odoo.git", {**FILES["odoo/odoo.git"], "addons/new/__manifest__.py": "{}"})
    moved.bench.ok("lock", "--update")
    dirty(moved.source("web"))
    refused(moved, "local changes")
    assert git("rev-parse", "HEAD", cwd=moved.source("odoo")) == later


def test_the_way_out_of_a_project_in_a_folder_with_blanks(moved: Workspace) -> None:
    folder = moved.folder / "my work"
    folder.mkdir()
    shutil.move(moved.root, folder / "it's odoo")
    workspace = Workspace(moved.folder, Bench(folder / "it's odoo", moved.bench.env))
    dirty(workspace.source("web"))
    out_of_it(workspace, refused(workspace, "local changes"))


def test_edits_of_a_generated_file_are_kept(workspace_ready: Workspace) -> None:
    compose = workspace_ready.root / "docker-compose.yml"
    edited = compose.read_text(encoding="utf-8") + "# mine\n"
    compose.write_text(edited, encoding="utf-8")
    workspace_ready.bench.ok("render")
    assert (workspace_ready.root / "docker-compose.yml.orig").read_text(encoding="utf-8") == edited
    assert "# mine" not in compose.read_text(encoding="utf-8")


def test_truncated_pack_of_the_cache_is_fetched_again(workspace_ready: Workspace) -> None:
    """The user's commit and changes in the checkout that borrows from it are as before."""
    web = workspace_ready.source("web")
    dirty(web)
    git("checkout", "-q", "-b", "mine", cwd=web)
    git("commit", "-qam", "mine", cwd=web)
    deleted(web)
    before = checkout_state(web)
    (pack,) = (workspace_ready.cache / "git/git.test" / WEB / "objects/pack").glob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-10])
    assert "restore missing commits" in workspace_ready.bench.ok("plan").out
    assert f"is damaged, fetching again: {pack.name}" in workspace_ready.bench.ok("render").err
    assert checkout_state(web) == before
    assert git("fsck", "--no-dangling", cwd=web) == ""
    assert workspace_ready.bench.ok("render").err.splitlines()[-1] == "nothing to do"
