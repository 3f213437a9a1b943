"""The reverse proxy of a target: its configuration finds the containers of a role by DNS."""

from __future__ import annotations

import hashlib

from odpm_tasks.core import templating
from odpm_tasks.core.stack.web import caddy
from odpm_tasks.core.targets.spec import TargetSpec

CADDYFILE = "Caddyfile"
FILE = f"web/{CADDYFILE}"  # of a target


def files(spec: TargetSpec) -> dict[str, bytes]:
    """The configuration and the maintenance page, by name; none without a domain."""
    web = spec.manifest.web
    if web is None:
        return {}
    hosts = ("web", "websocket" if spec.target.replicas_of("websocket") else "web")
    # configs of a Swarm are single files: the marker is in the volume there
    marker = caddy.DATA_PATH if spec.target.kind == "swarm" else caddy.MOUNTED_AT
    text = caddy.caddyfile(spec.manifest, web, spec.templates.get(caddy.TEMPLATE), hosts=hosts, marker_folder=marker)
    page = templating.template_text(caddy.PAGE, spec.templates.get(caddy.PAGE))
    return {CADDYFILE: text.encode(), caddy.PAGE: page.encode()}


def digest(spec: TargetSpec) -> str:
    """The identity of the configuration: Compose does not compare mounted files."""
    return hashlib.sha256(files(spec).get(CADDYFILE, b"")).hexdigest()[:16]
