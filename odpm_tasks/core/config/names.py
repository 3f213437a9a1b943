"""Names that Compose accepts."""

from __future__ import annotations

import re


def project_name(text: str) -> str:
    """A valid project name for Compose: lower case letters, digits, `-` and `_`, starting with a letter or digit."""
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    return name or "odoo"
