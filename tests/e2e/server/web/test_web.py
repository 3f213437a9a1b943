"""The reverse proxy of the scenario `server`: a real Caddy in front of a running stack."""

from __future__ import annotations

import datetime
import http.client
import json
import re
import ssl

import pytest
import trustme

from tests.e2e.browser import Browser, look
from tests.e2e.harness import Bench, docker
from tests.e2e.reports import SCRIPT, check_report
from tests.e2e.server.web.site import Site

pytestmark = [pytest.mark.docker, pytest.mark.long]

NOTIFY = """
env["bus.bus"]._sendone(env.ref("base.partner_admin"), "odpm.test", {"word": "through the proxy"})
env.cr.commit()
"""


def plain(bench: Bench, path: str, host: str = "localhost") -> tuple[int, str]:
    """Status and `Location` of an answer to a request without TLS."""
    connection = http.client.HTTPConnection("localhost", int(bench.env["ODPM_HTTP_PORT"]), timeout=30)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("Location", "")


def test_pages_come_over_https_with_the_headers_of_a_safe_site(web_stack: Bench, web_site: Site) -> None:
    page = Site(web_stack).ask("/web/login")
    assert page.status == 200
    assert "oe_login_form" in page.text
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert "server" not in page.headers
    assert re.fullmatch(r"session_id=\S+;.*HttpOnly;.*; Secure", page.headers["set-cookie"])
    assert plain(web_stack, "/web?debug=1") == (308, f"{web_site.address}/web?debug=1")
    assert plain(web_stack, "/web", "other.example") == (404, "")
    with pytest.raises(ssl.SSLError):  # a certificate that nobody trusts
        Site(web_stack, trustme.CA().cert_pem.bytes().decode()).ask("/web/login")


