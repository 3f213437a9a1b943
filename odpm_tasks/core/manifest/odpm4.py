"""What odpm 4.7 has and this library does not: fields of `odpm.json`, references, personal settings; and their replacements.

The page docs/odpm4.md has an example for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.text import cut

_FIELDS = {
    "secrets": "write ${NAME} where a value is needed and NAME=… in .env, or mount a file into the service",
    "extensions": "write a hook `package.module:function`, or a task in tasks.py",
    "service_sources": "add the repository to `dependencies`, and to the service `build` with a folder below .odpm/src",
}
_IN_SERVICES = {"source": "write `build` with the folder of the repository below .odpm/src"}
_IN_SCENARIOS = dict.fromkeys(
    ("dependencies", "requirements"), "the composition is the same in every scenario: move it to the top level"
)
_REFERENCE = re.compile(r"\$\{@(secret|service|source):([A-Za-z0-9_.-]+)\}")
_UNUSED = re.compile(
    r"ODOO_PROJECTS_DIR|ODPM_LOCALE|ODPM_SECURITY_PROFILE|ODPM_DEBUGGER_\w+|ODPM_CI_IMAGE_\w+|ODPM_KANIKO_\w+"
    r"|ODPM_BASE_IMAGE_REGISTRY|ODPM_SECRETS_PROVIDER|INFISICAL_\w+"
)
# settings that do what this library does anyway
_DEFAULTS = {"check_system", "update_git_repos", "clean_git_repos", "create_module_links"}
_SETTINGS = {
    "init_modules": "inv up -i {value}",
    "update_modules": "inv up -u {value}",
    "dev_mode": "inv up --dev={value}, or ODPM_DEV={value} in .env",
    "sql_queries": "inv psql, or a task in tasks.py",
    "pre_commit_map_files": "run pre-commit in the project",
    "db_manager_password": "the master password is generated, in .odpm/secrets",
    "sidecars": "set profiles for the services, and COMPOSE_PROFILES in .env",
}


def replacement(path: Path) -> str:
    """What to write instead of a field of odpm 4.7; empty if the path is none."""
    key = str(path[-1]) if path else ""
    in_scenario = len(path) == 3 and path[0] == "scenarios"
    if len(path) == 1 or in_scenario:
        found = _FIELDS.get(key, "") or (_IN_SCENARIOS.get(key, "") if in_scenario else "")
    else:
        found = _IN_SERVICES.get(key, "") if path[-3:-2] == ("services",) else ""
    return f"a field of odpm 4 that does not exist any more; {found}" if found else ""


def variable(name: str) -> str:
    """The name of a variable for a secret: `smtp.password` gives `SMTP_PASSWORD`."""
    return re.sub(r"\W", "_", name).upper()


def with_variables(value: Any) -> tuple[Any, tuple[str, ...]]:
    """A JSON value with references of odpm 4 to secrets and services replaced, and the replaced ones as `old -> new`."""
    found: list[str] = []

    def replace(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        new = f"${{{variable(name)}}}" if kind == "secret" else name if kind == "service" else match[0]
        if new != match[0]:
            found.append(f"{match[0]} -> {new}")
        return new

    def walk(child: Any) -> Any:
        if isinstance(child, str):
            return _REFERENCE.sub(replace, child)
        if isinstance(child, Mapping):
            return {key: walk(one) for key, one in child.items()}
        return [walk(one) for one in child] if isinstance(child, list) else child

    return walk(value), tuple(dict.fromkeys(found))


def reference_problems(value: Any, path: Path) -> Iterator[Problem]:
    """A problem for each reference of odpm 4, which would be literal text here."""
    if isinstance(value, str):
        for kind, name in _REFERENCE.findall(value):
            new = {"secret": f"${{{variable(name)}}}, and set it in .env", "service": f"the name {name}"}.get(kind)
            yield Problem(
                path, f"${{@{kind}:{name}}} is a reference of odpm 4: write {new or 'the folder below .odpm/src'}"
            )
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from reference_problems(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from reference_problems(child, (*path, index))


def settings_notes(settings: Mapping[str, Any], where: str) -> Iterator[str]:
    """A line for each personal setting of odpm 4 that has another place here; no value of a secret is in it."""
    creation = settings.get("db_creation_data")
    if isinstance(creation, Mapping) and creation.get("create_demo"):
        yield f"{where}: db_creation_data.create_demo: inv up --demo"
    for key, hint in _SETTINGS.items():
        if value := settings.get(key):
            words = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{where}: {key}: {hint.format(value=cut(words))}"
    known = {*_SETTINGS, *_DEFAULTS, "db_creation_data", "developing_project", "use_oca_dependencies"}
    if others := [cut(str(key)) for key in settings if key not in known]:
        yield f"{where}: {', '.join(others)}: no effect"


def variable_notes(names: Iterable[str], where: str) -> Iterator[str]:
    """One line with the variables of odpm 4 in `.env` that have no effect here."""
    if found := sorted(name for name in names if _UNUSED.fullmatch(name)):
        yield f"{where}: {', '.join(found)}: no effect"


def secret_notes(names: Mapping[str, Any], where: str) -> Iterator[str]:
    """One line with the variables for the secrets of odpm 4; its own, `odpm.…`, are generated here."""
    own = [cut(str(name)) for name in names if not str(name).startswith("odpm.")]
    if words := [f"{name} as {variable(name)}" for name in own]:
        yield f"{where}: write what you need into .env: {', '.join(words)}"
