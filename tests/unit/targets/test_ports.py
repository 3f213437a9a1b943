"""The ports of a machine, from the list of `docker ps`."""

from __future__ import annotations

import pytest

from odpm_tasks.core.stack.published_ports import Published
from odpm_tasks.core.targets.ports import Holder, holder_of, holders

ROWS = """\
shop-proxy-1\tshop\t0.0.0.0:80->80/tcp, [::]:80->80/tcp, 127.0.0.1:8443->443/tcp, 2019/tcp, 0.0.0.0:443->443/udp
many\t\t10.0.0.5:9000-9002->9000-9002/tcp
quiet\tother\t
"""


def test_the_ports_of_containers_are_read() -> None:
    assert list(holders(ROWS)) == [
        Holder("shop-proxy-1", "shop", "0.0.0.0", 80, 80),
        Holder("shop-proxy-1", "shop", "::", 80, 80),
        Holder("shop-proxy-1", "shop", "127.0.0.1", 8443, 8443),
        Holder("many", "", "10.0.0.5", 9000, 9002),
    ]


@pytest.mark.parametrize(
    ("address", "port", "named"),
    [
        ("", 80, "container shop-proxy-1 of the project shop"),
        ("10.0.0.5", 80, "container shop-proxy-1 of the project shop"),
        ("", 8443, "container shop-proxy-1 of the project shop"),
        ("10.0.0.5", 8443, "None"),
        ("10.0.0.5", 9001, "container many"),
        ("127.0.0.1", 9001, "None"),
        ("", 9003, "None"),
        ("", 443, "None"),
    ],
)
def test_who_holds_a_port_of_an_address(address: str, port: int, named: str) -> None:
    assert str(holder_of(Published("proxy", port, None, address), list(holders(ROWS)))) == named
