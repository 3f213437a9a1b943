"""`inv deploy.render`: real Compose and the real command line of Docker read what it writes; bad input loses nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.failures import Workspace, failure, file_digests

pytest_plugins = ["tests.e2e.workspaces"]

GOLDEN = Path(__file__).parents[2] / "golden/targets"
IMAGE = "registry.example/acme/odoo@sha256:" + "0123456789abcdef" * 4
TARGETS: dict[str, Any] = {
    "production": {"kind": "compose", "domain": "shop.example", "replicas": {"web": 2}},
    "swarm": {"kind": "swarm", "domain": "shop.example"},
}
CLUSTERS: dict[str, Any] = {
    name: {"kind": "kubernetes", "domain": f"{name}.example", "database": {"host": "db.example"}}
    for name in ("blue", "green")
}


def describe(workspace: Workspace, **changes: Any) -> None:
    """Add keys to odpm.json."""
    path = workspace.root / "odpm.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(described | changes, indent=2), encoding="utf-8")


def read_by_docker(folder: Path) -> None:
    words = (
        ["docker", "stack", "config", "--compose-file", "stack.yml"]
        if (folder / "stack.yml").exists()
        else ["docker", "compose", "config", "--quiet"]
    )
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    assert "WARN" not in done.stderr or "SMTP_PASSWORD" in done.stderr, done.stderr  # a variable of .env there


@pytest.mark.docker
def test_docker_reads_every_golden_target(engine: None) -> None:
    found = [path.parent for name in ("stack.yml", "docker-compose.yml") for path in GOLDEN.rglob(name)]
    assert len(found) >= 5
    for folder in found:
        read_by_docker(folder)


@pytest.mark.docker
def test_targets_of_a_project_are_rendered_from_the_same_lock(workspace_ready: Workspace, engine: None) -> None:
    bench = workspace_ready.bench
    describe(workspace_ready, targets=TARGETS)
    for name in TARGETS:
        ran = bench.ok("deploy.render", name, "--image", IMAGE)
        folder = workspace_ready.root / ".odpm/deploy" / name
        assert ran.out.strip() == str(folder)
        read_by_docker(folder)
        conf = (folder / "odoo.conf").read_text(encoding="utf-8")
        built = (workspace_ready.root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")
        paths = [next(line for line in text.splitlines() if line.startswith("addons_path")) for text in (conf, built)]
        assert paths[0] == paths[1]
        assert "proxy_mode = True" in conf
    data = yaml.safe_load((workspace_ready.root / ".odpm/deploy/production/docker-compose.yml").read_text("utf-8"))
    assert data["services"]["web"]["image"] == IMAGE
    assert "nothing to do" in bench.ok("deploy.render", "swarm", "--image", IMAGE).err


def test_targets_of_kubernetes_share_one_folder(workspace_ready: Workspace) -> None:
    """Each keeps its overlay when another is rendered; what the base needs no more is removed with the last of them."""
    bench, folder = workspace_ready.bench, workspace_ready.root / "out"
    describe(workspace_ready, targets=CLUSTERS)
    for name in CLUSTERS:
        bench.ok("deploy.render", name, "--image", IMAGE, "--output", "out")
    assert (folder / "base/kustomization.yaml").exists()
    assert {path.name for path in (folder / "overlays").iterdir()} == set(CLUSTERS)
    describe(workspace_ready, targets=CLUSTERS, odoo_conf={"options": {"workers": 3}})
    for name in CLUSTERS:
        assert ".orig" not in bench.ok("deploy.render", name, "--image", IMAGE, "--output", "out").err
    assert not list(folder.rglob("*.orig"))


def test_an_edited_file_is_kept_and_an_obsolete_one_removed(workspace_ready: Workspace) -> None:
    bench, folder = workspace_ready.bench, workspace_ready.root / "out"
    describe(workspace_ready, targets=TARGETS)
    words = ("deploy.render", "production", "--image", IMAGE, "--output", "out")
    bench.ok(*words)
    (folder / "odoo.conf").write_text("mine\n", encoding="utf-8")
    (folder / "secrets").mkdir()
    (folder / "secrets/db_password").write_text("x", encoding="utf-8")
    describe(workspace_ready, targets={"production": {"kind": "compose", "database": {"host": "db.example"}}})
    ran = bench.ok(*words)
    assert "odoo.conf.orig" in ran.err
    assert (folder / "odoo.conf.orig").read_text(encoding="utf-8") == "mine\n"
    assert not (folder / "roles.sql").exists()
    assert not (folder / "web/Caddyfile").exists()
    assert (folder / "secrets/db_password").read_text(encoding="utf-8") == "x"


def test_what_cannot_be_rendered_is_refused_and_writes_nothing(workspace_ready: Workspace) -> None:
    bench = workspace_ready.bench
    before = file_digests(workspace_ready.root)
    failure(bench.inv("deploy.render"), 4, "the project has no targets", '"targets"')
    describe(workspace_ready, targets=TARGETS)
    failure(bench.inv("deploy.render"), 1, "which target?", "inv deploy.render production")
    failure(bench.inv("deploy.render", "prodution"), 1, "the nearest is production")
    failure(bench.inv("deploy.render", "production"), 4, "no image is known", "build-image")
    ran = bench.ok("deploy.render", "production", "--image", "registry.invalid/odoo:1", "--output", "out")
    assert "has no digest" in ran.err
    describe(workspace_ready, targets={"swarm": {"kind": "swarm"}})
    failure(bench.inv("deploy.render", "--image", IMAGE), 4, "targets.swarm.domain")
    (workspace_ready.root / ".odpm/deps.lock.json").unlink()
    describe(workspace_ready, targets=TARGETS)
    failure(bench.inv("deploy.render", "swarm", "--image", IMAGE), 3, "lock", "inv lock")
    after = file_digests(workspace_ready.root)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if not path.startswith("out/")} == {"odpm.json", ".odpm/deps.lock.json"}
