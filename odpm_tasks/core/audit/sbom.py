"""The bill of materials of an image: CycloneDX 1.6, as JSON.

It lists what the census of the image found: the distribution, its packages, Python and its packages, those of Node, Odoo, and
every add-on with the repository and commit it comes from. Deterministic: the same contents give the same bytes, whatever the
order in which they were found. Formats: https://cyclonedx.org/docs/1.6/json and, for package URLs,
https://github.com/package-url/purl-spec (types deb, pypi, npm, github, generic, oci).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from odpm_tasks.core.audit import licenses
from odpm_tasks.core.audit.census import Addon, Census, Package
from odpm_tasks.core.config.paths import SOURCE_ROOT
from odpm_tasks.core.sources.link import canonical

if TYPE_CHECKING:  # heavy: imported where it is used
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import License
    from packageurl import PackageURL

_GITHUB = "https://github.com/"
_OPERATORS = {"AND", "OR", "WITH"}
_LONGEST = 100  # characters of a licence's name


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a folder of sources comes from: its canonical URL and the commit."""

    url: str
    commit: str


def sbom(
    contents: Census,
    *,
    name: str,
    digest: str,
    sources: Mapping[str, Repository],
    epoch: int,
    tool_version: str,
) -> str:
    """The bill of materials of the image `name` with this digest.

    `sources`: by the name of the folder. `epoch`: seconds, the time that the image's layers bear. The serial number follows
    from the digest and what is listed.
    """
    from cyclonedx.output.json import JsonV1Dot6

    bom = _bom(contents, name, digest, sources)
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.tools.components.add(_application("odpm-tasks", tool_version))
    bom.serial_number = uuid.UUID(int=0)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{digest}\n{text}")
    return text.replace(bom.serial_number.urn, serial.urn, 1) + "\n"


def _bom(contents: Census, name: str, digest: str, sources: Mapping[str, Repository]) -> Bom:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle

    addons = {addon.path: _addon(addon, sources) for addon in contents.addons}
    first: dict[str, BomRef] = {}  # of two add-ons with one name Odoo takes the first
    needs: dict[BomRef, set[BomRef]] = {}
    for addon in contents.addons:
        first.setdefault(addon.name, addons[addon.path].bom_ref)
    for addon in contents.addons:
        ref = addons[addon.path].bom_ref
        needs[ref] = {first[wanted] for wanted in addon.depends if wanted in first} - {ref}
    others = [
        *_system(contents),
        *map(_python, contents.packages),
        *_node(contents),
        *_odoo(contents, sources),
    ]
    listed = {component.bom_ref: component for component in (*others, *addons.values())}

    bom = Bom(components=listed.values())
    bom.metadata.component = _image(name, digest)
    bom.metadata.lifecycles.add(PredefinedLifecycle(LifecyclePhase.POST_BUILD))
    needs |= {bom.metadata.component.bom_ref: set(listed)}
    bom.dependencies.update(
        Dependency(ref, (Dependency(wanted) for wanted in needs.get(ref, ())))
        for ref in (bom.metadata.component.bom_ref, *listed)
    )
    return bom


def _image(name: str, digest: str) -> Component:
    """The image itself; a purl names it by the last part of its name, registry and tag are hints where to find it."""
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


def _system(contents: Census) -> Iterable[Component]:
    """The distribution, its packages, and the Python that is none of them."""
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    distribution, _, release = contents.distribution.partition(" ")
    vendor = distribution or "debian"
    if distribution:
        ref = f"os:{distribution}@{release}"
        yield Component(type=ComponentType.OPERATING_SYSTEM, name=distribution, version=release or None, bom_ref=ref)
    if contents.python:
        purl = PackageURL("generic", None, "python", contents.python)
        yield _component(ComponentType.APPLICATION, "python", contents.python, purl)
    for package in contents.system:
        qualifiers = {"arch": package.arch, "distro": f"{vendor}-{release}" if release else ""}
        purl = PackageURL("deb", vendor, package.name, package.version, qualifiers)
        yield _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)


def _python(package: Package) -> Component:
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, package.name, package.version)
    return _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)


def _node(contents: Census) -> Iterable[Component]:
    """What npm has installed. A `package.json` may say anything; what has no name there is nothing one can list."""
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    for package in contents.node:
        if parts := [part for part in package.name.split("/") if part.strip()]:
            purl = PackageURL("npm", "/".join(parts[:-1]) or None, parts[-1], package.version)
            yield _component(ComponentType.LIBRARY, package.name, package.version, purl, package.licenses)


def _odoo(contents: Census, sources: Mapping[str, Repository]) -> Iterable[Component]:
    """The server, which is no add-on: it comes with `base` and has its licence."""
    from cyclonedx.model.component import ComponentType

    base = next((addon for addon in contents.addons if addon.name == "base"), None)
    if contents.odoo:
        version = contents.odoo.rpartition(" ")[2]
        repository = sources.get(base.source) if base else None
        component = _component(ComponentType.FRAMEWORK, "odoo", version, _purl("odoo", version, "", repository))
        if base:
            component.licenses.update(_licenses([licenses.spdx(base.license) or base.license]))
        _trace(component, base.source if base else "", repository)
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
    _trace(component, addon.source, repository)
    return component


def _purl(name: str, version: str, path: str, repository: Repository | None) -> PackageURL:
    """A part of a repository: named by GitHub's owner and repository where it is there, else by its own name."""
    from packageurl import PackageURL

    url = _address(repository)
    owner, _, repo = url.removeprefix(_GITHUB).partition("/")
    if repository and url.startswith(_GITHUB) and repo and "/" not in repo:
        return PackageURL("github", owner, repo, repository.commit, subpath=path)
    qualifiers = {"vcs_url": f"git+{url}@{repository.commit}"} if repository and url else {}
    return PackageURL("generic", None, name, version or None, qualifiers, path)


def _trace(component: Component, source: str, repository: Repository | None) -> None:
    """Where it comes from. A folder of the building machine is told by its name: its path means nothing elsewhere."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri

    url = _address(repository)
    if url:
        component.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(url)))
    if source or url:
        component.properties.add(Property(name="odpm:repository", value=url or source))
    if repository:
        component.properties.add(Property(name="odpm:commit", value=repository.commit))


def _address(repository: Repository | None) -> str:
    """The canonical URL, so without user and password; empty for a folder of this machine and for what is no URL."""
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
    """Identifiers and expressions of SPDX as such, anything else by name. An expression has to stand alone, else it is a name."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
    from cyclonedx.spdx import fixup_id

    said = sorted({" ".join(word.split())[:_LONGEST] for word in words} - {""})
    if len(said) == 1 and not fixup_id(said[0]) and _is_expression(said[0]):
        return [LicenseExpression(said[0])]
    return [
        DisjunctiveLicense(id=known) if (known := fixup_id(word)) else DisjunctiveLicense(name=word) for word in said
    ]


def _is_expression(word: str) -> bool:
    """The library takes for one also what people merely use to say, such as `GPL`."""
    from cyclonedx.spdx import fixup_id, is_expression

    return is_expression(word) and all(fixup_id(name) or name in _OPERATORS for name in re.findall(r"[^\s()]+", word))
