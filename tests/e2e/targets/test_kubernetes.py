"""The golden folders of Kubernetes on disk: a real kubectl builds them, kubernetes-validate checks the result."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.docs.pages import PAGES
from tests.unit.targets.kubernetes import (
    CASES,
    CLUSTER,
    DIGEST,
    GOLDEN,
    KUBECTL,
    PARTS,
    VERSIONS,
    kustomize,
    of_kind,
    targets_of,
)

VALIDATE = Path(sys.executable).with_name("kubernetes-validate")


def validate(file: Path, version: str) -> str:
    """What `kubernetes-validate` refuses; empty if it accepts the file."""
    words = [str(VALIDATE), "--strict", "--quiet", "--kubernetes-version", version, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "WARN" not in done.stdout
    return done.stdout if done.returncode else ""


def build(folder: Path, scratch: Path) -> Path:
    """What kubectl makes of a folder, without the object that is not one of Kubernetes."""
    text = kustomize(folder)
    objects = [each for each in yaml.safe_load_all(text) if f"{each['apiVersion']} {each['kind']}" != CLUSTER]
    built = scratch / "built.yaml"
    built.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    return built


@pytest.mark.parametrize("case", CASES)
def test_all_targets_of_a_project_build_from_one_folder(case: str, tmp_path: Path) -> None:
    names = targets_of(case)
    folder = shutil.copytree(GOLDEN / case / "out", tmp_path / "out")
    assert {path.name for path in (folder / "overlays").iterdir()} == set(names)
    spaces = set()
    for name in names:
        for part in PARTS:
            built = build(folder / f"overlays/{name}{part}", tmp_path)
            objects = list(yaml.safe_load_all(built.read_text(encoding="utf-8")))
            spaces |= {(name, each["metadata"]["namespace"]) for each in objects}
            images = {
                container["image"]
                for each in objects
                if each["kind"] in {"Deployment", "Job"}
                for container in each["spec"]["template"]["spec"]["containers"]
            }
            assert images == (set() if part == "/state" else {f"registry.example:5000/acme/odoo@{DIGEST}"})
            for version in VERSIONS[:: len(VERSIONS) - 1]:  # each object and version is checked in tests/unit/targets
                assert validate(built, version) == ""
    assert len(spaces) == len(names)


def test_a_mistake_in_a_file_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "small/out", tmp_path / "out")
    file = folder / "base/web.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("enableServiceLinks:", "enableServiceLink:"), "utf-8")
    assert "enableServiceLink" in validate(build(folder / "overlays/cluster", tmp_path), VERSIONS[0])
    (folder / "base/cron.yaml").unlink()
    with pytest.raises(AssertionError, match=r"cron\.yaml"):
        kustomize(folder / "overlays/cluster")


def test_the_example_of_the_docs_changes_a_rendered_target(tmp_path: Path) -> None:
    (example,) = (block for block in PAGES["docs/deploy.md"].blocks if "kind: Kustomization" in block.text)
    folder = shutil.copytree(GOLDEN / "full/out", tmp_path / "out")
    (folder / "overlays/own").mkdir()
    (folder / "overlays/own/kustomization.yaml").write_text(example.text, encoding="utf-8")
    objects = list(yaml.safe_load_all(kustomize(folder / "overlays/own")))
    (cluster,) = of_kind(objects, "Cluster")
    assert cluster["spec"]["instances"] == 3
    (ingress,) = of_kind(objects, "Ingress")
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert len(ingress["metadata"]["annotations"]) == 2
    assert validate(build(folder / "overlays/own", tmp_path), VERSIONS[0]) == ""


def test_kubectl_has_the_commands_and_options_of_the_docs() -> None:
    blocks = [block.text for block in PAGES["docs/deploy.md"].blocks if block.language == "console"]
    commands = [
        part.strip() for text in blocks for part in re.findall(r"(?:^\$ |\| )(kubectl [^|\n]+)", text, re.MULTILINE)
    ]
    assert len(commands) > 15
    for command in commands:
        # an unknown option is an error also where the help is asked for
        words = [*shlex.split(command.replace(" -f -", " --filename=-"))[1:], "--help"]
        done = subprocess.run([KUBECTL, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert f"kubectl {words[0]}" in done.stdout, command
    done = subprocess.run([KUBECTL, "apply", "--kustomise", "x", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
