"""One small image for the tests of builds: made without help of the build cache, through mirrors that ask for a password."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import FILES, WEB, Workspace, create_workspace
from tests.e2e.harness import docker, git
from tests.standins.mirrors import Mirrors, wheel
from tests.standins.registry import Registry

# Others each time, so that no layer of an earlier run is found and every run asks the mirrors.
SYSTEM = sorted(
    random.sample(["bc", "cowsay", "dc", "ed", "figlet", "hello", "jq", "lolcat", "pv", "sl", "toilet", "tree"], 2)
)
VERSION = f"1.{random.randrange(10**6)}"
PASSWORD = "planted-in-a-url-4711"
BASE = "python:3.11-slim-bookworm"
PAGE = "shop/shop_page/page.py"
OWN = {
    "shop/shop_page/__init__.py": "",
    "shop/shop_page/__manifest__.py": '{"name": "Page", "version": "19.0.1.0.0", "license": "LGPL-3", "depends": ["mail"]}\n',
    PAGE: "TITLE = 'Shop'\n",
}
THEIRS = '{"name": "Web thing", "version": "19.0.2.0.0", "license": "AGPL-3"}\n'


@dataclass(frozen=True)
class Small:
    """A project in the scenario ci whose image takes seconds: a platform of four files, few packages.

    Its Dockerfile differs from that of every other project in the first step, so that it shares no layer with images that
    were built earlier or are built at the same time, and rests on no mirror of an earlier day. The mirrors answer each
    question about an index as they did at first.
    """

    workspace: Workspace
    mirrors: Mirrors
    registry: Registry
    dockerfile: str  # what it was built from
    image: Built  # pushed, with its bill of materials


@pytest.fixture(scope="session", params=["ci", pytest.param("full", marks=pytest.mark.long)])
def small_image(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    workspace_rendered: Workspace,
    engine: None,
) -> Iterator[Small]:
    """The small project and its image, built once; `ci`: the profile without a PDF renderer."""
    wheels = dict([wheel("acme-secrets", VERSION, "ANSWER = 42\n")])
    workspace = create_workspace(tmp_path_factory.mktemp("small"), workspace_rendered)
    bench, root = workspace.bench, workspace.root
    with Mirrors(PASSWORD, wheels) as mirrors, Registry() as registry:
        docker("tag", BASE, f"{registry.address}/{BASE}")
        docker("push", "--quiet", f"{registry.address}/{BASE}")
        tag = f"{registry.address}/{bench.prefix}/odoo:1.0"
        try:
            bench.env |= {
                "ODPM_BASE_IMAGE_PROFILE": str(request.param),
                "ODPM_APT_MIRROR": mirrors.debian,
                "ODPM_IMAGE_MIRROR": f"{registry.address}/",
                "UV_INDEX": mirrors.index,
            }
            workspace.publish(WEB, {**FILES[WEB], "web_thing/__manifest__.py": THEIRS})
            for path, text in OWN.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            workspace.describe(requirements=["acme-secrets", "psycopg2"], system_packages=SYSTEM)
            never_seen = uuid.uuid4()
            bench.template(lambda ours: ours.replace(" AS base\n", f" AS base\nENV ODPM_TEST_RUN={never_seen}\n"))
            bench.ok("lock")
            bench.env["ODPM_SCENARIO"] = "ci"
            git("add", "-A", cwd=root)
            git("commit", "-qm", "A shop", cwd=root)
            git("remote", "add", "origin", "https://someone:s3cret@git.example/shop/stack.git", cwd=root)
            out = bench.ok("build-image", "--tag", tag, "--push", "--sbom", "--format", "json").out
            dockerfile = (root / ".odpm/build/Dockerfile").read_text(encoding="utf-8")
            assert str(never_seen) in dockerfile
            assert json.loads(out)["names"] == [tag]
            yield Small(workspace, mirrors, registry, dockerfile, Built(tag, out))
        finally:
            docker("image", "rm", "--force", tag, f"{registry.address}/{BASE}")
