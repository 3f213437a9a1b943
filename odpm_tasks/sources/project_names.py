"""The names of a project on this machine, as far as its description and its checkout give them: known without a lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.names import project_name
from odpm_tasks.core.config.paths import ProjectPaths

if TYPE_CHECKING:
    from odpm_tasks.core.manifest.model import Manifest

Remotes = Sequence[tuple[str, str]]  # names and URLs, `origin` first


def remotes(paths: ProjectPaths) -> Remotes:
    """The remotes of the developing checkout; empty where it is not a git repository."""
    return git.remotes(paths.root) if (paths.root / ".git").exists() else ()


def stack_name(paths: ProjectPaths, manifest: Manifest, remotes: Remotes) -> str:
    """The project's name: of `developing.git`, else of the checkout's `origin`, else of its folder."""
    if manifest.developing:
        return project_name(manifest.developing.name)
    url = dict(remotes).get("origin")
    last = url.rstrip("/").removesuffix(".git").replace(":", "/").rsplit("/", 1)[-1] if url else paths.root.name
    return project_name(last)


def compose_name(paths: ProjectPaths, manifest: Manifest) -> str:
    """The project name for Compose: the prefix of the names of containers and volumes."""
    return paths.settings.get("ODPM_COMPOSE_PREFIX") or stack_name(paths, manifest, remotes(paths))


def chosen_database(paths: ProjectPaths, manifest: Manifest, named: str = "") -> str:
    """The database that an option (`named`), a setting or the description names; empty: it has the name of the folder."""
    return named or paths.settings.get("ODPM_DATABASE") or manifest.odoo_conf.get("options", {}).get("db_name", "")


def database_name(paths: ProjectPaths, manifest: Manifest, named: str = "") -> str:
    """The project's database. `named`: by an option."""
    return chosen_database(paths, manifest, named) or paths.root.name


def task_container(project: str) -> str:
    """The container in which a task runs Odoo beside the services. `project`: the name for Compose."""
    return f"{project}-task"
