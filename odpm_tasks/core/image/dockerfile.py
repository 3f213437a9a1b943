"""The Odoo image: what goes into it, as one value, and the Dockerfile that value renders.

Three targets of one file: `server` (runtime and Python environment), `dev` (the same plus the developer's
packages) and `ci` (`server` plus every source as a layer of its own). Sources reach the build as named
contexts (`--build-context src-NAME=DIR`), so the build context itself is four small files.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Literal

from odpm_tasks.core import templating
from odpm_tasks.core.config.paths import SOURCE_ROOT
from odpm_tasks.core.config.settings import Profile
from odpm_tasks.core.odoo.series import Series, series
from odpm_tasks.errors import EPOCH, DescriptionError

UV_VERSION = "0.13.8"
TEMPLATE = "Dockerfile.j2"
RUNTIME = "odoo_run.py"

# What the context `.odpm/` gives to the build, by path in it.
REQUIREMENTS = "requirements.lock"
DEVELOPER_REQUIREMENTS = "requirements.developer.lock"
ENTRYPOINT = "build/odoo-run"
CONFIGURATION = "build/odoo.conf"
CONTEXT = (REQUIREMENTS, DEVELOPER_REQUIREMENTS, ENTRYPOINT, CONFIGURATION)

# Debian's names of the same thing; later releases than these have the newest name.
_LDAP = {
    "stretch": "libldap-2.4-2",
    "buster": "libldap-2.4-2",
    "bullseye": "libldap-2.4-2",
    "bookworm": "libldap-2.5-0",
}
_MAGIC = dict.fromkeys(_LDAP, "libmagic1")
_WITH_WKHTMLTOPDF = tuple(_LDAP)
# For libraries that are compiled where no wheel is found: to run and to build them.
_RARE_RUNTIME = ("libjpeg62-turbo", "libxml2", "libxslt1.1")
_RARE_BUILD = ("g++", "libffi-dev", "libjpeg-dev", "libssl-dev", "libxml2-dev", "libxslt1-dev", "make", "zlib1g-dev")
_CJK = ("zh", "ja", "ko")


Kind = Literal["platform", "dependency", "developing"]


@dataclass(frozen=True)
class ImageSource:
    """One repository to bake: `name` as in `.odpm/src/NAME`."""

    name: str
    kind: Kind

    @property
    def context(self) -> str:
        return context_name(self.name)

    @property
    def path(self) -> str:
        return f"{SOURCE_ROOT}/{self.name}"


@dataclass(frozen=True)
class ImageSpec:
    """All that feeds the Dockerfile template.

    `base_image` may carry a digest. `platform` is the platform's NAME in the source root. `sources` are baked in
    the target `ci`, in layers: platform, dependencies in the order given, the developing project last.
    `system_packages` are the manifest's, `addon_packages` those that add-ons ask for. `profile`: `medium` has a PDF
    renderer, `full` Node tools too, `ci` neither. `labels` are pairs, for `ci` only.
    """

    base_image: str
    codename: str
    odoo_version: str
    python: str
    platform: str = "odoo"
    system_packages: tuple[str, ...] = ()
    addon_packages: tuple[str, ...] = ()
    profile: Profile = "medium"
    language: str | None = None
    arch: str | None = None
    uv_version: str = UV_VERSION
    sources: tuple[ImageSource, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def series(self) -> Series:
        return series(self.odoo_version)

    @property
    def python_release(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def layers(self) -> tuple[ImageSource, ...]:
        """The sources, what moves least first."""
        order: dict[Kind, int] = {"platform": 0, "dependency": 1, "developing": 2}
        return tuple(sorted(self.sources, key=lambda source: order[source.kind]))

    @property
    def odoo_bin(self) -> str:
        return f"{SOURCE_ROOT}/{self.platform}/{self.series.odoo_bin}"

    @property
    def wheels_are_rare(self) -> bool:
        """Whether pins of Odoo meet no wheel here and libraries with C inside are compiled."""
        return self.arch not in (None, "amd64", "x86_64") or self.python_release >= (3, 13)

    @property
    def elsewhere_runtime(self) -> tuple[str, ...]:
        """Further packages where the processor is no amd64 and the description leaves the processor open."""
        return () if self.arch or self.wheels_are_rare else _RARE_RUNTIME

    @property
    def elsewhere_build(self) -> tuple[str, ...]:
        return () if self.arch or self.wheels_are_rare else _RARE_BUILD

    @property
    def has_wkhtmltopdf(self) -> bool:
        return self.profile != "ci" and self.codename in _WITH_WKHTMLTOPDF

    @property
    def has_node_tools(self) -> bool:
        return self.profile == "full"

    @property
    def epoch(self) -> int:
        return EPOCH

    @property
    def runtime_packages(self) -> tuple[str, ...]:
        """Debian packages of every container: libraries that compiled wheels link, fonts, clients."""
        packages = ["ca-certificates", "fonts-dejavu-core", "fonts-liberation", "libpq5", "libsasl2-2"]
        packages += [_LDAP.get(self.codename, "libldap2"), _MAGIC.get(self.codename, "libmagic1t64")]
        packages += ["postgresql-client", "tini"]
        if self.wheels_are_rare:
            packages += _RARE_RUNTIME
        if self.has_wkhtmltopdf:
            packages.append("wkhtmltopdf")
        if self.series.needs_lessc or self.has_node_tools:
            packages.append("node-less")
        if self.has_node_tools:
            packages.append("nodejs")
        if self.language and self.language.lower()[:2] in _CJK:
            packages.append("fonts-noto-cjk")
        return tuple(sorted(packages))

    @property
    def own_packages(self) -> tuple[str, ...]:
        """Debian packages that this project asks for, in a layer of their own."""
        asked = {*map(_package, self.system_packages), *self.addon_packages}
        return tuple(sorted(asked - set(self.runtime_packages)))

    @property
    def system_stage(self) -> str:
        """The stage that has every Debian package of what runs."""
        return "system" if self.own_packages else "base"

    @property
    def build_packages(self) -> tuple[str, ...]:
        """Debian packages of the stage that compiles, none of which is in the image."""
        packages = ["gcc", "libc6-dev", "libldap2-dev", "libpq-dev", "libsasl2-dev"]
        if self.wheels_are_rare:
            packages += _RARE_BUILD
        if self.uv_needs_debian_python:
            packages.append("python3-pip")
        return tuple(sorted(packages))

    @property
    def uv_needs_debian_python(self) -> bool:
        """uv makes environments for Python 3.7 but pip does not install uv there: Debian's own Python does."""
        return self.python_release < (3, 8)

    @property
    def uv_python(self) -> str:
        return "/usr/bin/python3" if self.uv_needs_debian_python else "python3"

    @property
    def source_root(self) -> str:
        return SOURCE_ROOT


