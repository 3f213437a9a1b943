"""Settings: the order of the layers, and the errors for invalid values."""

from __future__ import annotations

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.config.settings import ENVIRONMENT, PORTS, Layer, Settings, secret_names, without_effect
from odpm_tasks.errors import DescriptionError


def settings(**values: str) -> Settings:
    return Settings((Layer(".env", values),))


LAYERS = Settings(
    (
        Layer("the process environment", {"A": "process"}),
        Layer(".env", {"A": "project", "B": "project", "EMPTY": ""}),
        Layer("~/.odpm/.env", {"A": "home", "B": "home", "C": "home", "EMPTY": "full"}),
    )
)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("A", "process", "A in the process environment"),
        ("B", "project", "B in .env"),
        ("C", "home", "C in ~/.odpm/.env"),
        ("EMPTY", "", "EMPTY in .env"),
        ("D", None, "D"),
    ],
)
def test_the_first_layer_with_the_name_applies(name: str, value: str | None, where: str) -> None:
    assert LAYERS.get(name) == value
    assert LAYERS.where(name) == where


def test_merged_equals_get_for_every_name() -> None:
    assert LAYERS.merged() == {"A": "process", "B": "project", "C": "home", "EMPTY": ""}


def test_the_command_line_overrides_all_layers() -> None:
    chosen = LAYERS.with_values(A="option")
    assert (chosen.get("A"), chosen.where("A"), chosen.get("B")) == ("option", "A in the command line", "project")
    assert LAYERS.get("A") == "process"


@pytest.mark.parametrize("name", ["developer", "server", "ci"])
def test_scenario(name: str) -> None:
    assert settings(ODPM_SCENARIO=name).scenario is SCENARIOS[name]


@pytest.mark.parametrize("values", [{}, {"ODPM_SCENARIO": ""}])
def test_the_default_scenario_is_developer(values: dict[str, str]) -> None:
    assert settings(**values).scenario.name == "developer"


def test_an_unknown_scenario_is_reported_with_its_layer() -> None:
    with pytest.raises(DescriptionError) as caught:
        _ = settings(ODPM_SCENARIO="prod").scenario
    assert caught.value.where == "ODPM_SCENARIO in .env"
    assert "developer, server, ci" in caught.value.todo


def test_default_ports() -> None:
    assert {name: settings().port(name) for name in PORTS} == {
        "ODOO_PORT": 8069,
        "GEVENT_PORT": 8072,
        "POSTGRES_PORT": 5432,
        "DEBUGGER_PORT": 5678,
    }
    assert settings(ODOO_PORT="").port("ODOO_PORT") == 8069


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("8070", 8070), ("65535", 65535)])
def test_port(text: str, port: int) -> None:
    assert settings(ODOO_PORT=text).port("ODOO_PORT") == port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80a", " 80", "8069/tcp", "٨٠", "1e3", "0x50", "127.0.0.1:80"])
def test_an_invalid_port(text: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        settings(ODOO_PORT=text).port("ODOO_PORT")
    assert repr(text) in caught.value.what
    assert caught.value.where == "ODOO_PORT in .env"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("values", "jobs"), [({}, None), ({"ODPM_JOBS": ""}, None), ({"ODPM_JOBS": "8"}, 8)])
def test_jobs(values: dict[str, str], jobs: int | None) -> None:
    assert settings(**values).jobs == jobs


@pytest.mark.parametrize(("values", "seconds"), [({}, 30), ({"ODPM_GIT_TIMEOUT": "120"}, 120)])
def test_git_timeout(values: dict[str, str], seconds: int) -> None:
    assert settings(**values).git_timeout == seconds


@pytest.mark.parametrize("text", ["0", "3601", "-4", "1.5", "long", "²"])
def test_an_invalid_git_timeout(text: str) -> None:
    with pytest.raises(DescriptionError, match="1 to 3600"):
        _ = settings(ODPM_GIT_TIMEOUT=text).git_timeout


@pytest.mark.parametrize("text", ["0", "257", "-4", "many", "²"])
def test_an_invalid_number_of_jobs(text: str) -> None:
    with pytest.raises(DescriptionError, match="1 to 256"):
        _ = settings(ODPM_JOBS=text).jobs


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("", ()),
        ("https://a/=https://b/", (("https://a/", "https://b/"),)),
        (
            " https://a/=file:///srv/a/?x=1\n https://b/=c ",
            (("https://a/", "file:///srv/a/?x=1"), ("https://b/", "c")),
        ),
    ],
)
def test_git_mirrors(text: str, rules: tuple[tuple[str, str], ...]) -> None:
    assert settings(ODPM_GIT_MIRROR=text).git_mirrors == rules


@pytest.mark.parametrize("text", ["https://a/", "=https://b/", "https://a/=", "https://a/=b ="])
def test_an_invalid_git_mirror(text: str) -> None:
    with pytest.raises(DescriptionError, match="PREFIX=TARGET") as caught:
        _ = settings(ODPM_GIT_MIRROR=text).git_mirrors
    assert caught.value.where == "ODPM_GIT_MIRROR in .env"


@pytest.mark.parametrize("number", ["1", "256"])
def test_the_smallest_and_the_largest_number_of_jobs(number: str) -> None:
    assert settings(ODPM_JOBS=number).jobs == int(number)


