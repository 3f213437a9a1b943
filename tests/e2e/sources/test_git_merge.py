"""Merges on real repositories: which commit results, from which servers, and what a conflict leaves behind."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import merge, merge_base
from odpm_tasks.adapters.git import remote as git_remote
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.merge_base import Meeting, Tip
from odpm_tasks.errors import CommitMissingError, DescriptionError, MachineError, ProgramError
from tests.unit import repositories
from tests.unit.repositories import repository, save, tip

URL = "https://github.com/OCA/web"
ACME = "https://github.com/acme/web"
LINES = "".join(f"line {number}\n" for number in range(1, 41))


def changed(*numbers: int) -> str:
    return "".join(
        f"{line} changed\n" if int(line.split()[1]) in numbers else f"{line}\n" for line in LINES.splitlines()
    )


def day(ago: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=ago):%Y-%m-%d}"


@pytest.fixture(scope="session")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two servers: `web` with the branch 19.0 and pull requests, `acme` with a branch of a fork. Read-only.

    1 changes line 30, 2 moves a file, 3 conflicts with 19.0, 4 contains 1 and a part of 19.0 (two merge bases), 5 is 1.
    """
    folder = tmp_path_factory.mktemp("host")
    web = repository(folder / "web", {"a/one.py": LINES, "a/two.py": changed(7), "README": "web\n"})
    first = tip(web)
    middle = save(web, "middle", {"a/one.py": changed(2)})
    request(web, 1, first, {"a/one.py": changed(30)})
    request(web, 2, first, {"b/two.py": changed(7, 20), "a/two.py": None})
    request(web, 3, first, {"a/one.py": changed(2).replace("line 2 changed", "line 2 differs")})
    repositories.git(web, "checkout", "-q", "--detach", "refs/pull/1/head")
    repositories.git(web, "merge", "-q", "-m", "take the branch in", middle)
    save(web, "four", {"a/four.py": "4\n"})
    repositories.git(web, "update-ref", "refs/pull/4/head", "HEAD")
    repositories.git(web, "update-ref", "refs/merge-requests/5/head", "refs/pull/1/head")
    repositories.git(web, "checkout", "-q", "19.0")
    save(web, "last", {"README": "web, changed\n"})
    shutil.copytree(web, folder / "acme", symlinks=True)
    repositories.git(folder / "acme", "checkout", "-q", "-b", "19.0-fix", first)
    save(folder / "acme", "fix", {"a/fix.py": "fix\n"})
    repositories.git(web, "tag", "-a", "-m", "a tag", "v1", "refs/pull/1/head")
    other = repository(folder / "other", {"x": "unrelated\n"}, branch="main")
    repositories.git(web, "fetch", "-q", str(other), "main:refs/pull/6/head")
    return folder


def request(web: Path, number: int, start: str, files: repositories.Files) -> None:
    repositories.git(web, "checkout", "-q", "--detach", start)
    (web / "b").mkdir(exist_ok=True)
    save(web, f"request {number}", files)
    repositories.git(web, "update-ref", f"refs/pull/{number}/head", "HEAD")
    repositories.git(web, "checkout", "-q", "19.0")


@pytest.fixture
def host(tmp_path: Path, shared_host: Path) -> Path:
    return Path(shutil.copytree(shared_host, tmp_path / "host", symlinks=True))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache/git/web.git"


def server(folder: Path, url: str = URL) -> git_remote.Remote:
    return git_remote.remote(url, mirrors=[(url, f"file://{folder}")])


def tips(host: Path, *refs: str) -> list[Tip]:
    """19.0 of `web` and these refs; `acme:REF` is one of the fork."""
    found = [Tip(server(host / "web"), ("refs/heads/19.0", "refs/tags/19.0"))]
    for ref in refs:
        name, at, fork = ref.rpartition(":")
        where = server(host / "acme", ACME) if at else server(host / "web")
        found.append(Tip(where, (fork, fork.replace("pull", "merge-requests").replace("heads", "tags"))))
        assert name in {"", "acme"}
    return found


