"""What a machine may lack: Docker, a newer engine or Compose, a free port, room on the disk, leave to write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from odpm_tasks.adapters.sockets import free_port
from tests.e2e.failures import FILES, GENERATED, HOST, WEB, Env, Ground, failure, fill, leftovers, outcome, photograph
from tests.e2e.harness import Bench, docker, git

pytest_plugins = ["tests.e2e.grounds"]

NOISE = os.urandom(3_000_000)
DEAD: Env = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
needs_client = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command on this machine")


def prepared(ground: Ground) -> None:
    """Everything that needs no Docker was done."""
    for path in (*GENERATED, ".odpm/src/odoo/odoo-bin", ".odpm/src/web/web_thing/models.py"):
        assert (ground.root / path).exists(), path


# --- Docker --------------------------------------------------------------------------------------------------------


def test_without_docker_all_but_docker_is_done(ground: Ground, no_docker: Env) -> None:
    failure(ground.bench.inv("up", **no_docker), 8, "docker is not installed")
    prepared(ground)
    before = photograph(ground.root)
    ran = ground.bench.inv("up", **no_docker)
    failure(ran, 8, "docker is not installed")
    assert "create" not in ran.err
    for words in (("plan", "--strict"), ("render",), ("lock", "--check"), ("status",), ("up", "--skip-start")):
        ground.bench.ok(*words, **no_docker)
    assert photograph(ground.root) == before


def test_without_docker_every_task_that_needs_it_says_so(ground_ready: Ground, no_docker: Env) -> None:
    for words in (("build",), ("down",), ("restart",), ("logs",), ("psql",), ("exec", "--", "true"), ("test",)):
        failure(ground_ready.bench.inv(*words, **no_docker), 8, "docker is not installed")
    failure(ground_ready.bench.inv("build-image", ODPM_SCENARIO="ci", **no_docker), 8, "docker is not installed")


@needs_client
def test_with_a_silent_engine_all_but_docker_is_done(ground: Ground) -> None:
    failure(ground.bench.inv("up", **DEAD), 8, "does not answer", "127.0.0.1:1")
    prepared(ground)
    before = photograph(ground.root)
    for words in (("plan",), ("render",), ("status",), ("lock", "--check")):
        ground.bench.ok(*words, **DEAD)
    for words in (("build",), ("down",), ("restart",), ("logs",), ("psql",)):
        failure(ground.bench.inv(*words, **DEAD), 8, "does not answer")
    assert photograph(ground.root) == before


def old_docker(folder: Path, answers: dict[str, str]) -> Env:
    """A `docker` in front of PATH that answers some questions like an old installation and asks the real one the rest.

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
def test_an_old_installation_is_told_with_what_is_needed(
    ground_locked: Ground, engine: None, answers: dict[str, str], told: tuple[str, ...]
) -> None:
    env = old_docker(ground_locked.folder / "old", answers)
    message = failure(ground_locked.bench.inv("up", **env), 8, *told)
    assert "newer is needed" in message or "install" in message
    prepared(ground_locked)
    assert ground_locked.bench.containers() == {}


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
def test_a_port_in_use_is_told_with_its_holder_and_another_port_carries_on(project: Bench, engine: None) -> None:
    ports = {name: int(project.env[name]) for name in ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")}
    for name, port in ports.items():
        with listening(port) as pid:
            message = failure(project.inv("up"), 8, f"port {port} is in use by python", str(pid), f"{name}=")
        other = int(message.rpartition("=")[2])
        assert other != port
        assert free_port(other) == other
    assert project.containers() == {}

    name = f"{project.prefix}-neighbour"
    taken = ports["ODOO_PORT"]
    docker("run", "-d", "--name", name, "-p", f"127.0.0.1:{taken}:80", "postgres:15", "sleep", "600")
    try:
        failure(project.inv("up"), 8, f"port {taken} is in use by container {name}", "ODOO_PORT=")
        labels = ("--label", "com.docker.compose.project=neighbours")
        docker("rm", "-f", name)
        docker("run", "-d", *labels, "--name", name, "-p", f"127.0.0.1:{taken}:80", "postgres:15", "sleep", "600")
        message = failure(project.inv("up"), 8, name, "of the project neighbours", "ODOO_PORT=")
        assert docker("inspect", "-f", "{{.State.Running}}", name) == "true"
        del project.env["ODOO_PORT"]  # the process environment would win over the file that the message names
        with (project.root / ".env").open("a", encoding="utf-8") as file:
            file.write(message.rpartition(": ")[2] + "\n")
        project.ok("up", "-i", "base")
        assert docker("inspect", "-f", "{{.State.Running}}", name) == "true"
    finally:
        docker("rm", "-f", name)
        project.remove()


@pytest.mark.docker
def test_a_debian_mirror_that_refuses_every_connection_ends_the_build(ground_locked: Ground, engine: None) -> None:
    """It takes seconds, and the message names the address; without updates an image would be made unnoticed."""
    del ground_locked.bench.env["ODPM_IMAGE_MIRROR"]  # the images of this machine
    nobody = "http://127.0.0.1:9"
    never_seen = uuid.uuid4()  # a step that is in no cache, and in no other build right now
    ground_locked.bench.template(lambda ours: ours.replace("AS base\n", f"AS base\nRUN : {never_seen}\n"))
    ran = ground_locked.bench.inv("build", ODPM_APT_MIRROR=f"{nobody}/debian {nobody}/debian-security")
    failure(ran, 5, "docker buildx build failed", f"Failed to fetch {nobody}/debian-security", most=6)


@pytest.mark.docker
def test_the_port_of_an_extra_service_in_use_is_told_with_its_holder(project: Bench, engine: None) -> None:
    port = int(project.env["MAIL_PORT"])
    with listening(port) as pid:
        failure(project.inv("up"), 8, f"port {port}", "MAIL_PORT", "python", str(pid))
    assert project.containers() == {}


# --- disks -----------------------------------------------------------------------------------------------------------


def on(paths: Path, ground: Ground) -> Ground:
    """The same ground with its project on another file system."""
    shutil.copytree(ground.root, paths / "project", symlinks=True)
    return replace(ground, bench=Bench(paths / "project", ground.bench.env))


def test_a_full_disk_under_the_cache(
    ground_locked: Ground, pristine: Ground, small_disk: Callable[[str], Path]
) -> None:
    ground = ground_locked
    ground.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    ground.bench.env["ODPM_CACHE_DIR"] = str(small_disk("size=2m"))
    before = photograph(ground.root)
    failure(ground.bench.inv("lock", "--update"), 8, "the disk is full")
    assert photograph(ground.root) == before
    small_disk("size=64m")
    ground.bench.ok("lock", "--update")
    ground.bench.ok("render")
    assert (ground.source("web") / "web_thing/noise.bin").read_bytes() == NOISE


@pytest.mark.parametrize("room", [0, 4096])
def test_a_full_disk_under_a_project_keeps_every_old_file(
    ground_ready: Ground, small_disk: Callable[[str], Path], room: int
) -> None:
    ground = on(small_disk("size=8m"), ground_ready)
    ground.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE[:200_000]})
    ground.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}team/sale.git 19.0"])
    before = photograph(ground.root)
    head = git("rev-parse", "HEAD", cwd=ground.source("web"))
    filler = fill(ground.root.parent, leave=room)
    failure(ground.bench.inv("lock", "--update"), 8, "the disk is full")
    failure(ground.bench.inv("render"), 8, "the disk is full")
    after = photograph(ground.root)
    assert {path: after.get(path) for path in before} == before
    assert git("rev-parse", "HEAD", cwd=ground.source("web")) == head
    filler.unlink()
    ground.bench.ok("lock", "--update")
    ground.bench.ok("render")
    assert (ground.source("web") / "web_thing/noise.bin").stat().st_size == 200_000
    assert git("status", "--porcelain", cwd=ground.source("web")) == ""
    assert leftovers(ground) == []