def base_image(python: str, suite: str) -> str:
    """The official image: Debian-based, slim."""
    return f"python:{python}-slim-{suite}"


def context_name(name: str) -> str:
    """The BuildKit context of a source: a legal image name, unlike for unlike NAMEs on every machine."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name:
        return f"src-{name}"
    return f"src-{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".replace("--", "-")


def dockerfile(spec: ImageSpec, template: str | None = None) -> str:
    """The text of `.odpm/build/Dockerfile`; `template` replaces ours (`.odpm/templates/Dockerfile.j2`)."""
    return templating.render(TEMPLATE, template, spec=spec)


def dockerignore() -> str:
    """The text of `.odpm/build/Dockerfile.dockerignore`: the context is these files, whatever else lies there."""
    header = "# Generated by odpm from its Dockerfile.j2: the build sees these files and nothing else.\n*\n"
    return header + "".join(f"!{f}\n" for f in CONTEXT)


def environment_digest(spec: ImageSpec, *locks: bytes, runtime: bytes, template: str | None = None) -> str:
    """Names the environment image: 16 hex digits over all that goes into `server` and `dev`.

    Sources and labels are left out: they are in `ci` only, and a code edit must not rename the environment.
    """
    text = dockerfile(replace(spec, sources=(), labels=()), template)
    digest = hashlib.sha256()
    for part in (text.encode(), runtime, *locks):
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:16]


def is_package(name: str) -> bool:
    """Whether it is a Debian package name, optionally `=version`, and no option of apt or piece of shell."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?", name))


def _package(name: str) -> str:
    if not is_package(name):
        raise DescriptionError(
            f"{name!r} is no Debian package name",
            where="odpm.json: system_packages",
            todo="write package names as apt knows them",
        )
    return name
