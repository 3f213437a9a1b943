"""The verifier that PostgreSQL gets instead of a password."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

from hypothesis import given, settings
from hypothesis import strategies as st

from odpm_tasks.core.stack.database_role import passwords_sql, roles_sql, scram_verifier

# The exchange that RFC 7677 prints: user `user`, password `pencil`.
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
MESSAGE = (f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}").encode()
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def parts(verifier: str) -> tuple[str, bytes, bytes, bytes]:
    scheme, counted, keys = verifier.split("$")
    assert scheme == "SCRAM-SHA-256"
    iterations, salt = counted.split(":")
    stored, server = keys.split(":")
    return iterations, b64decode(salt), b64decode(stored), b64decode(server)


def test_a_scram_exchange_succeeds_with_the_verifier() -> None:
    iterations, salt, stored, server = parts(scram_verifier("pencil", SALT))
    assert (iterations, salt) == ("4096", SALT)
    assert hmac.digest(server, MESSAGE, "sha256") == SIGNATURE
    mask = hmac.digest(stored, MESSAGE, "sha256")
    client_key = bytes(a ^ b for a, b in zip(PROOF, mask, strict=True))
    assert hashlib.sha256(client_key).digest() == stored


@settings(max_examples=10, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    st.binary(min_size=1, max_size=32),
)
def test_the_verifier_matches_rfc_5803(password: str, salt: bytes) -> None:
    block = hmac.new(password.encode(), salt + b"\x00\x00\x00\x01", hashlib.sha256).digest()
    total = int.from_bytes(block, "big")
    for _ in range(4095):
        block = hmac.new(password.encode(), block, hashlib.sha256).digest()
        total ^= int.from_bytes(block, "big")
    salted = total.to_bytes(32, "big")
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    encoded = [b64encode(part).decode() for part in (salt, stored, server)]
    assert scram_verifier(password, salt) == f"SCRAM-SHA-256$4096:{encoded[0]}${encoded[1]}:{encoded[2]}"


def test_the_statement_does_not_contain_the_password() -> None:
    text = roles_sql(scram_verifier("hunter2", SALT))
    assert "hunter2" not in text
    assert text.count("'") == 2
    assert text.endswith("';\n")


def test_odoos_role_is_no_superuser() -> None:
    assert roles_sql("V").splitlines(keepends=True)[-1] == "CREATE ROLE odoo LOGIN CREATEDB PASSWORD 'V';\n"


def test_the_sql_that_changes_passwords_contains_verifiers_only() -> None:
    verifier = scram_verifier("secret", b"salt")
    assert passwords_sql({"odoo": verifier}) == f"ALTER ROLE odoo PASSWORD '{verifier}';\n"
    assert "secret" not in passwords_sql({"odoo": verifier})
