"""The address under which a running stack is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import WEB, Manifest
from odpm_tasks.core.stack import pages
from odpm_tasks.core.stack.web.address import address, web_of

Ports = Mapping[str, Sequence[str]]  # service that runs -> its published ports


def page(paths: ProjectPaths, manifest: Manifest, ports: Ports, service: str) -> str:
    """The address of a running service's page; empty where it has none. That of Odoo is the proxy's, where there is one."""
    web = web_of(paths.settings.scenario, manifest)
    if web is None or service not in {"odoo", WEB}:
        return pages.page(ports, service)
    return address(web, paths.settings) if {"odoo", WEB} <= ports.keys() else ""