def test_a_full_disk_in_the_middle_of_a_checkout(ground_ready: Ground, small_disk: Callable[[str], Path]) -> None:
    ground = on(small_disk("size=8m"), ground_ready)
    files = {f"web_thing/part{number}.bin": NOISE[number * 100_000 :][:100_000] for number in range(20)}
    ground.publish(WEB, {**FILES[WEB], **files})
    ground.bench.ok("lock", "--update", "--only", "web")
    filler = fill(ground.root.parent, leave=900_000)
    failure(ground.bench.inv("render"), 8, "the disk is full")
    failure(ground.bench.inv("render"), 8, "the disk is full")
    assert (ground.source("web") / "web_thing/models.py").read_text(encoding="utf-8") == "A = 1\n"
    filler.unlink()
    ground.bench.ok("render")
    assert git("status", "--porcelain", cwd=ground.source("web")) == ""
    assert git("rev-parse", "HEAD", cwd=ground.source("web")) == ground.lock()["dependencies"][0]["commit"]


def test_a_full_disk_in_the_middle_of_a_first_checkout(
    ground_locked: Ground, small_disk: Callable[[str], Path]
) -> None:
    ground = on(small_disk("size=8m"), ground_locked)
    ground.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    ground.bench.ok("lock", "--update", "--only", "web")
    filler = fill(ground.root.parent, leave=1_000_000)
    failure(ground.bench.inv("render"), 8, "the disk is full")
    assert not ground.source("web").exists()
    filler.unlink()
    ground.bench.ok("render")
    assert (ground.source("web") / "web_thing/noise.bin").read_bytes() == NOISE
    assert leftovers(ground) == []


