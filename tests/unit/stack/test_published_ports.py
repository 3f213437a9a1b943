"""The ports that a compose file publishes on this machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.stack.compose_file import compose_text
from odpm_tasks.core.stack.published_ports import Published, published_ports
from tests.unit.builders import manifest
from tests.unit.stack.test_compose_file import spec


def published(*ports: Any, **variables: str) -> list[tuple[str, int, str | None]]:
    """Address, port and variable of each port that one service publishes."""
    text = json.dumps({"services": {"web": {"image": "x", "ports": list(ports)}}})
    return [(found.address, found.port, found.variable) for found in published_ports(text, variables.get)]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("8080:80", ("", 8080, None)),
        ("8080:80/tcp", ("", 8080, None)),
        ("1:80", ("", 1, None)),
        ("127.0.0.1:8080:80", ("127.0.0.1", 8080, None)),
        ("[::1]:8080:80", ("::1", 8080, None)),
        ("${BIND:-127.0.0.1}:${PORT:-8080}:80", ("127.0.0.1", 8080, "PORT")),
        ("${BIND:-[::1]}:${OTHER:-8080}:80", ("::1", 8080, "OTHER")),
        ({"target": 80, "published": 8080}, ("", 8080, None)),
        ({"target": 80, "published": "${PORT:-8080}", "host_ip": "::", "protocol": "tcp"}, ("::", 8080, "PORT")),
    ],
)
def test_short_and_long_syntax(entry: Any, found: tuple[str, int, str | None]) -> None:
    assert published(entry) == [found]


@pytest.mark.parametrize(
    "entry",
    [
        "80",
        "0:80",
        "8080-8090:80-90",
        "8080:80/udp",
        "127.0.0.1::80",
        {"target": 80},
        "\u00b2:80",
        "\u0663\u0663:80",
        "70000:80",
        "9" * 5000 + ":80",
        {"target": 80, "published": 8080, "protocol": "udp"},
    ],
)
def test_ranges_udp_and_ports_that_docker_chooses_are_omitted(entry: Any) -> None:
    assert published(entry, "8080:80") == [("", 8080, None)]


def test_a_variable_sets_the_port_and_the_address() -> None:
    entry = "${BIND:-127.0.0.1}:${PORT:-8080}:80"
    assert published(entry, PORT="9090", BIND="0.0.0.0") == [("0.0.0.0", 9090, "PORT")]


def test_services_of_inactive_profiles_publish_nothing() -> None:
    services = {
        "web": {"image": "x", "ports": ["8080:80"]},
        "mail": {"image": "x", "ports": ["8025:8025"], "profiles": ["mail"]},
        "queue": {"image": "x"},
    }
    text = json.dumps({"services": services})
    assert published_ports(text, lambda name: None) == (Published("web", 8080, None),)
    found = published_ports(text, {"COMPOSE_PROFILES": "mail"}.get)
    assert [port.service for port in found] == ["web", "mail"]


@pytest.mark.parametrize(
    ("scenario", "variables"),
    [
        ("developer", {"POSTGRES_PORT": 5432, "ODOO_PORT": 8069, "GEVENT_PORT": 8072, "DEBUGGER_PORT": 5678}),
        ("server", {"ODOO_PORT": 8069, "GEVENT_PORT": 8072}),
    ],
)
def test_every_port_of_the_built_in_services_is_found_with_its_variable(
    scenario: str, variables: dict[str, int]
) -> None:
    found = published_ports(compose_text(spec(manifest(), scenario)), lambda name: None)
    assert {port.variable: port.port for port in found} == variables
    assert {port.address for port in found} == {"127.0.0.1"}
