"""Missing requirements: Docker, a newer engine or Compose, a free port, disk space, write permission."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters.sockets import free_port
from tests.e2e.failures import (
    FILES,
    GENERATED,
    HOST,
    WEB,
    Env,
    Workspace,
    failure,
    file_digests,
    fill_disk,
    leftovers,
    outcome,
)
from tests.e2e.harness import PORTS, Bench, docker, git
from tests.e2e.services import IMAGE, describe_services, state
from tests.ports import claim_port

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.docker_workspaces"]

NOISE = os.urandom(3_000_000)
DEAD: Env = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
needs_client = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command on this machine")


def prepared(workspace: Workspace) -> None:
    """Everything that needs no Docker is done."""
    for path in (*GENERATED, ".odpm/src/odoo/odoo-bin", ".odpm/src/web/web_thing/models.py"):
        assert (workspace.root / path).exists(), path


# --- Docker --------------------------------------------------------------------------------------------------------


def test_without_docker_everything_else_is_done(workspace: Workspace, no_docker: Env) -> None:
    failure(workspace.bench.inv("up", **no_docker), 8, "docker is not installed")
    prepared(workspace)
    before = file_digests(workspace.root)
    ran = workspace.bench.inv("up", **no_docker)
    failure(ran, 8, "docker is not installed")
    assert "create" not in ran.err
    for words in (("plan", "--strict"), ("render",), ("lock", "--check"), ("sources.status",), ("up", "--skip-start")):
        workspace.bench.ok(*words, **no_docker)
    ran = workspace.bench.inv("status", **no_docker)
    failure(replace(ran, out=""), 8, "docker is not installed")
    assert "service     not known: docker is not installed" in ran.out
    assert "repository  web" in ran.out
    assert file_digests(workspace.root) == before


def test_without_docker_every_task_that_needs_it_reports_it(workspace_ready: Workspace, no_docker: Env) -> None:
    for words in (("build",), ("down",), ("restart",), ("logs",), ("psql",), ("exec", "--", "true"), ("test",)):
        failure(workspace_ready.bench.inv(*words, **no_docker), 8, "docker is not installed")
    failure(workspace_ready.bench.inv("build-image", ODPM_SCENARIO="ci", **no_docker), 8, "docker is not installed")


@needs_client
def test_with_an_unresponsive_engine_everything_else_is_done(workspace: Workspace) -> None:
    failure(workspace.bench.inv("up", **DEAD), 8, "does not answer", "127.0.0.1:1")
    prepared(workspace)
    before = file_digests(workspace.root)
    for words in (("plan",), ("render",), ("sources.status",), ("lock", "--check")):
        workspace.bench.ok(*words, **DEAD)
    ran = workspace.bench.inv("status", "--format", "json", **DEAD)
    told = failure(
        replace(ran, out=""), 8, "does not answer", f"DOCKER_HOST={DEAD['DOCKER_HOST']}", "unset DOCKER_HOST"
    )
    assert "systemctl" not in told
    assert [json.loads(ran.out)[key] for key in ("services", "url")] == [None, None]
    for words in (("build",), ("down",), ("restart",), ("logs",), ("psql",)):
        failure(workspace.bench.inv(*words, **DEAD), 8, "does not answer")
    assert file_digests(workspace.root) == before


def old_docker(folder: Path, answers: dict[str, str]) -> Env:
    """A `docker` first on PATH that answers some commands like an old installation and passes on the others.

    An old engine cannot be installed beside the one of this machine, so this script speaks in its place. Empty answer:
    the plugin is missing.
    """
    folder.mkdir(exist_ok=True)
    cases = [
        f'  "{words}"*) echo "{answer}"; exit 0;;'
        if answer
        else f'  "{words}"*) echo "docker: \'{words}\' is not a docker command." >&2; exit 1;;'
        for words, answer in answers.items()
    ]
    real = shutil.which("docker")
    script = "\n".join(["#!/bin/sh", 'case "$*" in', *cases, "esac", f'exec {real} "$@"', ""])
    (folder / "docker").write_text(script, encoding="utf-8")
    (folder / "docker").chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


OLD: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "engine": ({"version": "20.10.24"}, ("Engine", "20.10", "too old")),
    "Compose": ({"compose version": "Docker Compose version v2.6.0"}, ("compose", "2.6", "too old")),
    "Buildx": ({"buildx version": "github.com/docker/buildx v0.5.1 abc"}, ("buildx", "0.5", "too old")),
    "no Compose": ({"compose": ""}, ("no compose plugin",)),
    "no Buildx": ({"buildx": ""}, ("no buildx plugin",)),
}  # fmt: skip


@pytest.mark.docker
@pytest.mark.parametrize(("answers", "told"), OLD.values(), ids=OLD)
def test_an_old_installation_is_reported_with_the_requirement(
    workspace_locked: Workspace, engine: None, answers: dict[str, str], told: tuple[str, ...]
) -> None:
    env = old_docker(workspace_locked.folder / "old", answers)
    message = failure(workspace_locked.bench.inv("up", **env), 8, *told)
    assert "newer is needed" in message or "install" in message
    prepared(workspace_locked)
    assert workspace_locked.bench.containers() == {}


def findings(bench: Bench, *words: str, **env: Any) -> dict[str, str]:
    """The findings of `doctor` by code; those of one code in one text. An error that is not repaired ends it with 8."""
    ran = bench.inv("doctor", "--format", "json", *words, **env)
    found: dict[str, str] = {}
    rows = json.loads(ran.out)["findings"]
    for row in rows:
        found[row["code"]] = (
            f"{found.get(row['code'], '')}{row['what']} [{row['evidence']}] {row['todo']} {row['fixed']}\n"
        )
    assert ran.code == (8 if any(row["level"] == "error" and not row["fixed"] for row in rows) else 0), ran.output
    return found


@pytest.mark.docker
def test_doctor_names_every_old_program_and_every_port_in_use(workspace_ready: Workspace, engine: None) -> None:
    bench = workspace_ready.bench
    bench.env |= {name: str(claim_port()) for name in PORTS}
    before = {*findings(bench)}
    assert not before & {"engine", "ports", "blocked", "git"}
    old = {"compose version": "Docker Compose version v2.6.0", "buildx version": "github.com/docker/buildx v0.5.1 abc"}
    found = findings(bench, **old_docker(workspace_ready.folder / "old", old))
    assert {*found} - before == {"engine"}
    assert "docker compose 2.6 is too old" in found["engine"]
    assert "docker buildx 0.5 is too old" in found["engine"]
    with listening(int(bench.env["ODOO_PORT"])), listening(int(bench.env["GEVENT_PORT"])):
        found = findings(bench)
    assert {*found} - before == {"ports"}
    assert bench.env["ODOO_PORT"] in found["ports"]
    assert bench.env["GEVENT_PORT"] in found["ports"]


def test_doctor_finds_what_is_wrong_and_repairs_what_is_safe(workspace_ready: Workspace, no_docker: Env) -> None:
    bench, root = workspace_ready.bench, workspace_ready.root
    unset = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE")
    bench.env |= dict.fromkeys(unset, "")  # this machine may have a proxy
    before = {*findings(bench, HTTPS_PROXY="", **no_docker)}
    assert "engine" in before
    secret, key = root / ".odpm/secrets/developer/db_password", root / "key"
    store = next((Path(bench.env["ODPM_CACHE_DIR"]) / "git").rglob("web.git"))
    pack = next(store.rglob("*.pack"))
    lock = store / "shallow.lock"
    for path in (secret, key, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    for folder in (secret.parent, secret.parent.parent):
        folder.chmod(0o700)
    for path in (secret, key):
        path.chmod(0o644)
    os.utime(lock, (time.time() - 3600,) * 2)
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-30])
    env = {
        **no_docker,
        "PATH_TO_SSH_KEY": "key",
        "ODPM_UID": "me",
        "HTTPS_PROXY": "proxy.example:3128",
        "SSL_CERT_FILE": str(root / "gone.pem"),
    }
    if os.geteuid() == 0:
        os.chown(root / ".odpm/build", 12345, 12345)
    planted = {"secrets", "store", "stale-lock", "user", "proxy", "certificates"}
    found = findings(bench, **env)
    assert planted <= {*found} - before
    assert "chmod 600 .odpm/secrets/developer/db_password" in found["secrets"]
    assert "ODPM_UID is not a number: me" in found["user"]
    assert ("sudo chown" in found["user"]) is (os.geteuid() == 0)
    fixed = findings(bench, "--fix", **env)
    assert [fixed[code].endswith("True\n") for code in ("store", "stale-lock")] == [True, True]
    found = findings(bench, **env)
    assert planted - {*found} == {"store", "stale-lock"}
    assert "db_password" not in found["secrets"]
    assert not lock.exists()
    bench.ok("render")


class _Answering(BaseHTTPRequestHandler):
    """A package index and a registry that have everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Docker-Content-Digest", f"sha256:{'0' * 64}")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *words: Any) -> None:
        del words