def test_a_read_only_project(ground_ready: Ground, small_disk: Callable[[str], Path]) -> None:
    ground = on(small_disk("size=8m"), ground_ready)
    ground.describe(odoo_conf={"options": {"workers": 0}})
    before = photograph(ground.root)
    small_disk("ro")
    for words in (("plan",), ("validate",), ("status",), ("lock", "--check")):
        ground.bench.ok(*words)
    for words in (("render",), ("lock",)):
        failure(ground.bench.inv(*words), 8, "cannot write", str(ground.root))
    small_disk("rw")
    assert photograph(ground.root) == before
    ground.bench.ok("render")


def test_a_read_only_cache(ground_ready: Ground, small_disk: Callable[[str], Path]) -> None:
    ground = ground_ready
    shutil.copytree(ground.cache, small_disk("size=8m") / "cache", symlinks=True)
    ground.bench.env["ODPM_CACHE_DIR"] = str(small_disk("ro") / "cache")
    before = outcome(ground)
    for words in (("plan",), ("status",), ("lock", "--check"), ("render",)):
        ground.bench.ok(*words)
    ground.publish(WEB, {**FILES[WEB], "new.txt": ""})
    failure(ground.bench.inv("lock", "--update"), 8, "cannot write")
    assert outcome(ground) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_of_somebody_else(ground_locked: Ground) -> None:
    folder = ground_locked.root / ".odpm"
    folder.chmod(0o555)
    try:
        failure(ground_locked.bench.inv("render"), 8, "cannot write", str(folder))
    finally:
        folder.chmod(0o755)
    ground_locked.bench.ok("render")


def test_a_file_in_the_place_of_a_folder(ground_locked: Ground) -> None:
    """Something of the user's lies where a folder of ours belongs: told, not removed."""
    (ground_locked.root / ".odpm/src").write_text("mine\n", encoding="utf-8")
    ran = ground_locked.bench.inv("render")
    assert ran.code in {7, 8}, ran.said
    failure(ran, ran.code, str(ground_locked.root / ".odpm/src"))
    assert (ground_locked.root / ".odpm/src").read_text(encoding="utf-8") == "mine\n"
    (ground_locked.root / ".odpm/src").unlink()
    ground_locked.bench.ok("render")


def test_a_folder_in_the_place_of_a_generated_file(ground_locked: Ground) -> None:
    (ground_locked.root / "docker-compose.yml/mine").mkdir(parents=True)
    ran = ground_locked.bench.inv("render")
    failure(ran, ran.code, "docker-compose.yml")
    assert (ground_locked.root / "docker-compose.yml/mine").is_dir()


def test_no_git(ground_locked: Ground, no_docker: Env, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    failure(ground_locked.bench.inv("render", PATH=str(folder)), 8, "git is not installed")
    ground_locked.bench.ok("render", **no_docker)
