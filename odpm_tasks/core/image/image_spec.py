"""The specification of the Odoo image as one value: the variables of the Dockerfile, its Debian packages, its sources."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from odpm_tasks.core.config.paths import SOURCE_ROOT
from odpm_tasks.core.config.settings import Profile
from odpm_tasks.core.image.archive import MARKER, ArchiveState
from odpm_tasks.core.image.wkhtmltopdf import IN_DEBIAN, PatchedBuild
from odpm_tasks.core.odoo.series import Series, series
from odpm_tasks.core.sources.link import SourceKind
from odpm_tasks.errors import EPOCH, DescriptionError

UV_VERSION = "0.13.8"

# Debian package names by release; later releases use the newest name.
_LDAP = {
    "stretch": "libldap-2.4-2",
    "buster": "libldap-2.4-2",
    "bullseye": "libldap-2.4-2",
    "bookworm": "libldap-2.5-0",
}
_MAGIC = dict.fromkeys(_LDAP, "libmagic1")
# Packages to run and to build libraries that have no wheel.
COMPILED_RUNTIME = ("libjpeg62-turbo", "libxml2", "libxslt1.1")
_COMPILED_BUILD = (
    "g++",
    "libffi-dev",
    "libjpeg-dev",
    "libssl-dev",
    "libxml2-dev",
    "libxslt1-dev",
    "zlib1g-dev",
)
_BUILD_TOOLS = re.compile(
    r"build-essential|g(cc|\+\+|fortran)(-\d+)?|make|cmake|meson|ninja-build|autoconf|automake|libtool(-bin)?|pkg-config|pkgconf"
    r"|swig\d*(\.\d+)*|bison|flex|patchelf|rustc(-\d.*)?|cargo(-\d.*)?|golang(-go)?|llvm(-\d+)?|clang(-\d+)?|cython3"
)
_CJK = ("zh", "ja", "ko")
_RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")  # of Odoo's languages, those with right-to-left text
# The scripts of Odoo's languages that DejaVu and Liberation lack, 13 MB: Chinese, Japanese and Korean; Devanagari, Bengali,
# Gujarati, Malayalam, Telugu; Khmer; Burmese; Ethiopic; Thai.
_FONTS = (
    "fonts-wqy-microhei",
    "fonts-lohit-deva",
    "fonts-lohit-beng-bengali",
    "fonts-lohit-gujr",
    "fonts-lohit-mlym",
    "fonts-lohit-telu",
    "fonts-khmeros",
    "fonts-sil-padauk",
    "fonts-sil-abyssinica",
    "fonts-tlwg-loma-ttf",
)


@dataclass(frozen=True)
class ImageSource:
    """A source in the image: `name` as in `.odpm/src/NAME`. `folder`: the folder for its files, if it is itself an add-on."""

    name: str
    kind: SourceKind
    folder: str = ""

    @property
    def context(self) -> str:
        return context_name(self.name)

    @property
    def path(self) -> str:
        return f"{SOURCE_ROOT}/{self.name}/{self.folder}".rstrip("/")


@dataclass(frozen=True)
class ImagePackage:
    """A Python package from git in the image: normalized name, URL, commit, version, folder in the repository."""

    name: str
    url: str
    commit: str
    version: str
    ref: str = ""
    subdirectory: str = ""

    @property
    def context(self) -> str:
        return package_context(self.name)

    @property
    def folder(self) -> str:
        """The name of the repository's folder in the build; with the commit, so that caches keep two commits apart."""
        return f"{self.name}-{self.commit}"

    @property
    def path(self) -> str:
        """The folder of the package in the build."""
        return f"/media/{self.folder}{f'/{self.subdirectory}' if self.subdirectory else ''}"

    @property
    def variables(self) -> dict[str, str]:
        return version_variables(self.version)

    @property
    def direct_url(self) -> str:
        """The origin of an installed package, as PEP 610 has it (`direct_url.json`)."""
        vcs = {"vcs": "git", "commit_id": self.commit, **({"requested_revision": self.ref} if self.ref else {})}
        folder = {"subdirectory": self.subdirectory} if self.subdirectory else {}
        return json.dumps({"url": self.url, "vcs_info": vcs, **folder}, ensure_ascii=True)