def test_doctor_reports_each_server_that_does_not_answer(workspace_ready: Workspace, no_docker: Env) -> None:
    bench = workspace_ready.bench
    bench.env |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    dead = f"127.0.0.1:{free_port()}"
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        alive = f"127.0.0.1:{server.server_port}"
        env = {**no_docker, "UV_DEFAULT_INDEX": f"http://{alive}/simple", "ODPM_IMAGE_MIRROR": f"{alive}/"}
        well = findings(bench, "--network", **env)
        assert not {"git-host", "index", "registry", "clock"} & {*well}
        plants = {
            "git-host": {"ODPM_GIT_MIRROR": f"{HOST}=http://{dead}/"},
            "index": {"UV_DEFAULT_INDEX": f"http://{dead}/simple"},
            "registry": {"ODPM_IMAGE_MIRROR": f"{dead}/"},
        }
        for code, plant in plants.items():
            found = findings(bench, "--network", **(env | plant))
            assert {*found} - {*well} == {code}
            assert dead in found[code]
            assert code not in findings(bench, **(env | plant))  # without --network no server is queried
        server.shutdown()


def test_doctor_reports_what_the_description_lacks(workspace_ready: Workspace, no_docker: Env) -> None:
    bench = workspace_ready.bench
    assert "project" not in findings(bench, **no_docker)
    (workspace_ready.root / "requirements.txt").write_text("cowsay\n", encoding="utf-8")
    assert "requirements.txt of the project is not read: cowsay" in findings(bench, **no_docker)["project"]
    workspace_ready.describe(dependencies="none")
    assert "dependencies" in findings(bench, **no_docker)["project"]


