"""Rules of `audit` for the containers of a stack, from what `docker inspect` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from odpm_tasks.core.audit.stack_audit import AuditFinding, one_line
from odpm_tasks.core.stack.hardening import DATABASE_CAPABILITIES, GRACE_PERIOD

# The built-in services outside of developer -> the capabilities that each needs
SERVICES: Mapping[str, Sequence[str]] = {
    "odoo": (),
    "db": DATABASE_CAPABILITIES,
    "web": ("NET_BIND_SERVICE",),
    "backup": (),
    "backup-dump": (),
}
_POWERFUL = frozenset(
    {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "NET_ADMIN", "DAC_READ_SEARCH", "BPF"}
)
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
_TODO = "remove the option from service_patches or services of odpm.json, then inv up"


def of_container(service: str, container: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[AuditFinding]:
    """All findings for one container. `secrets`: name of a password file -> its text."""
    if service in SERVICES:
        yield from _hardening(service, container)
        yield from _restart(service, container)
    yield from _privileged(service, container)
    yield from _ports(service, container)
    yield from _exposed(service, container, secrets)
    yield from _debug(service, container)
    yield from _health(service, container)


def _hardening(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    host, config = container["HostConfig"], container["Config"]
    added = {name.removeprefix("CAP_") for name in host.get("CapAdd") or ()} - {*SERVICES[service]}
    security = host.get("SecurityOpt") or ()
    log = host.get("LogConfig") or {}
    grace = config.get("StopTimeout")

    def shown(*keys: str) -> str:
        return ", ".join(f"{key}: {json.dumps(host.get(key))}" for key in keys)

    capabilities, options = shown("CapDrop", "CapAdd"), [option.replace("=", ":") for option in security]
    rows = (
        ("keeps capabilities that it does not need", "ALL" not in (host.get("CapDrop") or ()), capabilities),
        (f"has the capabilities {', '.join(sorted(added))}", bool(added), capabilities),
        ("can write to its root", not host.get("ReadonlyRootfs"), shown("ReadonlyRootfs")),
        (
            "can gain privileges by set-uid programs",
            not {"no-new-privileges", "no-new-privileges:true"} & {*options},
            shown("SecurityOpt"),
        ),
        (
            "has no filter of system calls",
            any(option.endswith(":unconfined") for option in options),
            shown("SecurityOpt"),
        ),
        ("may start any number of processes", (host.get("PidsLimit") or 0) <= 0, shown("PidsLimit")),
        ("may use all memory of the machine", not host.get("Memory"), shown("Memory")),
        (
            "may fill the disk with its log",
            log.get("Type") == "json-file" and "max-size" not in (log.get("Config") or {}),
            shown("LogConfig"),
        ),
        (
            "is killed before it has finished its requests",
            service in {"odoo", "db"} and (grace or 10) < GRACE_PERIOD,
            f"StopTimeout: {grace}",
        ),
        (
            "runs as root",
            service == "odoo" and config.get("User", "").partition(":")[0] in {"", "0", "root"},
            f"User: {config.get('User') or 'root'}",
        ),
    )
    for what, found, evidence in rows:
        if found:
            yield AuditFinding("hardening", "error", service, what, evidence, _TODO)


def _restart(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    policy = (container["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no"
    if policy not in {"always", "unless-stopped"}:
        yield AuditFinding(
            "restart", "error", service, "stays down when the machine starts again", f"restart: {policy}", _TODO
        )


def _privileged(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    host = container["HostConfig"]
    if host.get("Privileged"):
        yield AuditFinding("privileged", "error", service, "is privileged", "Privileged: true", _TODO)
    for key in ("PidMode", "NetworkMode", "IpcMode", "UTSMode", "UsernsMode"):
        if host.get(key) == "host":
            yield AuditFinding("privileged", "error", service, "shares a namespace of the host", f"{key}: host", _TODO)
    if powerful := _POWERFUL & {name.removeprefix("CAP_") for name in host.get("CapAdd") or ()}:
        evidence = f"CapAdd: {', '.join(sorted(powerful))}"
        yield AuditFinding("privileged", "error", service, "has capabilities that control the host", evidence, _TODO)
    for mount in container.get("Mounts") or ():
        source = str(mount.get("Source", ""))
        if source in _SOCKETS:
            yield AuditFinding("privileged", "error", service, "controls the Docker engine", f"mounts {source}", _TODO)
        elif mount.get("Type") == "bind" and (
            source == "/" or PurePosixPath(source).parts[1:2] in {("etc",), ("proc",), ("root",)}
        ):
            yield AuditFinding(
                "privileged", "error", service, "reads system files of the host", f"mounts {source}", _TODO
            )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a published address. Docker publishes an empty one on every address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def published(container: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The published ports: port inside with protocol, address, port of the host."""
    ports = (container.get("NetworkSettings") or {}).get("Ports") or {}
    return [(inside, str(at["HostIp"]), str(at["HostPort"])) for inside, bound in ports.items() for at in bound or ()]


def _ports(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    open_ = [f"{address or '*'}:{port}" for _, address, port in published(container) if not is_loopback(address)]
    if open_ and service != "web":
        what = {"odoo": "other machines reach Odoo without HTTPS", "db": "other machines reach PostgreSQL"}.get(
            service, "other machines reach it"
        )
        yield AuditFinding("ports", "error", service, what, ", ".join(open_), "publish it on 127.0.0.1, then inv up")


def _exposed(service: str, container: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[AuditFinding]:
    """A password where `docker inspect` and the list of processes show it. The finding names it and does not contain it."""
    config = container["Config"]
    for key in ("Env", "Cmd", "Entrypoint", "Labels", "Healthcheck"):
        text = json.dumps(config.get(key), ensure_ascii=False)
        for name, value in secrets.items():
            if len(value) >= 5 and json.dumps(value, ensure_ascii=False)[1:-1] in text:
                where = next(
                    (one.partition("=")[0] for one in config.get("Env") or () if key == "Env" and value in one), key
                )
                todo = f"pass it in a file and mount that, then replace the password in {name}"
                yield AuditFinding(
                    "secret-exposed", "error", service, f"its settings contain the password of {name}", where, todo
                )


def _debug(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    config = container["Config"]
    env = dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    words = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    found = [
        word for word in words if word.startswith("--dev") or "debugpy" in word or word.startswith("--log-level=debug")
    ]
    if service == "odoo":
        names = {"ODPM_DEBUG": "", "ODPM_DEV": "none"}
        found += [f"{name}={env[name]}" for name, off in names.items() if env.get(name, "") not in {"", "0", off}]
    if found:
        evidence = one_line(", ".join(found))
        yield AuditFinding("debug", "error", service, "runs with options for development", evidence, _TODO)


def _health(service: str, container: Mapping[str, Any]) -> Iterator[AuditFinding]:
    state = container["State"]
    health = (state.get("Health") or {}).get("Status", "")
    if state.get("Status") != "running" or health == "unhealthy":
        log = ((state.get("Health") or {}).get("Log") or [{}])[-1].get("Output", "")
        evidence = one_line(f"{state.get('Status')}, {health}: {log}".rstrip(", :"))
        yield AuditFinding("unhealthy", "error", service, "is not healthy", evidence, f"inv logs {service}")
