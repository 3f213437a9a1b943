"""The SBOM of an image: CycloneDX 1.6, as JSON.

It lists the census of the image: the distribution, its packages, Python and its packages, npm packages, Odoo, and all add-ons
with their repository and commit. The same content gives the same bytes, whatever the order of the census.

Formats: https://cyclonedx.org/docs/1.6/json and, for package URLs,
https://github.com/package-url/purl-spec (types deb, pypi, npm, github, generic, oci).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from odpm_tasks.core.audit import licenses
from odpm_tasks.core.audit.census import Addon, Census, Package
from odpm_tasks.core.config.paths import SOURCE_ROOT
from odpm_tasks.core.sources.link import canonical

if TYPE_CHECKING:  # slow to import: imported where it is used
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import License
    from packageurl import PackageURL

_GITHUB = "https://github.com/"
_OPERATORS = {"AND", "OR", "WITH"}
_MAX_LICENSE_NAME = 100  # characters


@dataclass(frozen=True, slots=True)
class Repository:
    """The origin of a source folder or package: canonical URL, commit, and the folder of a package in the repository.

    `merges`: what is merged onto the commit, as text.
    """

    url: str
    commit: str
    subdirectory: str = ""
    merges: tuple[str, ...] = ()


def sbom(
    census: Census,
    *,
    name: str,
    digest: str,
    sources: Mapping[str, Repository],
    epoch: int,
    tool_version: str,
    packages: Mapping[str, Repository] | None = None,
    system: str = "",
) -> str:
    """The SBOM of the image `name` with this digest.

    `sources`: repository by folder name. `packages`: repository of a Python package from git, by its normalized name.
    `system`: the locked state of the Debian archive. `epoch`: timestamp of the image in seconds. The serial number is derived from
    the digest and the listed components.
    """
    from cyclonedx.output.json import JsonV1Dot6

    bom = _bom(census, name, digest, sources, packages or {}, system)
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.tools.components.add(_application("odpm-tasks", tool_version))
    bom.serial_number = uuid.UUID(int=0)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{digest}\n{text}")
    return text.replace(bom.serial_number.urn, serial.urn, 1) + "\n"


def _bom(
    census: Census,
    name: str,
    digest: str,
    sources: Mapping[str, Repository],
    packages: Mapping[str, Repository],
    system: str,
) -> Bom:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle

    addons = {addon.path: _addon(addon, sources) for addon in census.addons}
    first: dict[str, BomRef] = {}  # of several add-ons with the same name, Odoo uses the first
    dependencies: dict[BomRef, set[BomRef]] = {}
    for addon in census.addons:
        first.setdefault(addon.name, addons[addon.path].bom_ref)
    for addon in census.addons:
        ref = addons[addon.path].bom_ref
        dependencies[ref] = {first[name] for name in addon.depends if name in first} - {ref}
    others = [
        *_system(census, system),
        *(_python(package, packages.get(canonicalize_name(package.name))) for package in census.packages),
        *_node(census),
        *_odoo(census, sources),
    ]
    listed = {component.bom_ref: component for component in (*others, *addons.values())}

    bom = Bom(components=listed.values())
    bom.metadata.component = _image(name, digest)
    bom.metadata.lifecycles.add(PredefinedLifecycle(LifecyclePhase.POST_BUILD))
    dependencies |= {bom.metadata.component.bom_ref: set(listed)}
    bom.dependencies.update(
        Dependency(ref, (Dependency(other) for other in dependencies.get(ref, ())))
        for ref in (bom.metadata.component.bom_ref, *listed)
    )
    return bom


def _image(name: str, digest: str) -> Component:
    """The image itself. Its purl has the last part of the name; registry and tag are qualifiers."""
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    repository = name.partition("@")[0]
    tag = ""
    if ":" in repository.rpartition("/")[2]:
        repository, _, tag = repository.rpartition(":")
    host = repository.partition("/")[0]
    known = "/" in repository and ("." in host or ":" in host or host == "localhost")
    qualifiers = {"repository_url": repository if known else "", "tag": tag}
    purl = PackageURL("oci", None, repository.rpartition("/")[2].lower(), digest or None, qualifiers)
    return _component(ComponentType.CONTAINER, repository, digest, purl)


def _system(census: Census, state: str) -> Iterable[Component]:
    """The distribution with the locked state of its archive, its packages, and Python, which is not a Debian package."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    distribution, _, release = census.distribution.partition(" ")
    vendor = distribution or "debian"
    if distribution:
        ref = f"os:{distribution}@{release}"
        system = Component(type=ComponentType.OPERATING_SYSTEM, name=distribution, version=release or None, bom_ref=ref)
        if state:
            system.properties.add(Property(name="odpm:system", value=state))
        yield system
    if census.python:
        purl = PackageURL("generic", None, "python", census.python)
        yield _component(ComponentType.APPLICATION, "python", census.python, purl)
    for package in census.system:
        qualifiers = {"arch": package.arch, "distro": f"{vendor}-{release}" if release else ""}
        purl = PackageURL("deb", vendor, package.name, package.version, qualifiers)
        yield _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)


