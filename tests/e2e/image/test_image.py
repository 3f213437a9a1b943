"""`inv build-image`: reproducible images with labels, SBOM, small pushes and a smoke test."""

from __future__ import annotations

import json
import tarfile
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.baked import Built, times
from tests.e2e.harness import Bench, docker, git
from tests.e2e.image.conftest import BASE, PAGE, Small
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = pytest.mark.docker

RESULT = ".odpm/build/image.json"


@pytest.fixture
def bench(small_image: Small) -> Bench:
    return small_image.workspace.bench


@pytest.fixture
def image(small_image: Small) -> Built:
    return small_image.image


@pytest.fixture
def registry(small_image: Small) -> Registry:
    return small_image.registry


def test_result_is_printed_and_written(bench: Bench, image: Built, registry: Registry) -> None:
    told = json.loads(image.out)
    assert json.loads((bench.root / RESULT).read_text(encoding="utf-8")) == told
    assert told["names"] == [image.tag]
    assert told["digest"] == image.id == told["pushed"][image.tag]
    assert told["sbom"] == ".odpm/build/sbom.cdx.json"
    assert told["labels"].items() <= image.config["Labels"].items()
    assert image.id not in docker("image", "ls", "--quiet", "--no-trunc", "odpm/candidate")  # other builds may run


def test_labels_contain_the_commit_and_no_name_of_the_clone(bench: Bench, image: Built) -> None:
    labels = image.config["Labels"]
    platform = json.loads((bench.root / ".odpm/deps.lock.json").read_text(encoding="utf-8"))["platform"]
    assert not {"org.opencontainers.image.title", "org.opencontainers.image.source"} & labels.keys()
    assert labels["org.opencontainers.image.revision"] == git("rev-parse", "HEAD", cwd=bench.root)
    assert labels["odpm.scenario"] == "ci"
    assert labels["odpm.odoo"] == "19.0"
    assert len(labels["odpm.lock"]) == 64
    assert platform["commit"]
    assert "s3cret" not in json.dumps(image.config) + image.out
    created = docker("image", "inspect", "--format", "{{.Created}}", image.tag)
    assert created.startswith(labels["org.opencontainers.image.created"][:19])


def test_build_without_cache_gives_the_same_digest(bench: Bench, image: Built) -> None:
    """All steps run again and give the same bytes and times."""
    again = f"{bench.prefix}/again:1"
    try:
        out = bench.ok("build-image", "--tag", again, "--no-cache").out
        assert out.splitlines() == [f"{again}@{image.id}"]
    finally:
        docker("image", "rm", "--force", again)


def test_no_file_is_newer_than_the_platforms_commit(bench: Bench, image: Built, tmp_path: Path) -> None:
    created = image.config["Labels"]["org.opencontainers.image.created"]
    base = set(json.loads(docker("image", "inspect", BASE))[0]["RootFS"]["Layers"])
    ours = set(json.loads(docker("image", "inspect", image.tag))[0]["RootFS"]["Layers"]) - base
    assert len(ours) > 8
    newest = datetime.fromisoformat(created).timestamp()
    seen = times(image.saved(tmp_path))
    sources = {name: when for name, when in seen.items() if "/opt/odoo/" in name}
    assert len(sources) > 100
    assert [name for name, when in sources.items() if when > newest] == []


def test_edit_of_one_line_pushes_kilobytes(bench: Bench, image: Built, registry: Registry) -> None:
    before = registry.stored()
    page = bench.root / PAGE
    text = page.read_text(encoding="utf-8")
    page.write_text(f"{text}# one more line\n", encoding="utf-8")
    git("commit", "-qam", "One line", cwd=bench.root)
    tag = image.tag.replace(":1.0", ":1.1")
    try:
        bench.ok("build-image", "--tag", tag, "--push")
        assert 0 < registry.stored() - before < 100_000
        one, two = (json.loads(docker("image", "inspect", name))[0]["RootFS"]["Layers"] for name in (image.tag, tag))
        assert len(one) == len(two)
        assert [x == y for x, y in zip(one, two, strict=True)] == [True] * (len(one) - 1) + [False]
    finally:
        git("reset", "-q", "--hard", "HEAD~1", cwd=bench.root)
        docker("image", "rm", "--force", tag)


