"""Values of user_settings.json of odpm 4 that `odpm.json` lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.manifest.personal_settings import with_personal_settings
from tests.unit.builders import MINIMAL

FLAT = {"odpm_version": "4.0", "odoo_version": "18.0"}
SETTINGS: dict[str, Any] = {
    "use_oca_dependencies": False,
    "developing_project": "https://me:secret@git.test/shop.git main",
    "db_creation_data": {"db_lang": "de_DE", "db_country_code": "DE"},
}
LINK = "https://git.test/shop.git main"


@pytest.mark.parametrize(
    ("raw", "developing", "added"),
    [
        (FLAT, False, {"database": {"language": "de_DE", "country": "DE"}, "use_oca_dependencies": False}),
        (
            {**FLAT, "use_oca_dependencies": True, "database": {"language": "fr_FR", "country": "FR"}},
            True,
            {"developing_project": LINK},
        ),
        (
            {**MINIMAL, "requires_odpm": "4.4.0", "database": {"language": "fr_FR"}},
            True,
            {
                "requires_odpm": "5.0.0",
                "database": {"language": "fr_FR", "country": "DE"},
                "developing": {"git": LINK},
                "use_oca_dependencies": False,
            },
        ),
        ({**MINIMAL, "requires_odpm": "5.1.0"}, False, {"database": {"language": "de_DE", "country": "DE"}, "use_oca_dependencies": False}),
    ],
)  # fmt: skip
def test_missing_values_are_added_in_both_formats(raw: dict[str, Any], developing: bool, added: dict[str, Any]) -> None:
    text = json.dumps(raw, indent=3)
    new, _ = with_personal_settings(text, SETTINGS, developing=developing)
    assert json.loads(new) == raw | added
    assert [line for line in text.splitlines() if line.strip(" ,}{") and line.rstrip(",") not in new] == [
        f'   "{key}": {json.dumps(raw[key])},' for key in added.keys() & raw.keys() if key == "requires_odpm"
    ]
    assert with_personal_settings(new, SETTINGS, developing=developing)[0] == new


def test_without_personal_values_nothing_changes() -> None:
    text = json.dumps(FLAT)
    assert with_personal_settings(text, {"use_oca_dependencies": True}, developing=True) == (text, [])
    new, remarks = with_personal_settings(text, {"db_creation_data": {"db_lang": "x y"}}, developing=True)
    assert (new, [line[:33] for line in remarks]) == (text, ["db_creation_data.db_lang of user_"])
