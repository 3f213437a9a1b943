"""Differences between images, and their explanations."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import validate

from odpm_tasks.core.audit.census import Addon, Census, Package
from odpm_tasks.core.audit.parity import BYTE_CODE, Difference, differences, explanations, package_notes
from odpm_tasks.core.audit.parity_text import Comparison, as_json, as_text
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.stack.render import Stack
from tests.unit.builders import manifest
from tests.unit.stack.test_render import stack

WEB = Addon(name="web_x", path="/src/web/web_x", source="web", version="19.0.1.0.0")
SAME = Census(
    distribution="debian 12",
    python="3.11.2",
    odoo="Odoo Server 19.0",
    system=(Package(name="libpq5", version="15.1", arch="amd64"),),
    packages=(Package(name="lxml", version="5.2.1"), Package(name="Pillow", version="12.1.1")),
    fonts={"/usr/share/fonts/a.ttf": "ab" * 32},
    environment={"LANG": "C.UTF-8"},
    configuration={"options": {"addons_path": "/src/web,/src/odoo", "data_dir": "/var/lib/odoo"}},
    addons_path=("/src/web", "/src/odoo"),
    addons=(WEB,),
    setuid=("/usr/bin/su",),
)
OVERLAYS = {"ci": {"odoo_conf": {"options": {"Log_Level": "warn"}}}}


def held(**changes: Any) -> Census:
    return SAME.model_copy(update=changes)


def stacks(*scenarios: str, **keys: Any) -> dict[str, Stack]:
    locks = (b"lxml==5.2.1\nPillow==12.1.1\n", b"debugpy==1.8.0\nlxml==5.2.1\n")
    return {name: stack(name, locks=locks, manifest=manifest(scenario=name, **keys)) for name in scenarios}


def package(name: str, version: str = "1.0") -> tuple[Package, ...]:
    return (*SAME.packages, Package(name=name, version=version))


# --- differences -----------------------------------------------------------------------------------------------------


def test_equal_images_have_no_differences() -> None:
    assert differences({"a": SAME, "b": held(), "c": held()}) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"distribution": "debian 13"}, ("system", "distribution", ("debian 12", "debian 13"))),
        ({"python": "3.11.9"}, ("system", "Python", ("3.11.2", "3.11.9"))),
        ({"odoo": ""}, ("system", "Odoo", ("Odoo Server 19.0", ""))),
        ({"system": ()}, ("system package", "libpq5:amd64", ("15.1", None))),
        ({"packages": package("Foo_Bar")}, ("Python package", "foo-bar", (None, "1.0"))),
        ({"node": (Package(name="rtlcss", version="4.3.0"),)}, ("Node package", "rtlcss@4.3.0", (None, "yes"))),
        ({"fonts": {"/usr/share/fonts/a.ttf": "cd" * 32}}, ("font", "/usr/share/fonts/a.ttf", ("ab" * 6, "cd" * 6))),
        ({"environment": {"LANG": ""}}, ("environment", "LANG", ("C.UTF-8", ""))),
        ({"addons_path": ("/src/odoo",)}, ("addons path", "/src/web", ("yes", None))),
        ({"missing": ("/src/web",)}, ("addons path", "/src/web", ("yes", "no add-on"))),
        ({"addons_path": ("/src/odoo", "/src/web")}, ("addons path", "order, entry 1", ("/src/web", "/src/odoo"))),
        (
            {"addons": (WEB.model_copy(update={"version": "19.0.2.0.0"}),)},
            ("add-on", "/src/web/web_x", ("19.0.1.0.0", "19.0.2.0.0")),
        ),
        (
            {"addons": (WEB.model_copy(update={"installable": False}),)},
            ("add-on", "/src/web/web_x", ("19.0.1.0.0", "19.0.1.0.0 (not installable)")),
        ),
        (
            {"configuration": {"options": {"data_dir": "/var/lib/odoo"}, "queue_job": {"channels": "root:2"}}},
            ("configuration", "queue_job.channels", (None, "root:2")),
        ),
        ({"setuid": ()}, ("runs as another user", "/usr/bin/su", ("yes", None))),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_kind_of_difference_is_found(changes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert differences({"a": SAME, "b": held(**changes)}) == (Difference(*expected),)


def test_three_images_are_compared_at_once() -> None:
    found = differences({"a": SAME, "b": SAME, "c": held(python="3.12.1")})
    assert [each.values for each in found] == [("3.11.2", "3.11.2", "3.12.1")]


def test_names_of_python_packages_are_normalized() -> None:
    other = held(packages=(Package(name="LXML", version="5.2.1"), Package(name="pillow", version="12.1.1")))
    assert differences({"a": SAME, "b": other}) == ()


def test_licences_in_metadata_are_not_compared() -> None:
    """Copies of one package may have different licence texts."""
    other = held(packages=tuple(each.model_copy(update={"licenses": ("MIT",)}) for each in SAME.packages))
    assert differences({"a": SAME, "b": other}) == ()


def test_secrets_are_compared_and_masked() -> None:
    here = held(environment={"API_TOKEN": "one", "HTTP_PROXY": "http://me:pw@proxy:1"})
    there = held(environment={"API_TOKEN": "two", "HTTP_PROXY": "http://proxy:2"})
    found = differences({"a": here, "b": there})
    assert [each.values for each in found] == [("***", "***"), ("http://***@proxy:1", "http://proxy:2")]


# --- explanations --------------------------------------------------------------------------------------


def unexplained(images: dict[str, Census], **keys: Any) -> list[str]:
    return [each.name for each in differences(images, explanations(stacks(*images, **keys))) if not each.reason]


def test_locked_developer_packages_are_explained() -> None:
    """Not in other images, not in other versions, and not without a lock."""
    tools = held(packages=package("debugpy", "1.8.0"))
    assert unexplained({"developer": tools, "ci": SAME}) == []
    assert unexplained({"developer": tools, "server": SAME, "ci": SAME}) == []
    assert unexplained({"developer": tools, "server": SAME, "ci": tools}) == ["debugpy"]
    assert unexplained({"developer": SAME, "ci": tools}) == ["debugpy"]
    assert unexplained({"developer": held(packages=package("debugpy", "1.8.1")), "ci": SAME}) == ["debugpy"]
    assert unexplained({"developer": held(packages=package("ipdb")), "ci": SAME}) == ["ipdb"]


def test_package_of_all_scenarios_is_not_explained() -> None:
    assert unexplained({"developer": SAME, "ci": held(packages=SAME.packages[1:])}) == ["lxml"]


def test_byte_code_folder_is_explained_for_mounted_sources() -> None:
    mounted = held(environment={"LANG": "C.UTF-8", "PYTHONPYCACHEPREFIX": BYTE_CODE})
    assert unexplained({"developer": mounted, "server": mounted, "ci": SAME}) == []
    assert unexplained({"developer": SAME, "ci": mounted}) == ["PYTHONPYCACHEPREFIX"]


def configured(**options: str) -> Census:
    return held(configuration={"options": options})


def test_options_of_the_scenario_are_explained_with_its_values() -> None:
    developer = configured(list_db="True", workers="0")
    ci = {"list_db": "False", "workers": "2", "proxy_mode": "False", "max_cron_threads": "1"}
    assert unexplained({"developer": developer, "ci": configured(**ci)}) == []
    assert unexplained({"developer": developer, "ci": configured(**{**ci, "workers": "4"})}) == ["options.workers"]


def test_only_options_of_an_overlay_are_explained() -> None:
    images = {"developer": configured(limit_time_cpu="60"), "ci": configured(limit_time_cpu="90", log_level="warn")}
    assert unexplained(images, scenarios=OVERLAYS) == ["options.limit_time_cpu"]
    found = differences(images, explanations(stacks(*images, scenarios=OVERLAYS)))
    assert [each.reason for each in found if each.name == "options.log_level"] == ["odpm.json: scenarios.ci"]


def test_database_name_is_explained_for_ci() -> None:
    images = {"developer": configured(db_name="shop"), "ci": configured()}
    assert unexplained(images, odoo_conf={"options": {"db_name": "shop"}}) == []
    assert unexplained(images) == ["options.db_name"]


def test_options_of_the_scenario_match_the_configuration() -> None:
    known = {name for what, name in explanations(stacks(*SCENARIOS)) if what == "configuration"}
    expected = {"list_db", "workers", "proxy_mode", "max_cron_threads", "db_name", "limit_time_cpu", "limit_time_real"}
    assert known == {f"options.{name}" for name in expected}


# --- output ------------------------------------------------------------------------------------


def compared(**images: Census) -> Comparison:
    names = {label: f"acme:{label}" for label in images}
    return Comparison(names, images, differences(images, explanations(stacks(*images))))


def test_equal_images_give_one_line() -> None:
    assert as_text(compared(developer=SAME, ci=SAME)) == "parity: 2 images, 3 packages, 1 font, 1 add-on"


def test_explained_differences_are_one_line() -> None:
    text = as_text(compared(developer=held(packages=package("debugpy", "1.8.0")), ci=SAME))
    assert text == (
        "parity: 2 images, 4 packages, 1 font, 1 add-on; 1 difference explained by the scenario  (--verbose shows them)"
    )


def test_tables_of_differences() -> None:
    developer = held(packages=package("debugpy", "1.8.0"), environment={"LANG": "C.UTF-8", "A": "", "B": "x" * 60})
    text = as_text(compared(developer=developer, ci=held(python="3.12.1")), verbose=True)
    assert (
        text
        == f"""\
