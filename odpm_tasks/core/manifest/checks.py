"""Rules for Odoo options, services, patches and hooks in a manifest.

The rules check the parsed JSON, not the models, so that one wrong type does not hide further problems. The models report
wrong types, except inside of services.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from odpm_tasks.core.config.audit_codes import CODES
from odpm_tasks.core.config.interpolation import Lookup, missing
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.compose_schema import type_problems
from odpm_tasks.core.manifest.fields import Problem, unknown
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.model import (
    BACKUP,
    BACKUP_DUMP,
    BUILTIN_SERVICES,
    HOOK_POINTS,
    MAIL_CATCHER,
    WEB,
    Argv,
    Hooks,
    merge,
)
from odpm_tasks.core.text import nearest

# The keys of a service in the Compose specification. Keys that begin with `x-` are allowed as well.
_SERVICE_KEYS = """
    annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec
    depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file
    environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation
    label_file labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models
    network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_start pre_stop
    privileged profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets security_opt
    shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits umask use_api_socket user
    userns_mode uts volumes volumes_from working_dir"""
SERVICE_KEYS = frozenset(_SERVICE_KEYS.split())

_MANAGED_OPTIONS = {
    "addons_path": "odpm generates it from the list of sources",
    "data_dir": "the data folder is /var/lib/odoo, on a volume",
    "admin_passwd": "it is a secret that odpm generates and passes in a file",
    "http_port": "Odoo listens on port 8069 in the container; ODOO_PORT in .env is the port on the host",
}
_CONNECTION = "odpm sets the database connection; an image reads PGHOST, PGUSER and so on"
_NO_DB_IN_CI = "an image is not bound to one database; set it with -d or PGDATABASE"
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOOK_FORM = 'write a list of argument lists, [["make", "css"]], or `package.module:function`'


def waiver_problems(waivers: Any) -> Iterator[Problem]:
    """Problems in `audit_waivers`: keys that begin with no code."""
    for key, _ in _items(waivers):
        if (code := key.partition(" ")[0]) not in CODES:
            yield Problem(("audit_waivers", key), f"{code!r} is no code of `inv audit`{nearest(code, CODES)}")


def conf_problems(conf: Any, path: Path, scenario: str = "") -> Iterator[Problem]:
    """Problems in `odoo_conf`: names that break the file, values of a wrong type, options that odpm sets."""
    for section, options in _items(conf):
        if re.search(r"[\[\]\x00-\x1f]", section) or not section.strip():
            yield Problem((*path, section), "is not a valid section name")
        for key, value in _items(options):
            here = (*path, section, key)
            if section == "options" and (reason := _refusal(key.strip().lower(), scenario)):
                yield Problem(here, f"cannot be set: {reason}", "refused")
            elif not re.fullmatch(r"[A-Za-z0-9_][^=:\[\]\x00-\x1f]*", key):
                yield Problem(here, "is not a valid option name")
            elif not isinstance(value, (str, int, float)):
                yield Problem(here, "must be a string, a number, true or false")
            elif isinstance(value, str) and re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
                yield Problem(here, "contains a line break or control character")


def _refusal(key: str, scenario: str) -> str:
    if key == "db_name":
        return _NO_DB_IN_CI if scenario == "ci" else ""
    return _CONNECTION if key.startswith("db_") else _MANAGED_OPTIONS.get(key, "")


def conf_value(conf: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Every value as the text that Odoo reads: true becomes `True`."""
    return {
        section: {key.strip(): value if isinstance(value, str) else str(value) for key, value in options.items()}
        for section, options in conf.items()
    }


