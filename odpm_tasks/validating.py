"""The step `compose.validate`: what Compose, or without it the schema of its specification, has against the services."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from odpm_tasks import running
from odpm_tasks.adapters import command, docker, files
from odpm_tasks.core import own_yaml
from odpm_tasks.core.compose_check import loose_ends, schema_problems, spot, what_compose_said
from odpm_tasks.core.json_text import spell
from odpm_tasks.core.manifest_fields import Problem
from odpm_tasks.core.place import Place
from odpm_tasks.core.service_parts import build_folders
from odpm_tasks.core.substitution import expand
from odpm_tasks.errors import DescriptionError
from odpm_tasks.observe import Sight
from odpm_tasks.state import remember

SCHEMA = Path(__file__).parent / "templates" / "compose-spec.json"


def validate(place: Place, sight: Sight) -> None:
    """See that every variable is set and that the services can be started. Errors: DescriptionError with the field.

    The compose file lies on disk by now. No engine, and no password, is needed.
    """
    assert sight.world.rendered is not None
    demand_variables(place, sight)
    text = sight.world.rendered.files["docker-compose.yml"]
    data = own_yaml.load(text.decode())
    found = [*loose_ends(data), *_missing_folders(place, data)]
    if not found:
        by_compose = _asked_of_compose(place)
        found = list(schema_problems(data, json.loads(SCHEMA.read_bytes()))) if by_compose is None else by_compose
    if found:
        raise _refused(sight, found)
    remember(place, validated=files.sha256(text))


def _asked_of_compose(place: Place) -> list[Problem] | None:
    """What Compose has to say of the file on disk; None where there is no Compose."""
    if not command.have("docker"):
        return None
    outcome = docker.compose(place.root, running.compose_env(place), "config", "--quiet", check=False)
    if outcome.ok:
        return []
    there = command.run(["docker", "compose", "version"], check=False).ok
    return [what_compose_said(outcome.tail()[-3:])] if there else None


def _refused(sight: Sight, found: list[Problem]) -> DescriptionError:
    world = sight.world
    where = [spot(problem.path, world.manifest, world.fragments, world.scenario.name) for problem in found]
    first, *rest = (f"{place}: {problem.text}" for place, problem in zip(where, found, strict=True))
    return DescriptionError(
        f"Compose does not take the services: {found[0].text}",
        where=where[0],
        details=[line for line in rest if line != first],
        todo="mend the field that is named, then run again",
    )


def _missing_folders(place: Place, data: dict[str, Any]) -> list[Problem]:
    return [
        Problem(("services", name, "build"), f"there is no folder {folder}")
        for name, folder in build_folders(data["services"]).items()
        if "$" not in folder and not (place.root / folder).is_dir()
    ]


def demand_variables(place: Place, sight: Sight) -> None:
    """See that every variable that services and configuration name is set. Errors: DescriptionError with its field."""
    world, lookup = sight.world, place.settings.get
    for block in ("odoo_conf", "services", "service_patches"):
        _expand_all(getattr(world.manifest, block), (block,), lookup, "odpm.json")
    for fragment in world.fragments.each:
        _expand_all(fragment.services, ("services",), lookup, f"{fragment.source}: odpm.json")
        _expand_all(fragment.patches, ("service_patches",), lookup, f"{fragment.source}: odpm.json")


def _expand_all(value: Any, path: tuple[str | int, ...], lookup: Callable[[str], str | None], where: str) -> None:
    if isinstance(value, str):
        expand(value, lookup, f"{where}: {spell(path)}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _expand_all(item, (*path, number), lookup, where)
    elif hasattr(value, "items"):
        for key, item in value.items():
            _expand_all(item, (*path, key), lookup, where)