developer  acme:developer
ci         acme:ci

                     developer                                         ci
system       Python  3.11.2                                            3.12.1
environment  A       ""                                                –
environment  B       {"x" * 47}…  –

1 difference explained by the scenario

                         developer  ci
Python package  debugpy  1.8.0      –   in .odpm/requirements.developer.lock"""
    )


def test_long_list_is_cut_and_control_characters_are_removed() -> None:
    many = tuple(Package(name=f"p{number:02}", version="1\x1b[31m") for number in range(33))
    text = as_text(compared(developer=held(packages=many), ci=held(packages=())))
    assert "\x1b" not in text
    assert text.count("Python package  p") == 30
    assert text.endswith("… and 3 more: Python package")


def test_json_contains_all_differences() -> None:
    data = json.loads(as_json(compared(developer=held(packages=package("debugpy", "1.8.0")), ci=held(python="3.12.1"))))
    validate(data, schema("parity"))
    assert {key: value for key, value in data.items() if key not in {"schema_version", "odpm"}} == {
        "equal": False,
        "images": [{"label": "developer", "name": "acme:developer"}, {"label": "ci", "name": "acme:ci"}],
        "differences": [
            {"what": "system", "name": "Python", "values": {"developer": "3.11.2", "ci": "3.12.1"}, "reason": None},
            {
                "what": "Python package",
                "name": "debugpy",
                "values": {"developer": "1.8.0", "ci": None},
                "reason": "in .odpm/requirements.developer.lock",
            },
        ],
    }


def test_different_states_of_the_archive_are_the_reason_for_other_system_packages() -> None:
    rows = [Difference("system package", "tini:amd64", ("1", "2"))]
    states = {"developer": "Debian bookworm A", "ci": ""}
    [note] = package_notes(rows, states)
    assert note.endswith("archive: developer: Debian bookworm A; ci: not known")
    assert package_notes(rows, {"developer": "A", "ci": "A"}) == ()
    assert package_notes([Difference("font", "a", ("1", "2"))], states) == ()
