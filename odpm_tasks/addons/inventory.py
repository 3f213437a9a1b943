"""The add-ons of a project, read from commits and folders, and their state in the database."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.addons.graph import AddonGraph, AddonPlace
from odpm_tasks.core.addons.text import InstalledAddon
from odpm_tasks.core.config.paths import ProjectPaths, source_folder
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.observed import RenderedState, ResolvedState
from odpm_tasks.errors import MachineError
from odpm_tasks.sources.facts import folder_facts, stored_facts
from odpm_tasks.stack import compose
from odpm_tasks.stack.databases.contents import database_state
from odpm_tasks.stack.databases.psql import sql

_STATES = "SELECT name, state, coalesce(latest_version, '') FROM ir_module_module"


def addon_graph(paths: ProjectPaths, observed: ResolvedState) -> AddonGraph:
    """Every add-on of the stack, those of the platform with their manifests."""
    places = [AddonPlace("this project", "developing", folder_facts(paths.root))]
    with Reader() as reader:
        for source in observed.resolution.ordered:
            branch = "" if source.link.is_file else source.link.branch or observed.manifest.odoo_version
            places.append(
                AddonPlace(
                    source.name,
                    source.kind,
                    _with_manifests(paths, reader, source),
                    source_folder(source.name),
                    source.key,
                    f"{branch} {source.base[:8]}".strip(),
                )
            )
    return AddonGraph(places)


def _with_manifests(paths: ProjectPaths, reader: Reader, source: Source) -> Facts:
    """The facts of a source. Those of a platform in a resolution have the names of its add-ons only."""
    if source.kind != "platform":
        return source.facts
    if source.link.is_file:
        return folder_facts(Path(source.link.path))
    return stored_facts(paths, reader, source.link, source.commit)


def installed_addons(paths: ProjectPaths, observed: ResolvedState) -> dict[str, InstalledAddon] | None:
    """The state of every add-on in the project's database; None where none runs or exists. Errors: those of `sql`."""
    if not isinstance(observed, RenderedState) or not command.is_installed("docker"):
        return None
    try:
        containers = docker.containers(compose.compose_project(paths, observed.stack))
    except MachineError:
        return None
    database = next((c for c in containers if c.service == "db" and c.state == "running"), None)
    if database is None:
        return None
    if database_state(database.id, observed.database) != "ready":
        return None
    rows = [line.split("\t") for line in sql(database.id, _STATES, observed.database, "\t").splitlines()]
    return {name: InstalledAddon(state, version) for name, state, version in rows}
