"""The addresses of the pages that running services have on this machine: Odoo's, the mailbox, those of other services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odpm_tasks.core.manifest.model import MAIL_CATCHER
from odpm_tasks.core.stack.published_ports import WEB, published_port

Ports = Mapping[str, Sequence[str]]  # service -> its published ports, as `ADDRESS:PORT->INSIDE/tcp`

_MAILBOXES = (8025, 1080)  # the page of mailpit and mailhog; of mailcatcher and maildev
_NO_PAGES = {5432, 1025, 6379, 3306, 5672, 5678}  # databases, mail, queues, the debugger


def page(ports: Ports, service: str) -> str:
    """The address of a running service's page; empty where it publishes none. Of other services the lowest port counts."""
    found = ports.get(service, ())
    if service == "odoo":
        port = published_port(found, WEB)
    else:
        port = next((port for inside in _MAILBOXES if (port := published_port(found, inside))), published_port(found))
    return f"http://localhost:{port}" if port else ""


def mailbox(ports: Ports) -> str:
    """The service with the page of received mails: the built-in one, else the first that publishes the port of a mailbox."""
    if MAIL_CATCHER in ports:
        return MAIL_CATCHER
    found = (name for name in sorted(ports) if any(published_port(ports[name], inside) for inside in _MAILBOXES))
    return next(found, "")


def other_pages(ports: Ports) -> dict[str, str]:
    """The pages of services beside Odoo and the mailbox, by service. Ports of databases and queues have none."""
    kept = {
        name: [text for text in ports[name] if _inside(text) not in _NO_PAGES]
        for name in sorted(ports.keys() - {"odoo", "db", mailbox(ports)})
    }
    return {name: address for name in kept if (address := page(kept, name))}


def _inside(text: str) -> int:
    number = text.partition("->")[2].partition("/")[0]
    return int(number) if number.isdigit() else 0
