"""The rules of `audit`: a code for each, which waivers in odpm.json name."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "admin-password": "no user of Odoo has the login or `admin` as the password",
    "backup": "backups are configured, and the newest one is recent",
    "certificate": "the certificate is for the domain and valid for two more weeks",
    "copy": "a database beside the project's is neutralised, and no two have the same `database.uuid`",
    "copy-mail": "a database beside the project's has no active mail server",
    "database-manager": "the database manager is closed",
    "database-role": "Odoo's role in PostgreSQL cannot become superuser, create roles, or read other roles' data",
    "database-trust": "PostgreSQL asks every other container for a password",
    "dbfilter": "with several databases, requests reach only the one that is meant",
    "debug": "no debugger, no `--dev`, no debug log",
    "demo-data": "the project's database has no demo data",
    "hardening": "the restrictions of the built-in services are in force",
    "lock": "the stack is what odpm.json and the lock describe",
    "master-password": "Odoo's master password cannot be guessed",
    "ports": "only `web` is reachable from other machines",
    "privileged": "no service controls the host",
    "proxy": "`proxy_mode` is on only where every request passes the proxy",
    "release": "Odoo reads the current release, and its files are unchanged",
    "restart": "the built-in services start again after the machine does",
    "secret-exposed": "no password is in the settings of a container or in git",
    "secret-mode": "no other user of the machine can read a password",
    "unfinished": "no deployment was interrupted",
    "unhealthy": "every service runs and is healthy",
    "web": "HTTPS by the service `web`, with HSTS and `Secure` cookies",
}
