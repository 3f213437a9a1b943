"""A Python package from git in the images: installed at its commit, imported, a layer of its own, in the SBOM."""

from __future__ import annotations

import json

import pytest

from tests.e2e.failures import HOST, Workspace
from tests.e2e.harness import docker, git

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.docker_workspaces"]
pytestmark = pytest.mark.docker
TOOL = "team/tool.git"
PYTHON = "/opt/odoo/venv/bin/python"
# the version comes from a tag, which the build does not have
PROJECT = """\
[build-system]
requires = ["setuptools", "setuptools-scm"]
build-backend = "setuptools.build_meta"
[project]
name = "acme-tool"
dynamic = ["version"]
dependencies = ["six"]
[project.scripts]
acme-tool = "acme_tool:main"
[tool.setuptools]
packages = ["acme_tool"]
[tool.setuptools_scm]
root = ".."
"""
FACTS = """\
import json
from importlib.metadata import distribution
found = distribution("acme-tool")
print(json.dumps([found.version, json.loads(found.read_text("direct_url.json")), sorted(map(str, found.files))]))
"""


def publish(workspace: Workspace, answer: int) -> str:
    module = f"import six\n\n\ndef main():\n    print({answer})\n"
    return workspace.publish(TOOL, {"python/pyproject.toml": PROJECT, "python/acme_tool/__init__.py": module}, "main")


def layers(image: str) -> list[str]:
    found: list[str] = json.loads(docker("image", "inspect", image))[0]["RootFS"]["Layers"]
    return found


def run(image: str, *words: str) -> str:
    return docker("run", "--rm", f"--entrypoint={words[0]}", image, *words[1:])


def test_a_package_from_git_is_in_the_images_and_in_the_sbom(docker_workspace: Workspace) -> None:
    bench, root = docker_workspace.bench, docker_workspace.root
    bench.env |= {"ODPM_IMAGE_MIRROR": "", "ODPM_APT_MIRROR": "", "ODPM_BASE_IMAGE_PROFILE": "ci"}
    git("tag", "v2.0", publish(docker_workspace, 41), cwd=docker_workspace.host / TOOL)
    docker_workspace.describe(dependencies=[], requirements=[f"acme-tool @ git+{HOST}{TOOL}@main#subdirectory=python"])
    bench.ok("lock")
    images = [bench.ok("build").out.split()[-1]]
    ci = f"{bench.prefix}-git:1"
    try:
        assert run(images[0], "acme-tool") == "41"

        # another commit is another image, in which one layer differs
        commit = publish(docker_workspace, 42)
        bench.ok("lock", "--update", "--only", "acme-tool")
        images.append(bench.ok("build").out.split()[-1])
        before, after = map(layers, images)
        assert len(before) == len(after)
        assert [one == other for one, other in zip(before, after, strict=True)].count(False) == 1

        (entry,) = docker_workspace.lock()["python"]
        assert (entry["commit"], entry["requirements"]) == (commit, ["six"])
        assert entry["version"].startswith("2.1.dev1+g")
        version, origin, files = json.loads(run(images[1], PYTHON, "-c", FACTS))
        vcs = {"vcs": "git", "commit_id": commit, "requested_revision": "main"}
        assert version == entry["version"]
        assert origin == {"url": "https://git.test/team/tool", "vcs_info": vcs, "subdirectory": "python"}
        assert not [name for name in files if "uv_" in name]
        assert run(images[1], "acme-tool") == "42"
        assert run(images[1], "find", "/opt/odoo/venv", "-path", "*/acme_tool/*.pyc")

        git("add", "-A", cwd=root)
        git("commit", "-qm", "A tool", cwd=root)
        bench.ok("build-image", "--tag", ci, "--sbom", ODPM_SCENARIO="ci")
        assert run(ci, "acme-tool") == "42"
        bill = json.loads((root / ".odpm/build/sbom.cdx.json").read_text(encoding="utf-8"))
        mine = next(component for component in bill["components"] if component["name"] == "acme-tool")
        assert f"vcs_url=git%2Bhttps://git.test/team/tool%40{commit}%23subdirectory%3Dpython" in mine["purl"]
        assert {"name": "odpm:commit", "value": commit} in mine["properties"]
    finally:
        docker("image", "rm", "--force", ci, *images)
