"""Templates and translations as text."""

from __future__ import annotations

import pytest

from odpm_tasks.core.addons.translations import has_terms, merged, template_text
from odpm_tasks.core.addons.updates import AddonUpdates, as_text

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n{date}\n'
TEMPLATE = HEADER.format(date='"POT-Creation-Date: 2025-01-01 10:00+0000\\n"\n') + (
    '#. module: shop\n#: model:shop.new\nmsgid "Name"\nmsgstr ""\n\n#. module: shop\nmsgid "New %s"\nmsgstr ""\n'
)
FRENCH = HEADER.format(date='"Last-Translator: Anne\\n"\n') + (
    '#. module: shop\n#: model:shop.old\nmsgid "Name"\nmsgstr "Nom"\n\nmsgid "Old"\nmsgstr "Vieux"\n'
)


def test_a_template_has_no_dates() -> None:
    assert "Date" not in template_text(TEMPLATE)
    assert "Content-Type" in template_text(TEMPLATE)
    assert has_terms(TEMPLATE)
    assert not has_terms(HEADER.format(date=""))
    assert not has_terms("")


def test_a_translation_follows_its_template() -> None:
    found = merged(FRENCH, TEMPLATE, purge=False)
    assert 'msgid "Name"\nmsgstr "Nom"' in found
    assert "model:shop.new" in found
    assert "model:shop.old" not in found
    assert 'msgid "New %s"\nmsgstr ""' in found
    assert '#~ msgid "Old"\n#~ msgstr "Vieux"' in found
    assert "Last-Translator: Anne" in found
    assert "Date" not in found
    assert merged(found, TEMPLATE, purge=False) == found
    assert "Vieux" not in merged(found, TEMPLATE, purge=True)


def test_a_text_that_is_no_translation_is_refused() -> None:
    with pytest.raises(ValueError, match="Syntax error"):
        merged("nonsense\n<<<<<<< HEAD\n", TEMPLATE, purge=False)


def test_the_add_ons_to_update_and_why() -> None:
    found = AddonUpdates("shop", ("shop_b", "web"), ("base_x", "web"), ("shop_a",))
    assert found.chosen == ("base_x", "shop_b", "web")
    assert as_text(found).splitlines() == [
        "base_x  named",
        "shop_a  depends on one of these",
        "shop_b  changed",
        "web     changed",
    ]
    assert as_text(AddonUpdates("shop")) == "no add-on of shop changed since its last update"
