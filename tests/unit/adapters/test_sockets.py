"""Ports: published by a compose file, in use, owner, and the priority of chosen ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from odpm_tasks.adapters import sockets
from odpm_tasks.core.config.settings import CHOSEN_PORTS, Layer, Settings
from odpm_tasks.core.stack.published_ports import Published, published_ports
from tests.ports import claim_port


def published(*entries: object, **env: str) -> list[tuple[int, str | None, str]]:
    text = "services:\n  x:\n    ports:\n" + "".join(f"      - {entry}\n" for entry in entries)
    return [(found.port, found.variable, found.address) for found in published_ports(text, env.get)]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ('"127.0.0.1:8025:80"', [(8025, None, "127.0.0.1")]),
        ('"8025:80"', [(8025, None, "")]),
        ('"8025:80/tcp"', [(8025, None, "")]),
        ('"${MAIL_PORT:-8025}:80"', [(8025, "MAIL_PORT", "")]),
        ('"${BIND:-127.0.0.1}:${MAIL_PORT:-8025}:80"', [(8025, "MAIL_PORT", "127.0.0.1")]),
        ('"${BIND:-127.0.0.1}:8025:80"', [(8025, None, "127.0.0.1")]),
        ('"${MAIL_PORT:-${OTHER:-8025}}:80"', [(8025, "MAIL_PORT", "")]),
        ('"8025:${INSIDE:-80}"', [(8025, None, "")]),
        ('"[::1]:8025:80"', [(8025, None, "::1")]),
        ('{published: "${MAIL_PORT:-8025}", target: 80, host_ip: 127.0.0.1}', [(8025, "MAIL_PORT", "127.0.0.1")]),
        ("{published: 8025, target: 80}", [(8025, None, "")]),
        ("{published: 8025, target: 80, protocol: udp}", []),
        ('"8025:80/udp"', []),
        ('"8025-8030:80"', []),
        ('"80"', []),
        ("80", []),
        ('"0:80"', []),
        ('"127.0.0.1::80"', []),
    ],
)
def test_published_ports_of_an_entry(entry: str, found: list[tuple[int, str | None, str]]) -> None:
    assert published(entry) == found


def test_variables_are_expanded() -> None:
    assert published('"${BIND:-127.0.0.1}:${MAIL_PORT:-8025}:80"', BIND="10.0.0.1", MAIL_PORT="99") == [
        (99, "MAIL_PORT", "10.0.0.1")
    ]


def test_services_of_profiles_are_ignored() -> None:
    text = "services:\n  a: {ports: ['1:1'], profiles: [later]}\n  b: {ports: ['2:2']}\n"
    assert published_ports(text, lambda name: None) == (Published("b", 2, None),)


@contextmanager
def listening(family: socket.AddressFamily, address: str, *, only_six: bool = False) -> Iterator[int]:
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_six))
        server.bind((address, claim_port()))
        server.listen()
        yield int(server.getsockname()[1])


ANY, LOOP = "0.0.0.0", "127.0.0.1"


@pytest.mark.parametrize(
    ("family", "listens", "only_six", "asked", "busy"),
    [
        (socket.AF_INET, LOOP, False, LOOP, True),
        (socket.AF_INET, ANY, False, LOOP, True),
        (socket.AF_INET, LOOP, False, "", True),
        (socket.AF_INET6, "::", False, LOOP, True),
        (socket.AF_INET6, "::", True, LOOP, False),
        (socket.AF_INET6, "::", True, "", True),
        (socket.AF_INET6, "::1", False, "", True),
        (socket.AF_INET6, "::1", False, "::1", True),
        (socket.AF_INET6, "::1", False, LOOP, False),
        (socket.AF_INET, "127.0.0.2", False, LOOP, False),
        (socket.AF_INET, "127.0.0.2", False, ANY, True),
    ],
)
def test_port_in_use(family: socket.AddressFamily, listens: str, only_six: bool, asked: str, busy: bool) -> None:
    with suppress(OSError), listening(family, listens, only_six=only_six) as port:
        assert sockets.in_use(port, asked) is busy
        assert (sockets.free_port(port, asked) == port) is not busy
        return
    pytest.skip(f"this machine has no {listens}")


def test_address_of_another_machine_is_not_in_use() -> None:
    assert sockets.in_use(8069, "192.0.2.1") is False


def test_free_port_excludes_ports() -> None:
    first = sockets.free_port(20000)
    assert sockets.free_port(first, exclude={first, first + 1}) > first + 1


LISTEN = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="who listens is read from /proc")
def test_owner_of_a_port() -> None:
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        assert sockets.owner(port) == f"{_name(other.pid)} (process {other.pid})"
        other.communicate(b"")
    assert sockets.owner(port) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_owner_of_a_port_of_another_user() -> None:
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        child = os.fork()
        if child == 0:  # a user without access to processes of root
            os.setgid(65534)
            os.setuid(65534)
            os._exit(0 if sockets.owner(port) == "a program of the user root" else 1)
        assert os.waitpid(child, 0)[1] == 0
        other.communicate(b"")


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


LAYERS = Settings((Layer(".env", {"ODOO_PORT": "9000", "EMPTY": ""}),))


def test_chosen_ports_have_the_lowest_priority() -> None:
    chosen = LAYERS.with_chosen_ports({"ODOO_PORT": "9001", "GEVENT_PORT": "9002", "EMPTY": "9003"})
    assert [chosen.get(name) for name in ("ODOO_PORT", "GEVENT_PORT", "EMPTY")] == ["9000", "9002", ""]
    assert chosen.port("GEVENT_PORT") == 9002
    assert chosen.merged() == {"ODOO_PORT": "9000", "GEVENT_PORT": "9002", "EMPTY": ""}
    assert chosen.where("GEVENT_PORT") == f"GEVENT_PORT in {CHOSEN_PORTS}"
    assert [chosen.is_set(name) for name in ("ODOO_PORT", "GEVENT_PORT", "EMPTY")] == [True, False, True]
    assert chosen.with_chosen_ports({}) == LAYERS


@pytest.mark.parametrize("address", ["\0", "é" * 300, "no-such-host", "999.1.1.1"])
def test_a_port_of_what_is_no_address_is_not_in_use(address: str) -> None:
    assert not sockets.in_use(34567, address)
