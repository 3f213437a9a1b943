"""The services of a Compose file beside Odoo and PostgreSQL, as `services` of `odpm.json`.

Names of networks, secrets and configs are those of the whole file, which odpm generates, so they are not converted: all services
are in one network. Variables are kept for Compose, in the forms that odpm reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.init.conversion import excerpt, is_secret
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.manifest.checks import service_problems

_DEEPEST = 20
_OF_THE_FILE = {"networks": "all services are in one network", "container_name": "odpm names the containers"}
_LOST = ("secrets", "configs", "extends", "volumes_from", "external_links", "provider", "models")
_NAME = r"[\w.-]*(?:passw|requirepass|secret|token|basicauth)[\w.-]*"
_FLAG = re.compile(rf"(?i)--?{_NAME}")
_ARGUMENT = re.compile(rf"(?i)(--?{_NAME}[= ]|^{_NAME}=)(?!\$\{{)[^\s]+")
_FORMS = re.compile(r"\$\$|\$(?P<bare>[A-Za-z_]\w*)|\$\{(?P<name>[A-Za-z_]\w*)(?P<rest>[^}]*)\}")


def convert(
    services: Mapping[str, Any], renamed: Mapping[str, str], where: str
) -> tuple[dict[str, dict[str, Any]], list[Remark]]:
    """The services, and remarks about what is not converted. `renamed`: names of built-in services -> names here."""
    kept: dict[str, dict[str, Any]] = {}
    remarks: list[Remark] = []
    for name, service in services.items():
        place = f"{where}: service {name}"
        if not isinstance(service, Mapping):
            remarks.append(Remark(f"{place}: must be a map"))
            continue
        kept[name] = _service(plain(service), renamed, place, remarks)
    for problem in list(service_problems({"services": kept})):
        name = str(problem.path[1])
        if name in kept:
            del kept[name]
            key = ".".join(str(part) for part in problem.path[2:])
            remarks.append(
                Remark(f"{where}: service {name}: not converted: {excerpt(f'{key} {problem.text}'.strip())}")
            )
    return kept, remarks


def _service(service: dict[str, Any], renamed: Mapping[str, str], place: str, remarks: list[Remark]) -> dict[str, Any]:
    for key in _LOST:
        if service.pop(key, None):
            remarks.append(Remark(f"{place}: {key}: is not converted, because odpm generates the Compose file"))
    for key, reason in _OF_THE_FILE.items():
        if service.pop(key, None) is not None:
            remarks.append(note(f"{place}: {key}: {reason}", f"{where_of(place)}: {key} of {{}} services: {reason}"))
    if "depends_on" in service:
        service["depends_on"] = _renamed_keys(service["depends_on"], renamed)
    mode = str(service.get("network_mode") or "")
    if mode.startswith("service:"):
        service["network_mode"] = f"service:{renamed.get(mode[8:], mode[8:])}"
    if "environment" in service:
        service["environment"] = environment(service["environment"], renamed, place, remarks)
    for key in ("command", "entrypoint", "labels"):
        if key in service:
            service[key] = _without_secrets(service[key], f"{place}: {key}", remarks)
    return service


def _without_secrets(value: Any, place: str, remarks: list[Remark]) -> Any:
    """Arguments and labels with a variable in place of each secret."""
    name = re.sub(r"\W+", "_", place.partition(": service ")[2]).upper() + "_SECRET"

    def hidden(text: str) -> str:
        return _ARGUMENT.sub(lambda found: f"{found[1]}${{{name}}}", text)

    result = value
    if isinstance(value, str):
        result = hidden(value)
    elif isinstance(value, list):
        result = []
        for entry in value:
            last = str(result[-1]) if result else ""
            flag = _FLAG.fullmatch(last) and isinstance(entry, str) and not entry.startswith(("-", "$"))
            result.append(f"${{{name}}}" if flag else hidden(entry) if isinstance(entry, str) else entry)
    elif isinstance(value, Mapping):
        result = {
            key: f"${{{name}}}" if isinstance(child, str) and is_secret(str(key), child) else child
            for key, child in value.items()
        }
    if result != value:
        remarks.append(action(f"{place}: a secret is not copied to a committed file; set {name}=… in .env"))
    return result


def where_of(place: str) -> str:
    return place.partition(": service ")[0]


def environment(value: Any, renamed: Mapping[str, str], place: str, remarks: list[Remark]) -> dict[str, str]:
    """The environment as a map. A secret becomes a variable of that name, the name of a built-in service its name here."""
    result: dict[str, str] = {}
    secrets: list[str] = []
    for name, text in named_values(value).items():
        if is_secret(name, text) or is_secret(name, _defaults(text)):
            secrets.append(re.sub(r"\W", "_", name).upper())
            result[name] = f"${{{secrets[-1]}}}"
            continue
        result[name] = renamed.get(text, text)
        if result[name] != text:
            remarks.append(note(f"{place}: {name}: {excerpt(text)} is the service {result[name]} here"))
    if secrets:
        names = ", ".join(secrets)
        remarks.append(action(f"{place}: {names}: secrets are not copied to a committed file; set them in .env"))
    return result


def _defaults(text: str) -> str:
    """The defaults of the variables in a text: `${PASSWORD:-admin}` contains a secret."""
    return "".join(reference.default or "" for reference in references(text))


def named_values(value: Any) -> dict[str, str]:
    """The two forms of Compose: a map, or a list of NAME=VALUE; a name without value is a variable of that name."""
    if isinstance(value, Mapping):
        return {str(key): f"${{{key}}}" if child is None else _spelled(child) for key, child in value.items()}
    found = {}
    for entry in value if isinstance(value, list) else ():
        name, equals, text = str(entry).partition("=")
        found[name] = text if equals else f"${{{name}}}"
    return found


def _renamed_keys(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {renamed.get(str(key), str(key)): child for key, child in value.items()}
    if isinstance(value, list):
        return [renamed.get(str(entry), str(entry)) for entry in value]
    return value


def plain(value: Any, depth: int = 0) -> Any:
    """A value of YAML as JSON has it, with the variables in the forms of `odpm.json`: dates become text, keys strings."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(child, depth + 1) for key, child in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(child, depth + 1) for child in value]
    if isinstance(value, str):
        return shell_forms(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def shell_forms(text: str) -> str:
    """`$NAME` and `${NAME:?message}` become `${NAME}`, `${NAME-default}` becomes `${NAME:-default}`."""

    def replaced(found: re.Match[str]) -> str:
        if found["bare"]:
            return f"${{{found['bare']}}}"
        if not found["name"]:
            return found[0]
        rest = str(found["rest"]).removeprefix(":")
        return f"${{{found['name']}:{rest}}}" if rest.startswith("-") else f"${{{found['name']}}}"

    return _FORMS.sub(replaced, text)


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
