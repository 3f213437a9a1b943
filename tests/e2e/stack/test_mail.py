"""The built-in mail catcher: a mail that Odoo sends arrives there; active mail servers of the database are named."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Bench, get

pytestmark = pytest.mark.docker

SEND = """\
from email.message import EmailMessage
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "customer@example.com", "Order 17"
mail.set_content("Thank you.")
env["ir.mail_server"].send_email(mail)
"""


@pytest.fixture
def catching(developer: Bench) -> Iterator[Bench]:
    """The running stack, without the mail service that its description has."""
    described = (developer.root / "odpm.json").read_bytes()
    developer.edit(odoo_conf=None, services=None)
    yield developer
    (developer.root / "odpm.json").write_bytes(described)
    developer.ok("up")


def test_a_mail_of_odoo_arrives_in_the_built_in_catcher(catching: Bench) -> None:
    address = f"http://localhost:{catching.env['MAIL_PORT']}"
    ran = catching.ok("up")
    assert f"mails of Odoo: {address}" in ran.out
    assert "active mail server" not in ran.err
    catching.ok("shell", feed=SEND)
    found = json.loads(get(f"{address}/api/v1/messages")[1])["messages"]
    assert [(mail["Subject"], mail["To"][0]["Address"]) for mail in found] == [("Order 17", "customer@example.com")]
    assert catching.ok("open", "mail", "--print").out.strip() == address
    assert json.loads(catching.ok("status", "--format", "json").out)["mail"] == address
    values = {"name": "Gmail", "smtp_host": "smtp.example.com", "smtp_port": 25}
    server = catching.call("project", "ir.mail_server", "create", [values])
    warned = catching.ok("up")
    assert "the database project has an active mail server: Gmail (smtp.example.com)" in warned.err
    assert "nothing to do" in warned.err
    catching.call("project", "ir.mail_server", "unlink", server)
