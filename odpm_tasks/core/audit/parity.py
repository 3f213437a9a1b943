"""Whether images hold the same, and which of their differences their scenarios explain.

A scenario explains a difference only where each image has exactly what its own scenario wants there: a debugger in the
image of developer is explained, the same debugger in that of ci is not.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from odpm_tasks.core.audit.census import Census
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.image.dockerfile import CONFIGURATION
from odpm_tasks.core.locking.diff_python import read_python_lock
from odpm_tasks.core.odoo.conf import GEVENT_NAMES, ConfSpec
from odpm_tasks.core.stack.render import Stack, render

BYTE_CODE = "/var/lib/odoo/.cache/pycache"
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|private", re.IGNORECASE)
_IN_URL = re.compile(r"://[^/@\s]+@")

Fact = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in all images: what kind of thing, its name, and its value in each; None: not there.

    `reason`: why the scenarios explain it; empty where they do not. Values that are secrets are not told.
    """

    what: str
    name: str
    values: tuple[str | None, ...]
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """What each image may have of one thing, and why."""

    values: Mapping[str, Collection[str | None]]
    why: str


def facts(contents: Census) -> dict[Fact, str]:
    """Everything of an image that is compared, as text by kind and name."""
    found: dict[Fact, str] = {
        ("system", "distribution"): contents.distribution,
        ("system", "Python"): contents.python,
        ("system", "Odoo"): contents.odoo,
    }
    found |= {("system package", f"{each.name}:{each.arch}"): each.version for each in contents.system}
    found |= {("Python package", canonicalize_name(each.name)): each.version for each in contents.packages}
    found |= {("Node package", f"{each.name}@{each.version}"): "yes" for each in contents.node}
    found |= {("font", path): digest[:12] for path, digest in contents.fonts.items()}
    found |= {("environment", name): value for name, value in contents.environment.items()}
    empty = set(contents.missing)
    found |= {("addons path", entry): "no add-on there" if entry in empty else "yes" for entry in contents.addons_path}
    found |= {
        ("add-on", each.path): each.version + ("" if each.installable else " (not installable)")
        for each in contents.addons
    }
    found |= {
        ("configuration", f"{section}.{key}"): value
        for section, keys in contents.configuration.items()
        for key, value in keys.items()
        if key != "addons_path"
    }
    return found | {("runs as another user", path): "yes" for path in contents.setuid}


def differences(
    images: Mapping[str, Census], explanations: Mapping[Fact, Explanation] | None = None
) -> tuple[Difference, ...]:
    """What is not the same in all images, in the order of `facts`, by name; each with its reason where it has one."""
    known = explanations or {}
    found = {label: facts(contents) for label, contents in images.items()}
    every = dict.fromkeys(fact for each in found.values() for fact in each)
    kinds = list(dict.fromkeys(what for what, _ in every))
    rows = list(_order(images))
    for fact in sorted(every, key=lambda fact: (kinds.index(fact[0]), fact[1])):
        values = {label: each.get(fact) for label, each in found.items()}
        if len(set(values.values())) > 1:
            reason = known.get(fact)
            fits = reason and all(values[label] in reason.values.get(label, ()) for label in values)
            shown = tuple(_public(fact[1], value) for value in values.values())
            rows.append(Difference(*fact, shown, reason.why if reason and fits else ""))
    return tuple(rows)


def _order(images: Mapping[str, Census]) -> Iterable[Difference]:
    """Where the addons paths part that have the same entries: Odoo takes the first add-on of a name."""
    common = set.intersection(*(set(contents.addons_path) for contents in images.values()))
    paths = [[entry for entry in dict.fromkeys(held.addons_path) if entry in common] for held in images.values()]
    for number, entries in enumerate(zip(*paths, strict=True), 1):
        if len(set(entries)) > 1:
            return (Difference("addons path", f"order, entry {number}", entries),)
    return ()


def _public(name: str, value: str | None) -> str | None:
    """A value as everybody may see it."""
    if not value:
        return value
    return "***" if _SECRET.search(name) else _IN_URL.sub("://***@", value)


def explanations(stacks: Mapping[str, Stack]) -> dict[Fact, Explanation]:
    """What may differ between the images of a project's scenarios, by the name under which each is compared."""
    return {**_developer_packages(stacks), **_byte_code(stacks), **_configuration(stacks)}


def _developer_packages(stacks: Mapping[str, Stack]) -> dict[Fact, Explanation]:
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


def _byte_code(stacks: Mapping[str, Stack]) -> dict[Fact, Explanation]:
    allowed = {label: {BYTE_CODE if stack.scenario.mounts else None} for label, stack in stacks.items()}
    return {("environment", "PYTHONPYCACHEPREFIX"): Explanation(allowed, "byte code of mounted sources")}


def _configuration(stacks: Mapping[str, Stack]) -> dict[Fact, Explanation]:
    """Options that the scenario or its overlay decides, each with the value that this scenario's odoo.conf has."""
    wanted = {label: _parsed(stack) for label, stack in stacks.items()}
    why = {("options", key): "set by the scenario" for key in _by_scenario()}
    why["options", "db_name"] = "an image is made for no single database"
    for stack in stacks.values():
        for name, overlay in stack.manifest.scenarios.items():
            for section, keys in overlay.get("odoo_conf", {}).items():
                for key in keys:
                    for word in GEVENT_NAMES if key.lower() in GEVENT_NAMES else (key.lower(),):
                        why[section, word] = f"odpm.json: scenarios.{name}"
    return {
        ("configuration", f"{section}.{key}"): Explanation(
            {label: {conf.get(section, {}).get(key)} for label, conf in wanted.items()}, text
        )
        for (section, key), text in why.items()
    }


def _by_scenario() -> set[str]:
    """The options that odoo.conf has by scenario where the description says nothing."""
    each = [
        {option.key: option.value for option in ConfSpec(name, "19.0", ()).sections[0].options} for name in SCENARIOS
    ]
    return {key for options in each for key in options if len({other.get(key) for other in each}) > 1}


def _parsed(stack: Stack) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(render(stack).files[f".odpm/{CONFIGURATION}"].decode())
    return {section: dict(parser.items(section)) for section in parser.sections()}