# --- ports ---------------------------------------------------------------------------------------------------------


@contextmanager
def listening(port: int) -> Iterator[int]:
    """A Python process that listens on a port; gives its id."""
    script = (
        f"import socket,sys; s=socket.create_server(('127.0.0.1',{port})); print('ok', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ok\n"
        yield process.pid
        process.terminate()


@pytest.mark.docker
def test_a_port_in_use_is_reported_and_another_port_works(docker_workspace: Workspace) -> None:
    bench = docker_workspace.bench
    describe_services(docker_workspace, {})
    ports = {name: int(bench.env[name]) for name in ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")}
    for name, port in ports.items():
        with listening(port) as pid:
            message = failure(bench.inv("services"), 8, f"port {port} is in use by python", str(pid), f"{name}=")
        other = int(message.rpartition("=")[2])
        assert other != port
        assert free_port(other) == other
    assert bench.containers() == {}

    name = f"{bench.prefix}-neighbour"
    taken = ports["ODOO_PORT"]
    publish = ("--name", name, "-p", f"127.0.0.1:{taken}:80", IMAGE, "sleep", "600")
    docker("run", "-d", *publish)
    try:
        failure(bench.inv("services"), 8, f"port {taken} is in use by container {name}", "ODOO_PORT=")
        docker("rm", "-f", name)
        docker("run", "-d", "--label", "com.docker.compose.project=neighbours", *publish)
        message = failure(bench.inv("services"), 8, name, "of the project neighbours", "ODOO_PORT=")
        assert docker("inspect", "-f", "{{.State.Running}}", name) == "true"
        del bench.env["ODOO_PORT"]  # the process environment would win over the file that the message names
        with (docker_workspace.root / ".env").open("a", encoding="utf-8") as file:
            file.write(message.rpartition(": ")[2] + "\n")
        bench.ok("services")
        assert state(docker_workspace) == {"db": "running", "odoo": "running"}
        assert docker("inspect", "-f", "{{.State.Running}}", name) == "true"
    finally:
        docker("rm", "-f", name)


@pytest.mark.docker
def test_a_debian_mirror_that_refuses_every_connection_ends_the_build(
    workspace_locked: Workspace, engine: None
) -> None:
    """It takes seconds, and the message names the address; no image without updates is built."""
    del workspace_locked.bench.env["ODPM_IMAGE_MIRROR"]  # the images of this machine
    nobody = "http://127.0.0.1:9"
    never_seen = uuid.uuid4()  # a step that is in no cache, and in no other build right now
    workspace_locked.bench.template(lambda ours: ours.replace("AS base\n", f"AS base\nRUN : {never_seen}\n"))
    ran = workspace_locked.bench.inv("build", ODPM_APT_MIRROR=f"{nobody}/debian {nobody}/debian-security")
    failure(ran, 5, "docker buildx build failed", f"{nobody}/debian", most=6)


@pytest.mark.docker
def test_a_port_in_use_of_an_extra_service_is_reported(project: Bench, engine: None) -> None:
    port = int(project.env["MAIL_PORT"])
    with listening(port) as pid:
        failure(project.inv("up"), 8, f"port {port}", "MAIL_PORT", "python", str(pid))
    assert project.containers() == {}


# --- disks -----------------------------------------------------------------------------------------------------------


def on(paths: Path, workspace: Workspace) -> Workspace:
    """The same workspace with its project on another file system."""
    shutil.copytree(workspace.root, paths / "project", symlinks=True)
    return replace(workspace, bench=Bench(paths / "project", workspace.bench.env))


def test_a_full_disk_under_the_cache(
    workspace_locked: Workspace, workspace_rendered: Workspace, small_disk: Callable[[str], Path]
) -> None:
    workspace = workspace_locked
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    workspace.bench.env["ODPM_CACHE_DIR"] = str(small_disk("size=2m"))
    before = file_digests(workspace.root)
    failure(workspace.bench.inv("lock", "--update"), 8, "the disk is full")
    assert file_digests(workspace.root) == before
    small_disk("size=64m")
    workspace.bench.ok("lock", "--update")
    workspace.bench.ok("render")
    assert (workspace.source("web") / "web_thing/noise.bin").read_bytes() == NOISE


@pytest.mark.parametrize("room", [0, 4096])
def test_a_full_disk_under_a_project_keeps_every_old_file(
    workspace_ready: Workspace, small_disk: Callable[[str], Path], room: int
) -> None:
    workspace = on(small_disk("size=8m"), workspace_ready)
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE[:200_000]})
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}team/sale.git 19.0"])
    before = file_digests(workspace.root)
    head = git("rev-parse", "HEAD", cwd=workspace.source("web"))
    filler = fill_disk(workspace.root.parent, leave=room)
    failure(workspace.bench.inv("lock", "--update"), 8, "the disk is full")
    failure(workspace.bench.inv("render"), 8, "the disk is full")
    after = file_digests(workspace.root)
    assert {path: after.get(path) for path in before} == before
    assert git("rev-parse", "HEAD", cwd=workspace.source("web")) == head
    filler.unlink()
    workspace.bench.ok("lock", "--update")
    workspace.bench.ok("render")
    assert (workspace.source("web") / "web_thing/noise.bin").stat().st_size == 200_000
    assert git("status", "--porcelain", cwd=workspace.source("web")) == ""
    assert leftovers(workspace) == []


