"""Rendering a stack to the bytes of every generated file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.stack.render import Stack, render
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import OCA, commit, manifest, module, resolution, source

ODOO = source(
    "https://github.com/odoo/odoo 19.0",
    "platform",
    facts=Facts(modules=(module("addons/sale"), module("odoo/addons/base"))),
)
ENTERPRISE = source("git@github.com:odoo/enterprise.git 19.0", facts=Facts(modules=(module("web_studio"),)))
WEB = source(f"{OCA}/web 19.0", facts=Facts(modules=(module("two/b"), module("one/a"))))
EMPTY = source(f"{OCA}/docs 19.0")
OWN = Facts(modules=(module("addons/mine"), module("addons/off", installable=False)))
PROGRAMS = dict.fromkeys(("odoo_run.py", "odoo_run_conf.py", "odoo_debug.py"), b"#!/usr/bin/env python3\n")
ALL = {
    ".odpm/build/Dockerfile": "template.dockerfile",
    ".odpm/build/Dockerfile.dockerignore": "template.dockerfile",
    ".odpm/build/odoo-run": "template.dockerfile",
    ".odpm/build/odoo_run_conf.py": "template.dockerfile",
    ".odpm/build/odoo-debug": "template.dockerfile",
    ".odpm/build/odoo.conf": "template.odoo_conf",
    "docker-compose.yml": "compose.generate",
}


def stack(scenario: str = "developer", graph: Resolution | None = None, **changes: Any) -> Stack:
    return Stack(
        **{
            "name": "acme",
            "scenario": SCENARIOS[scenario],
            "manifest": manifest(scenario=scenario),
            "resolution": graph or resolution(ODOO, ENTERPRISE, WEB),
            "own": OWN,
            "locks": (b"lxml==5\n", b"debugpy==1\n"),
            "programs": PROGRAMS,
            **changes,
        }
    )


def text(found: Stack, path: str) -> str:
    return render(found).files[path].decode()


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_files_and_their_steps(scenario: str) -> None:
    rendered = render(stack(scenario))
    assert rendered.steps == ALL
    assert list(rendered.files) == list(ALL)
    assert all(rendered.files.values())


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_the_same_value_gives_the_same_bytes(scenario: str) -> None:
    assert render(stack(scenario)) == render(stack(scenario))


def test_the_addons_path_is_developing_then_dependencies_in_order_then_the_platform() -> None:
    assert stack().addons_path == (
        "/opt/odoo/src/project/addons",
        "/opt/odoo/src/enterprise",
        "/opt/odoo/src/web/one",
        "/opt/odoo/src/web/two",
        "/opt/odoo/src/odoo/addons",
    )
    turned = resolution(ODOO, WEB, EMPTY, ENTERPRISE)
    assert [path.split("/")[4] for path in stack(graph=turned).addons_path] == [
        "project",
        "web",
        "web",
        "enterprise",
        "odoo",
    ]
    assert f"addons_path = {','.join(stack(graph=turned).addons_path)}\n" in text(
        stack(graph=turned), ".odpm/build/odoo.conf"
    )  # fmt: skip


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_a_dependency_that_is_itself_an_add_on_is_in_a_folder_with_its_name(scenario: str) -> None:
    root = Facts(root=module("")).in_folder("acme_print")
    found = stack(scenario, resolution(ODOO, source("https://github.com/acme/acme_print 19.0", facts=root)))
    assert found.addons_path[1:] == ("/opt/odoo/src/acme_print", "/opt/odoo/src/odoo/addons")
    where = "/opt/odoo/src/acme_print/acme_print"
    dockerfile, compose = (text(found, path) for path in (".odpm/build/Dockerfile", "docker-compose.yml"))
    assert f'COPY --from=src-acme-print-84cbd8 ["files", "{where}"]' in dockerfile
    mounted = {"developer": "src/acme_print", "server": f"releases/{render(found).release}/src/acme_print/files"}
    assert [line for line in compose.splitlines() if f":{where}:ro" in line] == [
        f"    - ./.odpm/{folder}:{where}:ro" for name, folder in mounted.items() if name == scenario
    ]
    assert "acme_print" in found.all_modules


def test_a_developing_source_of_its_own_comes_first() -> None:
    project = source(
        "https://github.com/me/shop main",
        "developing",
        facts=Facts(modules=(module("mine"), module("old", installable=False))),
    )
    found = stack(graph=resolution(ODOO, project, ENTERPRISE), own=Facts())
    assert found.addons_path == (
        "/opt/odoo/src/shop",
        "/opt/odoo/src/enterprise",
        "/opt/odoo/src/odoo/addons",
    )
    assert found.modules == ("mine",)


def test_modules() -> None:
    assert stack().modules == ("mine",)
    assert stack().all_modules == {"mine", "off", "web_studio", "a", "b", "sale", "base"}


def test_the_checkout_is_renamed_where_a_source_has_its_name() -> None:
    found = stack(graph=resolution(ODOO, source(f"{OCA}/project 19.0", facts=Facts(modules=(module("task"),)))))
    assert found.addons_path[0] == "/opt/odoo/src/own-project/addons"
    assert len({path.split("/")[4] for path in found.addons_path}) == 3


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_the_name_of_the_project_is_in_defaults_of_the_compose_file_alone(scenario: str) -> None:
    """A clone without `origin`, in a renamed folder or of a fork has another name, and gives the same image."""
    one, two = (render(stack(scenario, name=name)) for name in ("acme", "a-fork"))
    assert {path for path in one.files if one.files[path] != two.files[path]} == {"docker-compose.yml"}
    assert one.compose.decode().replace("acme", "a-fork") == two.compose.decode()
    assert one.image == two.image.replace("a-fork", "acme")


def test_add_ons_in_the_root_are_mounted_without_our_own_folder() -> None:
    found = stack(own=Facts(modules=(module("mine"),)))
    compose = text(found, "docker-compose.yml")
    assert found.addons_path[0] == "/opt/odoo/src/project"
    assert "- ./:/opt/odoo/src/project\n" in compose
    assert "tmpfs:\n    - /opt/odoo/src/project/.odpm\n" in compose
    assert "tmpfs:\n    - /opt" not in text(stack(), "docker-compose.yml")
    baked = stack("ci", own=Facts(modules=(module("mine"),)))
    assert "/opt/odoo/src/project/.odpm" not in text(baked, "docker-compose.yml")


def test_the_environment_image_is_named_by_its_inputs() -> None:
    image = render(stack()).image
    assert image.startswith("odpm/environment:19.0-dev-")
    assert f"image: {image}\n" in text(stack(), "docker-compose.yml")
    assert render(stack("server")).image.startswith("odpm/environment:19.0-server-")
    assert render(stack("ci")).image == "${ODPM_IMAGE:-acme:ci}"


MOVED = replace(ENTERPRISE, commit=commit("another"))


@pytest.mark.parametrize(
    "changes",
    [
        {"graph": resolution(ODOO, MOVED, WEB)},
        {"graph": resolution(ODOO, ENTERPRISE)},
        {"graph": resolution(replace(ODOO, commit=commit("tomorrow")), ENTERPRISE, WEB, EMPTY)},
        {"own": Facts()},
        {"own": Facts(modules=(module("new"),))},
        {"name": "other"},
        {"manifest": manifest(odoo_conf={"options": {"workers": "4"}})},
        {"manifest": manifest(services={"mail": {"image": "x"}})},
        {"manifest": manifest(postgres="15")},
    ],
)
def test_code_does_not_change_the_environments_name(changes: dict[str, Any]) -> None:
    assert render(stack(**changes)).image == render(stack()).image


@pytest.mark.parametrize(
    "changes",
    [
        {"locks": (b"lxml==6\n", b"debugpy==1\n")},
        {"locks": (b"lxml==5\n", b"debugpy==2\n")},
        {"locks": (b"lxml==5\ndebugpy==1\n", b"")},
        {"programs": {**PROGRAMS, "odoo_run.py": b"#!/usr/bin/env python3\npass\n"}},
        {"programs": {**PROGRAMS, "odoo_run_conf.py": b"#!/usr/bin/env python3\npass\n"}},
        {"programs": {**PROGRAMS, "odoo_debug.py": b"#!/usr/bin/env python3\npass\n"}},
        {"manifest": manifest(python="3.11")},
        {"manifest": manifest(distro={"name": "debian", "version": "11"})},
        {"manifest": manifest(system_packages=["libcups2"])},
        {"templates": {"Dockerfile.j2": "FROM scratch\n"}},
        {"templates": {"odoo_run.py": "pass\n"}},
        {"browser": True},
    ],
)
def test_inputs_change_the_environments_name(changes: dict[str, Any]) -> None:
    assert render(stack(**changes)).image != render(stack()).image


def test_the_debugger_is_no_input_of_a_server() -> None:
    changed = stack("server", programs={**PROGRAMS, "odoo_debug.py": b"pass\n"})
    assert render(changed).image == render(stack("server")).image


def test_chromium_is_in_the_image_of_a_developer_alone() -> None:
    assert "install_packages chromium" in text(stack(browser=True), ".odpm/build/Dockerfile")
    for scenario in ("server", "ci"):
        assert render(stack(scenario, browser=True)) == render(stack(scenario))


def conf_label(found: Stack) -> str:
    lines = text(found, "docker-compose.yml").splitlines()
    return next(line.partition(": ")[2] for line in lines if "odpm.odoo-conf" in line)


def test_new_code_and_new_configuration_recreate_the_container() -> None:
    labels = [
        conf_label(stack()),
        conf_label(stack(graph=resolution(ODOO, MOVED, WEB))),
        conf_label(stack(manifest=manifest(odoo_conf={"options": {"limit_time_cpu": "99"}}))),
    ]
    assert len(set(labels)) == 3
    assert conf_label(stack()) == labels[0]


def test_templates_of_the_project_replace_ours() -> None:
    templates = {
        "Dockerfile.j2": "FROM {{ spec.base_image }}\n",
        "odoo.conf.j2": "[options]\naddons_path = {{ spec.addons_path | length }}\n",
        "odoo_run.py": "print('mine')\n",
    }
    rendered = render(stack(templates=templates))
    assert rendered.files[".odpm/build/Dockerfile"] == b"FROM python:3.12-slim-bookworm\n"
    assert rendered.files[".odpm/build/odoo.conf"] == b"[options]\naddons_path = 5\n"
    assert rendered.files[".odpm/build/odoo-run"] == b"print('mine')\n"
    assert render(stack()).files[".odpm/build/odoo-run"] == b"#!/usr/bin/env python3\n"


@pytest.mark.parametrize("broken", ["{{ spec.nothing }}", "{% if %}"])
def test_a_broken_template_is_named(broken: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        render(stack(templates={"odoo.conf.j2": broken}))
    assert caught.value.where.startswith(".odpm/templates/odoo.conf.j2")


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_no_file_contains_a_variables_value_or_a_local_path(scenario: str) -> None:
    described = manifest(scenario=scenario, odoo_conf={"options": {"smtp_password": "${SMTP_PASSWORD}"}})
    rendered = render(stack(scenario, manifest=described))
    for data in rendered.files.values():
        assert b"/work/" not in data
        assert b"/home/" not in data
    assert "smtp_password = ${SMTP_PASSWORD}\n" in rendered.files[".odpm/build/odoo.conf"].decode()


def test_the_path_of_a_file_source_is_not_in_generated_files() -> None:
    mine = resolution(ODOO, source("file:///home/me/addons", at="x"))
    yours = resolution(ODOO, source("file:///home/you/addons", at="x"))
    assert render(stack(graph=mine)) == render(stack(graph=yours))
    assert yours.lock(mine.lock(None)) == mine.lock(None)


def test_the_id_of_a_release_is_that_of_its_content_and_not_of_the_name_of_the_project() -> None:
    same = [render(stack("server", name=name)).release for name in ("acme", "a-fork")]
    assert same[0] == same[1] != ""
    assert render(replace(stack("server"), tool_version="9.9")).release == same[0]
    others = [
        replace(stack("server"), own_content="addons:1"),
        stack("server", resolution(ODOO, source("https://github.com/acme/other 19.0"))),
        replace(stack("server"), locks=(b"babel==1", b"")),
    ]
    assert len({same[0], *(render(one).release for one in others)}) == 4
    assert {render(stack(scenario)).release for scenario in ("developer", "ci")} == {""}
