"""For any description: after `apply` its plan is all `keep`, `run` and `skip`, and a second `apply` does nothing.

Descriptions are random, the rest is real: git with a server of this machine behind a mirror rule, one cache for all, a
folder that is used in place, files. Of programs there is git and what hooks want; no network, no Docker, no uv.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.planning.steps import PREPARING, Plan
from odpm_tasks.project import Project
from tests.unit.builders import MINIMAL
from tests.unit.repositories import packed, put, repository
from tests.unit.test_project import lock_python, pin

GITHUB = "https://github.com/"
PROGRAMS = ("git", "true", "sh", "mkdir")
NOBODY = "127.0.0.1:1"  # a registry that does not answer, at once

# What the repositories of this small world hold; queue brings services, a patch and hooks of its own.
QUEUE = {
    **MINIMAL,
    "services": {
        "redis": {"image": f"{NOBODY}/redis:7", "volumes": ["redis:/data"]},
        "files": {"image": f"{NOBODY}/files:1", "volumes": ["./conf:/conf:ro"]},
    },
    "service_patches": {"odoo": {"environment": {"QUEUE": "on"}}},
    "hooks": {"post_clone": [["true", "queue"]], "post_prepare": [["git", "--version"]]},
}
SERVERS = {
    "odoo/odoo": {"odoo-bin": "", "addons/sale/__manifest__.py": "{}", "requirements.txt": "lxml==5.2.1\n"},
    "OCA/web": {"web_x/__manifest__.py": "{}"},
    "OCA/queue": {"queue/__manifest__.py": "{}", "odpm.json": json.dumps(QUEUE)},
}
PROJECT = {
    "addons/mine/__manifest__.py": "{}",
    "site/Dockerfile": "FROM scratch\n",
    "tools/hooks.py": "def warm():\n    pass\n",
}

# --- descriptions ----------------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        ["", "yes", "1e3", "0o7", "null", "a: b", "# no", " x ", "50%", "%(x)s", "$", "$$x", "${A:-b}", "é"]
    ),
    st.text("aZ09äß漢 .,:;#%&*!?|>-_=@~/\\'\"`{}[]()$", max_size=12).filter(lambda text: "${" not in text),
)
NAMES = st.sampled_from(["mail", "cache", "worker-1", "site_2"])
VARIABLES = st.sampled_from(["TZ", "LANG", "A", "on"])
VALUES = st.one_of(WORDS, st.integers(0, 9999), st.booleans())
ENVIRONMENT = st.one_of(
    st.dictionaries(VARIABLES, st.one_of(st.none(), WORDS, st.integers(0, 9)), max_size=3),
    st.lists(VARIABLES, unique=True, max_size=2),
)
NETWORKS = st.one_of(
    st.lists(st.sampled_from(["default", "database", "front"]), unique=True, min_size=1),
    st.dictionaries(st.sampled_from(["default", "front"]), st.none(), min_size=1),
)
VOLUMES = ["data:/data", "./site:/site:ro", "/anonymous", {"type": "volume", "source": "more", "target": "/more"}]


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


KEYS: dict[str, st.SearchStrategy[Any]] = {
    "environment": ENVIRONMENT,
    "labels": st.dictionaries(st.sampled_from(["a", "b.c"]), WORDS, max_size=2),
    "command": st.one_of(WORDS, st.lists(WORDS, max_size=3)),
    "ports": st.lists(
        st.sampled_from(["127.0.0.1:${MAIL_PORT:-8025}:8025", "9000", "127.0.0.1:7000:7000"]), unique=True
    ),
    "volumes": st.lists(st.sampled_from(VOLUMES), max_size=3, unique_by=str),
    "mem_limit": st.sampled_from(["64m", "1g"]),
}
STANDING = {
    "networks": NETWORKS,
    "profiles": st.lists(st.sampled_from(["debug", "more"]), unique=True, min_size=1),
    "depends_on": st.sampled_from([["db"], {"db": {"condition": "service_healthy"}}]),
    "restart": st.sampled_from(["no", "always"]),
}
IMAGES = st.sampled_from([{"image": f"{NOBODY}/mail:1"}, {"build": "./site"}, {"build": {"context": "site"}}])
SERVICES = st.dictionaries(
    NAMES, st.builds(lambda image, keys: image | keys, IMAGES, some(**KEYS, **STANDING)), max_size=3
)
PATCHES = st.dictionaries(st.sampled_from(["db", "odoo"]), some(**KEYS), max_size=2)
OPTIONS = st.dictionaries(
    st.sampled_from(["workers", "Log_Level", "smtp_server", "longpolling_port"]), VALUES, max_size=3
)
CONF = some(options=OPTIONS, queue_job=st.dictionaries(st.sampled_from(["channels", "x"]), VALUES, max_size=2))
MAKE = "mkdir -p addons/made; echo '{}' >addons/made/__manifest__.py"  # a hook may change what the project holds
PROGRAM = st.sampled_from([["true"], ["git", "--version"], ["true", "${A:-b}", "$$x"], ["sh", "-c", MAKE]])
HOOKS = st.dictionaries(
    st.sampled_from(["post_clone", "post_prepare", "pre_up", "post_up"]),
    st.one_of(st.just("tools.hooks:warm"), st.lists(PROGRAM, max_size=2)),
)
BLOCKS = {"odoo_conf": CONF, "services": SERVICES, "service_patches": PATCHES, "hooks": HOOKS}
DESCRIPTIONS = some(
    **BLOCKS,
    scenarios=st.dictionaries(st.sampled_from(sorted(SCENARIOS)), some(**BLOCKS), max_size=2),
    system_packages=st.lists(st.sampled_from(["libcups2", "git"]), unique=True),
    trust=st.sampled_from([[], ["queue"]]),
    postgres=st.sampled_from(["13", "18.1"]),
)
DEPENDENCIES = st.lists(
    st.sampled_from([f"{GITHUB}OCA/web 19.0", f"{GITHUB}OCA/queue 19.0", "file://${THEMES}"]), unique=True
)
ENV = some(
    ODOO_PORT=st.integers(1024, 65535),
    POSTGRES_PORT=st.integers(1024, 65535),
    MAIL_PORT=st.integers(1024, 65535),
    ODPM_COMPOSE_PREFIX=st.sampled_from(["acme-one", "x"]),
    COMPOSE_PROFILES=st.sampled_from(["debug", "*"]),
    A=st.sampled_from(["a", "'b c'"]),
)

# --- the ground --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A machine with servers, a folder of themes, a cache that is filled once, and almost no programs."""
    folder = tmp_path_factory.mktemp("machine")
    for name, files in SERVERS.items():
        packed(repository(folder / "servers" / name, files))
    put(folder / "themes", {"theme_x/__manifest__.py": "{}"})
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found
        (folder / "bin" / name).symlink_to(found)
    with pytest.MonkeyPatch.context() as machine:
        for name in [name for name in os.environ if name.startswith(("ODPM_", "GIT_", "XDG_", "COMPOSE_"))]:
            machine.delenv(name)
        machine.setenv("PATH", str(folder / "bin"))
        machine.setenv("HOME", str(folder))
        machine.setenv("GIT_CONFIG_NOSYSTEM", "1")
        machine.setenv("THEMES", str(folder / "themes"))
        machine.setenv("ODPM_GIT_MIRROR", f"{GITHUB}=file://{folder / 'servers'}/")
        machine.setenv("ODPM_IMAGE_MIRROR", f"{NOBODY}/")
        machine.setenv("ODPM_APT_MIRROR", f"http://{NOBODY}/debian")
        yield folder


