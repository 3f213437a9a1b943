"""Work of the user's in a checkout when the lock moves: the run ends with 7, changes nothing, and its way out works."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, HOST, SALE, WEB, Ground, failure, photograph, standing, type_in, way_out
from tests.e2e.harness import Bench, git

pytest_plugins = ["tests.e2e.grounds"]

LATER = {**FILES[WEB], "web_thing/models.py": "A = 2\n", "web_thing/new.py": "N = 1\n", "kept.log": "theirs\n"}


@pytest.fixture
def moved(ground_ready: Ground) -> Ground:
    """A ground whose lock has moved on by a commit of `web`; its checkout is still where it was."""
    ground_ready.publish(WEB, LATER)
    ground_ready.bench.ok("lock", "--update", "--only", "web")
    return ground_ready


def refused(ground: Ground, *words: str) -> str:
    """The run ends with 7, a second one as well, and nothing in the checkout has changed."""
    before = standing(ground.source("web"))
    failure(ground.bench.inv("render"), 7, str(ground.source("web")), *words)
    message = failure(ground.bench.inv("up"), 7, str(ground.source("web")), *words)
    assert standing(ground.source("web")) == before
    return message


def out_of_it(ground: Ground, message: str) -> None:
    """Type what the messages say, one after another, until the run goes through."""
    for _ in range(3):
        type_in(ground, way_out(message))
        ran = ground.bench.inv("render")
        if ran.code == 0:
            break
        message = failure(ran, 7)
    else:
        pytest.fail(f"three ways out, and still: {message}")
    web = ground.source("web")
    assert git("rev-parse", "HEAD", cwd=web) == ground.lock()["dependencies"][0]["commit"]
    assert (web / "web_thing/new.py").read_text(encoding="utf-8") == "N = 1\n"


def dirty(web: Path) -> None:
    (web / "web_thing/models.py").write_text("A = 'mine'\n", encoding="utf-8")


def staged(web: Path) -> None:
    (web / "web_thing/mine.py").write_text("M = 'mine'\n", encoding="utf-8")
    git("add", "web_thing/mine.py", cwd=web)


def deleted(web: Path) -> None:
    (web / "web_thing/models.py").unlink()


@pytest.mark.parametrize("work", [dirty, staged, deleted])
def test_changes_of_tracked_files(moved: Ground, work: Callable[[Path], None]) -> None:
    web = moved.source("web")
    work(web)
    before = photograph(web)
    out_of_it(moved, refused(moved, "local changes", "web_thing/m"))
    assert "stash@{0}" in git("stash", "list", cwd=web)
    git("checkout", "-q", "stash@{0}^", cwd=web)
    git("stash", "pop", "-q", cwd=web)
    assert photograph(web) == before


def test_an_untracked_file_in_the_way(moved: Ground) -> None:
    mine = moved.source("web") / "web_thing/new.py"
    mine.write_text("mine\n", encoding="utf-8")
    message = refused(moved, "web_thing/new.py")
    assert re.search(r"next:.*\b(mv|git) ", message), f"no command to type\n{message}"
    mine.rename(moved.folder / "kept")
    moved.bench.ok("render")


def test_an_ignored_file_in_the_way(moved: Ground) -> None:
    """git itself overwrites what is ignored without a word."""
    mine = moved.source("web") / "kept.log"
    mine.write_text("mine\n", encoding="utf-8")
    refused(moved, "kept.log")
    assert mine.read_text(encoding="utf-8") == "mine\n"


def test_an_untracked_folder_in_the_way(moved: Ground) -> None:
    mine = moved.source("web") / "web_thing/new.py/mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine\n", encoding="utf-8")
    refused(moved)


def test_untracked_files_that_are_not_in_the_way_stay(moved: Ground) -> None:
    mine = moved.source("web") / "web_thing/mine.py"
    mine.write_text("mine\n", encoding="utf-8")
    moved.bench.ok("render")
    assert mine.read_text(encoding="utf-8") == "mine\n"


def test_an_own_commit(moved: Ground) -> None:
    web = moved.source("web")
    dirty(web)
    git("commit", "-qam", "mine", cwd=web)
    mine = git("rev-parse", "HEAD", cwd=web)
    out_of_it(moved, refused(moved, "your own commit", mine[:12]))
    assert git("branch", "--contains", mine, cwd=web) != ""


def test_an_own_branch(moved: Ground) -> None:
    git("checkout", "-q", "-b", "mine", cwd=moved.source("web"))
    out_of_it(moved, refused(moved, "'mine'"))
    assert "mine" in git("branch", "--list", cwd=moved.source("web"))


def test_an_own_branch_with_a_commit(moved: Ground) -> None:
    web = moved.source("web")
    git("checkout", "-q", "-b", "mine", cwd=web)
    dirty(web)
    git("commit", "-qam", "mine", cwd=web)
    mine = git("rev-parse", "HEAD", cwd=web)
    out_of_it(moved, refused(moved, "'mine'"))
    assert git("rev-parse", "mine", cwd=web) == mine


def test_a_foreign_folder(ground_locked: Ground) -> None:
    mine = ground_locked.source("web") / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n", encoding="utf-8")
    before = photograph(ground_locked.root / ".odpm/src/web")
    message = failure(ground_locked.bench.inv("render"), 7, str(ground_locked.source("web")))
    assert photograph(ground_locked.source("web")) == before
    type_in(ground_locked, way_out(message))
    ground_locked.bench.ok("render")
    assert any(path.read_text(encoding="utf-8") == "mine\n" for path in ground_locked.folder.rglob("mine.txt"))


def test_a_foreign_file(ground_locked: Ground) -> None:
    (ground_locked.root / ".odpm/src").mkdir()
    ground_locked.source("web").write_text("mine\n", encoding="utf-8")
    failure(ground_locked.bench.inv("render"), 7, str(ground_locked.source("web")))
    assert ground_locked.source("web").read_text(encoding="utf-8") == "mine\n"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_of_the_users_own(ground_locked: Ground, there: bool) -> None:
    target = ground_locked.folder / "elsewhere"
    if there:
        git("clone", "-q", str(ground_locked.host / WEB), str(target), cwd=ground_locked.folder)
        dirty(target)
    (ground_locked.root / ".odpm/src").mkdir()
    ground_locked.source("web").symlink_to(target)
    before = standing(target) if there else ()
    ran = ground_locked.bench.inv("render")
    if ran.code:
        failure(ran, 7, str(ground_locked.source("web")))
    assert ground_locked.source("web").readlink() == target
    assert there is target.exists()
    if there:
        assert standing(target) == before


def test_a_clone_that_the_user_made(moved: Ground) -> None:
    """A colleague replaced our checkout by a full clone, at another commit and with work in it."""
    web = moved.source("web")
    shutil.rmtree(web)
    git("clone", "-q", str(moved.host / WEB), str(web), cwd=moved.root)
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)
    (web / "mine.txt").write_text("mine\n", encoding="utf-8")
    message = refused(moved)
    assert "None" not in message, message


def test_a_folder_of_this_machine_that_becomes_a_repository(ground_ready: Ground) -> None:
    """The link in `.odpm/src` is ours, the folder that it leads to is not."""
    target = ground_ready.folder / "work/web"
    git("clone", "-q", str(ground_ready.host / WEB), str(target), cwd=ground_ready.folder)
    shutil.rmtree(ground_ready.source("web"))
    ground_ready.describe(dependencies=[f"file://{target}"])
    ground_ready.bench.ok("render")
    assert ground_ready.source("web").readlink() == target
    before = standing(target)
    ground_ready.describe()
    ground_ready.bench.ok("render")
    assert not ground_ready.source("web").is_symlink()
    assert git("status", "--porcelain", cwd=ground_ready.source("web")) == ""
    assert standing(target) == before


def test_a_repository_that_becomes_a_folder_of_this_machine(ground_ready: Ground) -> None:
    target = ground_ready.folder / "work/web"
    git("clone", "-q", str(ground_ready.host / WEB), str(target), cwd=ground_ready.folder)
    dirty(ground_ready.source("web"))
    before = standing(ground_ready.source("web"))
    ground_ready.describe(dependencies=[f"file://{target}"])
    message = failure(ground_ready.bench.inv("render"), 7, str(ground_ready.source("web")))
    assert standing(ground_ready.source("web")) == before
    type_in(ground_ready, way_out(message))
    ground_ready.bench.ok("render")
    assert ground_ready.source("web").readlink() == target


def test_work_in_a_repository_that_nobody_asks_for_any_more_stays(ground_ready: Ground) -> None:
    dirty(ground_ready.source("web"))
    before = standing(ground_ready.source("web"))
    ground_ready.describe(dependencies=[f"{HOST}{SALE} 19.0"])
    ground_ready.bench.ok("render")
    assert standing(ground_ready.source("web")) == before


def test_changes_stay_while_the_lock_does_not_move(ground_ready: Ground) -> None:
    dirty(ground_ready.source("web"))
    before = standing(ground_ready.source("web"))
    for words in (("render",), ("plan",), ("lock",)):
        ground_ready.bench.ok(*words)
    assert standing(ground_ready.source("web")) == before


def test_the_other_checkouts_move_although_one_cannot(moved: Ground) -> None:
    later = moved.publish("odoo/odoo.git", {**FILES["odoo/odoo.git"], "addons/new/__manifest__.py": "{}"})
    moved.bench.ok("lock", "--update")
    dirty(moved.source("web"))
    refused(moved, "local changes")
    assert git("rev-parse", "HEAD", cwd=moved.source("odoo")) == later


def test_the_way_out_of_a_project_in_a_folder_with_blanks(moved: Ground) -> None:
    folder = moved.folder / "my work"
    folder.mkdir()
    shutil.move(moved.root, folder / "it's odoo")
    ground = Ground(moved.folder, Bench(folder / "it's odoo", moved.bench.env))
    dirty(ground.source("web"))
    out_of_it(ground, refused(ground, "local changes"))


def test_edits_of_a_generated_file_are_kept(ground_ready: Ground) -> None:
    compose = ground_ready.root / "docker-compose.yml"
    edited = compose.read_text(encoding="utf-8") + "# mine\n"
    compose.write_text(edited, encoding="utf-8")
    ground_ready.bench.ok("render")
    assert (ground_ready.root / "docker-compose.yml.orig").read_text(encoding="utf-8") == edited
    assert "# mine" not in compose.read_text(encoding="utf-8")