@pytest.mark.parametrize("number", ["1", "3600"])
def test_the_smallest_and_the_largest_git_timeout(number: str) -> None:
    assert settings(ODPM_GIT_TIMEOUT=number).git_timeout == int(number)


@pytest.mark.parametrize(("value", "on"), [("", False), ("off", False), ("on", True), (" ON ", True)])
def test_browser_tests_are_off_unless_they_are_switched_on(value: str, on: bool) -> None:
    assert settings().browser is False
    assert settings(ODPM_BROWSER=value).browser is on


@pytest.mark.parametrize(
    ("values", "external"),
    [
        ({}, False),
        ({"ODPM_COMPOSE_NETWORK_EXTERNAL": ""}, False),
        *(({"ODPM_COMPOSE_NETWORK_EXTERNAL": text}, True) for text in ("true", " True ", "1", "yes")),
        *(({"ODPM_COMPOSE_NETWORK_EXTERNAL": text}, False) for text in ("false", "0", "NO")),
    ],
)
def test_an_external_network_is_true_or_false(values: dict[str, str], external: bool) -> None:
    assert settings(**values).external_network is external


def test_any_other_text_for_an_external_network_is_refused() -> None:
    with pytest.raises(DescriptionError, match="neither true nor false") as caught:
        _ = settings(ODPM_COMPOSE_NETWORK_EXTERNAL="perhaps").external_network
    assert caught.value.where == "ODPM_COMPOSE_NETWORK_EXTERNAL in .env"


def test_chosen_ports_override_no_layer_and_replace_earlier_ones() -> None:
    chosen = settings(ODOO_PORT="9000").with_chosen_ports({"ODOO_PORT": "1", "GEVENT_PORT": "2"})
    assert (chosen.port("ODOO_PORT"), chosen.port("GEVENT_PORT")) == (9000, 2)
    assert (chosen.is_set("ODOO_PORT"), chosen.is_set("GEVENT_PORT")) == (True, False)
    assert chosen.with_chosen_ports({"GEVENT_PORT": "3"}).port("GEVENT_PORT") == 3
    assert chosen.with_chosen_ports({}) == settings(ODOO_PORT="9000")


def test_remembered_switches_are_over_files_and_below_environment_and_command_line() -> None:
    layers = Settings((Layer(ENVIRONMENT, {}), Layer(".env", {"ODPM_DEV": "xml"})))
    reload = layers.with_switches({"ODPM_DEV": "reload"})
    assert reload.get("ODPM_DEV") == "reload"
    assert reload.with_values(ODPM_DEV="all").get("ODPM_DEV") == "all"
    assert reload.with_switches({}).get("ODPM_DEV") == "xml"
    process = Settings((Layer(ENVIRONMENT, {"ODPM_DEV": "qweb"}), Layer(".env", {})))
    assert process.with_switches({"ODPM_DEV": "reload"}).get("ODPM_DEV") == "qweb"


def test_switches_are_remembered_until_they_are_ended() -> None:
    layers = settings()
    kept = layers.remembered_switches({"ODPM_DEV": "reload"})
    assert kept == {"ODPM_DEV": "reload"}
    kept = layers.with_switches(kept).remembered_switches({"ODPM_DEBUG": "1"})
    assert kept == {"ODPM_DEV": "reload", "ODPM_DEBUG": "1"}
    assert layers.with_switches(kept).remembered_switches({}) == kept
    assert layers.with_switches(kept).remembered_switches({"ODPM_DEV": "", "ODPM_DEBUG": ""}) == {}
    # an end is remembered where a file would switch it on again
    assert settings(ODPM_DEV="xml").remembered_switches({"ODPM_DEV": ""}) == {"ODPM_DEV": ""}


def test_settings_and_files_of_compose_without_effect_are_named_once_with_what_to_write_instead() -> None:
    found = without_effect(
        settings(COMPOSE_PROJECT_NAME="shop", COMPOSE_FILE="a.yml:b.yml"), {"docker-compose.override.yml", "README.md"}
    )
    assert found == (
        "COMPOSE_PROJECT_NAME in .env has no effect; to name the containers: ODPM_COMPOSE_PREFIX=shop in .env",
        "COMPOSE_FILE in .env has no effect; to change services: `services` and `service_patches` in odpm.json",
        "docker-compose.override.yml has no effect; to change services: `services` and `service_patches` in odpm.json",
    )
    assert without_effect(settings(COMPOSE_PROJECT_NAME="shop", ODPM_COMPOSE_PREFIX="shop"), ()) == ()
    assert len(without_effect(settings(), {"compose.override.yaml", "compose.override.yml"})) == 2


def test_variables_with_secrets_are_known_by_their_names() -> None:
    given = dict.fromkeys(("GITHUB_TOKEN", "BACKUP_PASSWORD", "api_key", "AWS_SECRET_ACCESS_KEY", "ODOO_PORT"), "x")
    given |= {"BACKUP_PASSWORD_FILE": "x", "PATH_TO_SSH_KEY": "x", "KEYBOARD": "x", "EMPTY_TOKEN": ""}
    assert secret_names(given) == ("AWS_SECRET_ACCESS_KEY", "BACKUP_PASSWORD", "GITHUB_TOKEN", "api_key")
