"""The restrictions of the built-in services outside of developer: what a stolen session or a runaway process may do.

They are defaults: `service_patches` of the manifest are applied after them. Limits follow from the number of Odoo's processes,
which `odoo_conf` sets, so the file has the same bytes on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.manifest.model import Manifest

# What the entrypoint of PostgreSQL's image needs as root: give the data folder to its user, read its password, become that user.
DATABASE_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
MIB, GIB = 1 << 20, 1 << 30
# Odoo's own documentation counts 1 GB for a worker that handles heavy requests.
MEMORY_PER_PROCESS = GIB
BASE_MEMORY = GIB // 2
LOG: dict[str, Any] = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
GRACE_PERIOD = 60  # seconds


@dataclass(frozen=True)
class Processes:
    """The processes of Odoo that `odoo_conf` asks for: those for requests and those for scheduled actions.

    `memory`: bytes per process, `limit_memory_soft` of the manifest or 1 GiB. `seconds`: the longest request, if it is limited.
    """

    requests: int
    scheduled: int
    memory: int
    seconds: int

    @property
    def count(self) -> int:
        """With workers there is one more process, for websockets."""
        return self.requests + self.scheduled + 1


def processes(manifest: Manifest) -> Processes:
    """Read `workers`, `max_cron_threads`, `limit_memory_soft` and `limit_time_real`; what is no plain number has its default."""
    options = {key.lower(): str(value) for key, value in manifest.odoo_conf.get("options", {}).items()}
    return Processes(
        _number(options, "workers", 2),
        _number(options, "max_cron_threads", 1),
        _number(options, "limit_memory_soft", MEMORY_PER_PROCESS),
        _number(options, "limit_time_real", 0),
    )


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, "").strip()
    return int(text) if re.fullmatch(r"\d{1,12}", text) else default


def role_processes(found: Processes, role: str) -> int:
    """How many processes a container of a role has; without a role, one container has all of them."""
    return {"web": found.requests + 1, "websocket": 1, "cron": found.scheduled + 1, "update": 1}.get(role, found.count)


def odoo(manifest: Manifest, role: str = "") -> dict[str, Any]:
    """The restrictions of Odoo's service: no capabilities, a read-only root, limits, and time to finish requests.

    `role`: where each role has containers of its own.
    """
    found = processes(manifest)
    count = role_processes(found, role)
    memory = BASE_MEMORY + count * found.memory
    return {
        "read_only": True,
        "tmpfs": ["/tmp", "/run/odoo:mode=1777"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        # a process of Odoo has few threads; the PDF renderer and a browser have many
        "pids_limit": 256 + 64 * count,
        "mem_limit": _size(memory),
        "stop_grace_period": f"{max(GRACE_PERIOD, found.seconds)}s",
    }


def database(manifest: Manifest) -> dict[str, Any]:
    """The restrictions of PostgreSQL's service."""
    found = processes(manifest)
    return {
        "read_only": True,
        "tmpfs": ["/tmp", "/run/postgresql:mode=1777"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "cap_add": list(DATABASE_CAPABILITIES),
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 512,  # one process per connection, and those of parallel queries
        "mem_limit": _size(2 * GIB + found.count * 256 * MIB),
        "stop_grace_period": f"{GRACE_PERIOD}s",
    }


def proxy() -> dict[str, Any]:
    """The restrictions of the reverse proxy's service: the one capability opens the ports below 1024."""
    return {
        "read_only": True,
        "tmpfs": ["/tmp", "/config"],  # noqa: S108 - of the container
        "cap_drop": ["ALL"],
        "cap_add": ["NET_BIND_SERVICE"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 256,
        "mem_limit": "512m",
        "stop_grace_period": f"{GRACE_PERIOD}s",
    }


def finish(services: Mapping[str, dict[str, Any]]) -> None:
    """Limit the size of every service's log, unless its description says otherwise; drop limits that `deploy` replaces."""
    for service in services.values():
        service.setdefault("logging", {"driver": LOG["driver"], "options": dict(LOG["options"])})
        limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        for name, other in (("memory", "mem_limit"), ("pids", "pids_limit")):
            if name in limits:
                service.pop(other, None)


def _size(amount: int) -> str:
    return f"{amount // MIB}m"