@dataclass(frozen=True)
class ImageSpec:
    """All variables of the Dockerfile template.

    `base_image` may contain a digest. `platform` is the folder of the platform in the source root. `sources` are copied
    into target `ci`, a layer each: platform, dependencies in the given order, the developing project last.
    `system_packages` are those of the manifest, `addon_packages` those of add-ons. `packages`: Python packages from git.
    `profile`: `medium` has a PDF renderer, `full` also Node tools, `ci` neither. `wkhtmltopdf` is the package with patched
    Qt; None: that of Debian. `archive`: the state of the Debian archive; None: any. `browser`: target `dev` has Chromium.
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
    wkhtmltopdf: PatchedBuild | None = None
    uv_version: str = UV_VERSION
    archive: ArchiveState | None = None
    browser: bool = False
    sources: tuple[ImageSource, ...] = ()
    packages: tuple[ImagePackage, ...] = ()

    @property
    def series(self) -> Series:
        return series(self.odoo_version)

    @property
    def python_release(self) -> tuple[int, int]:
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def layers(self) -> tuple[ImageSource, ...]:
        """The sources, the least frequently changed first."""
        order: dict[SourceKind, int] = {"platform": 0, "dependency": 1, "developing": 2}
        return tuple(sorted(self.sources, key=lambda source: order[source.kind]))

    @property
    def odoo_bin(self) -> str:
        return f"{SOURCE_ROOT}/{self.platform}/{self.series.odoo_bin}"

    @property
    def compiles_packages(self) -> bool:
        """Whether Odoo's pinned packages have no wheels for this processor or Python and must be compiled."""
        return self.arch not in (None, "amd64", "x86_64") or self.python_release >= (3, 13)

    @property
    def non_amd64_runtime_packages(self) -> tuple[str, ...]:
        """Additional packages on other processors than amd64, if the description does not set the processor."""
        return () if self.arch or self.compiles_packages else COMPILED_RUNTIME

    @property
    def non_amd64_build_packages(self) -> tuple[str, ...]:
        return () if self.arch or self.compiles_packages else _COMPILED_BUILD

    @property
    def has_wkhtmltopdf(self) -> bool:
        """Whether the image has Debian's wkhtmltopdf."""
        return self.profile != "ci" and self.patched is None and self.codename in IN_DEBIAN

    @property
    def patched(self) -> PatchedBuild | None:
        """The package of wkhtmltopdf with patched Qt, where the image has it."""
        return self.wkhtmltopdf if self.profile != "ci" else None

    @property
    def has_node_tools(self) -> bool:
        """Whether the image has Node and rtlcss: profile `full`, and languages that are written from right to left."""
        return self.profile == "full" or (self.profile == "medium" and self._language in _RIGHT_TO_LEFT)

    @property
    def _language(self) -> str:
        return (self.language or "").lower().split("_")[0].split("-")[0].split("@")[0]

    @property
    def archive_marker(self) -> str:
        return MARKER

    @property
    def epoch(self) -> int:
        return EPOCH

    @property
    def runtime_packages(self) -> tuple[str, ...]:
        """Debian packages of every container: libraries that Python packages link, fonts, clients."""
        packages = ["ca-certificates", "fonts-dejavu-core", "fonts-liberation", "libpq5", "libsasl2-2"]
        packages += [_LDAP.get(self.codename, "libldap2"), _MAGIC.get(self.codename, "libmagic1t64")]
        packages += ["postgresql-client", "tini"]
        if self.compiles_packages:
            packages += COMPILED_RUNTIME
        if self.has_wkhtmltopdf:
            packages.append("wkhtmltopdf")
        if self.series.needs_lessc or self.has_node_tools:
            packages.append("node-less")
        if self.has_node_tools:
            packages.append("nodejs")
        if self.profile != "ci":
            packages += _FONTS
        if self.profile == "full" or self._language in _CJK:
            packages.append("fonts-noto-cjk")
        if self.profile == "full":
            packages.append("fonts-noto-core")
        return tuple(sorted(packages))

    @property
    def own_packages(self) -> tuple[str, ...]:
        """Debian packages that this project needs in addition, in a separate layer."""
        requested = {*map(_package, self.system_packages), *self.addon_packages}
        return tuple(sorted(requested - set(self.runtime_packages)))

    @property
    def system_stage(self) -> str:
        """The stage with all Debian packages of the runtime."""
        return "system" if self.own_packages else "base"

    @property
    def build_packages(self) -> tuple[str, ...]:
        """Debian packages of the build stage, also those of the project that compiling Python packages may need.

        Any other package of the project changes no Python package, so it is not in the stage.
        """
        packages = ["gcc", "libc6-dev", "libldap2-dev", "libpq-dev", "libsasl2-dev", "make"]
        packages += [name for name in self.own_packages if name not in packages and _is_for_compiling(name)]
        if self.compiles_packages:
            packages += _COMPILED_BUILD
        if self.uv_needs_debian_python:
            packages.append("python3-pip")
        return tuple(sorted(packages))

    @property
    def uv_needs_debian_python(self) -> bool:
        """Whether to install uv with Debian's Python: uv supports Python 3.7 environments but cannot be installed in one."""
        return self.python_release < (3, 8)

    @property
    def uv_python(self) -> str:
        return "/usr/bin/python3" if self.uv_needs_debian_python else "python3"

    @property
    def source_root(self) -> str:
        return SOURCE_ROOT


def _is_for_compiling(name: str) -> bool:
    """Whether a Debian package has headers, or is a program that builds others."""
    plain = re.sub(r"[:=].*", "", name)
    return plain.endswith("-dev") or bool(_BUILD_TOOLS.fullmatch(plain))


def base_image(python: str, suite: str) -> str:
    """The official slim Python image of a Debian release."""
    return f"python:{python}-slim-{suite}"


def package_context(name: str) -> str:
    """The named context of a Python package from git; `name` is normalized."""
    return f"package-{name}"


def version_variables(version: str) -> dict[str, str]:
    """The variables from which a build backend takes the version that it otherwise reads from `.git`."""
    return dict.fromkeys(("PBR_VERSION", "PDM_BUILD_SCM_VERSION", "SETUPTOOLS_SCM_PRETEND_VERSION"), version)


def context_name(name: str) -> str:
    """The named context of a source: a valid image name, different for different source names, equal on every machine."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name:
        return f"src-{name}"
    return f"src-{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".replace("--", "-")


def is_package(name: str) -> bool:
    """Whether `name` is a Debian package name, optionally with `=version`; excludes apt options and shell code."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?", name))


def _package(name: str) -> str:
    if not is_package(name):
        raise DescriptionError(
            f"{name!r} is not a Debian package name",
            where="odpm.json: system_packages",
            todo="use package names as in apt install",
        )
    return name
