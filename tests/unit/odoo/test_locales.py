"""Languages and countries that Odoo has; the nearest one for a wrong one."""

from __future__ import annotations

import pytest

from odpm_tasks.core.odoo.locales import COUNTRIES, LANGUAGES, country_problem, language_problem


@pytest.mark.parametrize("text", ["de_DE", "en_US", "es_419", "sr@latin", "sr@Cyrl", "sr_RS", "fil", "sw", "kab_DZ"])
def test_the_languages_of_every_series_are_accepted(text: str) -> None:
    assert language_problem(text) == ""


@pytest.mark.parametrize(("text", "near"), [("xx_XX", ""), ("de_D", "de_DE"), ("de_de", "de_DE"), ("fr", "fr_")])
def test_an_unknown_language_is_named_with_the_nearest(text: str, near: str) -> None:
    problem = language_problem(text)
    assert problem.startswith("is not a language of Odoo")
    assert near in problem


def test_countries_are_those_of_iso_3166_in_any_case() -> None:
    assert [code for code in ("DE", "gb", "XK", "us") if country_problem(code)] == []
    assert country_problem("UK") == "is not a country code of ISO 3166; the code is GB"
    assert country_problem("ZZ") == "is not a country code of ISO 3166"


def test_the_tables_have_the_form_of_odoos() -> None:
    assert len(LANGUAGES) > 90
    assert len(COUNTRIES) > 245
    assert all(len(code) == 2 and code.isupper() for code in COUNTRIES)