def test_only_the_proxy_is_reachable_and_it_has_no_rights(web_stack: Bench) -> None:
    containers = web_stack.containers()
    published = {name: [*(found["HostConfig"]["PortBindings"] or {})] for name, found in containers.items()}
    ports = {f"{web_stack.env[name]}/tcp" for name in ("ODPM_HTTP_PORT", "ODPM_HTTPS_PORT")}
    assert {name for name, found in published.items() if found and name != "mail"} == {"web"}
    assert {*published["web"]} == ports
    host = containers["web"]["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["ReadonlyRootfs"]) == (["ALL"], ["NET_BIND_SERVICE"], True)
    assert web_stack.inside("sh", "-c", "echo > /etc/caddy/x || echo > /usr/x", service="web").code != 0
    assert web_stack.inside("cat", "/run/secrets/db_password", service="web").code != 0


def test_what_a_client_claims_about_itself_has_no_effect(web_stack: Bench, web_site: Site) -> None:
    claims = {
        "X-Forwarded-For": "203.0.113.66", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
        "X-Real-IP": "203.0.113.66", "Forwarded": "for=203.0.113.66;host=evil.example",
    }  # fmt: skip
    moved = Site(web_stack).ask("/web/session/logout?claims=1", headers=claims)
    assert moved.headers["location"].removeprefix(web_site.address).startswith("/")
    (line,) = [line for line in web_stack.log("odoo").splitlines() if "/web/session/logout?claims=1" in line]
    assert "203.0.113.66" not in line
    gateway = json.loads(docker("network", "inspect", f"{web_stack.prefix}_default"))[0]["IPAM"]["Config"][0]["Gateway"]
    assert f" {gateway} - - " in line  # the address of this machine, not that of the proxy's container


@pytest.mark.parametrize(
    "path",
    ["manager", "selector", "list", "../database/manager", "%6danager"],
)
def test_the_database_manager_is_closed(web_site: Site, path: str) -> None:
    for prefix in ("/web/database/", "/web//database/", "/WEB/database/", "/de/web/database/", "/web%2fdatabase/"):
        assert web_site.ask(f"{prefix}{path}").status == 404, prefix
    assert web_site.ask("/xmlrpc/2/db", b"<methodCall/>").status == 404


def test_a_message_of_the_bus_arrives_through_a_websocket(web_stack: Bench, web_site: Site) -> None:
    socket = web_site.websocket()
    assert "101 Switching" in socket.head
    assert not re.search(r"set-cookie:(?!.*; secure\r\n)", socket.head, re.IGNORECASE)
    socket.send(event_name="subscribe", data={"channels": [], "last": 0})
    web_stack.inv("shell", feed=NOTIFY)
    found = next(
        one for message in iter(socket.receive, None) for one in message if one["message"]["type"] == "odpm.test"
    )
    assert found["message"]["payload"] == {"word": "through the proxy"}
    socket.close()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_text_is_compressed(web_site: Site, encoding: str) -> None:
    path = re.search(r'"(/web/assets/[^"]+\.css)"', web_site.ask("/web/login").text)
    assert path
    whole, small = web_site.ask(path[1]), web_site.ask(path[1], headers={"Accept-Encoding": encoding})
    assert small.headers["content-encoding"] == encoding
    assert len(small.body) < len(whole.body) / 3


def test_an_upload_of_100_mb(web_site: Site) -> None:
    token = re.search(r'csrf_token: "([^"]+)"', web_site.ask("/odoo").text)
    assert token
    fields = {"csrf_token": token[1], "model": "res.partner", "id": "1"}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append('--x\r\nContent-Disposition: form-data; name="ufile"; filename="large.bin"\r\n\r\n')
    body = "".join(parts).encode() + bytes(100_000_000) + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = web_site.ask("/web/binary/upload_attachment", body, kind)
    assert answer.status == 200, answer.text[:1000]
    (size,) = re.findall(r'"size": (\d+)', answer.text) or [""]
    assert size == "100000000", answer.text[:1000]
    try:
        status = web_site.ask("/web/binary/upload_attachment", bytes(300_000_000), kind).status
    except OSError:  # the connection is closed before the client has sent everything
        status = 413
    assert status == 413


def test_addresses_follow_the_domain(web_stack: Bench, web_site: Site) -> None:
    query = "SELECT key, value FROM ir_config_parameter WHERE key IN ('web.base.url', 'web.base.url.freeze', 'report.url') ORDER BY key"
    expected = f"report.url|http://127.0.0.1:8069\nweb.base.url|{web_site.address}\nweb.base.url.freeze|True"
    assert web_stack.sql(query, "project") == expected
    assert json.loads(web_stack.ok("status", "--format", "json").out)["url"] == web_site.address
    assert f"web         {web_site.address} " in web_stack.ok("status").out
    assert web_stack.ok("open", "--print").out.strip() == f"{web_site.address}/web"
    assert web_site.address in web_stack.ok("plan", "--verbose").out
    check_report(web_stack.inv("shell", feed=SCRIPT).out)


def test_what_a_browser_shows(web_site: Site) -> None:
    """Chromium logs in and loads the web client over HTTPS alone; its session cookie is not sent without TLS."""

    def see(browser: Browser) -> tuple[str, bool]:
        (cookie,) = [one for one in browser.page.context.cookies() if one["name"] == "session_id"]
        return browser.page.evaluate("location.protocol"), bool(cookie["secure"] and cookie["httpOnly"])

    certificate = ssl.get_server_certificate(("localhost", web_site.port))
    seen = look(f"{web_site.address}/web/login?db=project", "admin", web_site.password(), see, certificate)
    assert seen == ("https:", True)


def test_odoo_is_found_under_another_address(web_stack: Bench, web_site: Site) -> None:
    def address() -> str:
        found: str = web_stack.containers()["odoo"]["NetworkSettings"]["Networks"][network]["IPAddress"]
        return found

    network, odoo = f"{web_stack.prefix}_default", web_stack.containers()["odoo"]["Id"]
    before, image = address(), web_stack.containers()["odoo"]["Image"]
    assert web_site.ask("/web/login").status == 200
    docker("stop", odoo)
    taker = docker("run", "--detach", "--rm", "--network", network, "--entrypoint", "sleep", image, "60")
    try:
        docker("start", odoo)
        assert address() != before
        assert {web_site.ask("/web/login").status for _ in range(5)} == {200}
    finally:
        docker("rm", "--force", taker)
    web_stack.ok("up")


def test_the_audit_passes(web_stack: Bench) -> None:
    document = json.loads(web_stack.ok("audit", "--format", "json").out)
    assert [(one["code"], one["level"]) for one in document["findings"]] == [("backup", "note")]


def test_nothing_is_left_to_do(web_stack: Bench) -> None:
    assert "nothing to do" in web_stack.ok("up").err
    assert web_stack.ok("plan", "--strict").code == 0


def test_a_certificate_of_the_users_own(web_stack: Bench) -> None:
    """It is replaced in place, as a program that renews it does; the key that does not belong to it is refused."""
    authority = trustme.CA()
    folder = web_stack.root.parent / "certificates"
    folder.mkdir()

    def issue() -> None:
        made = authority.issue_cert(
            "localhost", not_after=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=9)
        )
        made.private_key_pem.write_to_path(folder / "key.pem")
        (folder / "key.pem").chmod(0o600)
        made.cert_chain_pems[0].write_to_path(folder / "chain.pem")

    def served() -> str:
        site = Site(web_stack, authority.cert_pem.bytes().decode())
        assert site.ask("/web/login").status == 200
        return ssl.get_server_certificate(("localhost", site.port)).strip()

    issue()
    own = {"certificate": "../certificates/chain.pem", "key": "${SHOP_KEY}"}
    web_stack.edit(web={"domain": "localhost", "tls": own})
    web_stack.commit("A certificate")
    assert web_stack.inv("up", SHOP_KEY="../certificates/nosuch.pem").code == 4
    (folder / "other.pem").write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    refused = web_stack.inv("up", SHOP_KEY="../certificates/other.pem")
    assert (refused.code, "this certificate and key cannot be used" in refused.err) == (4, True), refused.output
    web_stack.env["SHOP_KEY"] = "../certificates/key.pem"
    try:
        web_stack.ok("up")
        first = (folder / "chain.pem").read_text(encoding="utf-8").strip()
        assert served() == first
        issue()
        assert "the certificate of the reverse proxy changed" in web_stack.ok("plan").out
        web_stack.ok("up")
        assert served() == (folder / "chain.pem").read_text(encoding="utf-8").strip() != first
        assert "nothing to do" in web_stack.ok("up").err
        assert "PRIVATE KEY" not in docker("inspect", web_stack.containers()["web"]["Id"])
        web_stack.ok("up", "--rollback")
        assert (
            Site(web_stack).ask("/web/login").status == 200
        )  # the configuration of that release: the internal authority
    finally:
        web_stack.edit(web={"domain": "localhost", "tls": "internal"})
        web_stack.commit("The internal authority")
        web_stack.ok("up")


def test_an_allowed_address_reaches_the_database_manager(web_stack: Bench, web_site: Site) -> None:
    try:
        web_stack.edit(web={"domain": "localhost", "tls": "internal", "allow": ["172.16.0.0/12", "192.168.0.0/16"]})
        web_stack.commit("Allow")
        web_stack.ok("up")
        assert web_site.ask("/web/database/manager").status == 200
        web_stack.edit(web={"domain": "localhost", "tls": "internal", "allow": ["203.0.113.7"]})
        web_stack.commit("Allow another one")
        web_stack.ok("up")
        assert web_site.ask("/web/database/manager").status == 404
    finally:
        web_stack.edit(web={"domain": "localhost", "tls": "internal"})
        web_stack.commit("Allow none")
        web_stack.ok("up")
