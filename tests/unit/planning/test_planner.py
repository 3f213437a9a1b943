"""Plans of literal states: the text of each step, pending steps, drift, errors of strict scenarios."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.deployment.journal import Journal
from odpm_tasks.core.locking.changes import lock_changes
from odpm_tasks.core.locking.graph import SourceQuery
from odpm_tasks.core.locking.lockfile import Lock, Pin, PythonLocks
from odpm_tasks.core.odoo.addon_checks import AddonFindings, MissingAddon
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.installed_addons import AddonVersion, DatabaseFindings
from odpm_tasks.core.planning.costs import ContainerChange, Cost
from odpm_tasks.core.planning.observed import (
    Checkout,
    DatabaseUpdate,
    ObservedState,
    OtherDatabase,
    RenderedState,
    ResolvedState,
    Running,
    RunningState,
    ServicesState,
    database_warnings,
    new_addons,
)
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.steps import ORDER, PREPARING, Step
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.core.stack.render import Rendered, Stack
from odpm_tasks.errors import DescriptionError, LockError, MachineError
from tests.unit.builders import OCA, ODOO, PROGRAMS, commit, manifest, resolution, source

WEB = f"{OCA}/web"
A, B = "a" * 40, "b" * 40
COMPOSE = "docker-compose.yml"
DOCKERFILE, CONF = ".odpm/build/Dockerfile", ".odpm/build/odoo.conf"
LOCK = ".odpm/deps.lock.json"
GRAPH = resolution(source(f"{ODOO} 19.0", "platform"), source(f"{WEB} 19.0"))
KNOWN = replace(GRAPH.lock(None), venv="the digest")
FILES = {DOCKERFILE: b"FROM", CONF: b"[options]", COMPOSE: b"services:"}
IMAGE = "odpm/environment:19.0-dev-0"
RENDERED = Rendered(
    FILES,
    {DOCKERFILE: "template.dockerfile", CONF: "template.odoo_conf", COMPOSE: "compose.generate"},
    IMAGE,
)
GOOD_PYTHON = PythonLocks("wanted", "wanted", "the digest")
OURS = {name: Checkout("ours", commit(name)) for name in ("odoo", "web")}


def observed(scenario: str = "developer", **changes: Any) -> RunningState:
    """Everything exists and is as described; `changes` say what is not. `state`: the type of an earlier phase."""
    state: type[RunningState] = changes.pop("state", RunningState)
    described = manifest(f"{WEB} 19.0", scenario=scenario)
    values: dict[str, Any] = {
        "scenario": SCENARIOS[scenario],
        "manifest": described,
        "lock": KNOWN,
        "resolution": GRAPH,
        "checkouts": OURS,
        "python": GOOD_PYTHON,
        "stack": Stack("project", SCENARIOS[scenario], described, GRAPH, Facts(), (b"", b""), PROGRAMS),
        "rendered": RENDERED,
        "current": FILES,
        "last_scenario": scenario,
        "validated": True,
        "image": IMAGE,
        "running": Running(True, "running", "db, odoo", "ready"),
        "database": "project",
        "modules": ("mine",),
    }
    known = {field.name for field in fields(state)}
    return state(**{name: value for name, value in values.items() if name in known} | changes)


def said(found: ObservedState, step: str) -> list[tuple[str, str, str]]:
    """Action, target and detail of every line of one step."""
    return [(s.action, s.target, s.detail) for s in plan(found).steps if s.id == step]


def actions(found: ObservedState) -> dict[str, str]:
    return {step.id: step.action for step in plan(found).steps}


EXTENDED = manifest(
    f"{WEB} 19.0",
    services={"mail": {"image": "mailpit"}, "cache": {"image": "redis"}},
    hooks={"post_clone": [["make", "css"], ["npm", "ci"]], "pre_up": "tools.hooks:warm"},
)


def test_the_order_of_the_steps() -> None:
    assert ORDER == (
        "git.lock_load",
        "git.resolve",
        "git.materialize",
        "hooks.post_clone",
        "git.checkout",
        "git.lock_verify",
        "python.lock",
        "template.dockerfile",
        "template.odoo_conf",
        "compose.fragments",
        "compose.generate",
        "compose.validate",
        "ide.files",
        "hooks.post_prepare",
        "image.build",
        "hooks.pre_up",
        "compose.database",
        "db.create",
        "db.snapshot",
        "db.update",
        "compose.up",
        "hooks.post_up",
    )
    assert ORDER[:14] == PREPARING
    assert list(dict.fromkeys(step.id for step in plan(observed()).steps)) == list(ORDER)
    assert [step.id for step in plan(observed(), ("compose.generate", "git.resolve")).steps] == [
        "git.resolve",
        "compose.generate",
    ]


@pytest.mark.parametrize("scenario", ["developer", "server", "ci"])
def test_no_step_acts_when_everything_is_as_described(scenario: str) -> None:
    decided = plan(observed(scenario))
    assert decided.complete
    assert decided.ready == ()
    assert decided.drift == ()
    assert {step.action for step in decided.steps} == {"keep", "skip"}


def test_the_whole_plan_of_a_prepared_project() -> None:
    assert [(s.id, s.action, s.target, s.detail) for s in plan(observed()).steps] == [
        ("git.lock_load", "keep", LOCK, "2 repositories"),
        ("git.resolve", "keep", LOCK, ""),
        ("git.materialize", "keep", "", "2 repositories in the cache"),
        ("hooks.post_clone", "skip", "", "no hooks"),
        ("git.checkout", "keep", ".odpm/src/odoo", commit("odoo")[:8]),
        ("git.checkout", "keep", ".odpm/src/web", commit("web")[:8]),
        ("git.lock_verify", "keep", LOCK, ""),
        ("python.lock", "keep", ".odpm/requirements.lock", ""),
        ("template.dockerfile", "keep", DOCKERFILE, ""),
        ("template.odoo_conf", "keep", CONF, ""),
        ("compose.fragments", "skip", "", "no services"),
        ("compose.generate", "keep", COMPOSE, ""),
        ("compose.validate", "keep", COMPOSE, ""),
        ("ide.files", "skip", "", "ODPM_IDE names no editor"),
        ("hooks.post_prepare", "skip", "", "no hooks"),
        ("image.build", "keep", IMAGE, ""),
        ("hooks.pre_up", "skip", "", "no hooks"),
        ("compose.database", "keep", "db", ""),
        ("db.create", "keep", "project", ""),
        ("db.snapshot", "keep", "project", ""),
        ("db.update", "keep", "project", ""),
        ("compose.up", "keep", "", "db, odoo"),
        ("hooks.post_up", "skip", "", "no hooks"),
    ]


MOVED = replace(KNOWN, dependencies=(replace(KNOWN.dependencies[0], commit=A),))
MAIL_CHANGED = Cost(containers=(ContainerChange("odoo", "keep"), ContainerChange("mail", "recreate", ("image",))))


@pytest.mark.parametrize(
    ("changes", "step", "lines"),
    [
        # git.lock_load, git.resolve
        ({"lock": None}, "git.lock_load", [("skip", LOCK, "does not exist yet")]),
        ({"lock": replace(KNOWN, dependencies=())}, "git.lock_load", [("keep", LOCK, "the platform only")]),
        (
            {"lock": None},
            "git.resolve",
            [("create", LOCK, f"add odoo {commit('odoo')[:8]}; add web {commit('web')[:8]}")],
        ),
        ({"lock": MOVED}, "git.resolve", [("update", LOCK, f"web aaaaaaaa -> {commit('web')[:8]}")]),
        (
            {"lock": replace(KNOWN, dependencies=(*KNOWN.dependencies, Pin(f"{OCA}/gone", A)))},
            "git.resolve",
            [("update", LOCK, "drop gone")],
        ),
        (
            {"lock": replace(KNOWN, platform=replace(KNOWN.platform, branch=None))},
            "git.resolve",
            [("update", LOCK, "odoo follows 19.0")],
        ),
        # git.materialize, git.checkout
        ({"uncached": (WEB,)}, "git.materialize", [("create", "web", f"fetch {commit('web')[:8]}")]),
        (
            {"checkouts": {**OURS, "web": Checkout("absent")}},
            "git.checkout",
            [
                ("keep", ".odpm/src/odoo", commit("odoo")[:8]),
                ("create", ".odpm/src/web", f"19.0 {commit('web')[:8]}"),
            ],
        ),
        *(
            (
                {"checkouts": {**OURS, "odoo": now}},
                "git.checkout",
                [
                    ("update", ".odpm/src/odoo", f"{shown} -> {commit('odoo')[:8]}"),
                    ("keep", ".odpm/src/web", commit("web")[:8]),
                ],
            )
            for now, shown in ((Checkout("ours", A), "aaaaaaaa"),)
        ),
        *(
            (
                {"checkouts": {**OURS, "web": now}},
                "git.checkout",
                [("keep", ".odpm/src/odoo", commit("odoo")[:8]), ("blocked", ".odpm/src/web", reason)],
            )
            for now, reason in (
                (Checkout("commit", A), f"it is at your commit aaaaaaaa, and the locked commit is {commit('web')[:8]}"),
                (
                    Checkout("branch", A, "mine"),
                    f"it is on your branch mine, and the locked commit is {commit('web')[:8]}",
                ),
                (Checkout("foreign"), "a folder or link that odpm did not create is at this path"),
            )
        ),
        (
            {"checkouts": {**OURS, "web": Checkout("branch", commit("web"), "mine")}},
            "git.checkout",
            [("keep", ".odpm/src/odoo", commit("odoo")[:8]), ("keep", ".odpm/src/web", commit("web")[:8])],
        ),
        # git.lock_verify
        (
            {"manifest": manifest(f"{WEB} 19.0", locks={"git": {WEB: B}})},
            "git.lock_verify",
            [
                (
                    "keep",
                    LOCK,
                    f"odpm.json overrides the lock: web manifest bbbbbbbb, file {commit('web')[:8]}",
                )
            ],
        ),
        # python.lock
        (
            {"python": PythonLocks("wanted", None, None)},
            "python.lock",
            [("create", ".odpm/requirements.lock", "there is no Python lock")],
        ),
        (
            {"python": PythonLocks("wanted", "other", "the digest")},
            "python.lock",
            [
                (
                    "update",
                    ".odpm/requirements.lock",
                    "the Python lock is out of date: requirements changed",
                )
            ],
        ),
        (
            {"python": PythonLocks("wanted", "wanted", "edited")},
            "python.lock",
            [("update", ".odpm/requirements.lock", "the Python lock is not the one that the lock records")],
        ),
        # files
        ({"current": {**FILES, DOCKERFILE: None}}, "template.dockerfile", [("create", DOCKERFILE, "")]),
        ({"current": {}}, "compose.generate", [("create", COMPOSE, "")]),
        ({"current": {**FILES, CONF: b"old"}}, "template.odoo_conf", [("update", CONF, "")]),
        (
            {"current": {**FILES, CONF: b"old"}, "edited": frozenset({CONF})},
            "template.odoo_conf",
            [("update", CONF, f"your edits are kept as {CONF}.orig")],
        ),
        (
            {"overrides": {CONF: ".odpm/templates/odoo.conf.j2"}},
            "template.odoo_conf",
            [("keep", CONF, "from your .odpm/templates/odoo.conf.j2")],
        ),
        (
            {
                "current": {**FILES, CONF: b"old"},
                "edited": frozenset({CONF}),
                "overrides": {CONF: ".odpm/templates/odoo.conf.j2"},
            },
            "template.odoo_conf",
            [("update", CONF, f"your edits are kept as {CONF}.orig; from your .odpm/templates/odoo.conf.j2")],
        ),
        ({"manifest": EXTENDED}, "compose.fragments", [("keep", "", "services of the project: mail, cache")]),
        ({"validated": False}, "compose.validate", [("run", COMPOSE, "")]),
        # hooks
        ({"manifest": EXTENDED}, "hooks.post_clone", [("run", "make css", ""), ("run", "npm ci", "")]),
        ({"manifest": EXTENDED}, "hooks.pre_up", [("run", "tools.hooks:warm", "")]),
        ({"manifest": EXTENDED}, "hooks.post_up", [("skip", "", "no hooks")]),
        # Docker
        (
            {"running": Running(False, "absent", "start db, odoo")},
            "image.build",
            [("create", IMAGE, "")],
        ),
        ({"running": Running(True, "absent", "start db, odoo")}, "compose.up", [("create", "", "start db, odoo")]),
        ({"running": Running(True, "changed", "db is gone")}, "compose.up", [("update", "", "db is gone")]),
        (
            {"running": Running(True, "absent", postgres="absent", postgres_detail="start db")},
            "compose.database",
            [("create", "db", "start db")],
        ),
        (
            {"running": Running(True, "running", "db, odoo", "ready"), "update": ("sale",)},
            "compose.up",
            [("update", "", "start odoo")],
        ),
        (
            {"running": Running(True, "changed", "x", "ready", start_cost=MAIL_CHANGED), "install": ("crm",)},
            "compose.up",
            [("update", "", "recreate mail (image); start odoo")],
        ),
        (
            {"running": Running(True, "absent", "create odoo", "ready"), "update": ("sale",)},
            "compose.up",
            [("create", "", "create odoo")],
        ),
        (
            {"running": Running(True, "running", "", "absent"), "update": ("sale",)},
            "db.update",
            [("skip", "", "new database")],
        ),
        (
            {"running": Running(True, "running", "", "absent")},
            "db.create",
            [("create", "project", "install mine")],
        ),
        (
            {"running": Running(True, "running", "", "absent"), "install": ("sale", "crm")},
            "db.create",
            [("create", "project", "install sale, crm")],
        ),
        (
            {"running": Running(True, "running", "", "absent"), "modules": ()},
            "db.create",
            [("create", "project", "install base")],
        ),
        (
            {"running": Running(True, "running", "", "unfinished")},
            "db.create",
            [("update", "project", "finish the interrupted creation")],
        ),
        (
            {"install": ("crm",), "update": ("sale", "web")},
            "db.update",
            [("update", "project", "install crm; update sale, web")],
        ),
    ],
)
def test_action_target_and_detail_of_a_step(
    changes: dict[str, Any], step: str, lines: list[tuple[str, str, str]]
) -> None:
    assert said(observed(**changes), step) == lines


def test_ci_has_no_checkouts() -> None:
    assert said(observed("ci", checkouts={}), "git.checkout") == [
        ("skip", "", "ci builds the locked commits into the image")
    ]


def test_a_local_folder_is_linked() -> None:
    addons = source("file:///srv/addons", at="content")
    graph = resolution(*GRAPH.sources, addons)
    found = observed(
        resolution=graph,
        lock=replace(graph.lock(None), venv="the digest"),
        checkouts={**OURS, "addons": Checkout("absent")},
    )
    assert said(found, "git.checkout")[2:] == [("create", ".odpm/src/addons", "link to /srv/addons")]
    linked = replace(found, checkouts={**OURS, "addons": Checkout("link")})
    assert said(linked, "git.checkout")[2:] == [("keep", ".odpm/src/addons", "link to /srv/addons")]
    assert plan(linked).ready == ()


PLATFORM = SourceQuery(parse_link(f"{ODOO} 19.0"), "19.0", None, ("odpm.json",), "platform")
PINNED = SourceQuery(parse_link(f"{WEB} 19.0"), "19.0", A, ("odpm.json",))
UNRESOLVED: dict[str, Any] = {"state": ObservedState}


def test_plan_without_lock_and_cache() -> None:
    found = observed(**UNRESOLVED, lock=None, unresolved=(PLATFORM, replace(PINNED, commit=None)))
    decided = plan(found)
    assert [step for step in decided.steps if step.action != "pending"] == [
        Step("git.lock_load", "skip", LOCK, "does not exist yet"),
        Step("git.resolve", "create", LOCK, "pin odoo 19.0, web 19.0"),
    ]
    assert {step.detail for step in decided.steps if step.action == "pending" and step.id != "git.materialize"} == {
        "known after git.resolve"
    }
    assert decided.ready == (Step("git.resolve", "create", LOCK, "pin odoo 19.0, web 19.0"),)
    assert not decided.complete


def test_a_pinned_uncached_commit_is_fetched_first() -> None:
    decided = plan(observed(**UNRESOLVED, unresolved=(replace(PLATFORM, commit=B), PINNED)))
    assert decided.ready == (
        Step("git.materialize", "create", "odoo", "fetch bbbbbbbb"),
        Step("git.materialize", "create", "web", "fetch aaaaaaaa"),
    )
    assert {step.detail for step in decided.steps if step.action == "pending"} == {"known after git.materialize"}


def test_an_incomplete_lock_is_completed() -> None:
    found = observed(**UNRESOLVED, unresolved=(replace(PINNED, commit=None),))
    assert said(found, "git.resolve") == [("update", LOCK, "pin web 19.0")]


def test_files_are_pending_until_the_python_lock() -> None:
    found = observed(state=ResolvedState, python=PythonLocks("wanted", None, None))
    decided = plan(found)
    assert decided.ready == (Step("python.lock", "create", ".odpm/requirements.lock", "there is no Python lock"),)
    assert [step.id for step in decided.steps if step.action == "pending"] == list(ORDER[7:])
    assert {step.detail for step in decided.steps if step.action == "pending"} == {"known after python.lock"}


def test_docker_steps_are_pending_until_files_are_written() -> None:
    found = observed(state=RenderedState, current={**FILES, CONF: b"old"})
    assert plan(found).steps[-1] == Step("hooks.post_up", "pending", "", "known after template.odoo_conf")
    assert actions(found)["image.build"] == "pending"
    assert plan(found, PREPARING).complete


def test_without_docker_the_reason_is_shown() -> None:
    decided = plan(observed(running=Running(problem="docker is not installed")))
    assert {step.detail for step in decided.steps if step.action == "pending"} == {
        "known when Docker answers: docker is not installed"
    }
    assert [step.id for step in decided.steps if step.action == "pending"] == list(ORDER[14:])


def test_the_database_is_pending_until_postgresql_runs() -> None:
    """What starts a running Odoo is pending, too: it may be stopped for an update of the database."""
    cases: tuple[tuple[ServicesState, str], ...] = (
        ("absent", "create"),
        ("changed", "pending"),
        ("running", "pending"),
    )
    for services, known in cases:
        decided = plan(observed(running=Running(True, services, postgres="changed")))
        steps = {step.id: (step.action, step.detail) for step in decided.steps}
        assert steps["db.create"] == steps["db.update"] == ("pending", "known after compose.database")
        assert steps["compose.up"][0] == known
        assert [step.id for step in decided.ready] == ["compose.database"]


def test_ready_ends_at_the_first_pending_step() -> None:
    found = observed(running=Running(True, "absent", "", "unknown", postgres="absent"), manifest=EXTENDED)
    assert [step.id for step in plan(found).ready] == [
        "hooks.post_clone",
        "hooks.post_clone",
        "hooks.pre_up",
        "compose.database",
    ]


INCOMPLETE: dict[str, Any] = {**UNRESOLVED, "unresolved": (replace(PINNED, commit=None),)}


@pytest.mark.parametrize("scenario", ["server", "ci"])
@pytest.mark.parametrize(
    ("changes", "what", "details"),
    [
        ({"lock": None}, "there is no lock", ()),
        (INCOMPLETE, "the lock is incomplete", (f"not pinned: {WEB} 19.0",)),
        (
            {**INCOMPLETE, "unresolved": INCOMPLETE["unresolved"] * 5},
            "the lock is incomplete",
            (f"not pinned: {', '.join([f'{WEB} 19.0'] * 5)}",),
        ),
        ({"lock": MOVED}, "the lock is out of date", (f"web aaaaaaaa -> {commit('web')[:8]}",)),
        ({"python": PythonLocks("wanted", None, None)}, "there is no Python lock", ()),
        (
            {"python": PythonLocks("wanted", "other", "the digest")},
            "the Python lock is out of date: requirements changed",
            (),
        ),
        (
            {"python": PythonLocks("wanted", "wanted", "edited")},
            "the Python lock is not the one that the lock records",
            (),
        ),
    ],
)
def test_strict_scenarios_reject_an_incomplete_or_outdated_lock(
    scenario: str, changes: dict[str, Any], what: str, details: tuple[str, ...]
) -> None:
    with pytest.raises(LockError) as caught:
        plan(observed(scenario, **changes))
    assert caught.value.exit_code == 3
    assert caught.value.what == f"{what}; the scenario {scenario} never writes the lock"
    assert caught.value.details == details
    assert "inv lock" in caught.value.todo
    assert plan(observed("developer", **changes)).ready


@pytest.mark.parametrize("scenario", ["server", "ci"])
def test_strict_scenarios_reject_python_locks_other_than_the_manifests(scenario: str) -> None:
    changes = {"manifest": manifest(f"{WEB} 19.0", locks={"git": {}, "venv": "another"})}
    with pytest.raises(LockError, match=r"odpm.json \(locks.venv\) names other Python locks than the lock") as caught:
        plan(observed(scenario, **changes))
    assert "inv lock --sync-manifest-locks" in caught.value.todo
    assert not plan(observed("developer", **changes)).drift
    same = {"manifest": manifest(f"{WEB} 19.0", locks={"git": {}, "venv": KNOWN.venv})}
    assert not plan(observed(scenario, **same)).drift


@pytest.mark.parametrize("scenario", ["developer", "server", "ci"])
def test_pins_of_the_manifest_suffice_for_known_commits(scenario: str) -> None:
    found = observed(scenario, **{**UNRESOLVED, "unresolved": (replace(PLATFORM, commit=A), PINNED)})
    assert [step.id for step in plan(found).ready] == ["git.materialize", "git.materialize"]


@pytest.mark.parametrize(
    ("changes", "drifted"),
    [
        ({}, []),
        ({"current": {}}, []),
        ({"lock": None, "python": PythonLocks("wanted", None, None)}, []),
        ({"checkouts": {**OURS, "web": Checkout("absent")}}, []),
        ({"validated": False, "manifest": EXTENDED}, []),
        ({"running": Running(False, "absent")}, []),
        ({"lock": MOVED}, ["git.resolve"]),
        ({"checkouts": {**OURS, "web": Checkout("branch", A, "x")}}, ["git.checkout"]),
        ({"current": {**FILES, CONF: b"x", COMPOSE: b"y"}}, ["template.odoo_conf", "compose.generate"]),
        ({"current": {**FILES, CONF: b"x"}, "last_scenario": "ci"}, []),
        ({"current": {**FILES, CONF: b"x"}, "last_scenario": None}, ["template.odoo_conf"]),
        ({"running": Running(True, "changed"), "last_scenario": "server"}, []),
        ({"running": Running(True, "changed")}, ["compose.up"]),
        ({"running": Running(True, "running", postgres="changed")}, ["compose.database"]),
        ({"running": Running(True, "running", postgres="changed"), "last_scenario": "server"}, []),
        ({"lock": MOVED, "last_scenario": "ci"}, ["git.resolve"]),
        ({"checkouts": {**OURS, "web": Checkout("ours", A)}, "last_scenario": "ci"}, ["git.checkout"]),
    ],
)
def test_drift_is_what_exists_and_differs(changes: dict[str, Any], drifted: list[str]) -> None:
    assert [step.id for step in plan(observed(**changes)).drift] == drifted


def test_each_change_between_locks_is_one_phrase() -> None:
    old = Lock(Pin(ODOO, A, "18.0"), (Pin(f"{OCA}/gone", A), Pin(WEB, A, "19.0")))
    new = Lock(Pin(ODOO, A, "19.0"), (Pin(WEB, B, "19.0"), Pin("file:///srv/addons/", A, file=True)))
    assert lock_changes(old, new) == (
        "add addons aaaaaaaa",
        "drop gone",
        "web aaaaaaaa -> bbbbbbbb",
        "odoo follows 19.0",
    )
    assert lock_changes(old, old) == ()
    assert lock_changes(old, replace(old, odoo_version="19.0")) == ("record Odoo 19.0 for links without a branch",)


MISSING = AddonFindings((MissingAddon("queue_job", ("mine", "web_x")),))


@pytest.mark.parametrize("scenario", ["server", "ci"])
def test_a_missing_add_on_is_an_error_in_strict_scenarios(scenario: str) -> None:
    with pytest.raises(DescriptionError) as error:
        plan(observed(scenario, addons=MISSING))
    assert error.value.details == ("queue_job (required by mine -> web_x)",)


def test_a_missing_add_on_stops_neither_developer_nor_a_check_of_the_lock() -> None:
    assert plan(observed(addons=MISSING)).steps
    assert plan(observed("ci", addons=MISSING, checking=True), PREPARING).steps


def test_what_prevents_the_services_from_starting_blocks_them_and_is_no_drift() -> None:
    busy = MachineError("ports 1, 2 are in use", details=["1, 2 by python"])
    other = DescriptionError("the containers belong to another checkout", where="/srv/shop")
    alone = plan(observed(running=Running(True, "absent", refusals=(MachineError("no port"),))))
    assert [step.detail for step in alone.steps if step.action == "blocked"] == ["no port"]
    found = plan(observed(running=Running(False, "absent", refusals=(other, busy), postgres="absent")))
    blocked = [step for step in found.steps if step.action == "blocked"]
    assert [(step.id, step.detail) for step in blocked] == [
        ("compose.database", f"{other.what} (/srv/shop); {busy.what} (1, 2 by python)")
    ]
    assert not found.drift
    assert {step.detail for step in found.steps if step.action == "pending"} == {"known after compose.database"}


def test_a_new_add_on_of_the_project_is_named_until_it_is_installed() -> None:
    def new(modules: tuple[str, ...], **changes: Any) -> tuple[str, ...]:
        return new_addons(observed(modules=modules, **changes))

    known = {"up": {"modules": ["old"]}}
    assert new(("old", "added"), recorded=known) == ("added",)
    assert new(("old", "added"), recorded=known, install=("added",)) == ()
    assert new(("old",), recorded=known) == ()
    assert new(("old", "added"), recorded={}) == ()  # never started
    assert new_addons(observed(state=ResolvedState, recorded=known)) == ()


RAISED = DatabaseFindings(raised=(AddonVersion("acme", "19.0.1.0", "19.0.1.1"),))


@pytest.mark.parametrize(
    ("scenario", "changes", "expected"),
    [
        ("developer", {}, ("keep", "")),
        ("developer", {"updates_raised": True}, ("update", "update acme 19.0.1.0 -> 19.0.1.1")),
        ("server", {"updates_raised": True}, ("update", "update acme 19.0.1.0 -> 19.0.1.1")),
        (
            "server",
            {"updates_raised": True, "update": ("web", "acme")},
            ("update", "update web, acme 19.0.1.0 -> 19.0.1.1"),
        ),
        ("server", {}, ("skip", "not updated: acme 19.0.1.0 -> 19.0.1.1")),
    ],
)
def test_raised_versions(scenario: str, changes: dict[str, Any], expected: tuple[str, str]) -> None:
    state = observed(scenario, running=Running(True, "running", "db, odoo", "ready", addons=RAISED), **changes)
    made = plan(state)
    step = next(step for step in made.steps if step.id == "db.update")
    assert (step.action, step.detail) == expected
    assert (step.action == "update") is any(step.id == "db.snapshot" and step.action == "create" for step in made.steps)
    if step.action == "skip":
        assert step not in made.drift
    warned = database_warnings(state)
    assert bool(warned) is not state.updates_raised


def test_no_snapshot_is_taken_where_the_user_says_so() -> None:
    made = plan(observed(update=("web",), takes_snapshot=False))
    assert [(step.action, step.detail) for step in made.steps if step.id == "db.snapshot"] == [
        ("skip", "--no-snapshot")
    ]


# --- deployments ---

HIGHER = DatabaseFindings(raised=(AddonVersion("mine", "19.0.1.0", "19.0.2.0"),))
BRANCH = OtherDatabase("branch", frozenset({"mine", "web"}), HIGHER)
PLAIN = OtherDatabase("plain", frozenset({"web"}), DatabaseFindings())


def deployed(**changes: Any) -> RunningState:
    """A server with its own database and two others; in its own and in `branch` the version of `mine` is raised."""
    running = Running(True, "running", "db, odoo", "ready", addons=HIGHER, others=(BRANCH, PLAIN))
    journal = changes.pop("journal", None)
    return observed("server", running=replace(running, journal=journal), **({"updates_raised": True} | changes))


def test_every_database_whose_add_ons_are_raised_is_updated_after_a_snapshot() -> None:
    raised = "update mine 19.0.1.0 -> 19.0.2.0"
    assert said(deployed(), "db.update") == [("update", "project", raised), ("update", "branch", raised)]
    before = [("create", name, "before the update") for name in ("project", "branch")]
    assert said(deployed(), "db.snapshot") == before
    skipped = [("skip", name, "--no-snapshot") for name in ("project", "branch")]
    assert said(deployed(takes_snapshot=False), "db.snapshot") == skipped


def test_an_option_updates_an_add_on_where_it_is_installed_and_installs_in_one_database() -> None:
    found = deployed(updates_raised=False, update=("web",), install=("new",))
    assert found.updates == (
        DatabaseUpdate("project", ("new",), ("web",)),
        DatabaseUpdate("branch", (), ("web",)),
        DatabaseUpdate("plain", (), ("web",)),
    )
    assert [one.name for one in deployed(updates_raised=False, update=("mine",)).updates] == ["project", "branch"]
    assert [one.name for one in deployed(updates_raised=False, update=("all",)).updates] == [
        "project",
        "branch",
        "plain",
    ]


def test_an_interrupted_update_is_taken_back_before_anything_else_is_decided() -> None:
    found = deployed(journal=Journal("updating", "a" * 12, {"project": "odpm.snapshot.1", "branch": ""}))
    assert said(found, "db.snapshot") == [("update", "project", "return to the state before the interrupted update")]
    assert said(found, "db.update") == [("pending", "", "known after db.snapshot")]
    assert [step.id for step in plan(found).ready] == ["db.snapshot"]
    ended = deployed(journal=Journal("updated", "a" * 12, {"project": "odpm.snapshot.1"}))
    assert said(ended, "db.snapshot") == said(deployed(), "db.snapshot")


def test_a_release_is_exported_before_the_compose_file_is_written() -> None:
    rendered = replace(RENDERED, release="a" * 12)
    folder = f".odpm/releases/{'a' * 12}"
    assert said(deployed(rendered=rendered), "compose.generate") == [("keep", folder, ""), ("keep", COMPOSE, "")]
    new = deployed(rendered=rendered, release_exported=False, current={**FILES, COMPOSE: b"old"})
    assert said(new, "compose.generate") == [("create", folder, ""), ("update", COMPOSE, "")]
    assert [step.target for step in plan(new).drift] == [COMPOSE, "project", "branch", ""]
