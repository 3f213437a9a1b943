"""A target that runs: its logs, ports that others hold, updates of the platform's add-ons, the backup before an update."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import failure
from tests.e2e.harness import REPOSITORY, Bench, docker, eventually
from tests.e2e.targets.machines import Target, made
from tests.e2e.targets.test_bundle import describe
from tests.ports import claim_port
from tests.standins.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.long]


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, clone: Callable[..., Bench], registry: Registry, ci_image: Built
) -> Iterator[Target]:
    """A target that runs the image of the demo project. A test that changes it must restore it."""
    with made(clone(tmp_path_factory.mktemp("deployed") / "project"), registry) as found:
        found.image = ci_image.out.split()[-1]
        found.up(found.image)
        eventually(lambda: found.get() == "200")
        yield found


def test_logs_of_one_service_its_last_lines_and_those_since_a_time(deployed: Target) -> None:
    words = ("deploy.logs", "--target", deployed.target)
    bench = deployed.bench
    # what runs here, not what the compose file of the checkout describes
    (bench.root / "docker-compose.yml").write_text('{"services": {"other": {"image": "other"}}}', encoding="utf-8")
    everything = bench.ok(*words, "--tail", "1000").out
    services = {line.partition("|")[0].split("-")[0].strip() for line in everything.splitlines()}
    assert {"web", "cron", "websocket", "db", "proxy"} <= services
    of_cron = bench.ok(*words, "cron", "--tail", "2").out.splitlines()
    assert len(of_cron) == 2
    assert all(line.startswith("cron-1") for line in of_cron)

    begun = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    assert deployed.get("/web/login?planted=since") == "200"
    since = bench.ok(*words, "web", "--since", begun).out
    assert "GET /web/login?planted=since" in since
    assert "Modules loaded" in bench.ok(*words, "web", "--tail", "1000").out
    assert "Modules loaded" not in since
    failure(bench.inv(*words, "wep"), 1, "wep", "web")
    failure(bench.inv(*words, "--since", "soon"), 5, "soon")


def test_logs_are_followed_until_interrupted(deployed: Target) -> None:
    words = ["deploy.logs", "--target", deployed.target, "web", "--follow", "--tail", "0"]
    with subprocess.Popen(
        [str(REPOSITORY / ".odpm/venv/bin/python"), "-m", "invoke", *words],
        cwd=deployed.bench.root,
        env=deployed.bench.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        line = ""
        while "planted=follow" not in line:  # the first requests may come before it listens
            assert deployed.get("/web/login?planted=follow") == "200"
            line = run.stdout.readline()
        assert "web-" in line.partition("|")[0]  # with a code that moves the cursor
        run.send_signal(2)
        assert run.wait(30) == 130


def test_a_port_that_another_container_or_program_holds_is_named(deployed: Target) -> None:
    containers = deployed.containers()
    port = claim_port()
    name = f"odpm-test-holder-{port}"
    image = "debian:bookworm-slim"
    with port_of(deployed, port):
        docker("run", "--detach", "--name", name, f"--publish=127.0.0.1:{port}:80", image, "sleep", "600")
        try:
            for task in ("deploy.plan", "deploy.up"):
                refused = deployed.bench.inv(task, deployed.target, "--image", deployed.image)
                failure(refused, 8, f"port {port}", f"container {name}", "ODPM_HTTP_PORT")
        finally:
            docker("rm", "--force", name)
        with socket.create_server(("127.0.0.1", port)):
            refused = deployed.bench.inv("deploy.up", deployed.target, "--image", deployed.image)
            failure(refused, 8, f"port {port}", f"process {os.getpid()}", "ODPM_HTTP_PORT")
    assert deployed.containers() == containers
    deployed.up(deployed.image)  # its own ports are no obstacle
    assert deployed.containers() == containers


@contextmanager
def port_of(target: Target, port: int) -> Iterator[None]:
    """The target with another port of its proxy in the file of its variables."""
    file = f"/odpm/project-{target.target}/.env"
    target.shell(f"cp {file} {file}.before && sed -i s/HTTP_PORT=.*/HTTP_PORT={port}/ {file}")
    yield
    target.shell(f"mv {file}.before {file}")


def test_another_postgresql_does_not_start_with_an_empty_volume(deployed: Target) -> None:
    bench = deployed.bench
    containers = deployed.containers()
    describe(bench, postgres="17")
    try:
        refused = [bench.inv(task, deployed.target, "--image", deployed.image) for task in ("deploy.plan", "deploy.up")]
    finally:
        describe(bench, postgres="15")
    for each in refused:
        failure(each, 4, "db-server-15", "postgres")
    assert deployed.containers() == containers


def test_a_password_that_postgresql_does_not_have_is_refused_until_it_is_changed(
    deployed: Target, tmp_path: Path
) -> None:
    bench, containers = deployed.bench, deployed.containers()
    targets = json.loads((bench.root / "odpm.json").read_text(encoding="utf-8"))["targets"]
    (tmp_path / "password").write_text("other-4711\n", encoding="utf-8")
    secret = {"db_password": {"file": str(tmp_path / "password")}}
    describe(bench, targets={deployed.target: {**targets[deployed.target], "secrets": secret}})
    try:
        for task in ("deploy.plan", "deploy.up"):
            refused = bench.inv(task, deployed.target, "--image", deployed.image)
            failure(refused, 4, "another password", "db_password", r"psql -U postgres -c '\password odoo'")
        assert (deployed.containers(), deployed.get()) == (containers, "200")
        deployed.query("ALTER ROLE odoo PASSWORD 'other-4711'")
        deployed.up(deployed.image)
        docker("restart", *deployed.containers("web"))
        eventually(lambda: deployed.get() == "200")
    finally:
        describe(bench, targets=targets)


def test_an_image_for_another_processor_is_refused(deployed: Target, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL odpm.scenario=ci\n", encoding="utf-8")
    other = "amd64" if platform.machine() == "aarch64" else "arm64"
    name = f"{registry.address}/{deployed.bench.prefix}/other:1"
    docker(
        "buildx",
        "build",
        "--quiet",
        f"--platform=linux/{other}",
        "--provenance=false",
        f"--tag={name}",
        "--push",
        str(tmp_path),
    )
    found = re.search(r"Digest: *(sha256:\w+)", docker("buildx", "imagetools", "inspect", name))
    assert found
    for _ in range(2):  # built here, then pulled
        refused = deployed.bench.inv("deploy.up", deployed.target, "--image", f"{name}@{found[1]}")
        failure(refused, 8, f"the image is for {other}", "build-image --platform linux/")
        docker("image", "rm", "--force", name)


def test_add_ons_of_the_platform_are_updated_where_their_versions_are_raised(deployed: Target) -> None:
    bench = deployed.bench
    version = "SELECT latest_version FROM ir_module_module WHERE name = 'web'"
    current = deployed.query(version)
    deployed.query("UPDATE ir_module_module SET latest_version = '19.0.0.1' WHERE name = 'web'")
    planned = bench.ok("deploy.plan", deployed.target, "--image", deployed.image).out
    assert f"update   database   web 19.0.0.1 -> {current}" in planned
    ran = bench.ok("deploy.up", deployed.target, "--image", deployed.image)
    assert "updated web" in ran.err
    assert deployed.query(version) == current
    assert "keep     database" in bench.ok("deploy.plan", deployed.target, "--image", deployed.image).out


def test_a_backup_is_made_before_an_update_and_one_that_fails_stops_the_deployment(
    tmp_path: Path, clone: Callable[[Path], Bench], registry: Registry, ci_image: Built
) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse battery staple", encoding="utf-8")
    described: dict[str, Any] = {
        "backup": {"repository": "backups"},
        "secrets": {"backup_password": {"file": str(password)}},
    }
    image = ci_image.out.split()[-1]
    with made(clone(tmp_path / "project"), registry, **described) as target:
        bench, folder = target.bench, f"/odpm/project-{target.target}/backups"
        version = "SELECT latest_version FROM ir_module_module WHERE name = 'web'"
        lower = "UPDATE ir_module_module SET latest_version = '19.0.0.1' WHERE name = 'web'"

        def backups() -> int:
            listed = docker("exec", target.containers("backup")[0], "/bin/sh", "/odpm/backup.sh", "list")
            return len(json.loads(listed or "[]"))

        target.up(image)
        eventually(lambda: target.get() == "200")
        current, containers = target.query(version), target.containers()
        target.query(lower)
        target.shell(f"chown 0:0 {folder}")
        refused = bench.inv("deploy.up", target.target, "--image", image)
        failure(refused, 8, "before the update of web", "--no-backup")
        assert (target.containers(), target.query(version), target.get()) == (containers, "19.0.0.1", "200")
        docker("stop", *target.containers("backup"))
        failure(bench.inv("deploy.up", target.target, "--image", image), 5, "does not run", "--no-backup")
        docker("start", *target.containers("backup"))

        target.shell(f"chown 1000:1000 {folder}")
        target.up(image)
        assert (backups(), target.query(version)) == (1, current)
        target.query(lower)
        bench.ok("deploy.up", target.target, "--image", image, "--no-backup")
        assert (backups(), target.query(version)) == (1, current)
        target.up(image)  # nothing to update
        assert backups() == 1

        # without a web server and PostgreSQL the add-ons are known, too
        target.query(lower)
        docker("stop", *target.containers("web"), *target.containers("db"))
        target.up(image)
        assert (backups(), target.query(version)) == (2, current)
