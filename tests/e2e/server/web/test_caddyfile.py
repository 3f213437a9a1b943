"""Caddy itself reads each configuration that a description can lead to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme

from odpm_tasks.core.stack.web import caddy
from tests.e2e.conftest import say
from tests.standins.images import ensure_images
from tests.unit.builders import manifest

pytestmark = pytest.mark.docker

FILES = {"certificate": "a.pem", "key": "b.pem"}
VARIANTS: dict[str, dict[str, Any]] = {
    "auto": {"web": {"domain": "shop.example", "email": "admin@shop.example"}},
    "internal": {"web": {"domain": "shop.example", "tls": "internal", "allow": ["192.0.2.0/24", "2001:db8::7"]}},
    "files": {"web": {"domain": "shop.example", "tls": FILES}},
    "off": {"web": {"domain": "shop.example", "tls": "off"}},
    "threads": {"web": {"domain": "shop.example"}, "odoo_conf": {"options": {"workers": "0"}}},
}
# prints the configurations that Caddy refuses; `adapt` reports what is not formatted as `caddy fmt` does
SCRIPT = """
cd /etc/caddy
for name in *; do
    caddy validate --adapter caddyfile --config $name > /tmp/out 2>&1 || { echo "$name:"; tail -3 /tmp/out; }
    caddy adapt --adapter caddyfile --config $name 2>&1 > /dev/null | grep "not formatted"
done
exit 0
"""
ENVIRONMENT = {
    "WEB_DOMAIN": "shop.example", "WEB_HTTP_PORT": "80", "WEB_HTTPS_PORT": "443", "WEB_EMAIL": "admin@shop.example",
    "WEB_ALLOW": "192.0.2.0/24 2001:db8::7",
}  # fmt: skip


def refused(configurations: Path, secrets: Path) -> str:
    ensure_images((caddy.IMAGE,), say)
    mounts = [f"--volume={configurations}:/etc/caddy:ro", f"--volume={secrets}:/run/secrets:ro"]
    variables = [f"--env={name}={value}" for name, value in ENVIRONMENT.items()]
    words = ["docker", "run", "--rm", "--network=none", *mounts, *variables, caddy.IMAGE, "sh", "-c", SCRIPT]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_caddy_accepts_every_configuration(tmp_path: Path, engine: None) -> None:
    issued = trustme.CA().issue_cert("shop.example")
    for folder in ("secrets", "configurations"):
        (tmp_path / folder).mkdir()
    issued.cert_chain_pems[0].write_to_path(tmp_path / "secrets" / caddy.CERTIFICATE)
    issued.private_key_pem.write_to_path(tmp_path / "secrets" / caddy.KEY)
    for name, keys in VARIANTS.items():
        described = manifest(**keys)
        assert described.web
        for suffix, hosts in (("", ("", "")), ("-target", ("web", "websocket"))):
            text = caddy.caddyfile(described, described.web, hosts=hosts)
            (tmp_path / "configurations" / f"{name}{suffix}").write_text(text, encoding="utf-8")
    assert refused(tmp_path / "configurations", tmp_path / "secrets") == ""
    (tmp_path / "configurations/wrong").write_text("http://a {\n\trespnd 200\n}\n", encoding="utf-8")
    assert "wrong:" in refused(tmp_path / "configurations", tmp_path / "secrets")
