"""The content of `odpm.json` as one frozen value, the same for both formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from odpm_tasks.core.manifest.server_model import Backup, Target, Web
from odpm_tasks.core.sources.link import Link

MAIL_CATCHER = "mailcatcher"
WEB = "web"
BACKUP, BACKUP_DUMP = "backup", "backup-dump"
# a patch of one has no effect where the stack does not have it
OPTIONAL_SERVICES = (MAIL_CATCHER, WEB, BACKUP, BACKUP_DUMP)
UNAWAITED = (BACKUP,)  # the health of these says nothing about a start
# `web`, `backup` and `backup-dump` only where the description has these fields
BUILTIN_SERVICES = ("db", "odoo", MAIL_CATCHER)
HOOK_POINTS = ("post_clone", "post_prepare", "pre_up", "post_up")
OVERLAY_KEYS = ("odoo_conf", "services", "service_patches", "hooks")
PLATFORM = "https://github.com/odoo/odoo.git"
DEBIAN = {9: "stretch", 10: "buster", 11: "bullseye", 12: "bookworm", 13: "trixie", 14: "forky"}

Argv = tuple[str, ...]
Hooks = Mapping[str, tuple[Argv | str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of one stack.

    Variables in links are expanded; those in `odoo_conf`, `services`, `service_patches` and hook arguments are not.
    `build_date` is `latest` or `YYYY-MM-DD`. A hook is an argv or `package.module:function`. `locks_git` maps canonical
    URLs to commits. `developing` None: the checkout that contains the file. A service None removes that service of a
    dependency. `use_oca_dependencies` False: the files oca_dependencies.txt are not read. `trust`: the
    dependencies whose hooks, patches and privileged services are used. `networks`: options of the networks that services of
    dependencies need; no format has such a field. `distro_strict`: images are built from the locked state of the Debian
    archive alone. `audit_waivers`: `CODE` or `CODE SUBJECT` of a finding of `audit` -> why it is accepted.
    """

    format: int
    requires_odpm: str
    odoo_version: str
    platform: Link
    build_date: str = "latest"
    platform_name: str = "odoo"
    arch: str | None = None
    python: str
    distro_name: str = "debian"
    distro_version: str
    distro_strict: bool = False
    postgres: str
    dependencies: tuple[Link, ...] = ()
    requirements: tuple[str, ...] = ()
    requirements_ignore: tuple[str, ...] = ()
    use_oca_dependencies: bool = True
    system_packages: tuple[str, ...] = ()
    developing: Link | None = None
    language: str | None = None
    country: str | None = None
    odoo_conf: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    service_patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=dict)
    locks_git: Mapping[str, str] = field(default_factory=dict)
    locks_venv: str | None = None
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trust: tuple[str, ...] = ()
    audit_waivers: Mapping[str, str] = field(default_factory=dict)
    web: Web | None = None
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backup: Backup | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that the project itself names: platform, developing project, dependencies."""
        return (self.platform, *((self.developing,) if self.developing else ()), *self.dependencies)

    @property
    def builtin_services(self) -> tuple[str, ...]:
        """The names of the services that are built in, in any scenario."""
        return (*BUILTIN_SERVICES, *((WEB,) if self.web else ()))

    @property
    def codename(self) -> str:
        """The name of the Debian release: `bookworm`."""
        return debian_codename(self.distro_version)

    def for_scenario(self, name: str) -> Manifest:
        """The description with the overlay of a scenario merged; `scenarios` is unchanged.

        Maps merge, any other value replaces (also a list of hooks). In ci `odoo_conf.options.db_name` is removed: an image
        is not bound to one database.
        """
        overlay = self.scenarios.get(name, {})
        merged: dict[str, Any] = {key: merge(getattr(self, key), overlay.get(key, {})) for key in OVERLAY_KEYS}
        if name == "ci" and "db_name" in merged["odoo_conf"].get("options", {}):
            options = {key: value for key, value in merged["odoo_conf"]["options"].items() if key != "db_name"}
            merged["odoo_conf"] = {**merged["odoo_conf"], "options": options}
        return replace(self, **merged)

    def for_target(self, target: Target) -> Manifest:
        """The description with the domain and the backups of a target; the overlay of its scenario is merged before."""
        web = self.web
        if target.domain:
            web = replace(web, domain=target.domain) if web else Web(domain=target.domain)
        return replace(self, web=web, backup=target.backup or self.backup)


@dataclass(frozen=True, slots=True)
class ManifestResult:
    """A manifest and the warnings about it."""

    manifest: Manifest
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DependencyManifest:
    """The part of a dependency's own `odpm.json` that adds to the graph; None: not set there."""

    dependencies: tuple[Link, ...] = ()
    requirements: tuple[str, ...] = ()
    odoo_version: str | None = None
    python: str | None = None


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Maps merge at every depth, any other value of the overlay replaces. Order: the keys of the base, then new ones."""
    result = dict(base)
    for key, value in overlay.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def debian_codename(version: str) -> str:
    """`12`, `12.5` and `bookworm` give `bookworm`. Errors: ValueError for an unsupported release."""
    word = version.strip().lower()
    major = word.partition(".")[0]
    if word in DEBIAN.values():
        return word
    if major.isdecimal() and int(major) in DEBIAN:
        return DEBIAN[int(major)]
    known = ", ".join(f"{number} {name}" for number, name in DEBIAN.items())
    raise ValueError(f"is not a supported Debian release ({known})")
