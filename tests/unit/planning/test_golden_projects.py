"""Whole projects of different kinds: the generated files, byte for byte, and the plan of each.

A case is a folder of `tests/golden/projects`:

    odpm.json            the description; the project is called like the folder, unless `developing` names it
    env                  the project's `.env`; its ODPM_SCENARIO is the case's
    own/…                what the developing checkout holds
    src/NAME/…           what the source NAME holds, at whatever commit; without a folder nothing
    templates/…          the project's overrides
    docker-compose.yml   what has to come out, and odoo.conf; Dockerfile where the case is about the image
    plan.txt             `inv plan --verbose` in a fresh clone that has its locks, and `inv plan` after `inv up`

Everything is values, so commits stand for the names of sources and an image's name for fixed bytes. After a change that
is meant: `ODPM_GOLDEN=write pytest tests/unit/planning/test_golden_projects.py`, then read the difference.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml

from odpm_tasks.adapters.dotenv import read_env
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.names import project_name
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.locking.changes import complete_lock
from odpm_tasks.core.locking.graph import SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import DevelopingState, Pin, PythonLocks
from odpm_tasks.core.locking.pins import effective_pins
from odpm_tasks.core.locking.resolve import drive, resolve
from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.costs import ContainerChange, Cost, containers_text
from odpm_tasks.core.planning.observed import Checkout, Running, RunningState
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.step_text import LineStyle
from odpm_tasks.core.planning.text import plan_lines
from odpm_tasks.core.stack.compose_errors import schema_problems, undefined_names
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.render import Stack, render
from odpm_tasks.core.stack.services import summarize
from tests.unit.builders import PROGRAMS, commit

GOLDEN = Path(__file__).parents[2] / "golden" / "projects"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if (folder / "odpm.json").exists())
TEMPLATES = {"Dockerfile.j2": ".odpm/build/Dockerfile", "odoo.conf.j2": ".odpm/build/odoo.conf"}
COMPOSE = "docker-compose.yml"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def held(folder: Path, *, counting: bool = False) -> Facts:
    """The facts of a folder of the case, read like a commit of a repository."""
    contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    asked, large = addons.split_by_size({name: len(data) for name, data in contents.items()}, skip_manifests=counting)
    return addons.facts(sorted(contents), {name: contents[name] for name in asked}, large)


@cache
def fresh(case: str) -> RunningState:
    """The case as a fresh clone that has its locks: nothing is fetched, generated or started."""
    folder = GOLDEN / case
    env = read_env(text_of(folder / "env"), "env", {})
    scenario = SCENARIOS[env.get("ODPM_SCENARIO", "developer")]
    manifest = read_manifest(text_of(folder / "odpm.json"), env.get).manifest.for_scenario(scenario.name)
    developing = manifest.developing

    def found(ask: SourceQuery) -> SourceAnswer:
        key = ask.link.url if ask.link.is_file else ask.link.canonical
        return SourceAnswer(
            ask.commit or commit(key), held(folder / "src" / ask.link.name, counting=ask.kind == "platform")
        )

    pins = effective_pins(None, manifest.locks_git, manifest.odoo_version)
    own = (
        DevelopingState(Pin(developing.canonical, commit("own"), developing.branch, tree=commit("tree")))
        if developing
        else None
    )
    walk = resolve(manifest, pins, env.get, strict=scenario.strict, own=developing.canonical if developing else None)
    resolution = drive(walk, lambda asks: [found(ask) for ask in asks])
    brought = fragments(manifest, resolution, scenario)
    overrides = {name: text for name in TEMPLATES if (text := text_of(folder / "templates" / name))}
    stack = Stack(
        name=project_name(developing.name if developing else case),
        scenario=scenario,
        manifest=brought.merge_into(manifest),
        resolution=resolution,
        own=held(folder / "own"),
        locks=(b"lock", b"developer"),
        programs=PROGRAMS,
        templates=overrides,
    )
    rendered = render(stack)
    started = summarize(rendered.files[COMPOSE].decode(), env.get).active
    return RunningState(
        stack=stack,
        current={},
        release_exported=False,
        scenario=scenario,
        manifest=manifest,
        lock=replace(complete_lock(resolution.lock(None), None, manifest.locks_git, own), venv="python"),
        own=own,
        resolution=resolution,
        uncached=tuple(source.key for source in resolution.sources if not source.link.is_file),
        checkouts={source.name: Checkout("absent") for source in resolution.sources},
        python=PythonLocks("asked", "asked", "python"),
        rendered=rendered,
        fragments=brought,
        overrides={path: f".odpm/templates/{name}" for name, path in TEMPLATES.items() if name in overrides},
        image=expand(rendered.image, env.get, COMPOSE),
        running=Running(
            image=False,
            postgres="absent",
            postgres_detail="start db",
            detail=containers_text(
                Cost(containers=tuple(ContainerChange(name, "create") for name in started if name != "db"))
            ),
        ),
        database=manifest.odoo_conf.get("options", {}).get("db_name", "") or case,
        modules=stack.modules,
    )


def brought_up(found: RunningState) -> RunningState:
    """The same after `up`: everything exists."""
    return replace(
        found,
        uncached=(),
        checkouts={
            source.name: Checkout("link" if source.link.is_file else "ours", source.commit)
            for source in found.resolution.sources
        },
        current=found.rendered.files,
        release_exported=True,
        last_scenario=found.scenario.name,
        validated=True,
        running=Running(True, "running", "", "ready"),
    )


def printed(found: RunningState) -> str:
    """Both plans as printed without a terminal."""
    plans = {"inv plan --verbose": plan_lines(plan(found), LineStyle(), verbose=True)}
    plans |= {"inv up && inv plan": plan_lines(plan(brought_up(found)), LineStyle())}
    warnings = "".join(f"warning: {warning}\n" for warning in found.fragments.warnings)
    return warnings + "\n".join(f"$ {typed}\n" + "\n".join(lines) + "\n" for typed, lines in plans.items())


def outputs(case: str) -> dict[str, str]:
    found = fresh(case)
    files = {Path(path).name: data.decode() for path, data in found.rendered.files.items()}
    about_image = (GOLDEN / case / "Dockerfile").exists()
    names = (COMPOSE, "odoo.conf", *(["Dockerfile"] if about_image else []))
    return {**{name: files[name] for name in names}, "plan.txt": printed(found)}


@pytest.mark.parametrize("case", CASES)
def test_generated_files_and_plan(case: str) -> None:
    for name, text in outputs(case).items():
        golden = GOLDEN / case / name
        if os.environ.get("ODPM_GOLDEN") == "write":
            golden.write_text(text, encoding="utf-8")
        assert text == text_of(golden), f"{case}/{name}"


@pytest.mark.parametrize("case", CASES)
def test_the_description_is_valid_and_so_are_its_services(case: str) -> None:
    """A golden file must be valid for Compose."""
    env = read_env(text_of(GOLDEN / case / "env"), "env", {})
    assert problems(text_of(GOLDEN / case / "odpm.json"), env.get)[0] == ()
    data = yaml.safe_load(text_of(GOLDEN / case / COMPOSE))
    assert [*undefined_names(data), *schema_problems(data)] == []


@pytest.mark.parametrize("case", CASES)
def test_after_up_no_step_is_left(case: str) -> None:
    after = plan(brought_up(fresh(case)))
    assert {step.action for step in after.steps} <= {"keep", "run", "skip"}
    assert after.drift == ()


@pytest.mark.parametrize("case", CASES)
def test_values_of_env_are_in_no_generated_file(case: str) -> None:
    env = read_env(text_of(GOLDEN / case / "env"), "env", {})
    values = {value for name, value in env.items() if name != "ODPM_SCENARIO" and value not in {"true", "printing"}}
    for name in (COMPOSE, "odoo.conf"):
        assert [value for value in values if value in text_of(GOLDEN / case / name)] == []
