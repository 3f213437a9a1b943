"""The step `compose.validate`: check the services with Compose, or with the schema of its specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.docker import compose_cli
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import spell
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack import services
from odpm_tasks.core.stack.compose_errors import compose_problem, schema_problems, undefined_names, written_at
from odpm_tasks.core.stack.services import build_folders
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_state import write_state
from odpm_tasks.stack import compose


def validate(paths: ProjectPaths, observed: RenderedState) -> None:
    """Check that every variable is set and that the services can be started. Errors: DescriptionError with the field.

    The compose file must be on disk. No engine and no password is needed.
    """
    require_variables(paths, observed)
    text = observed.rendered.compose
    data = services.load(text.decode())
    found = [*undefined_names(data), *_missing_folders(paths, data)]
    if not found:
        by_compose = _problems_by_compose(paths)
        found = list(schema_problems(data)) if by_compose is None else by_compose
    if found:
        raise _refused(observed, found)
    write_state(paths, validated=files.sha256(text))


def _problems_by_compose(paths: ProjectPaths) -> list[Problem] | None:
    """The problems that Compose reports for the file on disk; None where Compose is not installed."""
    if not command.is_installed("docker"):
        return None
    outcome = compose_cli.run(compose.command_line(paths), "config", "--quiet", check=False)
    if outcome.ok:
        return []
    installed = command.run(["docker", "compose", "version"], check=False).ok
    return [compose_problem(outcome.tail()[-3:])] if installed else None


def _refused(observed: RenderedState, found: list[Problem]) -> DescriptionError:
    where = [
        written_at(problem.path, observed.manifest, observed.fragments, observed.scenario.name) for problem in found
    ]
    first, *rest = (f"{paths}: {problem.text}" for paths, problem in zip(where, found, strict=True))
    return DescriptionError(
        f"Compose rejects the services: {found[0].text}",
        where=where[0],
        details=[line for line in rest if line != first],
        todo="fix this field, then run the same command again",
    )


def _missing_folders(paths: ProjectPaths, data: dict[str, Any]) -> list[Problem]:
    return [
        Problem(("services", name, "build"), f"there is no folder {folder}")
        for name, folder in build_folders(data["services"]).items()
        if "$" not in folder and not (paths.root / folder).is_dir()
    ]


def require_variables(paths: ProjectPaths, observed: RenderedState) -> None:
    """Check that every variable that services and configuration name is set. Errors: DescriptionError with its field."""
    lookup = paths.settings.get
    for block in ("odoo_conf", "services", "service_patches"):
        _expand_all(getattr(observed.manifest, block), (block,), lookup, "odpm.json")
    for fragment in observed.fragments.items:
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
