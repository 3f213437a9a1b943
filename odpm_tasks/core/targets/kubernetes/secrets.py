"""The secrets of a target, by reference: an object of the cluster and a key in it. No file has a value."""

from __future__ import annotations

import re
from typing import NamedTuple

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.targets.kubernetes.names import DATABASE, UPDATE, Object, label
from odpm_tasks.core.targets.services import ADMIN_PASSWORD
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.errors import DescriptionError

DB_PASSWORD, MASTER_PASSWORD = "db_password", "odoo_master_password"
NAMES = (DB_PASSWORD, MASTER_PASSWORD, ADMIN_PASSWORD)
GENERATED = f"{DATABASE}-app"  # the Secret that CloudNativePG makes for the owner of the database
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[A-Za-z0-9._-]{1,253})?")


class SecretKey(NamedTuple):
    """A key of a Secret."""

    secret: str
    key: str


def own_name(spec: TargetSpec) -> str:
    """The Secret that the user creates for a target: `PROJECT-TARGET`."""
    return label(spec.name)


def secret_key(spec: TargetSpec, name: str) -> SecretKey:
    """Where the value of a secret is: `{"existing": "SECRET"}` or `{"existing": "SECRET/KEY"}`, else the Secret of the target.

    Where the target runs PostgreSQL, the operator generates the password of the database. Errors: DescriptionError.
    """
    given = spec.target.secrets.get(name)
    runs_postgres = name == DB_PASSWORD and not spec.target.database.host
    where = f"odpm.json: targets.{spec.target.name}.secrets.{name}"
    if given and given.source == "existing":
        if not _NAME.fullmatch(given.value):
            raise DescriptionError(
                f"{given.value!r} is not the name of a Secret, nor SECRET/KEY",
                where=where,
                todo=f'write "existing": "{own_name(spec)}/{name}"',
            )
        secret, _, key = given.value.partition("/")
        return SecretKey(secret, key or ("password" if runs_postgres else name))
    if runs_postgres and given:
        raise DescriptionError(
            "CloudNativePG generates the password of the database: a value from this machine has no effect",
            where=where,
            todo='remove it, or name a Secret of type kubernetes.io/basic-auth: {"existing": "NAME"}',
        )
    return SecretKey(GENERATED, "password") if runs_postgres else SecretKey(own_name(spec), name)


def volume(spec: TargetSpec, role: str) -> Object:
    """The volume that `odoo-run` reads as /run/secrets: one file per secret, readable by Odoo's group."""
    names = (DB_PASSWORD, MASTER_PASSWORD, *([ADMIN_PASSWORD] if role == UPDATE else []))
    items: dict[str, list[Object]] = {}
    for name in names:
        found = secret_key(spec, name)
        items.setdefault(found.secret, []).append({"key": found.key, "path": name})
    sources = [{"secret": {"name": secret, "items": keys}} for secret, keys in items.items()]
    return {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": sources}}


def variables(spec: TargetSpec) -> list[Object]:
    """The environment for the variables in `odoo_conf`: each is a secret of the target.

    A variable with a default may be missing. Errors: DescriptionError for another one.
    """
    missing = [name for name in _required(spec.manifest) if name not in spec.target.secrets]
    if missing:
        raise DescriptionError(
            f"odoo_conf refers to {', '.join(missing)}, and Kubernetes has no .env",
            where=f"odpm.json: targets.{spec.target.name}.secrets",
            todo=f'add "{missing[0]}": {{"existing": "{own_name(spec)}"}}, or write ${{{missing[0]}:-default}}',
        )
    found = [(name, secret_key(spec, name)) for name in spec.variables if name in spec.target.secrets]
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": place.secret, "key": place.key}}} for name, place in found
    ]


def _required(manifest: Manifest) -> list[str]:
    values = [str(value) for section in manifest.odoo_conf.values() for value in section.values()]
    return sorted({each.name for text in values for each in references(text) if each.default is None})


def required_secrets(spec: TargetSpec) -> dict[str, tuple[str, ...]]:
    """The Secrets that must exist before the target starts, with their keys; not those that an operator generates."""
    names = (*NAMES, *(item["name"] for item in variables(spec)))
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        secret, key = secret_key(spec, name)
        if secret != GENERATED:
            found[secret] = (*found.get(secret, ()), key)
    return found