def _python(package: Package, repository: Repository | None) -> Component:
    """A Python package; one from git has the address of its commit as `vcs_url`."""
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    url = _address(repository)
    folder = f"#subdirectory={repository.subdirectory}" if repository and repository.subdirectory else ""
    qualifiers = {"vcs_url": f"git+{url}@{repository.commit}{folder}"} if repository and url else {}
    purl = PackageURL("pypi", None, package.name, package.version, qualifiers)
    component = _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)
    _add_origin(component, "", repository)
    return component


def _node(census: Census) -> Iterable[Component]:
    """The npm packages. A `package.json` may contain any name; packages without a valid name are skipped."""
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    for package in census.node:
        if parts := [part for part in package.name.split("/") if part.strip()]:
            purl = PackageURL("npm", "/".join(parts[:-1]) or None, parts[-1], package.version)
            yield _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)


def _odoo(census: Census, sources: Mapping[str, Repository]) -> Iterable[Component]:
    """The server, with source and licence of the add-on `base`."""
    from cyclonedx.model.component import ComponentType

    base = next((addon for addon in census.addons if addon.name == "base"), None)
    if census.odoo:
        version = census.odoo.rpartition(" ")[2]
        repository = sources.get(base.source) if base else None
        component = _component(ComponentType.FRAMEWORK, "odoo", version, _purl("odoo", version, "", repository))
        if base:
            component.licenses.update(_licenses([licenses.spdx(base.license) or base.license]))
        _add_origin(component, base.source if base else "", repository)
        yield component


def _addon(addon: Addon, sources: Mapping[str, Repository]) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import ComponentType

    repository = sources.get(addon.source)
    path = addon.path.removeprefix(f"{SOURCE_ROOT}/{addon.source}/") if repository else addon.path
    purl = _purl(addon.name, addon.version, path, repository)
    words = [licenses.spdx(addon.license) or addon.license]
    component = _component(ComponentType.LIBRARY, addon.name, addon.version, purl, words)
    component.properties.add(Property(name="odpm:kind", value="odoo-addon"))
    if not addon.installable:
        component.properties.add(Property(name="odpm:installable", value="false"))
    _add_origin(component, addon.source, repository)
    return component


def _purl(name: str, version: str, path: str, repository: Repository | None) -> PackageURL:
    """The package URL of a path in a repository: type github for repositories on GitHub, else generic."""
    from packageurl import PackageURL

    url = _address(repository)
    owner, _, repo = url.removeprefix(_GITHUB).partition("/")
    if repository and url.startswith(_GITHUB) and repo and "/" not in repo:
        return PackageURL("github", owner, repo, repository.commit, subpath=path)
    qualifiers = {"vcs_url": f"git+{url}@{repository.commit}"} if repository and url else {}
    return PackageURL("generic", None, name, version or None, qualifiers, path)


def _add_origin(component: Component, source: str, repository: Repository | None) -> None:
    """Add repository and commit. A local folder is given by its name, because its path is not valid on other machines."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri

    url = _address(repository)
    if url:
        component.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(url)))
    if source or url:
        component.properties.add(Property(name="odpm:repository", value=url or source))
    if repository:
        component.properties.add(Property(name="odpm:commit", value=repository.commit))
        for merge in repository.merges:
            component.properties.add(Property(name="odpm:merge", value=merge))


def _address(repository: Repository | None) -> str:
    """The canonical URL without credentials; empty for a local folder or an invalid URL."""
    url = canonical(repository.url) if repository else ""
    return url if url.startswith("https://") and "@" not in url.split("/")[2] else ""


def _application(name: str, version: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(type=ComponentType.APPLICATION, name=name, version=version)


def _component(kind: ComponentType, name: str, version: str, purl: PackageURL, words: Iterable[str] = ()) -> Component:
    from cyclonedx.model.component import Component

    return Component(
        type=kind,
        name=name,
        version=version or None,
        purl=purl,
        bom_ref=purl.to_string(),
        licenses=_licenses(words),
    )


def _licenses(words: Iterable[str]) -> list[License]:
    """SPDX identifiers and expressions as such, all others by name. CycloneDX allows an expression only as the single entry."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import fixup_id

    names = sorted({" ".join(word.split())[:_MAX_LICENSE_NAME] for word in words} - {""})
    if len(names) == 1 and not fixup_id(names[0]) and _is_expression(names[0]):
        return [LicenseExpression(names[0])]
    return [
        DisjunctiveLicense(id=known) if (known := fixup_id(word)) else DisjunctiveLicense(name=word) for word in names
    ]


def _is_expression(word: str) -> bool:
    """Whether it is an SPDX expression. The library also accepts colloquial names such as `GPL`."""
    from cyclonedx.spdx import fixup_id, is_expression

    return is_expression(word) and all(fixup_id(name) or name in _OPERATORS for name in re.findall(r"[^\s()]+", word))
