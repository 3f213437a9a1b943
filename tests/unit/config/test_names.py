"""The names for Compose."""

from __future__ import annotations

import re

import pytest

from odpm_tasks.core.config.names import project_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme", "acme"),
        ("Acme Project", "acme-project"),
        ("-_x_-", "x"),
        ("проект", "odoo"),
        ("", "odoo"),
        ("a.b/c", "a-b-c"),
        ("19_addons", "19_addons"),
    ],
)
def test_project_name(text: str, name: str) -> None:
    assert project_name(text) == name
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