def test_sbom_lists_system_python_and_add_ons(bench: Bench, image: Built) -> None:
    bill = json.loads((bench.root / ".odpm/build/sbom.cdx.json").read_text(encoding="utf-8"))
    by_name = {component["name"]: component for component in bill["components"]}
    assert by_name["libpq5"]["purl"].startswith("pkg:deb/debian/libpq5@")
    assert by_name["psycopg2"]["purl"].startswith("pkg:pypi/psycopg2@")
    pins = json.loads((bench.root / ".odpm/deps.lock.json").read_text(encoding="utf-8"))["dependencies"]
    web = next(pin for pin in pins if "team/web" in pin["url"])
    mine = by_name["shop_page"]
    texts = [json.dumps(component) for component in bill["components"]]
    assert any(web["commit"] in text and "team/web" in text for text in texts)
    assert mine["version"]
    assert mine["licenses"]
    assert git("rev-parse", "HEAD", cwd=bench.root) in json.dumps(mine)
    installed = docker("run", "--rm", "--entrypoint=dpkg-query", image.tag, "-W", "-f", "${Package}\n").split()
    assert set(installed) <= set(by_name)
    assert "s3cret" not in json.dumps(bill)


def test_archive_contains_the_image(bench: Bench, image: Built, tmp_path: Path) -> None:
    """The digest is that of the registry."""
    archive = tmp_path / "image.tar"
    tag = f"{bench.prefix}/archived:1"
    told = json.loads(bench.ok("build-image", "--tag", tag, "--output", str(archive), "--format", "json").out)
    docker("image", "rm", "--force", tag)
    with tarfile.open(archive) as opened:
        file = opened.extractfile("index.json")
        assert file is not None
        assert image.id in file.read().decode()
    assert told["archive"] == str(archive)
    docker("load", "--quiet", "--input", str(archive))
    try:
        assert Built(tag, "").run("cat", "/opt/odoo/src/odoo/odoo-bin").startswith("#!")
    finally:
        docker("image", "rm", "--force", tag)


def test_build_cache_is_exported_and_imported(bench: Bench, image: Built, registry: Registry) -> None:
    cache = f"type=registry,ref={registry.address}/cache:1"
    bench.ok("build-image", "--cache-to", cache)
    assert registry.tags("cache") == ["1"]
    ran = bench.ok("build-image", "--cache-from", cache, "--show-log")
    assert f"importing cache manifest from {registry.address}/cache:1" in ran.err


def test_image_that_fails_the_smoke_test_is_not_tagged(bench: Bench, image: Built) -> None:
    """The template removes the library that psycopg2 is linked with."""
    template = bench.root / ".odpm/templates/Dockerfile.j2"
    before = template.read_text(encoding="utf-8")
    template.write_text(f"{before}USER 0:0\nRUN rm /usr/lib/*/libpq.so.5*\nUSER 1000:1000\n", encoding="utf-8")
    tag = f"{bench.prefix}/never:1"
    try:
        ran = bench.inv("build-image", "--tag", tag)
        assert ran.code == 5, ran.output
        assert "psycopg2" in ran.err
        assert docker("image", "ls", "--quiet", f"{bench.prefix}/never") == ""
        assert bench.ok("build-image", "--tag", tag, "--no-smoke-test").out.startswith(f"{tag}@sha256:")
    finally:
        template.write_text(before, encoding="utf-8")
        docker("image", "rm", "--force", tag)


def test_check_licenses_fails_for_a_conflict(bench: Bench, image: Built) -> None:
    addon = bench.root / "shop/closed"
    addon.mkdir()
    (addon / "__init__.py").write_text("", encoding="utf-8")
    (addon / "__manifest__.py").write_text(
        '{"name": "Closed", "version": "19.0.1.0.0", "license": "OPL-1", "depends": ["base", "web_thing"]}\n',
        encoding="utf-8",
    )
    git("add", "-A", cwd=bench.root)
    git("commit", "-qm", "Closed", cwd=bench.root)
    tag = f"{bench.prefix}/never:1"
    try:
        ran = bench.inv("build-image", "--tag", tag, "--check-licenses")
        assert ran.code == 4, ran.output
        assert "closed" in ran.err
        assert "OPL-1" in ran.err
        assert docker("image", "ls", "--quiet", f"{bench.prefix}/never") == ""
    finally:
        git("reset", "-q", "--hard", "HEAD~1", cwd=bench.root)


def test_image_adds_no_set_uid_files(image: Built) -> None:
    """The set-uid and set-gid files are those of the base image."""
    words = ("find", "/", "-xdev", "-perm", "/6000", "-type", "f")
    base = docker("run", "--rm", BASE, *words)
    assert set(image.run(*words, user="0").splitlines()) <= set(base.splitlines())
