"""`audit` of the reverse proxy: certificates of a real TLS server, headers, cookies."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from odpm_tasks.adapters import tls
from odpm_tasks.core.audit.web_rules import of_answers, of_backups, of_certificate
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.stack.status import BackupData

NOW = datetime.now(UTC).replace(microsecond=0)


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Set-Cookie", "session_id=x; Secure")
        self.send_header("Set-Cookie", f"host={self.headers['Host']}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serving(tmp_path: Path) -> Callable[..., AbstractContextManager[int]]:
    @contextmanager
    def serve(expires: datetime, name: str = "shop.example") -> Iterator[int]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(expires - timedelta(days=90))
            .not_valid_after(expires)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        )
        pem = tmp_path / "both.pem"
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        pem.write_bytes(
            made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        with HTTPServer(("127.0.0.1", 0), Page) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server.server_port
            server.shutdown()

    return serve


def test_a_certificate(serving: Callable[..., AbstractContextManager[int]]) -> None:
    with serving(NOW + timedelta(days=60)) as port:
        assert tls.certificate("127.0.0.1", port, "shop.example", 5) == tls.ShownCertificate(NOW + timedelta(days=60))
        other = tls.certificate("127.0.0.1", port, "other.example", 5)
        assert (other.expires, other.matches) == (NOW + timedelta(days=60), False)
        answer = tls.ask("127.0.0.1", port, "shop.example", "/web/login", 5)
        assert (answer.status, answer.cookies) == (200, ("session_id=x; Secure", "host=shop.example"))
    assert tls.certificate("127.0.0.1", port, "shop.example", 5).error
    assert tls.ask("127.0.0.1", port, "shop.example", "/", 5).status == 0


def test_an_expired_certificate(serving: Callable[..., AbstractContextManager[int]]) -> None:
    with serving(NOW - timedelta(days=1)) as port:
        assert tls.certificate("127.0.0.1", port, "shop.example", 5) == tls.ShownCertificate()


@pytest.mark.parametrize(
    ("kind", "days", "matches", "found"),
    [
        ("auto", 15, True, []),
        ("auto", 13, True, ["the certificate expires in 13 days"]),
        ("files", 2, True, ["the certificate expires in 2 days"]),
        ("internal", 0.3, True, []),
        ("files", 60, False, ["browsers refuse the certificate: it is for another name"]),
        ("auto", None, True, ["the certificate has expired"]),
    ],
)
def test_rules_of_certificates(kind: str, days: float | None, matches: bool, found: list[str]) -> None:
    web = Web(domain="shop.example", tls=kind)  # type: ignore[arg-type]
    expires = None if days is None else NOW + timedelta(days=days, minutes=1)
    rows = list(of_certificate(web, "shop.example", expires, matches, NOW))
    assert [one.what for one in rows] == found
    assert all((one.code, one.level) == ("certificate", "error") and one.todo for one in rows)


def test_rules_of_answers() -> None:
    good = {"strict-transport-security": "max-age=31536000"}
    assert list(of_answers("shop.example", good, ["session_id=x; Path=/; Secure"], 404)) == []
    found = list(of_answers("shop.example", {}, ["session_id=x; Path=/"], 200))
    assert [(one.code, one.evidence) for one in found] == [
        ("web", "no Strict-Transport-Security"),
        ("web", "session_id"),
        ("database-manager", "/web/database/manager: 200"),
    ]


def test_rules_of_backups() -> None:
    def found(**values: object) -> list[tuple[str, str]]:
        known = {
            "repository": "/backups",
            "schedule": "02:30",
            "running": False,
            "last": None,
            "verified": None,
            "problem": "",
        }
        return [(one.level, one.what) for one in of_backups(BackupData.model_validate(known | values))]

    missed = "the backup of yesterday was not made"
    assert not list(of_backups(None))
    assert found() == found(problem=missed, running=True) == []
    assert found(problem=missed, last="2026-11-01T02:30:00Z", verified="2026-11-01T03:00:00Z") == [("error", missed)]
    assert found(last="2026-11-01T02:30:00Z") == [("note", "no backup was ever restored and compared")]
