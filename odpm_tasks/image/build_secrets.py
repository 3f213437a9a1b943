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

from odpm_tasks.adapters import files, index_settings
from odpm_tasks.adapters.docker import buildx
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.archive import Mirror, sources_list
from odpm_tasks.core.image.image_spec import ImageSpec
from odpm_tasks.image import archive


@dataclass(frozen=True)
class BuildSecrets:
    """`files`: secret id -> file. `host_network`: the build must use the host's network to connect to a proxy or mirror."""

    files: Mapping[str, Path]
    host_network: bool


def build_secrets(
    paths: ProjectPaths, spec: ImageSpec, cleanup: contextlib.ExitStack, mirror: Mirror | None = None
) -> BuildSecrets:
    """Write the current settings to temporary files that `cleanup` removes. Errors: DescriptionError.

    `mirror`: Debian packages come from here; by default from the mirror of this machine, else from that of the base image.
    """
    index = index_settings.index()
    variables = {**index.variables, **(index_settings.npm_registry() if spec.has_node_tools else {})}
    mirror = mirror or archive.mirror(paths.settings)
    debian = sources_list(spec.codename, mirror) if mirror else ""
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
