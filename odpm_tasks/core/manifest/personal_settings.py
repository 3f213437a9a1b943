"""What odpm 4 keeps beside `odpm.json` and this library in it: values of `user_settings.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.version import InvalidVersion, Version

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.config.paths import MANIFEST_FILE
from odpm_tasks.core.manifest import v2
from odpm_tasks.core.manifest.fields import read_model
from odpm_tasks.core.manifest.json_document import parse, with_value
from odpm_tasks.core.sources.link import parse_link, without_credentials
from odpm_tasks.errors import DescriptionError

USER_SETTINGS, SECRETS = "user_settings.json", ".odpm/secrets.json"
OCA = "use_oca_dependencies"
_DATABASE = (("language", "db_lang"), ("country", "db_country_code"))


def json_object(text: str | None, where: str) -> dict[str, Any]:
    """A JSON object; empty without a text. Errors: DescriptionError for any other JSON value."""
    if not text:
        return {}
    value = parse(text, where).value
    if not isinstance(value, dict):
        raise DescriptionError(f"{where} is not a JSON object", where=where)
    return value


def developing_link(settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The link of the developing project without its password, as odpm.json is shared; and remarks. Empty without one."""
    text = settings.get("developing_project")
    if not isinstance(text, str) or not text.strip():
        return "", []
    url, *rest = text.split()
    if "@" in url and not references(url):
        url = without_credentials(url)
    text = " ".join([url, *rest])
    try:
        link = None if references(text) else parse_link(text)
    except DescriptionError as error:
        return "", [f"developing_project of {USER_SETTINGS} is left out: {error.what}"]
    if link and link.is_file:
        return text, [f"developing.git is a folder of this machine, from {USER_SETTINGS}"]
    return text, []


def database_values(written: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Language and country for a new database: of the manifest, otherwise of the settings; and remarks."""
    creation = settings.get("db_creation_data")
    creation = creation if isinstance(creation, Mapping) else {}
    database, remarks = dict(written), []
    for key, other in _DATABASE:
        value = creation.get(other)
        if key in database or not isinstance(value, str) or not value:
            continue
        _, wrong = read_model(v2.Database, {key: value}, {})
        if wrong:
            remarks.append(f"db_creation_data.{other} of {USER_SETTINGS} is left out: {wrong[0].text}")
        else:
            database[key] = value
    return database, remarks


def oca_dependencies_are_off(raw: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether the settings switch off `use_oca_dependencies`, which the manifest does not set."""
    return OCA not in raw and settings.get(OCA) is False


OCA_REMARK = f"{OCA} of {USER_SETTINGS} is false; it applies to the whole team now"


def with_personal_settings(
    text: str, settings: Mapping[str, Any], *, developing: bool, where: str = MANIFEST_FILE
) -> tuple[str, list[str]]:
    """The text of `odpm.json`, of either format, with the values that it lacks; every other byte is unchanged. And remarks.

    `developing`: with the link of the developing project.
    """
    raw = json_object(text, where)
    nested = raw.get("manifest_schema") == 2
    values: dict[str, Any] = {}
    written = raw.get("database")
    database, remarks = database_values(written if isinstance(written, Mapping) else {}, settings)
    if database and database != written:
        values["database"] = database
    if developing and not raw.get("developing" if nested else "developing_project"):
        link, more = developing_link(settings)
        remarks += more
        if link:
            values |= {"developing": {"git": link}} if nested else {"developing_project": link}
    if oca_dependencies_are_off(raw, settings):
        values[OCA] = False
        remarks.append(OCA_REMARK)
        if nested and _is_older(raw.get("requires_odpm")):
            values["requires_odpm"] = v2.SINCE_5
    for key, value in values.items():
        text = with_value(text, where, key, value)
    return text, remarks


def _is_older(required: object) -> bool:
    try:
        return Version(str(required)) < Version(v2.SINCE_5)
    except InvalidVersion:
        return False