def service_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems in `services` and `service_patches` of a nested file, including its scenarios.

    A patch of an unknown service is a problem only if no dependency can add that service.
    """
    base = dict(_items(raw.get("services")))
    overlays = {
        name: overlay
        for name, overlay in _items(raw.get("scenarios"))
        if name in SCENARIOS and isinstance(overlay, Mapping)
    }
    builtin = {*BUILTIN_SERVICES, *((WEB,) if raw.get(WEB) else ())}
    known = {*builtin, *((BACKUP, BACKUP_DUMP) if raw.get("backup") else ()), *base}
    for overlay in overlays.values():
        known |= {name for name, _ in _items(overlay.get("services"))}
    closed = not raw.get("dependencies") and not raw.get("developing")  # no dependency can add services
    yield from _services(base, {}, ("services",), builtin)
    yield from _patches(raw.get("service_patches"), known, ("service_patches",), closed)
    for name, overlay in overlays.items():
        yield from _services(dict(_items(overlay.get("services"))), base, ("scenarios", name, "services"), builtin)
        yield from _patches(overlay.get("service_patches"), known, ("scenarios", name, "service_patches"), closed)


def backup_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of `backup` with other parts of the file: services of the names that it adds, and nothing that is kept."""
    block = raw.get("backup")
    if not isinstance(block, Mapping):
        return
    overlays = [(("scenarios", name), overlay) for name, overlay in _items(raw.get("scenarios"))]
    for path, part in [((), raw), *overlays]:
        services = part.get("services") if isinstance(part, Mapping) else None
        for name, _ in _items(services):
            if name.lower() in {BACKUP, BACKUP_DUMP}:
                yield Problem(
                    (*path, "services", name), "is added by `backup`: change it with service_patches", "refused"
                )
    kept = {"daily": 7, "weekly": 4, "monthly": 12, **dict(_items(block.get("keep")))}
    if not any(kept.values()):
        yield Problem(("backup", "keep"), "keeps no backup at all")


def patch_problems(patch: Any, path: Path) -> Iterator[Problem]:
    """Problems in one patch of a service."""
    yield from _service_keys(patch, path)
    yield from type_problems(patch, path)


def _services(services: Mapping[str, Any], base: Mapping[str, Any], path: Path, builtin: set[str]) -> Iterator[Problem]:
    for name, service in services.items():
        here = (*path, name)
        # names of hosts have no case; a mail catcher of the project replaces the built-in one
        if name.lower() in builtin and name != MAIL_CATCHER:
            yield Problem(here, "is built in: change it with service_patches", "refused")
        elif not _SERVICE_NAME.fullmatch(name):
            yield Problem(here, "is not a valid service name")
        elif isinstance(service, Mapping):
            old = base.get(name)
            whole = merge(old, service) if isinstance(old, Mapping) else service
            if not {"image", "build", "extends"} & set(whole):
                yield Problem(here, "needs `image` or `build`")
            yield from _service_keys(service, here)
            yield from type_problems(service, here)


def _patches(patches: Any, known: set[str], path: Path, closed: bool) -> Iterator[Problem]:
    for name, patch in _items(patches):
        if closed and name not in known:
            yield unknown((*path, name), sorted(known))
        if isinstance(patch, Mapping):
            yield from patch_problems(patch, (*path, name))


def _service_keys(service: Any, path: Path) -> Iterator[Problem]:
    for key, _ in _items(service):
        if key not in SERVICE_KEYS and not key.startswith("x-"):
            yield unknown((*path, key), sorted(SERVICE_KEYS))


def hook_problems(hooks: Any, path: Path) -> Iterator[Problem]:
    for point, value in _items(hooks):
        here = (*path, point)
        if point not in HOOK_POINTS:
            continue  # the model reports it
        if isinstance(value, list):
            for index, entry in enumerate(value):
                if not _is_hook(entry):
                    yield Problem((*here, index), _HOOK_FORM)
        elif not isinstance(value, str) or not _is_hook(value):
            yield Problem(here, _HOOK_FORM)


def _is_hook(entry: Any) -> bool:
    if isinstance(entry, str):
        return bool(_FUNCTION.fullmatch(entry))
    argv = entry if isinstance(entry, list) else []
    return bool(argv) and all(isinstance(word, str) and "\0" not in word for word in argv) and bool(argv[0].strip())


def hooks_value(hooks: Mapping[str, Any]) -> Hooks:
    return {point: _hook_list(hooks[point]) for point in HOOK_POINTS if point in hooks}


def _hook_list(value: Any) -> tuple[Argv | str, ...]:
    entries = [value] if isinstance(value, str) else value
    return tuple(entry if isinstance(entry, str) else tuple(entry) for entry in entries)


def unset_variables(value: Any, path: Path, lookup: Lookup) -> Iterator[Problem]:
    """A problem for each variable that a string in `value` uses, that is not set and has no default."""
    if isinstance(value, str):
        for name in missing(value, lookup):
            yield Problem(path, unset_message(name), "unset")
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from unset_variables(child, (*path, key), lookup)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from unset_variables(child, (*path, index), lookup)


def unset_message(name: str) -> str:
    return f"the variable {name} is not set and has no default"


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []
