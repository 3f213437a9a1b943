"""The golden targets of Kubernetes, rendered and built by the kustomize of a real kubectl."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.targets import kubernetes
from odpm_tasks.core.targets.spec import TargetSpec
from tests.unit.builders import MINIMAL

GOLDEN = Path(__file__).parents[2] / "golden" / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"registry.example:5000/acme/odoo:19.0@{DIGEST}"
CLUSTER = "postgresql.cnpg.io/v1 Cluster"  # not an object of Kubernetes
VERSIONS = ("1.37", "1.36", "1.35", "1.34")
PARTS = ("", "/state", "/update")
Object = dict[str, Any]


def targets_of(case: str) -> list[str]:
    return list(json.loads((GOLDEN / case / "odpm.json").read_text(encoding="utf-8"))["targets"])


CASES = sorted(folder.name for folder in GOLDEN.iterdir())
TARGETS = [(case, name) for case in CASES for name in targets_of(case)]


def spec_of(text: str, name: str, **changes: Any) -> TargetSpec:
    """A target of a project called acme_shop."""
    described = read_manifest(text, lambda _: None).manifest
    target = described.targets[name]
    given: dict[str, Any] = {
        "project": "acme_shop",
        "target": target,
        "manifest": described.for_scenario(target.scenario).for_target(target),
        "image": IMAGE,
        "conf": "[options]\nlist_db = False\n",
        "lock": "fedcba9876543210" * 4,
        "tool_version": "5.0.0",
    }
    return TargetSpec(**given | changes)


def golden_spec(case: str, name: str) -> TargetSpec:
    return spec_of((GOLDEN / case / "odpm.json").read_text(encoding="utf-8"), name)


def small_spec(target: Object, *, changes: Object | None = None, **keys: Any) -> TargetSpec:
    """The target `t` of a small description."""
    described = {"kind": "kubernetes", "domain": "shop.example", **target}
    return spec_of(json.dumps({**MINIMAL, **keys, "targets": {"t": described}}), "t", **changes or {})


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def kustomize(folder: Path) -> str:
    """What `kubectl apply -k` sends."""
    done = subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # a warning about something obsolete
    return done.stdout


def built_of(spec: TargetSpec, part: str = "") -> list[Object]:
    with TemporaryDirectory() as scratch:
        write(Path(scratch), kubernetes.files(spec))
        return list(yaml.safe_load_all(kustomize(Path(scratch) / f"overlays/{spec.target.name}{part}")))


@cache
def built(case: str, name: str, part: str = "") -> list[Object]:
    """The objects of a golden target: of the overlay, or of a part of it."""
    return built_of(golden_spec(case, name), part)


def everything(case: str, name: str) -> list[Object]:
    """The objects of the overlay, of the Job, and the namespace, which are applied one after the other."""
    files = kubernetes.files(golden_spec(case, name))
    space = yaml.safe_load(files[f"overlays/{name}/namespace.yaml"])
    return [space, *built(case, name), *built(case, name, "/update")]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The pod templates by the names of their workloads."""
    for each in of_kind(objects, "Deployment", "Job"):
        yield each["metadata"]["name"], each["spec"]["template"]
