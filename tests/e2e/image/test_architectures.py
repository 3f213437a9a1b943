"""One description, two processors: the image for amd64 and arm64, built and run on amd64 with an emulator.

The platforms of one image, a manifest list in a registry, and their comparison. The pins are those of Odoo without libsass, whose
compilation takes an hour in the emulator; Odoo uses the program `sassc` instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.core.locking.diff_packages import read_python_lock
from tests.e2e.conftest import say
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, demo_project, docker, eventually
from tests.standins.emulation import BINFMT, NAME, PLATFORM, emulation, native
from tests.standins.images import ARM64, ensure_image
from tests.standins.registry import Registry

pytestmark = [
    pytest.mark.docker,
    pytest.mark.long,
    pytest.mark.timeout(7200),  # the first build compiles packages in the emulator
    pytest.mark.skipif(os.geteuid() != 0, reason="registers an emulator, needs root"),
    pytest.mark.skipif(native(), reason="this machine runs programs for arm64 itself"),
]

BASE = "python:3.11-slim-bookworm"
BOTH = ("--platform", f"linux/amd64,{PLATFORM}")
PASSWORD = "of-the-database-beside"
INDEX = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(scope="module")
def emulated(engine: None) -> Iterator[None]:
    """This machine runs programs for arm64, and has the base image for it."""
    before = (BINFMT / NAME).exists()
    with emulation(say):
        ensure_image(f"{ARM64}{BASE}", say)
        yield
    assert (BINFMT / NAME).exists() == before


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory,
    make_bench: Callable[[Path], Bench],
    registry: Registry,
    emulated: None,
) -> Bench:
    """A locked project whose base image is a manifest list in a registry."""
    made = make_bench(demo_project(tmp_path_factory.mktemp("architectures") / "project"))
    base = registry.push_index(BASE, {"amd64": BASE, "arm64": f"{ARM64}{BASE}"})
    registry.push_index("postgres:15", {"amd64": "postgres:15"})
    made.env |= {"ODPM_IMAGE_MIRROR": base.removesuffix(BASE), "ODPM_BASE_IMAGE_PROFILE": "ci"}
    made.edit(requirements_ignore=["libsass"], system_packages=["sassc"])
    made.ok("lock")
    made.commit("The locks")
    made.env["ODPM_SCENARIO"] = "ci"
    return made


@pytest.fixture(scope="module")
def image(bench: Bench, registry: Registry) -> Iterator[dict[str, Any]]:
    """The built and pushed image: the report of the build."""
    tag = f"{registry.address}/{bench.prefix}/odoo:1.0"
    try:
        out = bench.ok("build-image", "--tag", tag, *BOTH, "--push", "--sbom", "--format", "json", timeout=5400).out
        report: dict[str, Any] = json.loads(out)
        yield report
    finally:
        docker("image", "rm", "--force", tag)


@pytest.fixture(scope="module")
def tag(image: dict[str, Any]) -> str:
    return str(image["names"][0])


@contextmanager
def emulator_switched_off() -> Iterator[None]:
    """The registration stays, the kernel does not use it."""
    (BINFMT / NAME).write_text("0", encoding="utf-8")
    try:
        yield
    finally:
        (BINFMT / NAME).write_text("1", encoding="utf-8")


def logs(container: str) -> str:
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_container_runs_programs_for_arm64(emulated: None) -> None:
    words = ["run", "--rm", f"--platform={PLATFORM}", "--network=none", f"{ARM64}{BASE}", "python3", "-c"]
    assert docker(*words, "import platform; print(platform.machine())") == "aarch64"


def test_one_tag_is_a_manifest_list_with_both_platforms(image: dict[str, Any], tag: str, registry: Registry) -> None:
    name, _, version = tag.removeprefix(f"{registry.address}/").rpartition(":")
    listed = json.loads(registry.get(f"/v2/{name}/manifests/{version}", INDEX) or b"")
    platforms = {f"{each['platform']['os']}/{each['platform']['architecture']}" for each in listed["manifests"]}
    assert platforms == {"linux/amd64", PLATFORM} == set(image["platforms"])
    assert image["pushed"] == {tag: image["digest"]}
    by_digest = json.loads(registry.get(f"/v2/{name}/manifests/{image['digest']}", INDEX) or b"")
    assert by_digest == listed
    for each in listed["manifests"]:
        manifest = json.loads(registry.get(f"/v2/{name}/manifests/{each['digest']}", each["mediaType"]) or b"")
        config = json.loads(registry.get(f"/v2/{name}/blobs/{manifest['config']['digest']}") or b"")
        assert config["architecture"] == each["platform"]["architecture"]
        assert config["config"]["Labels"]["odpm.inputs"] == image["labels"]["odpm.inputs"]


def test_lock_has_hashes_for_both_processors(bench: Bench, tag: str) -> None:
    """`--require-hashes` was used on both: each has every package of the lock, in the same version."""
    lock = read_python_lock((bench.root / ".odpm/requirements.lock").read_text(encoding="utf-8"))
    assert len(lock) > 50
    assert all(row.hashes for rows in lock.values() for row in rows)
    program = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    installed = {}
    for platform in ("linux/amd64", PLATFORM):
        words = ["run", "--rm", f"--platform={platform}", "--network=none", "--entrypoint=/opt/odoo/venv/bin/python"]
        found = read_python_lock(docker(*words, tag, "-c", program))
        installed[platform] = {name: row.version for name, (row,) in found.items()}
    assert installed["linux/amd64"] == installed[PLATFORM]
    assert installed[PLATFORM].keys() == lock.keys()
    assert all(version in {row.version for row in lock[name]} for name, version in installed[PLATFORM].items())


def test_each_platform_has_an_sbom_of_its_own(bench: Bench, image: dict[str, Any]) -> None:
    """The packages of the distribution name the architecture, those of Python are the same."""
    found = {}
    for architecture in ("amd64", "arm64"):
        bill = (bench.root / f".odpm/build/sbom.linux-{architecture}.cdx.json").read_text(encoding="utf-8")
        urls = {each.get("purl", "") for each in json.loads(bill)["components"]}
        found[architecture] = {url for url in urls if url.startswith("pkg:pypi/")}
        native = {url for url in urls if url.startswith("pkg:deb/") and f"arch={architecture}" in url}
        assert any(url.startswith("pkg:deb/debian/libpq5@") for url in native)
    assert image["sbom"] == ".odpm/build/sbom.linux-amd64.cdx.json"
    assert found["amd64"] == found["arm64"] != set()


def test_image_for_arm64_tells_the_version_of_odoo(tag: str) -> None:
    run = ["run", "--rm", f"--platform={PLATFORM}", "--network=none"]
    assert docker(*run, "--entrypoint=uname", tag, "-m") == "aarch64"
    assert docker(*run, "--entrypoint=odoo", tag, "--version").startswith("Odoo Server 19.0")


def test_parity_explains_each_difference_of_the_platforms(bench: Bench, tag: str) -> None:
    words = ("parity", "--image", tag, *BOTH)
    report = json.loads(bench.ok(*words, "--format", "json").out)
    assert report["equal"] is True
    assert [each["label"] for each in report["images"]] == ["linux/amd64", PLATFORM]
    assert report["differences"]
    assert {each["what"] for each in report["differences"]} == {"system package"}
    assert all(each["reason"] for each in report["differences"])
    compiled = {each["name"] for each in report["differences"] if "without a wheel" in each["reason"]}
    assert "libxslt1.1" in compiled
    text = bench.ok("parity", *BOTH, "--verbose", ODPM_IMAGE=tag).out  # the image of ci, with the project's lock
    assert text.startswith("parity: 2 platforms, ")
    assert "explained by the platform\n" in text


def test_parity_finds_what_only_one_platform_has(bench: Bench, tag: str) -> None:
    """The image for arm64 with another font, in one image with the one for amd64."""
    changed = f"{bench.prefix}/changed:1"
    try:
        folder = bench.root.parent / "changed"
        folder.mkdir()
        lines = ["ARG TARGETARCH", "USER 0:0", "RUN [ $TARGETARCH = amd64 ] || cp /bin/true /usr/share/fonts/acme.ttf"]
        (folder / "Dockerfile").write_text("\n".join([f"FROM {tag}", *lines, "USER 1000:1000"]), encoding="utf-8")
        docker("build", "--quiet", "--provenance=false", *BOTH, "--tag", changed, str(folder))
        ran = bench.inv("parity", "--image", changed, *BOTH)
        assert ran.code == 2, ran.output
        rows = [line.split() for line in ran.out.splitlines() if line.startswith("font ")]
        assert [row[1:3] for row in rows] == [["/usr/share/fonts/acme.ttf", "–"]]
        assert "the platforms differ: 1 difference that no platform explains" in ran.err
    finally:
        docker("image", "rm", "--force", changed)


def test_without_an_emulator_the_message_names_the_command_for_one(bench: Bench, tag: str) -> None:
    with emulator_switched_off():
        for words in (("parity", "--image", tag, *BOTH), ("build-image", "--platform", PLATFORM, "--no-cache")):
            ran = bench.inv(*words)
            assert ran.code == 8, ran.output
            assert "this machine cannot run programs for every platform" in ran.err
            assert "tonistiigi/binfmt" in ran.err
            assert "Traceback" not in ran.err
    failure(
        bench.inv("parity", "--image", f"{ARM64}{BASE}", *BOTH),
        1,
        "for linux/amd64",
        "docker pull --platform linux/amd64",
    )


def test_image_for_arm64_serves_the_login_page(tag: str) -> None:
    """PostgreSQL, in the same network namespace, is for amd64."""
    created = []
    try:
        database = ["--env=POSTGRES_USER=odoo", f"--env=POSTGRES_PASSWORD={PASSWORD}"]
        created.append(docker("run", "--detach", "--publish=127.0.0.1:0:8069", *database, "postgres:15"))
        port = docker("port", created[0], "8069/tcp").rpartition(":")[2]
        settings = {"PGHOST": "127.0.0.1", "PGUSER": "odoo", "PGPASSWORD": PASSWORD, "PGDATABASE": "plain"}
        words = [f"--env={name}={value}" for name, value in settings.items()]
        words += [f"--platform={PLATFORM}", f"--network=container:{created[0]}"]
        created.append(docker("run", "--detach", *words, tag))

        def page() -> str:
            assert docker("inspect", "--format", "{{.State.Running}}", created[-1]) == "true", logs(created[1]) + logs(
                created[0]
            )
            try:  # the first answer takes minutes in the emulator
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/web/login", timeout=1200) as answer:
                    return str(answer.read().decode())
            except urllib.error.HTTPError:
                raise
            except (urllib.error.URLError, ConnectionError):
                return ""

        eventually(lambda: "oe_login_form" in page(), 1800)
        assert docker("exec", created[-1], "uname", "-m") == "aarch64"
    finally:
        if created:
            docker("rm", "--force", "--volumes", *created)
