"""The settings of this machine that a build needs: certificates, package indexes, mirrors.

They are passed as BuildKit secrets, so they are in no layer.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from odpm_tasks.adapters import apt, files, index_settings
from odpm_tasks.adapters.docker import buildx
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.dockerfile import ImageSpec


@dataclass(frozen=True)
class BuildSecrets:
    """`files`: secret id -> file. `host_network`: the build must use the host's network to connect to a proxy or mirror."""

    files: Mapping[str, Path]
    host_network: bool


def build_secrets(paths: ProjectPaths, spec: ImageSpec, cleanup: contextlib.ExitStack) -> BuildSecrets:
    """Write the current settings to temporary files that `cleanup` removes. Errors: DescriptionError."""
    index = index_settings.index()
    variables = {**index.variables, **(index_settings.npm_registry() if spec.has_node_tools else {})}
    settings = paths.settings
    debian = apt.sources(spec.codename, settings.get("ODPM_APT_MIRROR"), settings.where("ODPM_APT_MIRROR"))
    texts = {"index": index_settings.export_lines(variables), "apt": debian}
    folder = files.temporary_folder(cleanup, "odpm-machine-")
    secrets = {"ca": index.certificates} if index.certificates else {}
    for name, text in texts.items():
        if text:
            files.write(folder / name, text.encode(), 0o600)
            secrets[name] = folder / name
    proxies = [
        os.environ.get(name, "") for proxy in buildx.PROXIES for name in (proxy, proxy.lower()) if proxy != "NO_PROXY"
    ]
    urls = [*proxies, *" ".join(variables.values()).split(), *debian.split()]
    return BuildSecrets(secrets, any(map(on_loopback, urls)))


def on_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine's loopback, which a container reaches only with the host's network."""
    host = (urlsplit(url).hostname or "") if "://" in url else ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
