"""The hashes of add-ons are those of click-odoo-update."""

from __future__ import annotations

import hashlib
import json

from odpm_tasks.core.addons.hashes import (
    DEFAULT_PATTERNS,
    AddonHashes,
    addon_hash,
    exclude_patterns,
    hashed_files,
    stored_hashes,
)

FILES = [
    "tests/test_a.py",
    "views/b.xml",
    "views/a.xml",
    "i18n/fr.po",
    "i18n/fr_BE.po",
    "i18n/en.po",
    "i18n/shop.pot",
    "i18n_extra/nl_NL.po",
    "models/zebra.py",
    "models/sub/a.py",
    "models/__pycache__/zebra.cpython-311.pyc",
    "static/src/some.js",
    "__manifest__.py",
    "README.rst",
]


def test_the_files_of_a_hash_and_their_order() -> None:
    assert hashed_files(FILES, exclude_patterns(None), ["fr_FR", "nl"]) == (
        "README.rst",
        "__manifest__.py",
        "i18n/fr.po",
        "i18n/fr_BE.po",
        "i18n_extra/nl_NL.po",
        "models/zebra.py",
        "models/sub/a.py",
        "views/a.xml",
        "views/b.xml",
    )


def test_without_languages_every_translation_counts() -> None:
    found = hashed_files(FILES, ["*.pyc"], [])
    assert {"i18n/en.po", "i18n/fr.po", "i18n/shop.pot", "static/src/some.js", "tests/test_a.py"} <= {*found}
    assert not any(name.endswith(".pyc") for name in found)


def test_patterns() -> None:
    assert exclude_patterns("*.pyc, static/*") == ("*.pyc", "static/*")
    assert exclude_patterns(None) == tuple(DEFAULT_PATTERNS.split(","))
    assert hashed_files(["A.PYC", "a.pyc"], ["*.pyc"], []) == ("A.PYC",)
    assert hashed_files(["a.py"], exclude_patterns(""), []) == ("a.py",)


def test_the_hash_covers_names_and_bytes() -> None:
    assert addon_hash([("a.py", b"x"), ("b/c.py", b"")]) == hashlib.sha1(b"a.pyxb/c.py").hexdigest()


def test_changed() -> None:
    hashes = AddonHashes(
        ("base", "gone", "new", "sale", "shop"),
        {"base": "1", "gone": "1", "sale": "1", "shop": "1"},
        {"base": "1", "new": "1", "sale": "2", "shop": "1"},
    )
    assert hashes.changed == ("new", "sale")


def test_what_is_stored_after_an_update() -> None:
    hashes = AddonHashes(
        ("base", "gone", "sale", "shop"), {"base": "1", "sale": "1"}, {"base": "2", "sale": "2", "shop": "2"}
    )
    assert json.loads(hashes.after_update()) == {"base": "2", "gone": False, "sale": "2", "shop": "2"}
    # base was changed and not updated: it is still to update
    assert json.loads(hashes.after_update({"sale"})) == {"base": "1", "sale": "2"}


def test_stored_hashes() -> None:
    assert stored_hashes(json.dumps({"sale": "1", "gone": False})) == {"sale": "1"}
    assert stored_hashes(None) == stored_hashes("{") == stored_hashes("[1]") == {}
