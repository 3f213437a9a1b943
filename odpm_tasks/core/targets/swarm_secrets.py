"""The versions of secrets in a Swarm: a secret cannot be changed or read, so a new value gets the next name.

The label of a secret has a salted digest of its value, by which a deployment knows whether a file or variable has changed. scrypt makes
guessing a short password from it slow; only those who control the Swarm read its labels.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

DIGEST_LABEL, TARGET_LABEL = "odpm.digest", "odpm.target"


@dataclass(frozen=True)
class SecretVersion:
    """The version of a secret that a release uses. `new`: it does not exist yet."""

    name: str
    new: bool


def digest(value: bytes, salt: str) -> str:
    """`SALT$HEX`. `salt`: 16 hex digits or more, different for each secret."""
    return f"{salt}${hashlib.scrypt(value, salt=salt.encode(), n=1 << 14, r=8, p=1, dklen=32).hex()}"


def has_value(label: str, value: bytes) -> bool:
    """Whether a label is the digest of a value."""
    salt, dollar, _ = label.partition("$")
    return bool(dollar) and hmac.compare_digest(digest(value, salt), label)


def versions(prefix: str, existing: Mapping[str, str]) -> dict[int, str]:
    """The existing versions of a secret, by number. `prefix`: `PROJECT-TARGET_NAME`; `existing`: name -> label."""
    found = ((name, re.fullmatch(re.escape(prefix) + r"_v(\d+)", name)) for name in existing)
    return {int(match[1]): name for name, match in found if match}


def newest(prefix: str, existing: Mapping[str, str]) -> str:
    """The newest version of a secret; empty where there is none."""
    known = versions(prefix, existing)
    return known[max(known)] if known else ""


def of_value(prefix: str, existing: Mapping[str, str], value: bytes) -> SecretVersion:
    """The version that has a value: the newest one where it has, else the next."""
    known = versions(prefix, existing)
    if known and has_value(existing[known[max(known)]], value):
        return SecretVersion(known[max(known)], new=False)
    return SecretVersion(f"{prefix}_v{max(known, default=0) + 1}", new=True)


def of_release(used: Mapping[str, str], prefixes: Mapping[str, str], existing: Mapping[str, str]) -> dict[str, str]:
    """The versions for an earlier release: those that it used, and the newest one of each that was removed since.

    `used`: secret -> name in the Swarm; `prefixes`: secret -> `PROJECT-TARGET_NAME`.
    """
    return {
        name: used[name] if used.get(name) in existing else newest(prefix, existing) or used.get(name, "")
        for name, prefix in prefixes.items()
    }
