"""The cost of a step, as far as it is known in advance: why an image is built, what happens to each container."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.stack import services as compose_services
from odpm_tasks.core.stack.services import active

ContainerAction = Literal["create", "recreate", "start", "remove", "keep"]
_ORDER: tuple[ContainerAction, ...] = ("create", "recreate", "start", "remove", "keep")
_PARTS = {"image": ("image", "build", "pull_policy"), "ports": ("ports",), "environment": ("environment", "env_file")}
_REST = "configuration"


@dataclass(frozen=True)
class ContainerChange:
    """What `up` does to a service's container; `reasons`: which of image, ports, environment, configuration have changed."""

    service: str
    action: ContainerAction
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """`reasons`: the inputs of an image that have changed since the last build. `seconds`: how long the same took last time.

    `containers`: what `up` does to each. `odoo_down`: Odoo runs and is down meanwhile; then `seconds` is the length of the
    last downtime.
    """

    reasons: tuple[str, ...] = ()
    seconds: float | None = None
    containers: tuple[ContainerChange, ...] = ()
    odoo_down: bool = False


def changed_inputs(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The names whose values differ, in the order of `now`, removed ones last; none where nothing was recorded."""
    if not before:
        return ()
    return tuple(name for name in (*now, *(b for b in before if b not in now)) if before.get(name) != now.get(name))


def service_parts(
    text: str, lookup: Callable[[str], str | None], baked: str = "", contexts: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Digests of each service of a compose file, by part, variables expanded. Services of inactive profiles are left out.

    `baked`: the digest of the inputs of Odoo's image, where its name does not contain one. `contexts`: fingerprints of the
    folders that images of services are built from.
    """
    found: dict[str, dict[str, str]] = {}
    services = compose_services.load(text)["services"]
    for name in active(services, lookup("COMPOSE_PROFILES")):
        service = services[name]
        parts = {part: {key: service.get(key) for key in keys} for part, keys in _PARTS.items()}
        known = {key for keys in _PARTS.values() for key in keys}
        parts[_REST] = {key: value for key, value in service.items() if key not in known}
        parts["image"]["inputs"] = baked if name == "odoo" else (contexts or {}).get(name, "")
        if isinstance(service.get("environment"), Mapping):  # a name without a value takes it from the environment
            values = service["environment"].items()
            parts["environment"]["environment"] = {key: lookup(key) if v is None else v for key, v in values}
        found[name] = {part: _digest(value, lookup, f"services.{name}") for part, value in parts.items()}
    return found


def _digest(value: Any, lookup: Callable[[str], str | None], where: str) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(expand(text, lambda name: lookup(name) or "", where).encode()).hexdigest()[:16]


def container_changes(
    before: Mapping[str, Mapping[str, str]],
    now: Mapping[str, Mapping[str, str]],
    running: Collection[str],
    stopped: Collection[str],
) -> tuple[ContainerChange, ...]:
    """What `up` does to each container: first the described services, then those that are no longer described.

    `before` and `now` are results of `service_parts`; `stopped`: services that should run and do not.
    """
    changes = []
    for name, parts in now.items():
        reasons = changed_inputs(before.get(name, {}), parts)
        if name not in running and name not in stopped:
            changes.append(ContainerChange(name, "create"))
        elif reasons:
            changes.append(ContainerChange(name, "recreate", reasons))
        else:
            changes.append(ContainerChange(name, "start" if name in stopped else "keep"))
    return (*changes, *(ContainerChange(name, "remove") for name in sorted({*running, *stopped} - set(now))))


def odoo_goes_down(changes: Collection[ContainerChange], running: Collection[str]) -> bool:
    """Whether a running Odoo is down meanwhile: Odoo or its database is created, recreated or started."""
    acting = {change.service for change in changes if change.action != "keep"}
    return "odoo" in running and bool(acting & {"odoo", "db"})


def odoo_stopped(cost: Cost) -> Cost:
    """The same where Odoo was stopped before: it is started where it would be kept."""
    changes = (
        replace(change, action="start") if (change.service, change.action) == ("odoo", "keep") else change
        for change in cost.containers
    )
    return replace(cost, containers=tuple(changes))


def containers_text(cost: Cost) -> str:
    """For example `recreate odoo (image, ports); keep db, mail; Odoo is down meanwhile (12 s last time)`."""
    ordered = sorted(cost.containers, key=lambda change: (_ORDER.index(change.action), change.reasons))
    parts = []
    for (action, reasons), group in groupby(ordered, key=lambda change: (change.action, change.reasons)):
        why = f" ({', '.join(reasons)})" if reasons else ""
        parts.append(f"{action} {', '.join(change.service for change in group)}{why}")
    if cost.odoo_down:
        parts.append("Odoo is down meanwhile" + (f" ({_seconds(cost.seconds)} last time)" if cost.seconds else ""))
    return "; ".join(parts)


def image_text(cost: Cost) -> str:
    """For example `Python packages, base image changed; took 41 s last time`."""
    parts = [f"{', '.join(cost.reasons)} changed"] if cost.reasons else []
    return "; ".join([*parts, *([f"took {_seconds(cost.seconds)} last time"] if cost.seconds else [])])


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
