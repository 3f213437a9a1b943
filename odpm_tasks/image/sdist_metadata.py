"""The metadata of a source distribution that only its own code can tell: built in a container, away from the user's environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import index_settings
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import run_image
from odpm_tasks.core.locking.sdist import StaticMetadata, is_usable
from odpm_tasks.errors import MachineError, ProgramError

# pip prepares the metadata of an archive and installs nothing; the report has what the code stated
_PIP = (
    "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--ignore-installed",
    "--dry-run", "--root-user-action=ignore", "--report=-",
)  # fmt: skip


@dataclass(frozen=True)
class BuiltMetadata:
    """What the code of a package states: name, version and requirements."""

    name: str
    version: str
    stated: StaticMetadata


def built_metadata(
    image: str,
    archive: Path,
    name: str,
    *,
    subdirectory: str = "",
    variables: Mapping[str, str] | None = None,
    addresses: bool = False,
) -> BuiltMetadata:
    """Run the metadata step of a source distribution in a container of the Python image `image`.

    `subdirectory`: the folder of the package in the archive. `variables`: further ones for the step. `addresses`: the package
    may require addresses.

    The container has no capabilities, none of the user's variables and no login of a package index; it reaches the network,
    because the step installs its build requirements. Errors: MachineError without Docker, ProgramError if the step fails.
    """
    try:
        docker.require()
    except MachineError as error:
        raise MachineError(
            f"only running code of {name} tells what it requires, and that needs Docker: {error.what}",
            where=archive.name,
            todo="start Docker and run the same command again, or name another version in the requirements of odpm.json",
        ) from None
    try:
        run_image.provide(image)
    except ProgramError as error:
        error.where = f"only running code of {name} tells what it requires ({archive.name})"
        raise
    settings = index_settings.index()
    environment = {
        key: value for key, value in settings.variables.items() if key.startswith("PIP_") and _is_public(value)
    }
    proxies = {name: os.environ.get(name, "") for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")}
    environment |= {name: value for name, value in proxies.items() if _is_public(value)}
    environment |= variables or {}
    wanted = f"file:///in/{archive.name}#subdirectory={subdirectory}" if subdirectory else f"/in/{archive.name}"
    mounts = [(archive, f"/in/{archive.name}")]
    if settings.certificates:
        mounts.append((settings.certificates, "/in/certificates.pem"))
        environment |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/in/certificates.pem")
    try:
        output = run_image.run_isolated(image, [*_PIP, wanted], mounts=mounts, environment=environment)
        metadata = json.loads(output)["install"][0]["metadata"]
        found = StaticMetadata(tuple(metadata.get("requires_dist", ())), metadata.get("requires_python", ""))
        built = BuiltMetadata(str(metadata["name"]), str(metadata["version"]), found)
        usable = is_usable(found, addresses=addresses)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ProgramError) as error:
        details = error.details if isinstance(error, ProgramError) else ()
        raise ProgramError(
            f"the metadata of {name} could not be built",
            where=archive.name,
            details=details,
            todo="name another version in the requirements of odpm.json, or remove what requires it",
        ) from None
    if not usable:
        raise ProgramError(
            f"{name} requires what is on no package index",
            where=archive.name,
            details=found.requires[:5],
            todo="name another version in the requirements of odpm.json, or remove what requires it",
        )
    return built


def _is_public(addresses: str) -> bool:
    """Whether these addresses, separated by white space, contain no login."""
    return bool(addresses) and "@" not in addresses
