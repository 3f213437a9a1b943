"""The configuration of docs/server.md for a proxy of the user's own: a real nginx in front of a running server."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

import pytest
import trustme

from tests.e2e.conftest import say
from tests.e2e.harness import REPOSITORY, Bench, docker, eventually
from tests.e2e.server.web.site import Site
from tests.ports import claim_port
from tests.standins.images import ensure_images

pytestmark = [pytest.mark.docker, pytest.mark.long]

IMAGE = "nginx:1"
FOLDER = "/etc/ssl/shop.example/"


def configuration(bench: Bench, https: int) -> str:
    """The block of the page, with the ports of the test and the name of this machine."""
    page = (REPOSITORY / "docs/server.md").read_text(encoding="utf-8")
    text: str
    (text,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    replaced = {
        "listen 80;": f"listen 127.0.0.1:{claim_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "server_name shop.example;": "server_name localhost;",
        "127.0.0.1:8069": f"127.0.0.1:{bench.env['ODOO_PORT']}",
        "127.0.0.1:8072": f"127.0.0.1:{bench.env['GEVENT_PORT']}",
    }
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, server_stack: Bench) -> Iterator[Site]:
    """The server behind nginx. Its Odoo trusts the proxy while the tests of this file run."""
    ensure_images((IMAGE,), say)
    folder, authority = tmp_path_factory.mktemp("nginx"), trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    server_stack.env["ODPM_HTTPS_PORT"] = str(claim_port())
    site = Site(server_stack, authority.cert_pem.bytes().decode())
    (folder / "shop.conf").write_text(configuration(server_stack, site.port), encoding="utf-8")
    mounts = [f"{folder}:{FOLDER}:ro", f"{folder}/shop.conf:/etc/nginx/conf.d/shop.conf:ro"]
    words = ["run", "--rm", "--detach", "--network=host", *(f"--volume={one}" for one in mounts), IMAGE]
    container = docker(*words)
    try:
        server_stack.ok("up", ODPM_PROXY="on")
        eventually(lambda: site.ask("/web/login").status == 200)
        site.login()
        yield site
    finally:
        docker("rm", "--force", container)
        del server_stack.env["ODPM_HTTPS_PORT"]
        server_stack.ok("up")


def test_pages_and_cookies(site: Site) -> None:
    page = Site(site.bench, site.root).ask("/web/login", headers={"Accept-Encoding": "gzip"})
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert "secure" in page.headers["set-cookie"].lower()
    assert site.ask("/web/database/manager").status == site.ask("/WEB//database").status == 404
    with pytest.raises(ssl.SSLError):
        Site(site.bench, trustme.CA().cert_pem.bytes().decode()).ask("/web/login")


def test_what_a_client_claims_about_itself_has_no_effect(site: Site) -> None:
    claims = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    moved = Site(site.bench, site.root).ask("/web/session/logout?nginx=1", headers=claims)
    assert moved.headers["location"].removeprefix(site.address).startswith("/")
    (line,) = [line for line in site.bench.log("odoo").splitlines() if "/web/session/logout?nginx=1" in line]
    assert " 127.0.0.1 - - " in line


def test_a_websocket(site: Site) -> None:
    socket = site.websocket()
    assert socket.head.startswith("HTTP/1.1 101 ")
    socket.close()
