"""Fetch from real repositories into a store."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import fetch
from odpm_tasks.adapters.git import remote as git_remote
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError
from tests.unit import repositories
from tests.unit.adapters.conftest import near
from tests.unit.repositories import repository, save, tip, without_times

pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize("name", ["19.0", "18.0", "v1", "light"])
def test_branch_and_tag_resolve_to_their_commit(origin: Path, store: Path, name: str) -> None:
    commit = fetch.fetch(store, near(origin), name)
    assert commit == tip(origin, name)
    assert git.store_has(store, commit)
    assert repositories.git(store, "rev-list", "--count", commit) == "1"
    assert repositories.git(store, "for-each-ref", "--format=%(refname)") == f"refs/odpm/commits/{commit}"


def test_branch_takes_precedence_over_a_tag_of_the_same_name(origin: Path, store: Path) -> None:
    repositories.git(origin, "tag", "19.0", "v1^{commit}")
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin, "refs/heads/19.0")


def test_commit_id_that_is_not_a_branch_tip(origin: Path, store: Path) -> None:
    save(origin, "third")
    middle = tip(origin, "HEAD~1")
    assert fetch.fetch(store, near(origin), middle) == middle
    assert git.store_has(store, middle)
    assert not git.store_has(store, tip(origin))


def test_commit_in_the_store_is_not_requested_again(origin: Path, store: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    origin.rename(origin.with_name("gone"))
    assert fetch.fetch(store, near(origin), commit) == commit


@pytest.mark.parametrize("lock", ["shallow.lock", "refs/odpm/incoming.lock"])
def test_stale_lock_of_git_is_removed_before_a_fetch(origin: Path, store: Path, lock: str) -> None:
    fetch.fetch(store, near(origin), "v1")
    stale = store / lock
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin)
    assert not stale.exists()


def test_rewritten_branch_gives_the_new_commit_and_keeps_the_old_one(origin: Path, store: Path) -> None:
    first = fetch.fetch(store, near(origin), "19.0")
    repositories.git(origin, "reset", "--quiet", "--hard", "v1^{commit}")
    other = save(origin, "rewritten", {"b": "b"})
    assert fetch.fetch(store, near(origin), "19.0") == other
    assert git.store_has(store, first)


def test_missing_branch(origin: Path, store: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        fetch.fetch(store, near(origin), "17.0")
    assert caught.value.what == f"file://{origin} has no branch or tag '17.0'"
    assert "git ls-remote --heads" in caught.value.todo
    assert caught.value.exit_code == 5
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin)


def test_missing_commit(origin: Path, store: Path) -> None:
    with pytest.raises(ProgramError, match="does not provide the commit aaaaaaaaaaaa") as caught:
        fetch.fetch(store, near(origin), "a" * 40)
    assert caught.value.todo.endswith("inv lock --update --only web")


def test_unreachable_server(tmp_path: Path, store: Path) -> None:
    for url in (f"file://{tmp_path / 'nowhere'}", "http://127.0.0.1:1/x"):
        with pytest.raises(ProgramError, match=r"cannot fetch 19\.0 of") as caught:
            fetch.fetch(store, git_remote.remote(url), "19.0")
        assert caught.value.details
        assert f"git ls-remote {url}" in caught.value.todo


def test_concurrent_fetches_into_one_store(origin: Path, store: Path) -> None:
    found: dict[str, str] = {}

    def fetch_into(name: str) -> None:
        found[name] = fetch.fetch(store, near(origin), name)

    threads = [threading.Thread(target=fetch_into, args=(name,)) for name in ("19.0", "18.0", "v1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: tip(origin, name) for name in ("19.0", "18.0", "v1")}


def test_incomplete_store_is_created_again(origin: Path, store: Path) -> None:
    (store / "objects").mkdir(parents=True)
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin)


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2025-03-01", "third"), ("2025-02-01", "second"), ("2025-01-01", "first")],
)
def test_commit_at_returns_the_last_commit_of_a_day(tmp_path: Path, store: Path, day: str, expected: str) -> None:
    where = repository(tmp_path / "server" / "odoo")
    commits = {
        "first": tip(where),
        "early": save(where, "early", day="2025-02-01T00:00:01"),
        "second": save(where, "second", day="2025-02-01T23:59:58"),
        "third": save(where, "third", day="2025-03-01T10:00:00"),
        "fourth": save(where, "fourth", day="2025-03-02T00:00:00"),
    }
    assert fetch.commit_at(store, near(where), "19.0", day) == commits[expected]


def test_commit_at_on_a_branch_without_recent_commits(tmp_path: Path, store: Path) -> None:
    where = repository(tmp_path / "o")
    first = tip(where)
    second = save(where, "pending", day="2025-02-01")
    for day, expected in (("2025-01-15", first), ("2025-02-01", second), ("2026-02-01", second), ("2025-01-01", first)):
        assert fetch.commit_at(store, near(where), "19.0", day) == expected
    with pytest.raises(ProgramError, match="no commit on"):
        fetch.commit_at(store, near(where), "19.0", "2020-01-01")
    with pytest.raises(ProgramError, match="has no branch"):
        fetch.commit_at(store, near(where), "17.0", "2025-01-01")


class DenyingServer(BaseHTTPRequestHandler):
    """Answers 401; records the Authorization headers and the command lines of git processes that use this server."""

    server: ThreadingHTTPServer
    authorizations: list[str | None]
    argvs: list[str]

    def do_GET(self) -> None:
        self.authorizations.append(self.headers.get("Authorization"))
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f":{self.server.server_port}/" in words:
                self.argvs.append(words)
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="requires /proc")
def test_password_is_sent_but_never_visible(store: Path) -> None:
    DenyingServer.authorizations, DenyingServer.argvs = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), DenyingServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(OdpmError) as caught:
            fetch.fetch(store, git_remote.remote(f"http://me:hunter2@127.0.0.1:{server.server_port}/web.git"), "19.0")
    finally:
        server.shutdown()
        server.server_close()
    token = base64.b64encode(b"me:hunter2").decode()
    assert f"Basic {token}" in DenyingServer.authorizations
    assert DenyingServer.argvs
    for text in (*DenyingServer.argvs, str(caught.value), *(str(data) for data, _ in without_times(store).values())):
        assert "hunter2" not in text
        assert token not in text


def test_the_id_of_a_tag_is_no_commit(origin: Path, store: Path) -> None:
    tag, commit = (repositories.git(origin, "rev-parse", name) for name in ("v1", "v1^{commit}"))
    for _ in range(2):
        with pytest.raises(DescriptionError) as error:
            fetch.fetch(store, near(origin), tag, branch="18.0")
        assert str(error.value) == (
            f"odpm: {tag} is the id of a tag, not of a commit\n"
            f"  where: file://{origin}\n"
            f"  next:  write the commit of the tag: {commit}"
        )
    assert not git.store_has(store, tag)
    assert fetch.fetch(store, near(origin), commit) == commit  # it has no parents
