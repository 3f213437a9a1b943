"""Random histories, random work of the user's in a checkout, the lock moves, two runs: no byte of the user's is gone.

The user's are: every file that the locked commit does not have like that, every commit, every stash. The runs go through
or end with 7; then the file, commit or stash is where it was, also where the run went through.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, WEB, Workspace
from tests.e2e.harness import git

pytest_plugins = ["tests.e2e.workspaces"]

NAMES = (
    "web_thing/models.py", "web_thing/views/view.xml", "web_thing/data", "web_thing/data/a.csv", "odd name é.py",
    "README", "notes.log", "web_other/__manifest__.py", "deep/er/file.txt", "deep",
)  # fmt: skip


@dataclass
class Story:
    """One random case: the dice, the checkout, and what was done, for the message of a failure."""

    dice: random.Random
    web: Path
    done: list[str] = field(default_factory=list)

    def text(self) -> str:
        return f"{self.dice.choice('abc')} {self.dice.randrange(1000)}\n"

    def path(self) -> Path:
        return self.web / self.dice.choice(NAMES)

    def git(self, *words: str) -> None:
        with suppress(AssertionError):  # git refuses some of what dice ask for; so be it
            git(*words, cwd=self.web)


def history(dice: random.Random) -> list[dict[str, str | bytes]]:
    """A few commits: each time some files come, change or go. A name is a file or a folder, never both."""
    files: dict[str, str | bytes] = dict(FILES[WEB])
    commits = []
    for _ in range(dice.randint(2, 3)):
        for name in dice.sample(NAMES, dice.randint(1, 5)):
            if name in files and dice.random() < 0.4:
                del files[name]
            else:
                taken = [other for other in files if other.startswith(f"{name}/") or name.startswith(f"{other}/")]
                for other in taken:
                    del files[other]
                files[name] = f"{dice.choice('abc')} {dice.randrange(1000)}\n"
        commits.append(dict(files))
    return commits


def write(story: Story) -> None:
    path = story.path()
    with suppress(OSError):
        if path.is_dir() and story.dice.random() < 0.5:
            shutil.rmtree(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(story.text(), encoding="utf-8")


def delete(story: Story) -> None:
    path = story.path()
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(NotADirectoryError):  # a file has come where its folder was
            path.unlink(missing_ok=True)


def link(story: Story) -> None:
    path = story.path()
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.symlink_to(story.dice.choice(("README", "/etc/hostname", "nowhere")))


def make_executable(story: Story) -> None:
    path = story.path()
    if path.is_file() and not path.is_symlink():
        path.chmod(0o755)


def stage(story: Story) -> None:
    story.git("add", "-A")


def commit(story: Story) -> None:
    story.git("add", "-A")
    story.git("commit", "-qm", story.text())


def branch(story: Story) -> None:
    story.git("checkout", "-q", "-b", f"mine-{story.dice.randrange(99)}")


def leave_branch(story: Story) -> None:
    story.git("checkout", "-q", "--detach")


def stash(story: Story) -> None:
    story.git("stash", "--include-untracked")


def back_to_base(story: Story) -> None:
    story.git("checkout", "-q", "refs/odpm/base")


def tag(story: Story) -> None:
    story.git("tag", f"keep-{story.dice.randrange(99)}")


def rename_remote(story: Story) -> None:
    story.git("remote", "rename", "origin", "theirs")


def rewrite_remote(story: Story) -> None:
    story.git("config", "url.ssh://elsewhere/.insteadOf", "https://git.test/")


def nested_repository(story: Story) -> None:
    inner = story.web / story.dice.choice(("web_inner", "deep"))
    with suppress(OSError, AssertionError):
        inner.mkdir(parents=True, exist_ok=True)
        git("init", "-q", cwd=inner)
        (inner / "mine.txt").write_text(story.text(), encoding="utf-8")
        git("add", "-A", cwd=inner)
        git("commit", "-qm", "inner", cwd=inner)


def begin_a_merge(story: Story) -> None:
    story.git("merge", "--no-commit", "--no-ff", "stash@{0}")


def tidy_up(story: Story) -> None:
    story.git("gc", "-q", "--prune=now")


DEEDS: tuple[Callable[[Story], None], ...] = (
    write, write, write, delete, link, make_executable, stage, commit, commit, branch, leave_branch, stash, back_to_base,
    tag, rename_remote, rewrite_remote, nested_repository, begin_a_merge, tidy_up,
)  # fmt: skip


def contents(web: Path) -> dict[str, str]:
    """Every file, link and empty folder of a checkout, nested repositories and all, without its own `.git`."""
    found = {}
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web).as_posix()
        if name == ".git" or name.startswith(".git/"):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes().hex()
    return found


def committed(web: Path, commit: str) -> dict[str, str]:
    """The files of a commit in the same form."""
    found = {}
    for row in git("ls-tree", "-r", "-z", commit, cwd=web).split("\0"):
        if row:
            meta, name = row.split("\t", 1)
            mode, _, blob = meta.split(" ")
            data = git("cat-file", "blob", blob, cwd=web)
            # our git() strips the newline at the end, which every file here has
            found[name] = f"-> {data}" if mode == "120000" else f"{data}\n".encode().hex()
    return found


def everything(web: Path) -> set[str]:
    """Every commit that a ref, HEAD, a stash or a reflog of the checkout names."""
    return set(git("rev-list", "--all", "--reflog", "HEAD", cwd=web).split())


def tell(workspace: Workspace, seed: int) -> None:
    """One story from beginning to end."""
    dice = random.Random(seed)
    commits = [workspace.publish(WEB, files) for files in history(dice)]
    workspace.bench.ok("lock", "--update", "--only", "web")
    workspace.bench.ok("render")
    web = workspace.source("web")
    story = Story(dice, web)
    later = history(dice)
    if dice.random() < 0.8:
        workspace.publish(WEB, later[-1])
        workspace.bench.ok("lock", "--update", "--only", "web")
    for _ in range(dice.randint(1, 6)):
        deed = dice.choice(DEEDS)
        story.done.append(deed.__name__)
        deed(story)
    base = committed(web, "refs/odpm/base")
    mine = {name: data for name, data in contents(web).items() if base.get(name) != data}
    ids, refs = (
        everything(web),
        git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", "refs/stash", cwd=web),
    )
    says = f"seed {seed}: {', '.join(story.done)}"
    for _ in range(2):
        ran = workspace.bench.inv("render")
        assert ran.code in {0, 7}, f"{says}\n{ran.output}"
        assert "Traceback" not in ran.output, f"{says}\n{ran.output}"
        now = contents(web)
        lost = {name for name, data in mine.items() if now.get(name) != data}
        assert not lost, f"{says}\nlost: {lost}\n{ran.output}"
        assert ids <= everything(web) | set(commits), f"{says}\ncommits are gone\n{ran.output}"
        assert (
            git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", "refs/stash", cwd=web)
            == refs
        ), says
        git("fsck", "--no-progress", "--no-dangling", cwd=web)


def reset(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".odpm/src", ignore_errors=True)


@pytest.fixture
def stories(workspace_ready: Workspace) -> Callable[[range], None]:
    def run(seeds: range) -> None:
        for seed in seeds:
            tell(workspace_ready, seed)
            reset(workspace_ready)

    return run


def test_no_data_of_the_user_is_lost(stories: Callable[[range], None]) -> None:
    stories(range(5))


@pytest.mark.long
@pytest.mark.parametrize("decade", range(30))
def test_no_data_of_the_user_is_lost_in_many_stories(stories: Callable[[range], None], decade: int) -> None:
    stories(range(100 + 10 * decade, 110 + 10 * decade))
