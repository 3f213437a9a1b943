"""Languages and countries that Odoo has; the nearest one for a wrong one."""

from __future__ import annotations

import pytest

from odpm_tasks.core.odoo.locales import COUNTRIES, LANGUAGES, country_problem, language_problem


@pytest.mark.parametrize("text", ["de_DE", "en_US", "es_419", "sr@latin", "sr@Cyrl", "sr_RS", "fil", "sw", "kab_DZ"])
def test_the_languages_of_every_series_are_accepted(text: str) -> None:
    assert language_problem(text) == ""


NEAREST = {
    "de_D": "de_DE", "de_de": "de_DE", "de-AT": "de_DE", "fr": "fr_FR", "en_UK": "en_GB", "zh_SG": "zh_CN", "sr_BA": "sr_RS",
    "ar_SA": "ar_001", "gr_GR": "el_GR", "cz_CZ": "cs_CZ", "jp_JP": "ja_JP", "xx_XX": "", "english": "",
}  # fmt: skip


@pytest.mark.parametrize(("text", "near"), NEAREST.items())
def test_an_unknown_language_is_named_with_the_nearest(text: str, near: str) -> None:
    assert language_problem(text) == "is not a language of Odoo; " + (
        f"the nearest is {near}" if near else "the form is de_DE"
    )


def test_countries_are_those_of_iso_3166_in_any_case() -> None:
    assert [code for code in ("DE", "gb", "XK", "us") if country_problem(code)] == []
    assert country_problem("UK") == "is not a country code of ISO 3166; the code is GB"
    assert country_problem("ZZ") == "is not a country code of ISO 3166"


def test_the_tables_have_the_form_of_odoos() -> None:
    assert len(LANGUAGES) > 90
    assert len(COUNTRIES) > 245
    assert all(len(code) == 2 and code.isupper() for code in COUNTRIES)
