"""The files of targets of the kinds `compose` and `swarm`: complete folders, and what they may not contain.

`tests/golden/targets/CASE/odpm.json` is the description, `TARGET/` beside it what has to come out. After a change that is meant:
`ODPM_GOLDEN=write pytest tests/unit/targets/test_files.py`, then read the difference.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.targets import compose_bundle, swarm
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import MINIMAL

GOLDEN = Path(__file__).parents[2] / "golden" / "targets"
TEMPLATES = Path(__file__).parents[3] / "odpm_tasks/templates"
FILES: dict[str, Callable[[TargetSpec], dict[str, bytes]]] = {"compose": compose_bundle.files, "swarm": swarm.files}
IMAGE = "registry.example/acme/odoo@sha256:" + "0123456789abcdef" * 4
CASES = [
    (folder.name, name)
    for folder in sorted(GOLDEN.iterdir())
    for name in json.loads((folder / "odpm.json").read_text(encoding="utf-8"))["targets"]
]


def spec_of(text: str, name: str) -> TargetSpec:
    """A target of a project called acme."""
    described = read_manifest(text, lambda _: None).manifest
    target = described.targets[name]
    return TargetSpec(
        project="acme",
        target=target,
        manifest=described.for_scenario(target.scenario).for_target(target),
        image=IMAGE,
        conf="[options]\nworkers = 2\n",
        lock="fedcba9876543210" * 4,
        digests={"postgres:16": "sha256:" + "ab" * 32},
        tool_version="5.0.0",
    )


def rendered(case: str, name: str) -> tuple[TargetSpec, dict[str, bytes]]:
    spec = spec_of((GOLDEN / case / "odpm.json").read_text(encoding="utf-8"), name)
    return spec, FILES[spec.target.kind](spec)


def of(target: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """The services of a target of a small description."""
    spec = spec_of(json.dumps({**MINIMAL, **keys, "targets": {"t": target}}), "t")
    files = FILES[spec.target.kind](spec)
    return yaml.safe_load(files["docker-compose.yml" if spec.target.kind == "compose" else "stack.yml"])  # type: ignore[no-any-return]


@pytest.mark.parametrize(("case", "name"), CASES)
def test_whole_folder(case: str, name: str) -> None:
    """Files that are copied from the package as they are have no golden copy."""
    folder, (_, everything) = GOLDEN / case / name, rendered(case, name)
    copied = {path for path, data in everything.items() if (TEMPLATES / Path(path).name).is_file()}
    for path in copied:
        assert everything[path] == (TEMPLATES / Path(path).name).read_bytes()
    files = {path: data for path, data in everything.items() if path not in copied}
    if os.environ.get("ODPM_GOLDEN") == "write":
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    known = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == known


@pytest.mark.parametrize(("case", "name"), CASES)
def test_a_target_needs_no_checkout(case: str, name: str) -> None:
    """Every relative path is a file or folder of the bundle, or a secret."""
    _, files = rendered(case, name)
    known = {"secrets", *(path.partition("/")[0] for path in files)}
    for data in files.values():
        for path in re.findall(r"(?<![\w.])\./([\w.-]+)", data.decode()):
            assert path in known, path
    assert not [path for path in files if re.search(rb"\.odpm/(build|secrets|src)", files[path])]


@pytest.mark.parametrize(("case", "name"), CASES)
def test_the_image_is_the_one_of_the_target_and_no_file_has_a_password(case: str, name: str) -> None:
    spec, files = rendered(case, name)
    data = yaml.safe_load(files.get("docker-compose.yml") or files["stack.yml"])
    roles = {role: data["services"][role] for role in ("web", "cron", "update")}
    assert {service["image"] for service in roles.values()} == {IMAGE}
    assert [roles[role]["command"] for role in ("web", "cron")] == [["web"], ["cron"]]
    assert roles["update"]["entrypoint"] == ["odoo-run", "update"]
    for service in data["services"].values():
        environment = service.get("environment", {})
        assert not [
            key for key, value in environment.items() if "PASSWORD" in key and value and not key.endswith("_FILE")
        ]
    assert all(service["environment"]["PGDATABASE"] == spec.database for service in roles.values())


@pytest.mark.parametrize(("case", "name"), CASES)
def test_every_name_that_a_service_uses_is_declared(case: str, name: str) -> None:
    _, files = rendered(case, name)
    data = yaml.safe_load(files.get("docker-compose.yml") or files["stack.yml"])
    for service in data["services"].values():
        for kind in ("secrets", "configs"):
            used = {each["source"] if isinstance(each, dict) else each for each in service.get(kind, [])}
            assert used <= data.get(kind, {}).keys()
        assert set(service.get("networks", ())) <= data["networks"].keys()
        assert set(service.get("depends_on", ())) <= data["services"].keys()


def test_a_swarm_publishes_the_proxy_alone_and_on_the_node() -> None:
    services = of({"kind": "swarm", "domain": "shop.example", "replicas": {"web": 3}})["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert {port["mode"] for port in services["proxy"]["ports"]} == {"host"}
    assert services["web"]["deploy"]["replicas"] == 3
    assert {service["deploy"].get("endpoint_mode") for name, service in services.items() if name != "update"} == {
        "dnsrr"
    }


def test_without_a_shared_volume_everything_with_data_is_on_one_node() -> None:
    def bound(**keys: Any) -> set[str]:
        services = of({"kind": "swarm", "domain": "shop.example", **keys})["services"]
        return {name for name, service in services.items() if "placement" in service["deploy"]}

    assert bound() == {"db", "update", "web", "websocket", "cron", "proxy"}
    assert bound(filestore={"driver": "local"}) == {"db", "proxy"}
    assert bound(filestore={"driver": "local"}, database={"host": "db.example"}) == {"proxy"}  # its certificates


def test_the_limits_of_a_role_are_those_of_its_processes() -> None:
    services = of({"kind": "compose", "domain": "shop.example"}, odoo_conf={"options": {"workers": 4}})["services"]
    limits = {role: services[role]["mem_limit"] for role in ("web", "websocket", "cron", "update")}
    assert limits == {"web": "5632m", "websocket": "1536m", "cron": "2560m", "update": "1536m"}
    patched = of({"kind": "compose"}, service_patches={"odoo": {"mem_limit": "9g"}})["services"]
    assert {patched[role]["mem_limit"] for role in ("web", "cron")} == {"9g"}


@pytest.mark.parametrize(
    ("target", "keys", "where", "text"),
    [
        ({"kind": "swarm"}, {}, "targets.t.domain", "only the reverse proxy publishes"),
        ({"kind": "compose", "replicas": {"web": 2}}, {}, "targets.t.replicas", "one port"),
        ({"kind": "compose"}, {"services": {"x": {"image": "a", "volumes": ["./data:/d"]}}}, "services.x", "./data"),
        ({"kind": "compose"}, {"services": {"x": {"build": "."}}}, "services.x", "build"),
        ({"kind": "compose", "backup": {"repository": "sftp:a@b:c"}}, {}, "targets.t.backup.repository", "sftp"),
        ({"kind": "swarm", "domain": "a.b"}, {"odoo_conf": {"options": {"a": "${B}"}}}, "targets.t.secrets", "B"),
    ],
)
def test_what_a_target_cannot_have_is_refused(
    target: dict[str, Any], keys: dict[str, Any], where: str, text: str
) -> None:
    with pytest.raises(DescriptionError) as caught:
        of(target, **keys)
    assert where in str(caught.value.where)
    assert text in caught.value.what
