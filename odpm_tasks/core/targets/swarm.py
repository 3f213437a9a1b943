"""The stack of a target of kind `swarm`, for `docker stack deploy`: the services of `services`, in the words that a Swarm knows.

A Swarm ignores or refuses what Compose does on one machine: dependencies, bind mounts of files, limits outside of `deploy`. Files
are configs, secrets exist there, and names contain the digest or the version of their content, because neither can be changed.
Source: the options that `docker stack deploy` supports, in the reference of the Docker CLI.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import BUILD_FOLDER
from odpm_tasks.core.manifest.model import BACKUP, BACKUP_DUMP
from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.stack.services import volume_sources
from odpm_tasks.core.stack.web import caddy
from odpm_tasks.core.targets import proxy as reverse_proxy
from odpm_tasks.core.targets.services import ODOO_CONF, ROLES_SQL, UPDATE, roles_sql, services
from odpm_tasks.core.targets.spec import GID, UID, TargetSpec, yaml_file
from odpm_tasks.errors import DescriptionError

STACK_FILE = "stack.yml"
NODE_LABEL = "odpm.data"  # of the node that has the volumes, unless every node reaches them
SECRET_VERSION = 1
# what a Swarm does not have, or has elsewhere
_UNSUPPORTED = (
    "depends_on", "mem_limit", "pids_limit", "pull_policy", "restart", "security_opt", "shm_size", "group_add", "profiles",
    "network_mode", "scale", "cpus", "mem_reservation",
)  # fmt: skip
_MIB = 1 << 20


def files(spec: TargetSpec) -> dict[str, bytes]:
    """The files of the stack by their relative paths. Errors: DescriptionError without a domain."""
    if spec.manifest.web is None:
        raise DescriptionError(
            "a Swarm needs a domain: only the reverse proxy publishes ports",
            where=f"odpm.json: targets.{spec.target.name}.domain",
            todo='set it, for example "shop.example"',
        )
    configs = _configs(spec)
    data = stack(spec, configs)
    return {STACK_FILE: yaml_file(spec, data), **configs}


def _configs(spec: TargetSpec) -> dict[str, bytes]:
    """The files that services mount, by their paths beside the stack file."""
    found = {ODOO_CONF: spec.conf.encode(), **{f"web/{name}": data for name, data in reverse_proxy.files(spec).items()}}
    if not spec.target.database.host:
        found[ROLES_SQL] = roles_sql(spec)
    if spec.manifest.backup:
        found |= {path.removeprefix(f"{BUILD_FOLDER}/"): data for path, data in backup_service.scripts().items()}
    return found


def stack(spec: TargetSpec, configs: Mapping[str, bytes]) -> dict[str, Any]:
    """The stack as data. `configs`: the files that services mount."""
    described = services(spec)
    names = {path: _config_name(spec, path, data) for path, data in configs.items()}
    missing = [name for name in spec.variables if name not in spec.target.secrets]
    if missing:
        raise DescriptionError(
            f"odoo_conf refers to {', '.join(missing)}, and a Swarm has no .env",
            where=f"odpm.json: targets.{spec.target.name}.secrets",
            todo=f'add "{missing[0]}": {{"env": "{missing[0]}"}}',
        )
    data = {
        "services": {name: _service(spec, name, service) for name, service in described["services"].items()},
        "networks": {
            name: {"driver": "overlay", **({"internal": True} if options.get("internal") else {})}
            for name, options in described["networks"].items()
        },
        "volumes": {name: _volume(spec, name) for name in described["volumes"]},
        "configs": {_key(path): {"file": f"./{path}", "name": name} for path, name in names.items()},
        "secrets": {name: {"external": True, "name": secret_name(spec, name)} for name in described["secrets"]},
    }
    return _without_variables(data)  # type: ignore[no-any-return]


def secret_name(spec: TargetSpec, name: str) -> str:
    """The name of a secret in the Swarm: its own where it exists there already, else with the version of its value."""
    given = spec.target.secrets.get(name)
    if given and given.source == "existing":
        return given.value
    return f"{spec.name}_{name}_v{SECRET_VERSION}"


def _key(path: str) -> str:
    return path.replace("/", "_").replace(".", "_").lower()


def _config_name(spec: TargetSpec, path: str, data: bytes) -> str:
    return f"{spec.name}_{_key(path)}_{hashlib.sha256(data).hexdigest()[:12]}"


def _volume(spec: TargetSpec, name: str) -> dict[str, Any]:
    store = spec.target.filestore
    if not store.driver or not name.startswith("odoo-"):
        return {}
    return {"driver": store.driver, **({"driver_opts": dict(store.options)} if store.options else {})}


def _service(spec: TargetSpec, name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in service.items() if key not in (*_UNSUPPORTED, "labels", "tmpfs", "ports")}
    result["volumes"], result["configs"] = _mounts(service)
    result["secrets"] = [_secret(name, each) for each in service.get("secrets", [])]
    if ports := service.get("ports"):
        # the proxy sees the client's address only where the port is the node's own
        result["ports"] = [
            {**{key: _port(each[key]) for key in ("target", "published")}, "protocol": "tcp", "mode": "host"}
            for each in ports
            if isinstance(each, Mapping)
        ]
    result["networks"] = list(service.get("networks") or {"default": {}})
    result["deploy"] = _deploy(spec, name, service)
    return {key: value for key, value in result.items() if value not in ([], {})}


def _mounts(service: Mapping[str, Any]) -> tuple[list[Any], list[dict[str, Any]]]:
    """Volumes and configs of a service: a file beside the compose file is a config, a temporary folder a volume."""
    volumes: list[Any] = []
    configs: list[dict[str, Any]] = []
    for entry in service.get("volumes", []):
        if not isinstance(entry, str) or not _is_file(entry):
            volumes.append(entry)
            continue
        source, target = entry.split(":")[:2]
        paths = {f"web/{name}": f"{target}/{name}" for name in (reverse_proxy.CADDYFILE, caddy.PAGE)}
        inside = paths if source == "./web" else {source.removeprefix("./"): target}
        configs += [{"source": _key(path), "target": place} for path, place in inside.items()]
    for entry in service.get("tmpfs", []):
        volumes.append({"type": "tmpfs", "target": str(entry).partition(":")[0]})
    if size := service.get("shm_size"):
        volumes.append({"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": _bytes(str(size))}})  # noqa: S108
    return volumes, configs


def _secret(service: str, name: str) -> dict[str, Any]:
    """A secret that only the user of the service reads; PostgreSQL's image reads its secrets as two users."""
    secret: dict[str, Any] = {"source": name, "target": name}
    if service in (UPDATE, *ROLES, BACKUP, BACKUP_DUMP):
        secret |= {"uid": str(UID), "gid": str(GID), "mode": 0o400}
    return secret


