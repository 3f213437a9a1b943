"""Compare the content of images, and explain differences by their scenarios; by their platforms: `platform_parity`.

A difference is explained only if each image has exactly the value of its own scenario: a debugger in the image of developer
is explained, the same debugger in the image of ci is not.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from odpm_tasks.core.audit.census import Census, Package
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.image.dockerfile import CONFIGURATION
from odpm_tasks.core.locking.diff_packages import read_python_lock
from odpm_tasks.core.odoo.conf import GEVENT_NAMES, ConfSpec
from odpm_tasks.core.stack.render import Stack, render

BYTE_CODE = "/var/lib/odoo/.cache/pycache"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private", re.IGNORECASE)
_IN_URL = re.compile(r"://[^/@\s]+@")

Item = tuple[str, str]  # kind and name


@dataclass(frozen=True)
class Difference:
    """An item that differs between the images: kind, name, and the value in each image (None: absent; secrets are masked).

    `reason`: the explanation by the scenarios; empty if there is none.
    """

    kind: str
    name: str
    values: tuple[str | None, ...]
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """The values of an item that each image may have, by label, and the reason."""

    values: Mapping[str, Collection[str | None]]
    reason: str


def system_name(package: Package, census: Census) -> str:
    """The name of a system package for a comparison of platforms: with the architecture only where it is not the image's."""
    return package.name if package.arch in (census.architecture, "all") else f"{package.name}:{package.arch}"


def items(census: Census, *, platforms: bool = False) -> dict[Item, str]:
    """All compared items of an image: kind and name -> value. `platforms`: images for different processors are compared."""
    found: dict[Item, str] = {
        ("system", "distribution"): census.distribution,
        ("system", "Python"): census.python,
        ("system", "Odoo"): census.odoo,
    }
    found |= {
        ("system package", system_name(each, census) if platforms else f"{each.name}:{each.arch}"): each.version
        for each in census.system
    }
    found |= {("Python package", canonicalize_name(each.name)): each.version for each in census.packages}
    found |= {("Node package", f"{each.name}@{each.version}"): "yes" for each in census.node}
    found |= {("font", path): digest[:12] for path, digest in census.fonts.items()}
    found |= {("environment", name): value for name, value in census.environment.items()}
    empty = set(census.missing)
    found |= {("addons path", entry): "no add-on" if entry in empty else "yes" for entry in census.addons_path}
    found |= {
        ("add-on", each.path): each.version + ("" if each.installable else " (not installable)")
        for each in census.addons
    }
    found |= {
        ("configuration", f"{section}.{key}"): value
        for section, keys in census.configuration.items()
        for key, value in keys.items()
        if key != "addons_path"
    }
    return found | {("runs as another user", path): "yes" for path in census.setuid}


def differences(
    images: Mapping[str, Census], explanations: Mapping[Item, Explanation] | None = None, *, platforms: bool = False
) -> tuple[Difference, ...]:
    """The items that differ between the images, sorted by kind (in the order of `items`) and name, with their explanations.

    `platforms`: the images are for different processors.
    """
    known = explanations or {}
    values_by_image = {label: items(census, platforms=platforms) for label, census in images.items()}
    every = dict.fromkeys(item for each in values_by_image.values() for item in each)
    kinds = list(dict.fromkeys(kind for kind, _ in every))
    rows = list(_order(images))
    for item in sorted(every, key=lambda item: (kinds.index(item[0]), item[1])):
        values = {label: each.get(item) for label, each in values_by_image.items()}
        if len(set(values.values())) > 1:
            explanation = known.get(item)
            explained = explanation and all(values[label] in explanation.values.get(label, ()) for label in values)
            shown = tuple(_masked(item[1], value) for value in values.values())
            rows.append(Difference(*item, shown, explanation.reason if explanation and explained else ""))
    return tuple(rows)


def package_notes(failing: Iterable[Difference], states: Mapping[str, str]) -> tuple[str, ...]:
    """The reason for other versions of system packages: images that were built from different states of the Debian archive.

    `states`: the state by image, "" where it is not known.
    """
    if len(set(states.values())) < 2 or not any(row.kind == "system package" for row in failing):
        return ()
    return (
        "the images have packages of different states of the Debian archive: "
        + "; ".join(f"{name}: {state or 'not known'}" for name, state in states.items()),
    )


def _order(images: Mapping[str, Census]) -> Iterable[Difference]:
    """The first difference in the order of the common entries of the addons paths; Odoo uses the first add-on of a name."""
    common = set.intersection(*(set(census.addons_path) for census in images.values()))
    paths = [[entry for entry in dict.fromkeys(census.addons_path) if entry in common] for census in images.values()]
    for number, entries in enumerate(zip(*paths, strict=True), 1):
        if len(set(entries)) > 1:
            return (Difference("addons path", f"order, entry {number}", entries),)
    return ()


def _masked(name: str, value: str | None) -> str | None:
    """The value with secrets and credentials masked."""
    if not value:
        return value
    return "***" if _SECRET.search(name) else _IN_URL.sub("://***@", value)


def explanations(stacks: Mapping[str, Stack]) -> dict[Item, Explanation]:
    """The allowed differences between the images of a project's scenarios, by item."""
    return {**_developer_packages(stacks), **_byte_code(stacks), **_configuration(stacks)}


def _developer_packages(stacks: Mapping[str, Stack]) -> dict[Item, Explanation]:
    main, developer = (
        read_python_lock("\n".join(stack.locks[number].decode(errors="replace") for stack in stacks.values()))
        for number in (0, 1)
    )
    found = {}
    for name in sorted(developer.keys() - main.keys()):
        versions = {row.version for row in developer[name]}
        allowed = {label: versions if stack.scenario.developer else {None} for label, stack in stacks.items()}
        found["Python package", name] = Explanation(allowed, "in .odpm/requirements.developer.lock")
    return found


def _byte_code(stacks: Mapping[str, Stack]) -> dict[Item, Explanation]:
    allowed = {label: {BYTE_CODE if stack.scenario.mounts else None} for label, stack in stacks.items()}
    return {("environment", "PYTHONPYCACHEPREFIX"): Explanation(allowed, "byte code of mounted sources")}


def _configuration(stacks: Mapping[str, Stack]) -> dict[Item, Explanation]:
    """Options that the scenario or its overlay sets, with the value in each scenario's odoo.conf."""
    expected = {label: _parsed(stack) for label, stack in stacks.items()}
    reasons = {("options", key): "set by the scenario" for key in _by_scenario()}
    reasons["options", "db_name"] = "an image is not for a single database"
    for stack in stacks.values():
        for name, overlay in stack.manifest.scenarios.items():
            for section, keys in overlay.get("odoo_conf", {}).items():
                for key in keys:
                    for option in GEVENT_NAMES if key.lower() in GEVENT_NAMES else (key.lower(),):
                        reasons[section, option] = f"odpm.json: scenarios.{name}"
    return {
        ("configuration", f"{section}.{key}"): Explanation(
            {label: {conf.get(section, {}).get(key)} for label, conf in expected.items()}, reason
        )
        for (section, key), reason in reasons.items()
    }


def _by_scenario() -> set[str]:
    """The options whose defaults in odoo.conf depend on the scenario."""
    each = [
        {option.key: option.value for option in ConfSpec(name, "19.0", ()).sections[0].options} for name in SCENARIOS
    ]
    return {key for options in each for key in options if len({other.get(key) for other in each}) > 1}


def _parsed(stack: Stack) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(render(stack).files[f".odpm/{CONFIGURATION}"].decode())
    return {section: dict(parser.items(section)) for section in parser.sections()}
