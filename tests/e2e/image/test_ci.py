"""Scenario ci: an image with all sources that does not depend on the build machine."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters import index_settings
from tests.e2e.baked import Built
from tests.e2e.harness import Bench, docker, eventually, get, git
from tests.e2e.reports import SCRIPT, check_report
from tests.standins.registry import Registry

pytestmark = pytest.mark.docker

PASSWORD = "of-the-plain-database"
UV_LOCK = "/opt/odoo/venv/.lock"  # a lock file of uv, writable for all users


@pytest.fixture(scope="module")
def bench(ci: Bench) -> Bench:
    return ci


@pytest.fixture
def image(ci_image: Built) -> Built:
    return ci_image


@pytest.mark.parametrize("scenario", ["developer", "server"])
def test_build_image_is_refused_with_mounted_sources(bench: Bench, scenario: str) -> None:
    ran = bench.inv("build-image", "--tag", f"{bench.prefix}/never:1", ODPM_SCENARIO=scenario)
    assert ran.code == 1
    assert f"in {scenario} they are mounted" in ran.err
    assert "ODPM_SCENARIO=ci inv build-image" in ran.err
    assert docker("image", "ls", "--quiet", f"{bench.prefix}/never") == ""


def test_push_requires_a_tag(bench: Bench) -> None:
    ran = bench.inv("build-image", "--push")
    assert ran.code == 1
    assert "--tag" in ran.err


def test_printed_digest_is_that_of_the_registry(image: Built, registry: Registry) -> None:
    name = image.tag.removeprefix(f"{registry.address}/").removesuffix(":1.0")
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    question = urllib.request.Request(
        f"http://{registry.address}/v2/{name}/manifests/1.0",
        headers={"Accept": f"{kinds}, application/vnd.oci.image.index.v1+json"},
    )
    with urllib.request.urlopen(question, timeout=30) as answer:
        digest = answer.headers["Docker-Content-Digest"]
    assert image.out.splitlines() == [f"{image.tag}@{digest}"]
    assert registry.tags(name) == ["1.0"]


def test_build_leaves_the_clone_unchanged_and_creates_no_checkouts(bench: Bench, image: Built) -> None:
    assert git("status", "--porcelain", cwd=bench.root) == ""
    assert not (bench.root / ".odpm/src").exists()


def test_image_contains_committed_sources_without_git_and_odpm_files(bench: Bench, image: Built) -> None:
    unwanted = ["(", "-name", ".git", "-o", "-name", ".odpm", "-o", "-name", "odpm.json", ")"]
    assert image.run("find", "/", "-xdev", *unwanted, user="0") == ""
    sources = image.run("ls", "/opt/odoo/src").split()
    assert sources == sorted(["odoo", "partner-contact", "mail", "server-env", "server-tools", "web", "project"])
    controller = "addons/stack_info/controllers/main.py"
    baked = image.run("cat", f"/opt/odoo/src/project/{controller}")
    assert baked == (bench.root / controller).read_text(encoding="utf-8").strip()


def test_image_runs_unprivileged_without_sudo_and_compiler(image: Built) -> None:
    assert image.run("id", "-u") == "1000"
    assert image.run("sh", "-c", "command -v sudo gcc cc g++ make su-exec gosu || :") == ""
    assert image.run("find", "/opt", "/etc/odoo", "/usr/local", "-xdev", "-writable", "-not", "-type", "l") in (
        "",
        UV_LOCK,
    )
    assert "debugpy" not in image.run("ls", "/opt/odoo/venv/lib/python3.11/site-packages")


def certificates(text: str) -> set[str]:
    """A line of each PEM certificate that identifies it."""
    return set(re.findall(r"-----BEGIN CERTIFICATE-----\n(?:.*\n){3}(.*)\n", text))


def test_image_contains_no_data_of_the_build_machine(bench: Bench, image: Built) -> None:
    """No certificates, no URLs of package indexes, no paths."""
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image.tag)
    config = docker("image", "inspect", image.tag)
    index = index_settings.index()
    addresses = [word for value in index.variables.values() for word in value.split() if re.search(r"[:/]", word)]
    private = [str(bench.root), *addresses]
    assert "COPY files /opt/odoo/src/odoo" in history
    assert [word for word in private if word in history + config] == []
    assert "BEGIN CERTIFICATE" not in history
    assert image.holding("odoo:x:1000:1000:") == "/etc/passwd"
    assert image.holding(*private) == ""


def test_image_trusts_only_debians_certificates(image: Built) -> None:
    """Additional certificates of the build machine are not in the image."""
    debian = certificates(image.run("sh", "-c", "cat /usr/share/ca-certificates/*/*.crt"))
    assert debian
    assert certificates(image.run("cat", "/etc/ssl/certs/ca-certificates.crt")) == debian
    used = index_settings.index().certificates
    own = certificates(used.read_text(encoding="utf-8")) - debian if used else set()
    assert not own or image.holding(*own) == ""


@pytest.mark.long
def test_same_inputs_give_the_same_image(bench: Bench, image: Built) -> None:
    again = f"{bench.prefix}/again:1"
    try:
        bench.ok("build-image", "--tag", again)
        assert Built(again, "").id == image.id
    finally:
        docker("image", "rm", "--force", again)


# --- runtime ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network(bench: Bench) -> Iterator[str]:
    """A network with a PostgreSQL container that odpm does not manage."""
    name = f"{bench.prefix}-plain"
    docker("network", "create", name)
    password = f"POSTGRES_PASSWORD={PASSWORD}"
    docker(
        "run",
        "--detach",
        f"--network={name}",
        f"--name={name}-db",
        "--env=POSTGRES_USER=odoo",
        f"--env={password}",
        "postgres:15",
    )
    yield name
    docker("rm", "--force", "--volumes", f"{name}-db")
    docker("network", "rm", name)


READ_ONLY = ("--read-only", "--tmpfs=/tmp", "--tmpfs=/run/odoo:mode=1777", "--tmpfs=/var/lib/odoo:mode=1777")


def start(image: Built, network: str, env: dict[str, str], *options: str, file: Path | None = None) -> str:
    """Start a container on the network without mounts; `file` is copied to /password. Returns its id."""
    words = [*options, *(f"--env={name}={value}" for name, value in env.items())]
    container = docker("create", f"--network={network}", "--publish=127.0.0.1:0:8069", *words, image.tag)
    if file:
        docker("cp", str(file), f"{container}:/password")
    docker("start", container)
    return container


def serves(container: str) -> str:
    """Wait until a container is healthy; returns its login page."""

    def found() -> dict[str, Any]:
        entry: dict[str, Any] = json.loads(docker("inspect", container))[0]
        assert entry["State"]["Running"], docker("logs", container)
        return entry

    eventually(lambda: found()["State"]["Health"]["Status"] == "healthy", 240)
    assert found()["Mounts"] == []
    port = found()["NetworkSettings"]["Ports"]["8069/tcp"][0]["HostPort"]
    status, page = get(f"http://127.0.0.1:{port}/web/login")
    assert status == 200
    return page


def test_image_serves_with_variables_of_libpq_and_of_the_official_image(
    image: Built, network: str, tmp_path: Path
) -> None:
    """The first start creates the database with a read-only root, the second uses it; both without mounts."""
    database = {"PGHOST": f"{network}-db", "PGUSER": "odoo", "PGPASSWORD": PASSWORD, "PGDATABASE": "plain"}
    container = start(image, network, database, *READ_ONLY)
    try:
        assert "oe_login_form" in serves(container)
        assert docker("exec", container, "id", "-u") == "1000"
        assert PASSWORD not in docker("logs", container)
        assert PASSWORD not in docker("top", container, "-ww", "-eo", "pid,args")
        shell = ["docker", "exec", "--interactive", container, "odoo-run", "odoo", "shell", "-d", "plain", "--no-http"]
        done = subprocess.run(shell, input=SCRIPT, capture_output=True, text=True, timeout=300, check=False)
        check_report(done.stdout)
    finally:
        docker("rm", "--force", "--volumes", container)
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    official = {"HOST": f"{network}-db", "USER": "odoo", "PASSWORD_FILE": "/password", "PGDATABASE": "plain"}
    container = start(image, network, official, file=file)
    try:
        assert "oe_login_form" in serves(container)
        assert PASSWORD not in docker("inspect", container)
    finally:
        docker("rm", "--force", "--volumes", container)


def test_up_starts_the_built_image_without_mounted_sources(bench: Bench, image: Built) -> None:
    bench.env["ODPM_IMAGE"] = image.tag
    ran = bench.ok("up", "-i", "base")
    assert not re.search(r"image\.build +(create|update)", ran.err), ran.err
    odoo = bench.containers()["odoo"]
    assert odoo["Image"] == image.id
    mounted = {mount["Destination"] for mount in odoo["Mounts"] if mount["Type"] == "bind"}
    assert mounted == {"/run/secrets/db_password", "/run/secrets/odoo_master_password"}
    assert get(bench.url("/web/login"))[0] == 200
    assert not [
        binding
        for bindings in bench.containers()["db"]["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    password = (bench.root / ".odpm/secrets/ci/admin_password").read_text(encoding="utf-8")
    assert bench.authenticate("project", "admin", password)
    assert "nothing to do" in bench.ok("up").err


def test_the_built_image_is_tested_as_it_is(bench: Bench, image: Built) -> None:
    before = bench.containers()["odoo"]
    ran = bench.ok("test")
    assert re.search(r"^0 failed, 0 error\(s\) of [1-9]", ran.output, re.MULTILINE), ran.output
    odoo = bench.containers()["odoo"]
    assert (odoo["Image"], odoo["Id"]) == (image.id, before["Id"])
    assert "test" not in bench.sql("SELECT string_agg(datname, ' ') FROM pg_database WHERE datallowconn")


def test_up_updates_a_running_stack_to_the_image_of_new_code(bench: Bench, image: Built) -> None:
    """The name of the image is the same, its content is not."""
    before = bench.containers()
    page = bench.root / "addons/stack_info/controllers/main.py"
    page.write_text(page.read_text(encoding="utf-8") + "# newer\n", encoding="utf-8")
    git("commit", "-qam", "Newer", cwd=bench.root)
    steps = {step["id"]: step for step in json.loads(bench.ok("plan", "--format", "json").out)["steps"]}
    assert steps["image.build"]["detail"].startswith("own add-ons changed")
    assert steps["compose.up"]["detail"].startswith("recreate odoo (image); keep mail; Odoo is down meanwhile")
    bench.ok("up")
    after = bench.containers()
    assert {service for service in after if after[service]["Id"] != before[service]["Id"]} == {"odoo"}
    assert after["odoo"]["Image"] == image.id != before["odoo"]["Image"]
    assert "# newer" in bench.inside("cat", "/opt/odoo/src/project/addons/stack_info/controllers/main.py").out
    assert "nothing to do" in bench.ok("up").err


def test_an_image_that_is_named_by_its_digest_is_pulled_and_not_built(bench: Bench, image: Built) -> None:
    """Also where the checkout has newer code."""
    newer = bench.containers()["odoo"]["Image"]
    (pushed,) = {word for word in image.out.split() if "@sha256:" in word}
    tag, _, digest = pushed.partition("@")
    docker("image", "rm", "--force", f"{tag.rpartition(':')[0]}@{digest}")  # the tag has the newer image
    bench.env["ODPM_IMAGE"] = pushed
    steps = {step["id"]: step for step in json.loads(bench.ok("plan", "--format", "json").out)["steps"]}
    assert (steps["image.build"]["action"], steps["image.build"]["detail"]) == ("create", "pull")
    bench.ok("up")
    odoo = bench.containers()["odoo"]
    assert odoo["Config"]["Image"] == pushed
    assert odoo["Image"] != newer
    assert "# newer" not in bench.inside("cat", "/opt/odoo/src/project/addons/stack_info/controllers/main.py").out
    assert "nothing to do" in bench.ok("up").err
