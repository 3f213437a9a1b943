"""Passwords of a stack: what they are, and how PostgreSQL learns one without reading it.

PostgreSQL takes a SCRAM verifier in place of a password (CREATE ROLE, RFC 5803), so the SQL that creates the role holds no secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

ITERATIONS = 4096


def scram_verifier(password: str, salt: bytes) -> str:
    """The verifier of a password for PostgreSQL's `PASSWORD` clause: `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def roles_sql(verifier: str, role: str = "odoo") -> str:
    """What PostgreSQL runs when it makes its data folder: Odoo's role may create databases and is no superuser."""
    return f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD '{verifier}';\n"
