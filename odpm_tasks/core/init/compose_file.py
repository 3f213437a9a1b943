"""Reads the Compose file of a project that runs the image of Odoo: its services, and where its other files are.

Odoo's own image reads add-ons from `/mnt/extra-addons` and its configuration from `/etc/odoo/odoo.conf`.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.init import base_image
from odpm_tasks.core.init.conversion import excerpt
from odpm_tasks.core.init.doodba_compose import as_map, expanded, pairs
from odpm_tasks.core.init.git_aggregator import load
from odpm_tasks.errors import DescriptionError

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
ADDONS_MOUNT = re.compile(r"/mnt(/|$)|/etc/odoo|.*addons|.*(local|external)-src|.*/src$")
OVERRIDES = tuple(f"{name.rpartition('.')[0]}.override.{end}" for name in FILES[::2] for end in ("yaml", "yml"))
CONF = "odoo.conf"
CONFIGURATIONS = (CONF, f"config/{CONF}", f"conf/{CONF}", f"etc/{CONF}", f"odoo/{CONF}", "config/odoo.cfg", "odoo.cfg")

POSTGRES_IMAGE = re.compile(
    r"(?:[\w.:-]+/)*(?:postgres|postgis|pgvector|timescaledb[\w-]*|postgresql)(?::(?:pg)?([\w.-]+))?(?:@.*)?"
)


@dataclass(frozen=True)
class ContainerMount:
    """A folder or file of the host, or a named volume, in the container of Odoo. `text`: as written in the short form."""

    host: str
    container: str
    text: str = ""

    @property
    def is_volume(self) -> bool:
        return not self.host.startswith((".", "/", "~", "$"))


@dataclass(frozen=True)
class ComposeFile:
    """A Compose file. `odoo`, `db`: the names of these services, empty if there is none. `context`, `dockerfile`: of Odoo's image."""

    where: str
    services: Mapping[str, Any]
    others: tuple[str, ...]
    odoo: str
    db: str
    image: str = ""
    db_image: str = ""
    context: str = ""
    dockerfile: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[ContainerMount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def read(text: str, where: str, env: Mapping[str, str]) -> ComposeFile:
    """Read a Compose file. `env`: the values of `.env`. Errors: DescriptionError if it is not one, or runs no Odoo."""
    data = load(text, where)[0]
    services = as_map(as_map(data).get("services"))
    if not services:
        raise DescriptionError(f"{where} has no services", where=where, todo="use another file with --from")
    found = {str(name): as_map(service) for name, service in services.items()}
    images = {name: expanded(str(service.get("image") or ""), env) for name, service in found.items()}
    db = next((name for name, image in images.items() if POSTGRES_IMAGE.fullmatch(image)), "")
    odoo = _odoo(found, images, db)
    if not odoo:
        raise DescriptionError(
            f"{where} has no service with the image of Odoo, or with a build and a name like odoo or web",
            where=where,
            todo="use another file with --from",
        )
    service = found[odoo]
    build = service.get("build")
    context = expanded(str(build if isinstance(build, str) else as_map(build).get("context") or ""), env)
    dockerfile = expanded(str(as_map(build).get("dockerfile") or "Dockerfile"), env)
    return ComposeFile(
        where,
        found,
        tuple(name for name in found if name not in (odoo, db)),
        odoo,
        db,
        images[odoo],
        images.get(db, ""),
        posixpath.normpath(context) if context else "",
        dockerfile,
        {key: expanded(value, env) for key, value in pairs(as_map(build).get("args")).items()},
        tuple(_mounts(service, env)),
        env,
    )


def _odoo(services: Mapping[str, Mapping[str, Any]], images: Mapping[str, str], db: str) -> str:
    """The service that runs Odoo: by its image, else the one that is built and is called so, else the one on port 8069."""
    candidates = [name for name in services if name != db]
    built = [name for name in candidates if services[name].get("build")]
    choices = (
        [name for name in candidates if base_image.ODOO_IMAGE.fullmatch(images[name])],
        [name for name in built if re.search(r"odoo|^web$|^app$", name)],
        [name for name in candidates if base_image.ODOO_VARIANT.fullmatch(images[name])],
        [name for name in built if "8069" in str(services[name].get("ports"))],
    )
    return next((found[0] for found in choices if found), "")


def _mounts(service: Mapping[str, Any], env: Mapping[str, str]) -> list[ContainerMount]:
    mounts = []
    volumes = service.get("volumes")
    for entry in volumes if isinstance(volumes, list) else ():
        text = "" if isinstance(entry, Mapping) else str(entry)
        if isinstance(entry, Mapping):
            host, target = str(entry.get("source") or ""), str(entry.get("target") or "")
        else:
            words = re.findall(r"(?:\$\{[^}]*\}|[^:])+", expanded(text, env))
            host, target = (words[0], words[1]) if len(words) > 1 else ("", words[0] if words else "")
        mounts.append(ContainerMount(host, posixpath.normpath(target) if target else "", text))
    return mounts


def host_path(file: ComposeFile, container: str) -> str:
    """The path on the host of a path in Odoo's container; empty if it is in no mounted folder."""
    container = posixpath.normpath(container)
    best = max(
        (mount for mount in file.mounts if container == mount.container or container.startswith(f"{mount.container}/")),
        key=lambda mount: len(mount.container),
        default=None,
    )
    if best is None or best.is_volume or not best.host:
        return ""
    return posixpath.normpath(best.host + container.removeprefix(best.container))


def configurations(file: ComposeFile) -> list[str]:
    """Where the configuration can be on the host, the most probable first."""
    names = [host_path(file, f"/etc/odoo/{CONF}"), host_path(file, "/etc/odoo.conf")]
    return [*filter(None, names), *CONFIGURATIONS]


def addon_folders(file: ComposeFile, conf_text: str) -> list[str]:
    """The folders on the host that Odoo gets add-ons from, in the order of `addons_path`, then those mounted below /mnt."""
    path = sections(conf_text)[0].get("options", {}).get("addons_path", "")
    found = [host_path(file, entry.strip()) for entry in path.split(",") if entry.strip()]
    found += [
        mount.host
        for mount in file.mounts
        if not mount.is_volume and ADDONS_MOUNT.match(mount.container) and not mount.container.startswith("/etc")
    ]
    return list(dict.fromkeys(posixpath.normpath(folder) for folder in found if folder))


def sections(text: str) -> tuple[dict[str, dict[str, str]], str]:
    """The sections of an Odoo configuration, and the reason if it cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError) as error:
        return {}, excerpt(str(error))
    return {
        section: {key: " ".join(value.split()) for key, value in parser.items(section) if value}
        for section in parser.sections()
    }, ""
