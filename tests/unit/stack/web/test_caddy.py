"""The reverse proxy of `server`: which stacks have it, its service, its configuration, the options of Odoo behind it.

`tests/e2e/server/web` has Caddy itself read the configuration.
"""

from __future__ import annotations

from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.stack.compose_file import compose, lockable_images
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.render import render
from odpm_tasks.core.stack.reserved import reserved
from odpm_tasks.core.stack.web.address import address, check, web_of
from odpm_tasks.core.stack.web.caddy import IMAGE, caddyfile
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import manifest
from tests.unit.stack.test_compose_file import spec
from tests.unit.stack.test_render import stack

CADDYFILE, PAGE = ".odpm/build/web/Caddyfile", ".odpm/build/web/maintenance.html"


def services(scenario: str = "server", **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = compose(spec(manifest(**keys, scenario=scenario), scenario))["services"]
    return found


def files(scenario: str = "server", **keys: Any) -> dict[str, str]:
    rendered = render(stack(scenario, manifest=manifest(scenario=scenario, **keys))).files
    return {path: data.decode() for path, data in rendered.items()}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_only_server_has_it_and_a_patch_has_no_effect_elsewhere(scenario: str) -> None:
    described: dict[str, Any] = {"web": {"domain": "shop.example"}, "service_patches": {"web": {"mem_limit": "1g"}}}
    found = services(scenario, **described)
    assert ("web" in found) == (scenario == "server") == bool(web_of(SCENARIOS[scenario], manifest(**described)))
    assert scenario != "server" or found["web"]["mem_limit"] == "1g"
    assert "web" not in services(scenario)
    assert (
        (CADDYFILE in files(scenario, **described)) == (PAGE in files(scenario, **described)) == (scenario == "server")
    )


def test_it_alone_publishes_ports_the_same_inside_and_outside() -> None:
    found = services(web={"domain": "shop.example"})
    assert "ports" not in found["odoo"]
    http, https = found["web"]["ports"]
    assert http["target"] == http["published"] == "${ODPM_HTTP_PORT:-80}"
    assert https["target"] == https["published"] == "${ODPM_HTTPS_PORT:-443}"
    assert (found["web"]["cap_drop"], found["web"]["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert found["web"]["networks"] == {"default": {}}
    (only,) = services(web={"domain": "shop.example", "tls": "off"})["web"]["ports"]
    assert only == http


def test_odoo_trusts_it_and_shows_the_database_manager_to_allowed_addresses_only() -> None:
    conf = ".odpm/build/odoo.conf"
    assert {"proxy_mode = False", "list_db = False"} < {*lines(files()[conf])}
    assert {"proxy_mode = True", "list_db = False"} < {*lines(files(web={"domain": "shop.example"})[conf])}
    allowed = files(web={"domain": "shop.example", "allow": ["192.0.2.1"]})
    assert {"proxy_mode = True", "list_db = True"} < {*lines(allowed[conf])}
    assert "not remote_ip {$WEB_ALLOW}" in lines(allowed[CADDYFILE])
    assert "not remote_ip" not in files(web={"domain": "shop.example"})[CADDYFILE]
    assert "ODPM_PROXY" not in services(web={"domain": "shop.example"})["odoo"]["environment"]


@pytest.mark.parametrize(
    ("tls", "line"),
    [
        ("auto", ""),
        ("internal", "tls internal"),
        ({"certificate": "a.pem", "key": "b.pem"}, "tls /run/secrets/web_certificate /run/secrets/web_key"),
        ("off", ""),
    ],
    ids=str,
)
def test_the_certificate(tls: Any, line: str) -> None:
    described = {"domain": "shop.example", "tls": tls}
    text = lines(files(web=described)[CADDYFILE])
    assert [one for one in text if one.startswith("tls ")] == ([line] if line else [])
    scheme = "http" if tls == "off" else "https"
    assert f"{scheme}://{{$WEB_DOMAIN}} {{" in text
    assert ('Set-Cookie "$" "; Secure"' in text) == (scheme == "https")
    assert ("secrets" in services(web=described)["web"]) == isinstance(tls, dict)


def test_websockets_go_to_the_process_that_serves_them() -> None:
    web = Web(domain="shop.example")
    push = "import odoo {file./etc/caddy/odoo} 8072"
    assert push in lines(caddyfile(manifest(), web))
    assert push not in lines(caddyfile(manifest(odoo_conf={"options": {"workers": "0"}}), web))


def test_a_change_of_configuration_or_address_replaces_the_container_that_depends_on_it() -> None:
    first = render(stack("server", manifest=manifest(web={"domain": "a.example"}, scenario="server")))
    other = render(
        stack("server", manifest=manifest(web={"domain": "a.example", "tls": "internal"}, scenario="server"))
    )
    label = [next(line for line in lines(one.compose.decode()) if "odpm.web" in line) for one in (first, other)]
    assert label[0] != label[1]
    assert services(web={"domain": "a.example"})["odoo"]["labels"]["odpm.address"] == (
        "https://a.example:${ODPM_HTTPS_PORT:-443}"
    )
    assert "odpm.address" not in services()["odoo"].get("labels", {})


def test_templates_of_the_project_replace_configuration_and_page() -> None:
    own = {"Caddyfile.j2": "{{ spec.scheme }}://own", "maintenance.html": "<p>back soon"}
    found = render(
        stack("server", manifest=manifest(web={"domain": "a.example"}, scenario="server"), templates=own)
    ).files
    assert (found[CADDYFILE], found[PAGE]) == (b"https://own", b"<p>back soon")


def test_its_image_is_locked_where_the_stack_has_it() -> None:
    assert lockable_images(manifest(web={"domain": "a.example"}, scenario="server"), SCENARIOS["server"])[IMAGE]
    assert IMAGE not in lockable_images(manifest(scenario="server"), SCENARIOS["server"])


def settings(**values: str) -> Settings:
    return Settings((Layer(".env", values),))


@pytest.mark.parametrize(
    ("web", "env", "expected"),
    [
        (Web(domain="shop.example"), {}, "https://shop.example"),
        (Web(domain="shop.example"), {"ODPM_HTTPS_PORT": "443"}, "https://shop.example"),
        (Web(domain="${D:-shop.example}"), {"ODPM_HTTPS_PORT": "8443", "D": "x.example"}, "https://x.example:8443"),
        (Web(domain="shop.example", tls="off"), {"ODPM_HTTPS_PORT": "8443"}, "http://shop.example"),
        (Web(domain="shop.example", tls="off"), {"ODPM_HTTP_PORT": "8080"}, "http://shop.example:8080"),
    ],
)
def test_the_address(web: Web, env: dict[str, str], expected: str) -> None:
    assert address(web, settings(**env)) == expected


@pytest.mark.parametrize(
    "web",
    [
        Web(domain="${D}"),
        Web(domain="shop.example", allow=("${D}",)),
        Web(domain="shop.example", email="${D}"),
    ],
    ids=str,
)
@pytest.mark.parametrize("value", ["evil {\n}", "https://shop.example", "{$HOME}", "a b", None])
def test_a_variable_cannot_add_to_the_configuration(web: Web, value: str | None) -> None:
    with pytest.raises(DescriptionError):
        check(web, {"D": value}.get)


def test_no_dependency_takes_its_name_or_ports() -> None:
    described = manifest(web={"domain": "shop.example"})
    found = reserved("acme", {"ODPM_HTTPS_PORT": "8443"}.get, described.builtin_services)
    assert found.refusal("web", {}) == "the name is built in"
    assert {80, 443, 8443} <= found.ports
    without = reserved("acme", lambda name: None, manifest().builtin_services)
    assert without.refusal("web", {}) == ""
    assert 443 not in without.ports
    patched = manifest(service_patches={"web": {"mem_limit": "1g"}}, web={"domain": "a.example"})
    merged = fragments(patched, stack().resolution, SCENARIOS["server"]).merge_into(patched)
    assert merged.service_patches == {"web": {"mem_limit": "1g"}}
