"""The stand-ins keep the promises that the other end-to-end tests rest on."""

from __future__ import annotations

import json
import os
import re
import smtplib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odpm_tasks.errors import MachineError
from tests.standins import engine, githost, images, oca, odoo, registry
from tests.standins.common import Say, is_debian, run
from tests.standins.githttp import GitServer
from tests.standins.gitrepo import File, commit_of, write_bare

SECRET = "not-the-default"


def _nobody(text: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="session")
def docker() -> engine.EngineInfo:
    try:
        return engine.ensure_engine(_nobody)
    except MachineError as error:
        pytest.skip(error.what)


def _again(part: Callable[[Say], object]) -> tuple[list[str], float]:
    """What a part says when it is there already, and how long that takes."""
    part(_nobody)
    output: list[str] = []
    begun = time.monotonic()
    part(output.append)
    return output, time.monotonic() - begun


@pytest.mark.docker
def test_engine_that_answers_is_used(docker: engine.EngineInfo) -> None:
    output, spent = _again(engine.ensure_engine)
    assert output[0].startswith(f"engine    {docker.version} answers (compose ")
    assert spent < 5
    assert docker.major >= engine.OLDEST


def test_engine_is_not_installed_without_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(MachineError) as caught:
        engine.ensure_engine(_nobody, install=False)
    assert caught.value.what == "no Docker engine answers"
    assert "python -m tests.standins engine" in caught.value.todo


@pytest.mark.docker
@pytest.mark.parametrize("tag", images.DEFAULT)
def test_image_that_exists_is_kept(docker: engine.EngineInfo, tag: str) -> None:
    output, spent = _again(lambda say: images.ensure_image(tag, say))
    assert len(output) == 1
    assert output[0].startswith(f"images    {tag} kept")
    assert spent < 5


@pytest.mark.docker
def test_stand_in_of_another_recipe_is_made_anew_and_a_real_image_is_not(docker: engine.EngineInfo) -> None:
    tag = f"axllent/mailpit:odpm-test-{os.getpid()}"
    output: list[str] = []
    try:
        run("docker", "build", "-q", "-t", tag, "--label", f"{images.LABEL}=old", "-", data=b"FROM scratch\nENV A=1\n")
        images.ensure_image(tag, output.append)
        run("docker", "rmi", tag)
        run("docker", "build", "-q", "-t", tag, "-", data=b"FROM scratch\nENV A=1\n")
        images.ensure_image(tag, output.append)
    finally:
        run("docker", "rmi", "-f", tag)
    assert "built from packages" in output[0]
    assert output[1].startswith(f"images    {tag} kept (")


def test_image_nobody_can_make_is_named() -> None:
    with pytest.raises(MachineError) as caught:
        images.recipe("postgres:99")
    assert "postgres:99" in caught.value.what
    assert "docker pull postgres:99" in caught.value.todo


@pytest.mark.docker
def test_python_has_pip_and_headers_but_no_compiler_and_no_authority_of_this_machine(docker: engine.EngineInfo) -> None:
    tag = "python:3.11-slim-bookworm"
    images.ensure_image(tag, _nobody)
    script = (
        "command -v python3; command -v pip3; ! command -v gcc; ls /usr/local/share/ca-certificates; "
        'test -f "$(python3 -c "import sysconfig; print(sysconfig.get_path(\'include\'))")/Python.h" && echo headers'
    )
    assert run("docker", "run", "--rm", tag, "sh", "-c", script).split() == [
        "/usr/local/bin/python3",
        "/usr/local/bin/pip3",
        "headers",
    ]


