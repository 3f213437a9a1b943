"""The built-in reverse proxy of `server`, Caddy: its service and its configuration.

It alone publishes ports. The domain and other values of the description reach its configuration as environment variables,
which Compose expands, so the files have the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from odpm_tasks.core import templating
from odpm_tasks.core.config.paths import WEB_FOLDER
from odpm_tasks.core.config.settings import WEB_PORTS
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.stack import hardening

IMAGE = "caddy:2"
TEMPLATE, PAGE = "Caddyfile.j2", "maintenance.html"
CERTIFICATE, KEY = "web_certificate", "web_key"  # names of secrets
DIGEST_VARIABLE = "WEB_CERTIFICATE_DIGEST"
MOUNTED_AT = "/etc/caddy"
DATA_PATH = "/data"  # of the volume
UPSTREAM_FILE, MAINTENANCE_FILE = "odoo", "maintenance"  # in the mounted folder
RETRY_AFTER = 30  # seconds
HEALTH_PORT = 2021
ADDRESS_LABEL = "odpm.address"  # of Odoo's container


@dataclass(frozen=True)
class CaddySpec:
    """What the Caddyfile is generated from. `push_port`: the port of Odoo that serves websockets.

    `hosts`: the names of the services that answer requests and websockets, each any number of containers, which DNS
    names; without them a file in `folder` names the container. A file in `marker_folder` shows the maintenance page.
    """

    web: Web
    push_port: int
    hosts: tuple[str, str] = ("", "")
    folder: str = MOUNTED_AT
    marker_folder: str = MOUNTED_AT
    secrets: str = "/run/secrets"
    health_port: int = HEALTH_PORT
    retry_after: int = RETRY_AFTER

    @property
    def scheme(self) -> str:
        return "http" if self.web.tls == "off" else "https"

    @property
    def web_arguments(self) -> str:
        """What the configuration's block `odoo` needs for requests: the name that DNS knows the containers by, and the port."""
        return f"{self.hosts[0] or self._named} 8069"

    @property
    def push_arguments(self) -> str:
        """The same for websockets."""
        return f"{self.hosts[1] or self._named} {self.push_port}"

    @property
    def _named(self) -> str:
        """The placeholder for the content of the file, which Caddy reads for each request."""
        return f"{{file.{self.folder}/{UPSTREAM_FILE}}}"


def caddyfile(
    manifest: Manifest,
    web: Web,
    template: str | None = None,
    *,
    hosts: tuple[str, str] = ("", ""),
    marker_folder: str = MOUNTED_AT,
) -> str:
    """The configuration. `template`: the project's `.odpm/templates/Caddyfile.j2`, if there is one; else see `CaddySpec`.

    Without workers, Odoo's one process serves websockets on its port for everything else.
    """
    push_port = 8072 if hardening.processes(manifest).requests or hosts[0] != hosts[1] else 8069
    return templating.render(TEMPLATE, template, spec=CaddySpec(web, push_port, hosts, marker_folder=marker_folder))


def service(web: Web, mirror: str, gid: str, volume: str, digest: str) -> dict[str, Any]:
    """The service. `gid`: the group that may read the key. `volume`: for certificates. `digest`: of the configuration.

    Root of the container without capabilities: it reads what its group may read, and no file of another user.
    """
    names = ["ODPM_HTTP_PORT", *(["ODPM_HTTPS_PORT"] if web.tls != "off" else [])]
    environment = {name.replace("ODPM_", "WEB_"): _port(name) for name in WEB_PORTS}
    environment |= {"WEB_DOMAIN": web.domain}
    environment |= {"WEB_EMAIL": web.email} if web.email else {}
    environment |= {"WEB_ALLOW": " ".join(web.allow)} if web.allow else {}
    described: dict[str, Any] = {
        "image": f"{mirror}{IMAGE}",
        "command": ["caddy", "run", "--config", f"{MOUNTED_AT}/Caddyfile", "--adapter", "caddyfile"],
        "group_add": [gid],
        "environment": environment,
        # inside and outside the same port: redirects and certificates name the one outside
        "ports": [
            {"target": _port(name), "published": _port(name), "host_ip": "${ODPM_WEB_BIND:-}", "protocol": "tcp"}
            for name in names
        ],
        "volumes": [f"{volume}:{DATA_PATH}", f"./{WEB_FOLDER}:{MOUNTED_AT}:ro"],
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{HEALTH_PORT}/"],
            "interval": "15s",
            "timeout": "5s",
            "retries": 4,
            "start_period": "1m",
            "start_interval": "300ms",
        },
        # Compose does not compare mounted files: with the digests, a change recreates the container
        "labels": {"odpm.web": digest},
        **hardening.proxy(),
        "networks": {"default": {}},
    }
    if web.tls == "files":
        described["secrets"] = [CERTIFICATE, KEY]
        described["labels"]["odpm.certificate"] = f"${{{DIGEST_VARIABLE}:-}}"
    return described


def written_address(web: Web) -> str:
    """The address as Compose expands it: scheme, domain and port."""
    scheme, name = ("http", "ODPM_HTTP_PORT") if web.tls == "off" else ("https", "ODPM_HTTPS_PORT")
    return f"{scheme}://{web.domain}:{_port(name)}"


def _port(name: str) -> str:
    return f"${{{name}:-{WEB_PORTS[name]}}}"