def merged(store: Path, host: Path, *refs: str) -> tuple[Meeting, str]:
    """Where the refs meet, and the tree of their merge."""
    asked = tips(host, *refs)
    met = merge_base.meeting(store, asked)
    needed = [(commit, at) for commit, at in zip(met.commits, asked, strict=True)]
    needed += [(base, asked[0]) for found in (*met.bases, *met.ancestors.values()) for base in found]
    needed += [(commit, asked[0]) for commit in met.ancestors]
    merge.fetch_commits(store, needed)
    with merge.scratch(store, [commit for commit, _ in needed]) as scratch:
        tree = scratch.trees[met.commits[0]]
        for commit, bases in zip(met.commits[1:], met.bases, strict=True):
            tree = scratch.merge(tree, commit, bases, met.ancestors)
        text = f"tree {tree}\nparent {met.commits[0]}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n"
        assert git.store_has(store, scratch.keep(tree, text.encode()))
    return met, tree


def by_hand(host: Path, *refs: str) -> str:
    """The tree that `git merge` makes in a clone."""
    clone = host / "clone"
    repositories.git(host, "clone", "-q", str(host / "web"), str(clone))
    for ref in refs:
        repositories.git(
            clone, "fetch", "-q", str(host / ("acme" if "acme:" in ref else "web")), ref.rpartition(":")[2]
        )
        repositories.git(clone, "merge", "-q", "-m", "x", "FETCH_HEAD")
    return repositories.git(clone, "rev-parse", "HEAD^{tree}")


