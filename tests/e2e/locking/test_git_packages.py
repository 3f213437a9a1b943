"""Python packages from git: a real git server, a package index on loopback, real uv."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import FILES, HOST, LOCKS, WEB, Workspace, failure
from tests.e2e.harness import git
from tests.standins.githttp import GitServer
from tests.standins.package_index import Index, only, wheel

pytest_plugins = ["tests.e2e.workspaces"]
TOOL = "team/tool.git"
ADDRESS = f"git+{HOST}{TOOL}"


def project(version: str = "1.0", *requires: str, name: str = "tool-x") -> dict[str, str | bytes]:
    return {
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {json.dumps(requires)}\n'
    }


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    made.wheel("six", "1.16.0")
    made.wheel("user", "1.0", "Requires-Dist: tool_x>=1\n")
    yield made
    made.close()


def packages(workspace: Workspace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workspace.lock().get("python", [])
    return found


def requirements(workspace: Workspace) -> list[str]:
    lines = (workspace.root / LOCKS[1]).read_text(encoding="utf-8").splitlines()
    return [line.split(" ")[0] for line in lines if "==" in line]


def test_a_package_from_git_is_locked_kept_checked_moved_and_compared(workspace: Workspace, index: Index) -> None:
    first = workspace.publish(TOOL, project("1.0", "six"), "main")
    workspace.describe(dependencies=[], requirements=["user", f"Tool_X @ {ADDRESS}@main"])
    with GitServer(workspace.host, auth=("me", "hunter2")) as server:
        env: dict[str, Any] = {
            **only(index), "ODPM_GIT_MIRROR": f"{HOST}={server.base.replace('://', '://me:hunter2@')}"
        }  # fmt: skip
        ran = workspace.bench.ok("lock", **env)
        assert f"add tool-x 1.0 @ {first[:8]}" in ran.out
        entry = {
            "name": "tool-x", "url": f"{HOST}{TOOL}".removesuffix(".git"), "ref": "main", "commit": first, "version": "1.0",
            "requirements": ["six"],
        }  # fmt: skip
        assert packages(workspace) == [entry]
        # what it requires is locked; the package is not taken from the index, also where another one requires it
        assert requirements(workspace) == ["six==1.16.0", "user==1.0"]
        assert not any("tool" in path for path in index.asked)
        assert "hunter2" not in "".join((workspace.root / path).read_text(encoding="utf-8") for path in LOCKS)
        git("add", "-f", *LOCKS, "odpm.json", cwd=workspace.root)
        git("commit", "-qm", "lock", cwd=workspace.root)

        second = workspace.publish(TOOL, project("1.1", "six"), "main")
        server.requests.clear()
        workspace.bench.ok("lock", **env)
        workspace.bench.ok("lock", "--check", **env)
        assert packages(workspace) == [entry]
        assert not [request for request in server.requests if "tool" in request.path]

        ran = workspace.bench.ok("lock", "--update", "--only", "tool_x", **env)
        assert f"tool-x 1.0 @ {first[:8]} -> 1.1 @ {second[:8]}" in ran.out
        assert packages(workspace) == [{**entry, "commit": second, "version": "1.1"}]
        assert [request for request in server.requests if "tool" in request.path]
        diff = json.loads(workspace.bench.ok("lock", "--diff", "--format", "json", **env).out)
        assert [(c["name"], c["old"][0]["version"], c["new"][0]["version"]) for c in diff["python"]] == [
            ("tool-x", f"1.0 @ {first[:8]}", f"1.1 @ {second[:8]}")
        ]

    # a lock whose pin was changed by hand, or a requirement that changed
    lock = workspace.lock()
    lock["python"][0]["commit"] = first
    (workspace.root / LOCKS[0]).write_text(json.dumps(lock), encoding="utf-8")
    failure(workspace.bench.inv("lock", "--check", **env), 3, "requirements changed")
    workspace.describe(dependencies=[], requirements=["user"])
    failure(workspace.bench.inv("lock", "--check", **env), 3, "requirements changed")


def test_what_a_repository_states_decides_how_its_package_is_locked(
    workspace: Workspace, index: Index, no_docker: dict[str, Any]
) -> None:
    env = {**only(index), **no_docker}

    def lock(files: dict[str, str | bytes], requirement: str, code: int = 0, *words: str) -> str:
        workspace.publish(TOOL, files, "main")
        workspace.describe(dependencies=[], requirements=[requirement])
        ran = workspace.bench.inv("lock", "--update", **env)
        assert ran.code == code, ran.output
        assert all(word in ran.err for word in words), ran.err
        return ran.err

    # an older layout, named by pip's older form and in a folder; the default branch is asked where no ref is named
    states = "name='tool-x', version='3.0', install_requires=['six>=1'], extras_require={'y': ['user']}"
    setup = f"from setuptools import setup\nsetup({states})\n"
    git("symbolic-ref", "HEAD", "refs/heads/main", cwd=create(workspace))
    lock({"python/setup.py": setup}, f"-e {ADDRESS}#egg=tool_x[y]&subdirectory=python")
    (entry,) = packages(workspace)
    assert (entry["version"], entry["subdirectory"], "ref" in entry) == ("3.0", "python", False)
    assert requirements(workspace) == ["six==1.16.0", "user==1.0"]

    # the version of tags: no code runs
    dynamic = '[build-system]\nrequires = ["setuptools-scm"]\n[project]\nname = "tool-x"\ndynamic = ["version"]\n'
    tagged = workspace.publish(TOOL, {"pyproject.toml": dynamic}, "main")
    git("tag", "v2.4.0", tagged, cwd=workspace.host / TOOL)
    lock({"pyproject.toml": dynamic, "more": ""}, f"tool-x @ {ADDRESS}@main")
    (entry,) = packages(workspace)
    assert entry["version"].startswith("2.4.1.dev1+g")

    # only code tells: named, and nothing is run on this machine
    code = "import setuptools, pathlib\npathlib.Path('/tmp/ran').touch()\nsetuptools.setup(name='tool-x', version=str(1 + 1))\n"
    lock({"setup.py": code}, f"tool-x @ {ADDRESS}@main", 8, "only running code of tool-x tells", "start Docker")

    lock(project(name="other"), f"tool-x @ {ADDRESS}@main", 4, "the repository has the package other, not tool-x")
    lock({"README": ""}, f"tool-x @ {ADDRESS}@main", 4, "no Python package at its root", "#subdirectory=PATH")
    lock(
        project("1.0", "deep @ https://host.example/deep.whl"),
        f"tool-x @ {ADDRESS}@main",
        4,
        "tool-x requires deep from an address",
    )
    lock({"pyproject.toml": '[project]\nname = "tool-x"\nversion = "1"\nrequires-python = ">=3.99"\n'},
         f"tool-x @ {ADDRESS}@main", 4, "is for Python >=3.99")  # fmt: skip
    lock(project(), f"tool-x @ {ADDRESS}@abc1234", 5, "write the commit with all 40 digits")
    text = lock(project("0.5"), f"user @ {ADDRESS}@main", 4)
    assert "the repository has the package tool-x, not user" in text
    # another package does not accept the version
    workspace.describe(dependencies=[], requirements=["user", f"tool-x @ {ADDRESS}@main"])
    failure(
        workspace.bench.inv("lock", "--update", **env),
        4,
        "the version of tool-x from git is not tool-x>=1",
        "package user",
        most=6,
    )


@pytest.mark.docker
def test_what_only_code_tells_is_built_in_a_container(workspace: Workspace, engine: None) -> None:
    """The code gets the version and no variable of this machine."""
    code = (
        "import os, setuptools\n"
        "needs = ['six'] if os.environ['SETUPTOOLS_SCM_PRETEND_VERSION'] == '1.5' and 'SECRET' not in os.environ else []\n"
        "setuptools.setup(name='tool-' + 'x', use_scm_version=True, version='1.5', install_requires=needs)\n"
    )
    commit = workspace.publish(TOOL, {"lib/setup.py": code}, "main")
    workspace.describe(dependencies=[], requirements=[f"tool-x @ {ADDRESS}@main#subdirectory=lib"])
    workspace.bench.ok("lock", ODPM_IMAGE_MIRROR="", SECRET="hunter2")
    (entry,) = packages(workspace)
    assert (entry["version"], entry["requirements"], entry["commit"]) == ("1.5", ["six"], commit)


@pytest.mark.docker
def test_an_image_that_cannot_be_pulled_is_no_fault_of_the_package(workspace: Workspace, engine: None) -> None:
    workspace.publish(
        TOOL, {"setup.py": "from setuptools import setup\nsetup(name='tool-x', version='1' * 2)\n"}, "main"
    )
    workspace.describe(dependencies=[], requirements=[f"tool-x @ {ADDRESS}@main"])
    ran = workspace.bench.inv("lock", ODPM_IMAGE_MIRROR="127.0.0.1:9/")
    failure(ran, 5, "cannot pull the image 127.0.0.1:9/python:", "code of tool-x", "docker pull 127.0.0.1:9/python:")


def test_the_next_step_corrects_what_the_description_says(workspace: Workspace, index: Index) -> None:
    """No lock moves what odpm.json itself names, and a package from git is moved by its own name."""
    env, nowhere = only(index), "1" * 40
    workspace.publish(TOOL, project(), "main")
    for described, expected in (
        ({"requirements": [f"tool-x @ {ADDRESS}@{nowhere}"]}, "change or remove it in the requirement tool-x"),
        ({"dependencies": [f"{HOST}{WEB} 19.0 {nowhere}"]}, "change or remove it in the link of web in odpm.json"),
        (
            {"dependencies": [{"git": f"{HOST}{WEB} 19.0", "merges": [f"refs/heads/19.0 {nowhere}"]}]},
            "change or remove it in the link of web in odpm.json",
        ),
    ):
        workspace.describe(**{"dependencies": [], "requirements": [], **described})
        failure(workspace.bench.inv("lock", **env), 5, "does not provide the commit 111111111111", expected)
    workspace.describe(dependencies=[], requirements=["six==1.16.0", "six==1.15.0"])
    failure(workspace.bench.inv("lock", **env), 4, "contradict each other", "keep one of them", most=6)
    workspace.describe(dependencies=[], requirements=[f"tool-x @ {ADDRESS}@main"])
    workspace.bench.ok("lock", **env)
    shutil.rmtree(workspace.host / TOOL)  # a rewritten branch
    workspace.publish(TOOL, project("2.0"), "main")
    failure(
        workspace.bench.inv("render", ODPM_CACHE_DIR=str(workspace.root.parent / "new"), **env),
        5, "does not provide the commit", "inv lock --update --only tool-x",
    )  # fmt: skip


def create(workspace: Workspace) -> Path:
    workspace.publish(TOOL, project(), "main")
    return workspace.host / TOOL


def test_packages_from_git_of_repositories_need_trust(workspace: Workspace, index: Index) -> None:
    commit = workspace.publish(TOOL, project("1.0", "six"), "main")
    workspace.publish(WEB, {**FILES[WEB], "requirements.txt": f"# tools\n{ADDRESS}@main#egg=tool-x\n-r reqs/more.txt\n",
                            "reqs/more.txt": "user\n-c limits.txt\n-e .\n", "reqs/limits.txt": "six<1.17\n"})  # fmt: skip
    index.wheel("six", "1.17.0")
    ran = workspace.bench.ok("lock", **only(index))
    assert "web: requirements.txt, line 2" in ran.err
    assert (
        "web: requirements.txt, line 3: the requirement '-r reqs/more.txt' is left out: it names another file"
        in ran.err
    )
    assert "odpm.json does not trust the repository" in ran.err
    assert packages(workspace) == []
    workspace.describe(trust=["web"])
    ran = workspace.bench.ok("lock", **only(index))
    assert [entry["commit"] for entry in packages(workspace)] == [commit]
    assert requirements(workspace) == ["six==1.16.0", "user==1.0"]
    assert "web: reqs/more.txt, line 3: the requirement '-e .' is left out" in ran.err
    # the project decides against it by a version of the index
    index.add("tool-x", "tool_x-9.0-py3-none-any.whl", wheel("tool_x", "9.0"))
    workspace.describe(trust=["web"], requirements=["tool-x==9.0"])
    ran = workspace.bench.ok("lock", **only(index))
    assert "drop tool-x" in ran.out
    assert packages(workspace) == []
    assert "tool-x==9.0 of odpm.json: requirements overrides" in ran.err


def test_a_wheel_at_an_address_is_locked_by_its_hash_and_an_archive_is_refused(
    workspace: Workspace, index: Index
) -> None:
    address = f"{index.url}user/user-1.0-py3-none-any.whl"
    workspace.describe(dependencies=[], requirements=[f"user @ {address}", f"tool-x @ {ADDRESS}@main"])
    workspace.publish(TOOL, project("1.0"), "main")
    workspace.bench.ok("lock", **only(index))
    text = (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert f"user @ {address} \\\n    --hash=sha256:" in text
    assert workspace.bench.ok("lock", "--check", **only(index))
    workspace.describe(dependencies=[], requirements=[f"user @ {index.url}user/user-1.0.tar.gz"])
    for task in ("lock", "validate"):
        ran = workspace.bench.inv(task, **only(index))
        assert ran.code == 4
        assert "at an address, only a wheel (.whl) can be locked" in ran.output


def test_another_machine_fetches_the_locked_commit(workspace: Workspace, index: Index) -> None:
    first = workspace.publish(TOOL, project("1.0"), "main")
    workspace.describe(dependencies=[], requirements=[f"tool-x @ {ADDRESS}@main"])
    workspace.bench.ok("render", **only(index))
    dockerfile = (workspace.root / ".odpm/build/Dockerfile").read_text(encoding="utf-8")
    assert f"/media/tool-x-{first}" in dockerfile
    workspace.publish(TOOL, project("2.0"), "main")
    other = {**only(index), "ODPM_CACHE_DIR": str(workspace.folder / "other-cache")}
    plan = workspace.bench.ok("plan", **{**other, "ODPM_CACHE_DIR": str(workspace.folder / "other-cache")})
    assert "git.materialize" in plan.out
    workspace.bench.ok("render", **other)
    assert (workspace.folder / "other-cache/git/git.test/team/tool.git/refs/odpm/commits" / first).exists()
    assert (workspace.root / ".odpm/build/Dockerfile").read_text(encoding="utf-8") == dockerfile
    assert workspace.bench.ok("plan", "--strict", **other)