@pytest.fixture
def postgres(docker: engine.EngineInfo, tmp_path: Path) -> Iterator[str]:
    """A running server whose password lies in a file that only another user may read."""
    images.ensure_image("postgres:15", _nobody)
    secret, scripts = tmp_path / "password", tmp_path / "initdb"
    secret.write_text(SECRET + "\n", encoding="utf-8")
    secret.chmod(0o400)
    if os.geteuid() == 0:
        os.chown(secret, 4711, 4711)
    scripts.mkdir()
    (scripts / "10-table.sql").write_text("create table made_once (n int);\n", encoding="utf-8")
    options = [
        *("-e", "POSTGRES_PASSWORD_FILE=/run/secrets/pw", "-e", "POSTGRES_USER=odoo", "-e", "POSTGRES_DB=shop"),
        *("-v", f"{secret}:/run/secrets/pw:ro", "-v", f"{scripts}:/docker-entrypoint-initdb.d:ro"),
    ]
    name = run("docker", "run", "-d", *options, "postgres:15", "-c", "fsync=off").strip()
    try:
        for _ in range(200):
            ready = ["docker", "exec", name, "pg_isready", "-q", "-h", "127.0.0.1"]
            if subprocess.run(ready, check=False, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail(run("docker", "logs", name))
        yield name
    finally:
        run("docker", "rm", "-f", "-v", name)


def _psql(container: str, password: str | None, query: str) -> subprocess.CompletedProcess[str]:
    """Ask as another machine would (by address, with a password), or by the local socket without one."""
    host = '-h "$(hostname -i)"' if password is not None else ""
    login = f"psql -w {host} -U odoo -d shop -tAc '{query}'"
    words = ["docker", "exec", "-u", "postgres", "-e", f"PGPASSWORD={password or ''}", container, "sh", "-c", login]
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.mark.docker
def test_postgres_takes_its_password_from_a_file_only_another_user_may_read(postgres: str) -> None:
    assert _psql(postgres, SECRET, "select current_user").stdout == "odoo\n"
    wrong = _psql(postgres, "wrong", "select 1")
    assert wrong.returncode != 0
    assert "password authentication failed" in wrong.stderr
    assert _psql(postgres, None, "select count(*) from made_once").stdout == "0\n"
    assert _psql(postgres, SECRET, "show password_encryption").stdout == "scram-sha-256\n"


@pytest.mark.docker
def test_mailpit_lists_what_was_sent(docker: engine.EngineInfo) -> None:
    tag = "axllent/mailpit:v1.27"
    images.ensure_image(tag, _nobody)
    name = run("docker", "run", "-d", "-p", "127.0.0.1::1025", "-p", "127.0.0.1::8025", tag).strip()
    try:
        smtp, web = (run("docker", "port", name, str(port)).strip() for port in (1025, 8025))
        for _ in range(100):
            if (
                subprocess.run(
                    ["docker", "exec", name, "/mailpit", "readyz"], check=False, capture_output=True
                ).returncode
                == 0
            ):
                break
            time.sleep(0.1)
        host, _, port = smtp.partition(":")
        with smtplib.SMTP(host, int(port)) as client:
            client.sendmail(
                "a@example.com", ["b@example.com"], "From: A <a@example.com>\nSubject: Grüße\n\nHi\n".encode()
            )
        with urllib.request.urlopen(f"http://{web}/api/v1/messages", timeout=5) as answer:
            listed = json.load(answer)
        assert listed["total"] == 1
        assert listed["messages"][0]["From"] == {"Name": "A", "Address": "a@example.com"}
        assert listed["messages"][0]["Bcc"] == [{"Name": "", "Address": "b@example.com"}]
        begun = time.monotonic()
        run("docker", "stop", name)
        assert time.monotonic() - begun < 5
    finally:
        run("docker", "rm", "-f", name)


@pytest.mark.docker
def test_registry_takes_a_push_gives_it_back_and_is_gone_afterwards(
    docker: engine.EngineInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.ensure_image("debian:bookworm-slim", _nobody)
    with registry.Registry() as server:
        tag = f"{server.address}/team/base:1"
        run("docker", "tag", "debian:bookworm-slim", tag)
        try:
            run("docker", "push", "-q", tag)
            assert server.tags("team/base") == ["1"]
            run("docker", "rmi", tag)
            monkeypatch.setattr(images, "_REGISTRY", images._Registry())
            output: list[str] = []
            images.ensure_image(tag, output.append)
            images.ensure_image(tag, output.append)
        finally:
            subprocess.run(["docker", "rmi", tag], check=False, capture_output=True)
        assert [row.split()[1:3] for row in output] == [[tag, "pulled"], [tag, "kept"]]
    assert server.get("/v2/") is None


@pytest.mark.skipif(not is_debian(), reason="stand-ins are made from Debian's packages")
@pytest.mark.parametrize(
    ("part", "kept"), [(odoo.ensure_odoo, "odoo      19.0 kept"), (oca.ensure_oca, "oca       6 repo")]
)
def test_repositories_that_exist_are_kept(part: Callable[[Say], Path], kept: str) -> None:
    output, spent = _again(part)
    assert len(output) == 1
    assert output[0].startswith(kept)
    assert spent < 5


@pytest.mark.skipif(not is_debian(), reason="stand-ins are made from Debian's packages")
def test_odoo_has_the_layout_of_upstream() -> None:
    repo = odoo.ensure_odoo(_nobody)
    git = ("git", "--git-dir", repo)
    top = run(*git, "ls-tree", "--name-only", "19.0").split()
    assert sorted(top) == [".gitignore", "addons", "odoo", "odoo-bin", "requirements.txt", "setup", "setup.py"]
    assert run(*git, "ls-tree", "--name-only", "19.0:odoo/addons").split()[1] == "base"
    assert "manifest" in run(*git, "ls-tree", "--name-only", "19.0:addons/sale_management")
    assert "120000" not in run(*git, "ls-tree", "-r", "19.0", "addons/web/static")


def test_git_host_that_answers_is_left_alone(tmp_path: Path) -> None:
    write_bare(tmp_path / "some.git", "19.0", "first\n", [File("a.txt", b"a\n")], "recipe")
    with GitServer(tmp_path) as server:
        assert githost.ensure_git_host([server.url("some.git")], _nobody) is None


def test_git_host_that_is_silent_and_has_no_stand_in_is_named() -> None:
    with pytest.raises(MachineError) as caught:
        githost.ensure_git_host(["https://git.invalid/team/addons.git"], _nobody)
    assert "git.invalid does not respond" in caught.value.what


@pytest.fixture
def served(tmp_path: Path) -> Path:
    files = [File("hello/__manifest__.py", b"{}\n"), File("run.sh", b"#!/bin/sh\n", executable=True)]
    write_bare(tmp_path / "host" / "team" / "addons.git", "19.0", "first\n", files, "recipe")
    return tmp_path / "host"


def test_same_content_gives_the_same_commit(tmp_path: Path, served: Path) -> None:
    files = [File("hello/__manifest__.py", b"{}\n"), File("run.sh", b"#!/bin/sh\n", executable=True)]
    write_bare(tmp_path / "other.git", "19.0", "first\n", files, "recipe of another day")
    assert commit_of(tmp_path / "other.git", "19.0") == commit_of(served / "team/addons.git", "19.0")


def test_git_server_serves_a_shallow_clone_and_a_commit_by_its_id(tmp_path: Path, served: Path) -> None:
    commit = commit_of(served / "team/addons.git", "19.0")
    with GitServer(served) as server:
        run("git", "clone", "-q", "--depth", "1", server.url("team/addons.git"), tmp_path / "clone")
        asked = server.requests.copy()
        server.requests.clear()
        run("git", "init", "-q", tmp_path / "bare")
        run("git", "-C", tmp_path / "bare", "fetch", "-q", "--depth", "1", server.url("team/addons.git"), commit)
        run("git", "-C", tmp_path / "bare", "fetch", "-q", "--filter=blob:none", server.url("team/addons.git"), commit)
    assert (tmp_path / "clone/hello/__manifest__.py").read_bytes() == b"{}\n"
    assert os.access(tmp_path / "clone/run.sh", os.X_OK)
    assert {request.repository for request in asked} == {"team/addons.git"}
    assert [request.status for request in asked] == [200] * len(asked)
    assert len(asked) == 3  # what is offered, which commits, their pack
    assert sum(request.sent for request in asked) > 100
    assert run("git", "-C", tmp_path / "bare", "rev-parse", "FETCH_HEAD").strip() == commit


def test_git_server_can_want_a_password_and_be_slow(tmp_path: Path, served: Path) -> None:
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}
    with GitServer(served, auth=("robot", "s3cret"), delay=0.1) as server:
        refused = subprocess.run(
            ["git", "ls-remote", server.url("team/addons.git")],
            env={**os.environ, **quiet},
            capture_output=True,
            check=False,
        )
        assert refused.returncode != 0
        assert {request.status for request in server.requests} == {401}
        begun = time.monotonic()
        assert "refs/heads/19.0" in run("git", "ls-remote", server.url("team/addons.git", with_auth=True), env=quiet)
        assert time.monotonic() - begun > 0.1


def test_git_server_takes_a_push_larger_than_its_client_buffers(tmp_path: Path, served: Path) -> None:
    clone = tmp_path / "clone"
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    with GitServer(served) as server:
        run("git", "clone", "-q", server.url("team/addons.git"), clone)
        (clone / "noise").write_bytes(os.urandom(3_000_000))
        run("git", "-C", clone, "add", ".")
        run("git", "-C", clone, *who, "commit", "-q", "-m", "noise")
        run("git", "-C", clone, "push", "-q", "origin", "HEAD:topic")
    assert run("git", "-C", clone, "rev-parse", "HEAD").strip() == commit_of(served / "team/addons.git", "topic")


@pytest.mark.skipif(not is_debian(), reason="stand-ins are made from Debian's packages")
def test_two_runs_at_once_make_a_part_once(tmp_path: Path) -> None:
    env = {**os.environ, "ODPM_CACHE_DIR": str(tmp_path / "cache")}
    words = [sys.executable, "-m", "tests.standins", "oca"]
    both = [subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    output = sorted(process.communicate()[0].split()[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert output == ["6", "made"]  # one makes, the other keeps
    assert not any((tmp_path / "cache/standins/tmp").iterdir())


def test_the_add_ons_for_the_web_client_fit_the_odoo_of_the_stand_in() -> None:
    """What they change by an attribute exists in its templates: one that does not leaves the web client blank."""
    platform, addons = odoo.ensure_odoo(_nobody), oca.ensure_oca(_nobody) / "web.git"

    def templates(repository: Path, branch: str, folder: str) -> str:
        words = ("grep", "--no-color", "-h", "-E", "@?t-(if|elif)=", branch, "--", f"{folder}/*.xml")
        return run("git", "--git-dir", repository, *words)

    theirs = set(re.findall(r't-(?:el)?if="([^"]*)"', templates(platform, odoo.BRANCH, "addons/web/static/src")))
    changed = re.findall(r"""//t\[@t-(?:el)?if='([^']*)'\]""", templates(addons, oca.BRANCH, "*/static/src"))
    assert changed
    assert set(changed) <= theirs
