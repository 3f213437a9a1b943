"""The costs in a plan: changed inputs of an image, changes of containers, downtime of Odoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from odpm_tasks.core.planning.costs import (
    ContainerChange,
    Cost,
    changed_inputs,
    container_changes,
    containers_text,
    image_text,
    odoo_goes_down,
    service_parts,
)
from odpm_tasks.core.planning.observed import Running
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.stack.image_inputs import image_inputs
from odpm_tasks.core.stack.render import Stack
from tests.unit.builders import OCA, manifest, resolution, source
from tests.unit.planning.test_planner import observed
from tests.unit.stack.test_render import ODOO, stack

ENV = {"ODOO_PORT": "8069"}
SERVICES: dict[str, Any] = {
    "db": {"image": "postgres:15", "volumes": ["db:/var/lib"]},
    "odoo": {"image": "odoo:1", "ports": ["${ODOO_PORT:-1}:8069"], "environment": {"A": "${A:-1}", "TOKEN": None}},
    "mail": {"image": "mail:1", "environment": ["B=1"]},
}


def parts(env: Mapping[str, str] = ENV, baked: str = "", **changes: Any) -> dict[str, dict[str, str]]:
    """The parts of the services above with some keys changed."""
    services = {
        name: {**keys, **changes.get(name, {})} for name, keys in SERVICES.items() if changes.get(name, {}) is not None
    }
    return service_parts(yaml.safe_dump({"services": services}), env.get, baked)


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (parts(), {}),
        (parts(odoo={"image": "odoo:2"}), {"odoo": ("image",)}),
        (parts(baked="other"), {"odoo": ("image",)}),
        (parts({"ODOO_PORT": "8070"}), {"odoo": ("ports",)}),
        (parts({**ENV, "A": "2"}), {"odoo": ("environment",)}),
        (parts({**ENV, "TOKEN": "2"}), {"odoo": ("environment",)}),
        (parts({**ENV, "OTHER": "2"}), {}),
        (parts(mail={"environment": ["B=2"]}), {"mail": ("environment",)}),
        (parts(db={"volumes": ["db:/var"]}, odoo={"image": "odoo:2", "labels": {"x": "y"}}),
         {"db": ("configuration",), "odoo": ("image", "configuration")}),
    ],
)  # fmt: skip
def test_why_a_container_is_recreated(now: dict[str, dict[str, str]], changes: dict[str, tuple[str, ...]]) -> None:
    found = container_changes(parts(), now, {"db", "odoo", "mail"}, ())
    assert {change.service: change.reasons for change in found if change.action == "recreate"} == changes
    assert {change.service for change in found if change.action == "keep"} == set(SERVICES) - set(changes)


def test_recorded_parts_contain_no_value_of_a_variable() -> None:
    assert "geheim" not in str(parts({**ENV, "TOKEN": "geheim", "A": "geheim"}))


def test_existing_stopped_and_obsolete_containers() -> None:
    now = parts(mail=None)
    assert container_changes({}, now, (), ()) == (ContainerChange("db", "create"), ContainerChange("odoo", "create"))
    assert container_changes(parts(), now, {"odoo", "mail"}, {"db"}) == (
        ContainerChange("db", "start"),
        ContainerChange("odoo", "keep"),
        ContainerChange("mail", "remove"),
    )
    started = container_changes({}, parts(db={"profiles": ["pending"]}), (), ())
    assert {change.service for change in started} == {"odoo", "mail"}


@pytest.mark.parametrize(
    ("changes", "running", "down"),
    [
        ((ContainerChange("odoo", "recreate"),), {"odoo"}, True),
        ((ContainerChange("db", "recreate"), ContainerChange("odoo", "keep")), {"odoo"}, True),
        ((ContainerChange("mail", "recreate"), ContainerChange("odoo", "keep")), {"odoo"}, False),
        ((ContainerChange("odoo", "create"),), set(), False),
        ((ContainerChange("odoo", "start"), ContainerChange("db", "keep")), {"db"}, False),
    ],
)
def test_whether_odoo_goes_down(changes: tuple[ContainerChange, ...], running: set[str], down: bool) -> None:
    assert odoo_goes_down(changes, running) is down


def test_text_of_container_changes() -> None:
    changes = (
        ContainerChange("db", "keep"),
        ContainerChange("odoo", "recreate", ("image", "ports")),
        ContainerChange("mail", "create"),
        ContainerChange("cache", "create"),
        ContainerChange("old", "remove"),
    )
    assert containers_text(Cost((), 12.4, changes, odoo_down=True)) == (
        "create mail, cache; recreate odoo (image, ports); remove old; keep db; Odoo is down meanwhile (12 s last time)"
    )
    assert containers_text(Cost((), None, changes[:2], odoo_down=True)).endswith("keep db; Odoo is down meanwhile")


def test_text_of_an_image_build() -> None:
    assert image_text(Cost(("Python packages", "base image"), 41.2)) == (
        "Python packages, base image changed; took 41 s last time"
    )
    assert image_text(Cost((), 300)) == "took 5 min last time"
    assert image_text(Cost()) == ""


def test_changed_inputs() -> None:
    assert changed_inputs({}, {"a": "1"}) == ()
    assert changed_inputs({"a": "1", "gone": "1", "b": "1"}, {"b": "2", "new": "1", "a": "1"}) == ("b", "new", "gone")


BASE = stack()
WEB = source(f"{OCA}/web 19.0")


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        (BASE, ()),
        (stack(digests={"python:3.12-slim-bookworm": "sha256:" + "0" * 64}), ("base image",)),
        (stack(manifest=manifest(system_packages=["jq"])), ("system packages",)),
        (replace(BASE, locks=(b"other", BASE.locks[1])), ("Python packages",)),
        (replace(BASE, locks=(BASE.locks[0], b"other")), ("developer packages",)),
        (replace(BASE, templates={"Dockerfile.j2": "FROM x\n"}), ("Dockerfile template",)),
        (replace(BASE, templates={"odoo_run.py": "#!/bin/sh\n"}), ("runtime script",)),
        (replace(BASE, templates={"odoo_run_conf.py": "pass\n"}), ("runtime script",)),
        (replace(BASE, templates={"odoo_debug.py": "pass\n"}), ("debugger script",)),
        (replace(BASE, resolution=resolution(ODOO, WEB)), ()),
    ],
)
def test_which_input_of_the_environment_changed(changed: Stack, reasons: tuple[str, ...]) -> None:
    assert changed_inputs(image_inputs(BASE), image_inputs(changed)) == reasons


def test_in_ci_sources_are_inputs() -> None:
    before = stack("ci", graph=resolution(ODOO, WEB))
    moved = stack("ci", graph=resolution(ODOO, source(f"{OCA}/web 19.0", at="pending")))
    assert changed_inputs(image_inputs(before, "x"), image_inputs(moved, "y")) == ("web", "own add-ons")
    gone = stack("ci", graph=resolution(ODOO))
    assert "web" in changed_inputs(image_inputs(before), image_inputs(gone))


def test_a_plan_has_costs_as_text_and_as_data() -> None:
    building = Cost(("base image",), 41.0)
    start_cost = Cost((), None, (ContainerChange("odoo", "recreate", ("image",)),), odoo_down=True)
    running = Running(False, "changed", containers_text(start_cost), build_cost=building, start_cost=start_cost)
    steps = {step.id: step for step in plan(observed(running=running)).steps}
    assert steps["image.build"].detail == "base image changed; took 41 s last time"
    assert steps["image.build"].cost == building
    assert steps["compose.up"].detail == "recreate odoo (image); Odoo is down meanwhile"
    assert steps["compose.up"].cost == start_cost
    kept = {step.id: step for step in plan(observed()).steps}
    assert (kept["image.build"].cost, kept["compose.up"].cost) == (None, None)
