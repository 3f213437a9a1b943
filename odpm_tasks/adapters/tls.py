"""What a TLS server of this machine shows: its certificate, and how it answers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException, HTTPSConnection

_EXPIRED, _OTHER_NAME = 10, (62, 64)  # of OpenSSL's X509_V_ERR_*


@dataclass(frozen=True)
class ShownCertificate:
    """The certificate that a server shows for a name. `expires`: None where it has expired.

    `error`: why there is none; then the rest says nothing.
    """

    expires: datetime | None = None
    matches: bool = True
    error: str = ""


def certificate(address: str, port: int, name: str, timeout: float) -> ShownCertificate:
    """The certificate of a server for a name. Who signed it is not checked."""

    def handshake(context: ssl.SSLContext) -> tuple[bytes, Mapping[str, object]]:
        with (
            socket.create_connection((address, port), timeout=timeout) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            return secured.getpeercert(binary_form=True) or b"", secured.getpeercert() or {}

    try:
        shown, _ = handshake(_any_certificate())
        # the certificate as its own authority: then OpenSSL reads it, and checks time and name
        context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(shown))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            return ShownCertificate(_time(handshake(context)[1]))
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == _EXPIRED:
                return ShownCertificate()
            if error.verify_code not in _OTHER_NAME:
                return ShownCertificate(error=error.verify_message)
        context.check_hostname = False
        return ShownCertificate(_time(handshake(context)[1]), matches=False)
    except OSError as error:
        return ShownCertificate(error=str(error))


def _time(found: Mapping[str, object]) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Answer:
    """The answer to a request. `status`: 0 where none comes. `cookies`: the values of `Set-Cookie`."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def ask(address: str, port: int, name: str, path: str, timeout: float) -> Answer:
    """GET a page of a name from an address; who signed the certificate is not checked, and redirects are not followed."""
    connection = _Connection(address, port, name, timeout)
    try:
        connection.request("GET", path, headers={"Host": name, "User-Agent": "odpm"})
        answer = connection.getresponse()
        headers = {key.lower(): value for key, value in answer.getheaders()}
        return Answer(answer.status, headers, tuple(answer.headers.get_all("Set-Cookie") or ()))
    except (OSError, HTTPException):
        return Answer()
    finally:
        connection.close()


class _Connection(HTTPSConnection):
    """A connection to an address that asks for the site of a name."""

    def __init__(self, address: str, port: int, name: str, timeout: float) -> None:
        super().__init__(address, port, timeout=timeout, context=_any_certificate())
        self._address, self._name = (address, port), name

    def connect(self) -> None:
        connection = socket.create_connection(self._address, timeout=self.timeout)
        self.sock = _any_certificate().wrap_socket(connection, server_hostname=self._name)