def test_a_full_disk_in_the_middle_of_a_checkout(workspace_ready: Workspace, small_disk: Callable[[str], Path]) -> None:
    workspace = on(small_disk("size=8m"), workspace_ready)
    files = {f"web_thing/part{number}.bin": NOISE[number * 100_000 :][:100_000] for number in range(20)}
    workspace.publish(WEB, {**FILES[WEB], **files})
    workspace.bench.ok("lock", "--update", "--only", "web")
    filler = fill_disk(workspace.root.parent, leave=900_000)
    failure(workspace.bench.inv("render"), 8, "the disk is full")
    failure(workspace.bench.inv("render"), 8, "the disk is full")
    assert (workspace.source("web") / "web_thing/models.py").read_text(encoding="utf-8") == "A = 1\n"
    filler.unlink()
    workspace.bench.ok("render")
    assert git("status", "--porcelain", cwd=workspace.source("web")) == ""
    assert git("rev-parse", "HEAD", cwd=workspace.source("web")) == workspace.lock()["dependencies"][0]["commit"]


def test_a_full_disk_in_the_middle_of_a_first_checkout(
    workspace_locked: Workspace, small_disk: Callable[[str], Path]
) -> None:
    workspace = on(small_disk("size=8m"), workspace_locked)
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    workspace.bench.ok("lock", "--update", "--only", "web")
    filler = fill_disk(workspace.root.parent, leave=1_000_000)
    failure(workspace.bench.inv("render"), 8, "the disk is full")
    assert not workspace.source("web").exists()
    filler.unlink()
    workspace.bench.ok("render")
    assert (workspace.source("web") / "web_thing/noise.bin").read_bytes() == NOISE
    assert leftovers(workspace) == []