def left(plan: Plan) -> list[tuple[str, str, str, str]]:
    """The acting steps of a plan except hooks, which run each time."""
    acting = (step for step in plan.steps if step.action not in {"keep", "skip"})
    return [
        (step.id, step.action, step.target, step.detail)
        for step in acting
        if not (step.action == "run" and step.id.startswith("hooks."))
    ]


@settings(max_examples=settings().max_examples // 8, phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink))
@given(
    description=DESCRIPTIONS,
    dependencies=DEPENDENCIES,
    env=ENV,
    turns=st.lists(st.sampled_from(sorted(SCENARIOS)), unique=True, min_size=1, max_size=2),
)
def test_after_apply_no_step_is_pending(
    room: Path, description: dict[str, Any], dependencies: list[str], env: dict[str, Any], turns: list[str]
) -> None:
    """In one scenario, then in another."""
    with tempfile.TemporaryDirectory(dir=room) as folder:
        root = Path(folder) / "acme"
        put(root, PROJECT)
        put(
            root,
            {
                "odpm.json": json.dumps(
                    {
                        **MINIMAL,
                        "platform": {"git": f"{GITHUB}odoo/odoo 19.0"},
                        "dependencies": dependencies,
                        **description,
                    }
                ),
                ".env": "".join(f"{name}={value}\n" for name, value in env.items()),
            },
        )
        pin(Project.at(root))
        lock_python(Project.at(root))
        for scenario in turns:
            project = Project.at(root, ODPM_SCENARIO=scenario)
            before = project.plan(PREPARING)
            assert left(before) != []
            project.apply(before)
            after = Project.at(root, ODPM_SCENARIO=scenario).plan(PREPARING)
            assert left(after) == []
            assert after.drift == ()
            assert {step.action for step in project.apply(after)} <= {"run"}
