"""The built-in mail catcher of `developer`: when a stack has it, its service, and the options of Odoo that lead to it.

It receives every mail of Odoo and delivers none. It has no volume: a new container is an empty mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.manifest.model import MAIL_CATCHER, Manifest
from odpm_tasks.core.stack.published_ports import inside_ports

IMAGE = "axllent/mailpit:v1.27"
SMTP_PORT, WEB_PORT = 1025, 8025
PORT_VARIABLE = "MAIL_PORT"
# programs that receive mail and show it, by the last part of the image's name
_CATCHERS = re.compile(r"mail-?(pit|hog|catcher|dev|crab)|smtp4dev|inbucket|greenmail", re.IGNORECASE)


def has_mail_catcher(scenario: Scenario, manifest: Manifest) -> bool:
    """Whether a stack has the built-in mail catcher, unless it is off (`ODPM_MAIL`).

    Only `developer` has it; not where `odoo_conf` sets any `smtp_…` option, nor where a service of the description receives
    mail: it is named `mailcatcher`, has the port 1025, or its image is a known mail catcher. `manifest` has the overlay of the
    scenario and the services of dependencies.
    """
    options = manifest.odoo_conf.get("options", {})
    return (
        scenario.developer
        and not any(key.lower().startswith("smtp_") for key in options)
        and mailbox_of(manifest.services) is None
    )


def mailbox_of(services: Mapping[str, Any]) -> str | None:
    """The name of the first service that receives mail; None where there is none."""
    found = (name for name, service in services.items() if isinstance(service, Mapping) and _receives(name, service))
    return next(found, None)


def _receives(name: str, service: Mapping[str, Any]) -> bool:
    ports = {*inside_ports(service.get("ports")), *inside_ports(service.get("expose"))}
    image = str(service.get("image", "")).rpartition("/")[2]
    return name == MAIL_CATCHER or SMTP_PORT in ports or bool(_CATCHERS.search(image))


_NOWHERE = {"", "localhost", "127.0.0.1", "::1", "invalid"}  # `invalid`: written by `odoo neutralize`


def outside_servers(servers: Iterable[tuple[str, str]], services: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The mail servers (name, host) that are not services of the stack: Odoo sends real mail through them."""
    inside = {*_NOWHERE, *services}
    return tuple((name, host) for name, host in servers if host.lower() not in inside)


def mail_warning(database: str, servers: Sequence[tuple[str, str]]) -> str:
    """The warning of `up` in developer about the active mail servers of a database."""
    several = f"{len(servers)} active mail servers" if len(servers) > 1 else "an active mail server"
    named = ", ".join(f"{name} ({host})" if name else host for name, host in servers)
    stop = "UPDATE ir_mail_server SET active = false"
    return (
        f"the database {database} has {several}: {named}; Odoo sends mails to real recipients there. "
        f'To stop that: inv psql -d {database} -c "{stop}"'
    )


def odoo_options() -> dict[str, str]:
    """The options of Odoo for the catcher; a mail server in the database overrides them."""
    return {"smtp_server": MAIL_CATCHER, "smtp_port": str(SMTP_PORT)}


def service(mirror: str) -> dict[str, Any]:
    """The service: a user without rights, a read-only root file system, no volume, a page on loopback.

    It is on the network of the database only: that one belongs to the project alone, so the name `mailcatcher` leads to no
    catcher of another project. Docker chooses the port of the page unless `MAIL_PORT` is set: no two projects meet there.
    """
    return {
        "image": f"{mirror}{IMAGE}",
        "user": "65534:65534",
        "environment": {
            "MP_MAX_MESSAGES": "1000",
            "MP_SMTP_AUTH_ACCEPT_ANY": "1",
            "MP_SMTP_AUTH_ALLOW_INSECURE": "1",
            "MP_DISABLE_VERSION_CHECK": "1",
        },
        "ports": [f"127.0.0.1:${{{PORT_VARIABLE}:-}}:{WEB_PORT}"],
        # the image has a health check of its own, and `up` would wait for its first answer
        "healthcheck": {"disable": True},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - in the container
        "pids_limit": 100,
        "mem_limit": "256m",
        "networks": {"database": {}},
    }