def test_a_read_only_project(workspace_ready: Workspace, small_disk: Callable[[str], Path]) -> None:
    workspace = on(small_disk("size=8m"), workspace_ready)
    workspace.describe(odoo_conf={"options": {"workers": 0}})
    before = file_digests(workspace.root)
    small_disk("ro")
    for words in (("plan",), ("validate",), ("sources.status",), ("lock", "--check")):
        workspace.bench.ok(*words)
    for words in (("render",), ("lock",)):
        failure(workspace.bench.inv(*words), 8, "cannot write", str(workspace.root))
    small_disk("rw")
    assert file_digests(workspace.root) == before
    workspace.bench.ok("render")


def test_a_read_only_cache(workspace_ready: Workspace, small_disk: Callable[[str], Path]) -> None:
    workspace = workspace_ready
    assert "cache" not in findings(workspace.bench)
    shutil.copytree(workspace.cache, small_disk("size=8m") / "cache", symlinks=True)
    workspace.bench.env["ODPM_CACHE_DIR"] = str(small_disk("ro") / "cache")
    before = outcome(workspace)
    assert "the cache cannot be written" in findings(workspace.bench)["cache"]
    for words in (("plan",), ("sources.status",), ("lock", "--check"), ("render",)):
        workspace.bench.ok(*words)
    workspace.publish(WEB, {**FILES[WEB], "new.txt": ""})
    failure(workspace.bench.inv("lock", "--update"), 8, "the cache cannot be written")
    assert outcome(workspace) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_of_another_user(workspace_locked: Workspace) -> None:
    folder = workspace_locked.root / ".odpm"
    folder.chmod(0o555)
    try:
        failure(workspace_locked.bench.inv("render"), 8, "cannot write", str(folder))
    finally:
        folder.chmod(0o755)
    workspace_locked.bench.ok("render")


def test_a_file_instead_of_a_folder(workspace_locked: Workspace) -> None:
    """A file of the user where odpm needs a folder is reported, not removed."""
    (workspace_locked.root / ".odpm/src").write_text("mine\n", encoding="utf-8")
    ran = workspace_locked.bench.inv("render")
    assert ran.code in {7, 8}, ran.output
    failure(ran, ran.code, str(workspace_locked.root / ".odpm/src"))
    assert (workspace_locked.root / ".odpm/src").read_text(encoding="utf-8") == "mine\n"
    (workspace_locked.root / ".odpm/src").unlink()
    workspace_locked.bench.ok("render")


def test_a_folder_instead_of_a_generated_file(workspace_locked: Workspace) -> None:
    (workspace_locked.root / "docker-compose.yml/mine").mkdir(parents=True)
    ran = workspace_locked.bench.inv("render")
    failure(ran, ran.code, "docker-compose.yml")
    assert (workspace_locked.root / "docker-compose.yml/mine").is_dir()


def test_no_git(workspace_locked: Workspace, no_docker: Env, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    failure(workspace_locked.bench.inv("render", PATH=str(folder)), 8, "git is not installed")
    workspace_locked.bench.ok("render", **no_docker)