CASES = {
    "several": ("refs/pull/2/head", "refs/pull/1/head", "acme:refs/heads/19.0-fix"),
    "two merge bases": ("refs/pull/1/head", "refs/pull/4/head"),
    "the other order": ("refs/pull/4/head", "refs/pull/1/head"),
    "merge request": ("refs/pull/5/head",),
    "tag": ("refs/heads/v1", "refs/heads/19.0"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_result_is_that_of_git_merge(store: Path, host: Path, name: str) -> None:
    names = {"merge request": ("refs/merge-requests/5/head",), "tag": ("refs/tags/v1",)}
    _, tree = merged(store, host, *CASES[name])
    assert tree == by_hand(host, *names.get(name, CASES[name]))
    assert repositories.git(store, "ls-tree", "-r", "--name-only", tree)
    repositories.git(store, "fsck", "--no-progress")
    assert stores.shallow_commits(store) == stores.commits(store)


def long_branch(folder: Path, behind: int, *, years_ago: int = 0, younger: int = 0) -> Path:
    """A server whose branch 19.0 has 260 commits, one a day; pull request 1 begins `behind` commits before its last one.

    `younger`: days from that commit to the commit of the pull request.
    """
    web = folder / "host/web"
    web.mkdir(parents=True)
    repositories.git(web, "init", "-q", "--bare", "-b", "19.0")
    for key in ("allowAnySHA1InWant", "allowFilter"):
        repositories.git(web, "config", f"uploadpack.{key}", "true")
    last = int((datetime.now(UTC) - timedelta(days=1 + 365 * years_ago)).timestamp())

    def commit(ref: str, when: int, name: str, text: str, start: str = "") -> str:
        head = f"commit {ref}\ncommitter b <b@b> {when} +0000\ndata 1\nx\n{start}"
        return f"{head}M 100644 inline {name}\ndata {len(text)}\n{text}\n"

    branch = "refs/heads/19.0"
    feed = [
        commit(branch, last - (259 - n) * 86400, "one" if n == 0 else "two", LINES if n == 0 else str(n))
        for n in range(260)
    ]
    subprocess.run(["git", "fast-import", "--quiet"], cwd=web, input="".join(feed).encode(), check=True)
    start = f"from {tip(web, f'19.0~{behind}')}\n"
    pull = commit("refs/pull/1/head", last - (behind - younger) * 86400 + 3600, "one", changed(3), start)
    subprocess.run(["git", "fast-import", "--quiet"], cwd=web, input=pull.encode(), check=True)
    return web


@pytest.mark.parametrize(
    ("options", "histories"),
    [
        ({"behind": 5}, 0),
        ({"behind": 150, "younger": 140}, 0),
        ({"behind": 5, "years_ago": 4}, 0),
        ({"behind": 230}, 1),
        ({"behind": 230, "years_ago": 4}, 1),
    ],
)
def test_one_request_is_enough_unless_the_branch_began_long_ago(
    tmp_path: Path, store: Path, options: dict[str, int], histories: int
) -> None:
    web = long_branch(tmp_path, **options)
    met = merge_base.meeting(store, tips(tmp_path / "host", "refs/pull/1/head"))
    assert met.commits == (tip(web, "19.0"), tip(web, "refs/pull/1/head"))
    assert met.bases == ((tip(web, f"19.0~{options['behind']}"),),)
    assert len(list(store.parent.glob("*.merges"))) == histories
    assert stores.commits(store) >= {*met.commits}


def test_a_commit_that_may_be_beyond_the_edge_is_looked_up(tmp_path: Path, store: Path) -> None:
    """The pull request was merged long ago. Another old branch that is merged now shows where it began, not that it is contained."""
    web = long_branch(tmp_path, 250)
    old = tip(web, "refs/pull/1/head")

    def commit(*parents: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return repositories.git(web, "commit-tree", *words, "-m", "x", f"{parents[0]}^{{tree}}")

    inner = commit("19.0~249", old)
    for _ in range(3):
        inner = commit(inner)
    trunk = inner
    feed = "".join(
        f"commit refs/heads/next\ncommitter b <b@b> {int(datetime.now(UTC).timestamp()) - 300 + n} +0000\ndata 1\nx\n"
        + (f"from {trunk}\n" if n == 0 else "")
        for n in range(250)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=web, input=feed.encode(), check=True)
    side = commit(tip(web, "19.0~250"))
    repositories.git(web, "update-ref", "refs/heads/19.0", commit(tip(web, "next"), side))
    met = merge_base.meeting(store, tips(tmp_path / "host", "refs/pull/1/head"))
    assert met.bases == ((old,),)


HOSTILE = """[merge]
\tconflictStyle = diff3
\trenames = false
\tdirectoryRenames = true
\trenormalize = true
\tdefault = mine
\tff = only
[merge "mine"]
\tdriver = cp %B %A
[diff]
\trenames = false
\talgorithm = minimal
[rerere]
\tenabled = true
\tautoUpdate = true
[commit]
\tgpgSign = true
[core]
\tautocrlf = true
\tattributesFile = ATTRIBUTES
\thooksPath = HOOKS
[i18n]
\tcommitEncoding = latin1
[user]
\tname = someone
[log]
\tshowSignature = true
"""


def test_no_setting_of_the_user_has_an_influence(
    store: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = ("refs/pull/2/head", "refs/pull/1/head", "refs/pull/4/head", "acme:refs/heads/19.0-fix")
    expected = merged(store, host, *refs)
    home = tmp_path / "hostile"
    (home / ".config/git").mkdir(parents=True)
    attributes = "* merge=mine\n*.py merge=ours -text diff=x\n"
    for path in (home / "attributes", home / ".config/git/attributes"):
        path.write_text(attributes, encoding="utf-8")
    text = HOSTILE.replace("ATTRIBUTES", str(home / "attributes")).replace("HOOKS", str(home))
    (home / ".gitconfig").write_text(text, encoding="utf-8")
    for name, value in {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "merge.renames",
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_CONFIG_PARAMETERS": "'merge.directoryRenames'='true'",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
    }.items():
        monkeypatch.setenv(name, value)
    other = tmp_path / "other/web.git"
    assert merged(other, host, *refs) == expected


def test_a_conflict_leaves_the_store_as_it_was(store: Path, host: Path) -> None:
    merged(store, host, "refs/pull/1/head")
    asked = tips(host, "refs/pull/3/head")
    met = merge_base.meeting(store, asked)
    merge.fetch_commits(store, [(commit, asked[0]) for commit in met.commits])
    before = repositories.without_times(store.parent)
    with (
        pytest.raises(merge.ConflictError) as caught,
        merge.scratch(store, [*met.commits, *met.bases[0]]) as scratch,
    ):
        scratch.merge(scratch.trees[met.commits[0]], met.commits[1], met.bases[0], {})
    assert caught.value.names == ("a/one.py",)
    assert caught.value.kinds == ("contents",)
    assert repositories.without_times(store.parent) == before


def test_a_merge_that_was_interrupted_is_made_again(store: Path, host: Path) -> None:
    asked = tips(host, "refs/pull/1/head")
    met = merge_base.meeting(store, asked)
    merge.fetch_commits(store, [(commit, asked[0]) for commit in (*met.commits, *met.bases[0])])
    left = store.with_name(f".{store.name}.merge.1")
    left.mkdir()
    assert [path.name for path in stores.repositories(store.parent)] == ["web.git"]
    assert merged(store, host, "refs/pull/1/head")[1] == by_hand(host, "refs/pull/1/head")


def test_nothing_is_requested_for_commits_that_an_earlier_run_fetched(store: Path, host: Path) -> None:
    met, tree = merged(store, host, "refs/pull/2/head", "refs/pull/1/head")
    shutil.rmtree(host / "web")
    asked = tips(host, "refs/pull/2/head", "refs/pull/1/head")
    merge.fetch_commits(store, [(commit, asked[0]) for commit in (*met.commits, *met.bases[0])])
    assert tree


def test_refs_that_do_not_exist_are_all_named(store: Path, host: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        merge_base.meeting(store, tips(host, "refs/pull/77/head", "refs/pull/1/head", "refs/pull/78/head"))
    assert caught.value.what == f"file://{host}/web has no ref refs/pull/77/head or refs/merge-requests/77/head"
    assert caught.value.details == (f"file://{host}/web has no ref refs/pull/78/head or refs/merge-requests/78/head",)
    with pytest.raises(ProgramError, match="has no ref refs/heads/gone or refs/tags/gone"):
        merge_base.meeting(store, tips(host, "acme:refs/heads/gone"))


def test_a_branch_of_another_project(store: Path, host: Path) -> None:
    with pytest.raises(ProgramError, match=r"refs/pull/6/head of .* and refs/heads/19\.0 have no common history"):
        merge_base.meeting(store, tips(host, "refs/pull/6/head"))


def test_a_commit_that_the_server_does_not_have(store: Path, host: Path) -> None:
    asked = tips(host, "refs/pull/1/head")
    with pytest.raises(CommitMissingError, match="does not provide the commit 111111111111"):
        merge_base.meeting(store, [asked[0], Tip(asked[1].source, asked[1].refs, "1" * 40)])


@pytest.mark.parametrize("known", [False, True], ids=["new", "with history"])
def test_an_id_that_is_not_one_of_a_commit(store: Path, host: Path, known: bool) -> None:
    """An annotated tag and a tree are named: no lock can contain them."""
    web = host / "web"
    base, pull = tips(host, "refs/pull/1/head")
    if known:
        merge_base._by_history(store.with_name(f"{store.name}.merges"), [base, pull], None)
    for kind, wanted in (
        ("tag", repositories.git(web, "rev-parse", "v1")),
        ("tree", repositories.git(web, "rev-parse", "v1^{tree}")),
    ):
        asked = [Tip(base.source, base.refs, tip(web, "19.0")), Tip(pull.source, pull.refs, wanted)]
        with pytest.raises(DescriptionError, match=f"{wanted} is the id of a {kind}, not of a commit"):
            merge_base.meeting(store, asked)


def test_a_server_that_refuses_commit_ids_and_filters(store: Path, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old server, protocol version 0: both commits are found in the history of their branches."""
    expected, tree = merged(store, host, "refs/pull/1/head", "refs/pull/2/head")
    for name in ("web", "acme"):
        for key in ("allowAnySHA1InWant", "allowFilter"):
            repositories.git(host / name, "config", f"uploadpack.{key}", "false")
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": "0"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    save(host / "web", "later", {"README": "later\n"})
    other = store.with_name("other.git")
    asked = tips(host, "refs/pull/1/head", "refs/pull/2/head")
    known = [Tip(at.source, at.refs, commit) for at, commit in zip(asked, expected.commits, strict=True)]
    met = merge_base.meeting(other, known)
    assert (met.commits, met.bases) == (expected.commits, expected.bases)
    merge.fetch_commits(other, [(commit, at) for commit, at in zip(met.commits, known, strict=True)])
    assert all(git.store_has(other, commit) for commit in met.commits)
    assert tree


def test_a_git_that_is_too_old(store: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("git")
    old = tmp_path / "bin/git"
    old.parent.mkdir()
    old.write_text(
        "#!/bin/sh\n"
        'for word; do [ "$word" = merge-tree ] && echo "usage: git merge-tree <base-tree> <branch1> <branch2>" >&2 && exit 129; done\n'
        f'exec {real} "$@"\n',
        encoding="utf-8",
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{tmp_path}", prepend=":")
    with pytest.raises(MachineError, match=r"merges need git 2\.38 or later; this is git "):
        merged(store, host, "refs/pull/1/head")
