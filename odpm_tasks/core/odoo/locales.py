"""The languages and countries that Odoo has, for the checks of `database.language` and `database.country`.

Source: `odoo/addons/base/data/res.lang.csv` and `res_country_data.xml` of 12.0 to 19.0; what any series has is accepted.
"""

from __future__ import annotations

import re

_LANGUAGES = """
    am_ET ar_001 ar_AA ar_SY az_AZ be_BY bg_BG bn_IN bs_BA ca_ES cs_CZ da_DK de_CH de_DE el_GR en_AU en_CA en_GB en_IN en_NZ
    en_US es_419 es_AR es_BO es_CL es_CO es_CR es_DO es_EC es_ES es_GT es_MX es_PA es_PE es_PY es_UY es_VE et_EE eu_ES fa_IR
    fi_FI fil fr_BE fr_CA fr_CH fr_FR gl_ES gu_IN he_IL hi_IN hr_HR hu_HU id_ID it_IT ja_JP ka_GE kab_DZ km_KH ko_KP ko_KR
    lb_LU lo_LA lt_LT lv_LV mk_MK ml_IN mn_MN ms_MY my_MM nb_NO nl_BE nl_NL pl_PL pt_AO pt_BR pt_PT ro_RO ru_RU sk_SK sl_SI
    sq_AL sr@Cyrl sr@latin sr_RS sv_SE sw te_IN th_TH tl_PH tr_TR uk_UA vi_VN zh_CN zh_HK zh_TW"""
_COUNTRIES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD
    CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF
    GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI
    SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI
    VN VU WF WS XI XK YE YT ZA ZM ZW"""
LANGUAGES, COUNTRIES = frozenset(_LANGUAGES.split()), frozenset(_COUNTRIES.split())
_COUNTRY_NAMES = {"UK": "GB", "EN": "GB", "EL": "GR"}  # what people write instead of the code of ISO 3166


def language_problem(text: str) -> str:
    """Why Odoo has no such language, with the nearest one; empty where it has."""
    if text in LANGUAGES:
        return ""
    near = nearest_language(text)
    return "is not a language of Odoo" + (f"; the nearest is {near}" if near else "; the form is de_DE")


def nearest_language(text: str) -> str:
    """The language of Odoo that was probably meant; empty where none is like it.

    Another spelling of the same code, else the same language in its main form (`ar_001`, `de_DE`, `en_US`), else the only
    language of the same country (`gr_GR`: `el_GR`).
    """
    code = text.replace("-", "_").lower()
    language, _, country = code.partition("_")
    country = _COUNTRY_NAMES.get(country.upper(), country.upper())
    of_language = (name for name in LANGUAGES if re.split("[_@]", name)[0] == language)
    same = sorted(of_language, key=lambda name: ("@" in name, name))
    main = (f"{language}_{country}", f"{language}_001", f"{language}_{language.upper()}", "en_US", "zh_CN")
    for name in (*(name for name in same if name.lower() == code), *main):
        if name in same:
            return name
    there = [name for name in LANGUAGES if name.endswith(f"_{country}")]
    return same[0] if same else there[0] if len(there) == 1 else ""


def country_problem(text: str) -> str:
    """Why Odoo has no such country; empty where it has. Case does not count."""
    code = text.upper()
    if code in COUNTRIES:
        return ""
    meant = _COUNTRY_NAMES.get(code)
    return "is not a country code of ISO 3166" + (f"; the code is {meant}" if meant else "")
