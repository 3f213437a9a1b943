"""What an image really contains, as its own census tells it (`templates/census.py`, run inside a container of it).

Read from the root file system and nowhere else, so that it holds for an image of any origin.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Package(_Told):
    """A package of the system (`name` as dpkg has it), of the Python environment (as its metadata has it) or of Node's tools."""

    name: str
    version: str
    arch: str = ""
    licenses: tuple[str, ...] = ()


class Addon(_Told):
    """An Odoo add-on on the addons path: `source` is the NAME of its repository's folder, `path` is in the container."""

    name: str
    path: str
    source: str = ""
    version: str = ""
    license: str = ""
    depends: tuple[str, ...] = ()
    installable: bool = True


class Census(_Told):
    """The census of an image.

    `distribution` as `debian 12`, `architecture` as Debian calls it (`amd64`), `python` as `3.11.2`, `odoo` what
    `odoo --version` printed (empty where the sources are not in the image, or where it failed: then `odoo_error` is the end
    of its complaint). `environment` is what the image's own configuration sets. `fonts` are files with the SHA-256 of
    each. `configuration` is section -> key -> value of /etc/odoo/odoo.conf. `missing` are entries of the addons path that
    hold no add-on, `unimportable` names Python packages with the error of their import, `setuid` files that run as another
    user than who starts them.
    """

    distribution: str = ""
    architecture: str = ""
    python: str = ""
    odoo: str = ""
    odoo_error: str = ""
    system: tuple[Package, ...] = ()
    packages: tuple[Package, ...] = ()
    node: tuple[Package, ...] = ()
    fonts: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}
    configuration: Mapping[str, Mapping[str, str]] = {}
    addons_path: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    addons: tuple[Addon, ...] = ()
    unimportable: Mapping[str, str] = {}
    setuid: tuple[str, ...] = ()


# Debian's names of what comes second in a platform's name; others are the same.
_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}


def problems(contents: Census, platform: str = "") -> tuple[str, ...]:
    """What is wrong with an image whatever it is meant for, a line each: Odoo that does not start, packages that cannot be
    imported, an addons path that leads nowhere, another processor than that of `platform` (`linux/arm64`).

    Odoo is expected where an addons path is.
    """
    found = []
    wanted = platform.split("/")[1] if "/" in platform else ""
    if wanted and contents.architecture != (expected := _ARCHITECTURES.get(wanted, wanted)):
        found.append(f"its programs are for {contents.architecture}: the base image has nothing for {expected}")
    if contents.odoo_error or (contents.addons_path and not contents.odoo):
        found.append(f"odoo --version fails: {contents.odoo_error or 'there is no such program, or no sources'}")
    found += [f"{name}: {error}" for name, error in sorted(contents.unimportable.items())]
    found += [f"{entry} is on the addons path and holds no add-on" for entry in contents.missing]
    return tuple(found)
