"""What a build is told of this machine: certificates, package indexes, mirrors. As secrets, so that no layer has them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from odpm_tasks.adapters import apt, files, uv
from odpm_tasks.adapters.docker import buildx
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.dockerfile import ImageSpec


@dataclass(frozen=True)
class BuildSecrets:
    """Files by the id of the secret. `host_network`: one of the addresses is this machine's loopback."""

    secrets: Mapping[str, Path]
    host_network: bool


def given(paths: ProjectPaths, spec: ImageSpec, cleanup: contextlib.ExitStack) -> BuildSecrets:
    """The settings that count now, in files that last as long as `cleanup`. Errors: DescriptionError."""
    index = uv.index()
    variables = {**index.variables, **(uv.node_index() if spec.has_node_tools else {})}
    settings = paths.settings
    debian = apt.sources(spec.codename, settings.get("ODPM_APT_MIRROR"), settings.where("ODPM_APT_MIRROR"))
    texts = {"index": uv.shell(variables), "apt": debian}
    folder = files.temporary_folder(cleanup, "odpm-machine-")
    secrets = {"ca": index.certificates} if index.certificates else {}
    for name, text in texts.items():
        if text:
            files.write(folder / name, text.encode(), 0o600)
            secrets[name] = folder / name
    proxies = [
        os.environ.get(name, "") for proxy in buildx.PROXIES for name in (proxy, proxy.lower()) if proxy != "NO_PROXY"
    ]
    return BuildSecrets(secrets, here([*proxies, *" ".join(variables.values()).split(), *debian.split()]))


def here(addresses: Iterable[str]) -> bool:
    """Whether one of these URLs leads to this machine itself, which a container reaches by the host's network only."""
    return any(_loopback(urlsplit(address).hostname or "") for address in addresses if "://" in address)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
