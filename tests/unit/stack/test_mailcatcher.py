"""The built-in mail catcher: which stacks have it, what it may do, where Odoo finds it, what `up` warns of."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.core.manifest.checks import service_problems
from odpm_tasks.core.stack.compose_file import compose, lockable_images
from odpm_tasks.core.stack.mailcatcher import IMAGE, has_mail_catcher, mail_warning, outside_servers
from odpm_tasks.core.stack.render import render
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import manifest
from tests.unit.stack.test_compose_file import spec
from tests.unit.stack.test_render import stack, text

DEVELOPER = SCENARIOS["developer"]


@pytest.mark.parametrize(
    "services",
    [
        {"smtpfake": {"image": "docker.io/mailhog/mailhog"}},
        {"m": {"image": "axllent/mailpit:v1.20@sha256:" + "0" * 64}},
        {"m": {"image": "maildev/maildev"}},
        {"m": {"image": "ghcr.io/x/smtp4dev:v3"}},
        {"m": {"build": "mail", "expose": ["1025"]}},
        {"m": {"image": "x", "ports": ["127.0.0.1:${P:-2525}:1025/tcp"]}},
        {"m": {"image": "x", "ports": [{"target": 1025, "published": "2525"}]}},
        {"mailcatcher": {"image": "acme/catcher"}},
    ],
    ids=str,
)
def test_a_project_with_its_own_mail_catcher_keeps_it(services: dict[str, Any]) -> None:
    described = manifest(services=services)
    assert not has_mail_catcher(DEVELOPER, described)
    assert compose(spec(described, "developer"))["services"].keys() == {"db", "odoo", *services}


@pytest.mark.parametrize(
    "services",
    [{"m": {"image": "x", "ports": ["1025:80", "8025"]}}, {"mail": {"image": "emailer"}}, {"m": None}],
    ids=str,
)
def test_other_services_do_not_replace_it(services: dict[str, Any]) -> None:
    assert has_mail_catcher(DEVELOPER, manifest(services=services))


@pytest.mark.parametrize("key", ["smtp_server", "SMTP_Server", "smtp_port", "smtp_ssl"])
def test_mail_settings_of_the_description_replace_it(key: str) -> None:
    assert not has_mail_catcher(DEVELOPER, manifest(odoo_conf={"options": {key: "x"}}))
    assert has_mail_catcher(DEVELOPER, manifest(odoo_conf={"options": {"workers": "2"}}))


def test_server_and_ci_have_none_and_a_patch_of_it_has_no_effect_there() -> None:
    described = manifest(service_patches={"mailcatcher": {"mem_limit": "1g"}})
    for scenario in ("server", "ci"):
        assert compose(spec(described, scenario))["services"].keys() == {"db", "odoo"}
    assert compose(spec(described, "developer"))["services"]["mailcatcher"]["mem_limit"] == "1g"


def test_odoo_sends_to_it_unless_it_is_off() -> None:
    assert "smtp_server = mailcatcher\nsmtp_port = 1025\n" in text(stack(), ".odpm/build/odoo.conf")
    off = render(stack(mail=False)).files
    assert b"smtp" not in off[".odpm/build/odoo.conf"]
    assert yaml.safe_load(off["docker-compose.yml"])["services"].keys() == {"db", "odoo"}


def test_it_has_no_rights_no_volume_and_a_page_on_loopback_only() -> None:
    service = compose(spec(manifest(), "developer"))["services"]["mailcatcher"]
    assert (service["cap_drop"], service["read_only"], service["user"]) == (["ALL"], True, "65534:65534")
    assert service["ports"] == ["127.0.0.1:${MAIL_PORT:-}:8025"]
    assert service["networks"] == {"database": {}}
    assert not {"volumes", "secrets", "privileged"} & service.keys()


def test_its_image_is_locked_whether_or_not_it_is_off_here() -> None:
    assert lockable_images(manifest(), DEVELOPER)[IMAGE]
    assert IMAGE not in lockable_images(manifest(), SCENARIOS["server"])


@pytest.mark.parametrize(("value", "on"), [(None, True), ("", True), ("on", True), ("off", False), (" OFF ", False)])
def test_the_setting(value: str | None, on: bool) -> None:
    assert Settings((Layer(".env", {} if value is None else {"ODPM_MAIL": value}),)).catches_mail is on


def test_an_unknown_value_of_the_setting_is_refused() -> None:
    with pytest.raises(DescriptionError, match="neither on nor off"):
        _ = Settings((Layer(".env", {"ODPM_MAIL": "yes"}),)).catches_mail


def test_only_the_exact_name_replaces_it_in_odpm_json() -> None:
    def refused(name: str) -> list[str]:
        return [problem.text for problem in service_problems({"services": {name: {"image": "x"}}})]

    assert refused("mailcatcher") == []
    assert refused("MailCatcher") == refused("db") == ["is built in: change it with service_patches"]


SERVERS = (
    ("Gmail", "smtp.gmail.com"),
    ("", "mail.example.com"),
    ("here", "mailcatcher"),
    ("off", "invalid"),
    ("x", "LOCALHOST"),
)


def test_mail_servers_outside_of_the_stack_are_named_with_the_command_that_stops_them() -> None:
    outside = outside_servers(SERVERS, ["db", "mailcatcher"])
    assert outside == SERVERS[:2]
    assert mail_warning("shop", outside) == (
        "the database shop has 2 active mail servers: Gmail (smtp.gmail.com), mail.example.com; Odoo sends mails to real "
        'recipients there. To stop that: inv psql -d shop -c "UPDATE ir_mail_server SET active = false"'
    )
    assert "has an active mail server: Gmail (smtp.gmail.com);" in mail_warning("shop", outside[:1])
