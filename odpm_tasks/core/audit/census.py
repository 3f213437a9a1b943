"""The census: the content of an image, as `templates/census.py` reads it from the root file system of a container.

It uses no other source, so it works for images of any origin.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Package(_Record):
    """An installed package: a Debian package, a Python distribution or an npm package; `name` as in its own metadata.

    Of Debian packages, `depends`: the names of all packages that satisfy its dependencies; `base`: the base image has it, and the
    build did not install it again.
    """

    name: str
    version: str
    arch: str = ""
    licenses: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    base: bool = False


class Addon(_Record):
    """An Odoo add-on on the addons path. `source`: folder name of its repository; `path`: path in the container."""

    name: str
    path: str
    source: str = ""
    version: str = ""
    license: str = ""
    depends: tuple[str, ...] = ()
    installable: bool = True


class Census(_Record):
    """The census of an image.

    `distribution`: as `debian 12`. `architecture`: Debian's name (`amd64`). `python`: as `3.11.2`. `odoo`: the output of
    `odoo --version`; empty without sources, or if it failed, then `odoo_error` is its last line. `environment`: the variables
    of the image's configuration. `fonts`: path -> SHA-256. `configuration`: section -> key -> value of /etc/odoo/odoo.conf.
    `missing`: entries of the addons path without add-ons. `unimportable`: Python package -> error of its import. `setuid`:
    files with the set-uid or set-gid bit.
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


# The architecture of a Docker platform -> Debian's name; all others are equal.
_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}


def problems(census: Census, platform: str = "") -> tuple[str, ...]:
    """The problems of any image, a line each: Odoo does not start, packages cannot be imported, an entry of the addons path has
    no add-ons, the processor is not that of `platform` (`linux/arm64`).

    Odoo must start only if there is an addons path.
    """
    found = []
    requested = platform.split("/")[1] if "/" in platform else ""
    if requested and census.architecture != (expected := _ARCHITECTURES.get(requested, requested)):
        found.append(f"the image is for {census.architecture}: the base image does not support {expected}")
    if census.odoo_error or (census.addons_path and not census.odoo):
        found.append(f"odoo --version fails: {census.odoo_error or 'the program or the sources do not exist'}")
    found += [f"{name}: {error}" for name, error in sorted(census.unimportable.items())]
    found += [f"{entry} is on the addons path and contains no add-on" for entry in census.missing]
    return tuple(found)