def _deploy(spec: TargetSpec, name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    limits = {
        "memory": service.get("mem_limit"),
        "pids": service.get("pids_limit"),
        **((service.get("deploy") or {}).get("resources") or {}).get("limits", {}),
    }
    deploy: dict[str, Any] = {"labels": {"odpm.release": spec.release, "odpm.lock": spec.lock}}
    # one address per container: the proxy chooses, and kernels without IPVS have no virtual addresses
    if name == UPDATE:
        deploy |= {"mode": "replicated-job", "replicas": 1, "restart_policy": {"condition": "none"}}
    else:
        stateless = name in ROLES
        deploy |= {
            "replicas": spec.target.replicas_of(name) if stateless else 1,
            "endpoint_mode": "dnsrr",
            "restart_policy": {"condition": "any", "delay": "2s"},
            "update_config": {
                "parallelism": 1,
                "order": "start-first" if stateless else "stop-first",
                "failure_action": "rollback",
                "monitor": "10s" if name == "web" else "5s",
            },
            "rollback_config": {"parallelism": 1, "order": "start-first" if stateless else "stop-first"},
        }
    if given := {key: value for key, value in limits.items() if value is not None}:
        deploy["resources"] = {"limits": given}
    if any(
        kind == "bind" or not _volume(spec, source) for kind, source in volume_sources(service) if not _is_file(source)
    ):
        deploy["placement"] = {"constraints": [f"node.labels.{NODE_LABEL} == true"]}
    return deploy


def _is_file(source: str) -> bool:
    """Whether a mount is a file beside the stack file, which is a config."""
    return source.startswith("./")


def _port(text: str) -> int:
    return int(expand(text, lambda _: None, STACK_FILE))


def _bytes(size: str) -> int:
    """`256mb` in bytes."""
    return int(size.lower().removesuffix("mb").removesuffix("m")) * _MIB


def _without_variables(value: Any) -> Any:
    """`docker stack deploy` reads no .env: variables have their defaults."""
    if isinstance(value, str):
        return expand(value, lambda _: None, STACK_FILE)
    if isinstance(value, Mapping):
        return {key: _without_variables(each) for key, each in value.items()}
    return [_without_variables(each) for each in value] if isinstance(value, list) else value
