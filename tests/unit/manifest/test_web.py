"""The field `web` of the nested format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.core.manifest.server_model import Web
from tests.unit.builders import MINIMAL, manifest


def found(web: Any, **keys: Any) -> list[str]:
    """The errors and warnings about a description with this `web`; without one where it is None."""
    described = {**MINIMAL, **({} if web is None else {"web": web}), **keys}
    errors, warnings = problems(json.dumps(described), lambda name: None)
    return [*errors, *warnings]


def test_values() -> None:
    assert manifest().web is None
    assert manifest(web={"domain": "shop.example"}).web == Web(domain="shop.example")
    files = {"certificate": "a.pem", "key": "${KEY:-b.pem}"}
    described = {
        "domain": "${D:-x}",
        "tls": files,
        "email": "admin@shop.example",
        "allow": ["192.0.2.0/24", "2001:db8::1"],
    }
    assert manifest(web=described).web == Web(
        domain="${D:-x}", tls="files", certificate="a.pem", key="${KEY:-b.pem}", email="admin@shop.example",
        allow=("192.0.2.0/24", "2001:db8::1"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("web", "path"),
    [
        ({}, "web.domain"),
        ("shop.example", "web"),
        ({"domain": "https://shop.example"}, "web.domain"),
        ({"domain": "shop.example:443"}, "web.domain"),
        ({"domain": "Shop.example"}, "web.domain"),
        ({"domain": "*.example"}, "web.domain"),
        ({"domain": "192.0.2.1"}, "web.domain"),
        ({"domain": "a b"}, "web.domain"),
        ({"domain": "x.example", "tls": "on"}, "web.tls"),
        ({"domain": "x.example", "tls": True}, "web.tls"),
        ({"domain": "x.example", "tls": {"certificate": "a.pem"}}, "web.tls.key"),
        ({"domain": "x.example", "tls": {"certificate": "a.pem", "key": "b", "keys": "c"}}, "web.tls.keys"),
        ({"domain": "x.example", "email": "nobody"}, "web.email"),
        ({"domain": "x.example", "allow": ["office"]}, "web.allow[0]"),
        ({"domain": "x.example", "allow": ["192.0.2.1/24"]}, "web.allow[0]"),
        ({"domain": "x.example", "allow": "192.0.2.1"}, "web.allow"),
        ({"domain": "${UNSET}"}, "web.domain"),
    ],
    ids=str,
)
def test_problems(web: Any, path: str) -> None:
    (problem,) = found(web)
    assert f"{path}:" in problem, problem


def test_its_name_is_free_without_it() -> None:
    own = {"web": {"image": "nginx"}}
    assert found(None, services=own) == []
    (problem,) = found({"domain": "x.example"}, services=own)
    assert "services.web: is built in" in problem
    assert found({"domain": "x.example"}, service_patches={"web": {"mem_limit": "1g"}}) == []
    assert "service_patches.web: unknown key" in found(None, service_patches={"web": {"mem_limit": "1g"}})[0]


def test_it_needs_odpm_5() -> None:
    text = json.dumps({**MINIMAL, "requires_odpm": "4.0", "web": {"domain": "x.example"}})
    assert any("web" in one and "5.0.0" in one for one in read_manifest(text, lambda name: None).warnings)
