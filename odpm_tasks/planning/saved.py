"""Saved plans on disk. This module reads what a plan depends on; `core.planning.saved` has the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from odpm_tasks import project_files
from odpm_tasks.adapters import files
from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, STATE_FILE, ProjectPaths, template_file
from odpm_tasks.core.config.settings import PORTS, WEB_PORTS
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.planning import saved as saved_plan
from odpm_tasks.core.planning.observed import ObservedState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.saved import ExternalInputs, SavedPlan
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.core.stack.render import TEMPLATES
from odpm_tasks.errors import UsageError
from odpm_tasks.planning import observe
from odpm_tasks.sources.project_names import remotes, stack_name

# settings of this library that shape a stack and are no secrets
_SETTINGS = (
    *PORTS, *WEB_PORTS, "ODOO_BIND", "ODPM_WEB_BIND", "ODPM_BASE_IMAGE_PROFILE", "ODPM_COMPOSE_NETWORK", "ODPM_COMPOSE_NETWORK_EXTERNAL",
    "ODPM_COMPOSE_PREFIX", "ODPM_DEBUG", "ODPM_DEV", "ODPM_IDE", "ODPM_IMAGE", "ODPM_IMAGE_MIRROR",
    "ODPM_PROXY",
)  # fmt: skip


def identity(paths: ProjectPaths) -> saved_plan.ProjectIdentity:
    name = stack_name(paths, project_files.description(paths)[0], remotes(paths))
    return saved_plan.ProjectIdentity(folder=paths.root.name, name=name)


def save(paths: ProjectPaths, made: Plan, options: RunOptions, path: Path) -> None:
    """Write a plan to a file, a pipe or a device. Errors: UsageError where the file exists and is not a saved plan."""
    existing = None if files.is_stream(path) else files.read(path)
    if existing is not None:
        try:
            saved_plan.load(existing.decode(errors="replace"), str(path), VERSION)
        except UsageError:
            raise UsageError(
                "this file exists and is not a saved plan of this odpm",
                where=str(path),
                todo="choose another name, or remove the file",
            ) from None
    depends_on = _dependencies(paths, made.observed)
    data = saved_plan.dump(saved_plan.saved(made, identity(paths), options, depends_on, VERSION)).encode()
    if files.is_stream(path):
        files.write_stream(path, data)
    else:
        files.write(path, data)


def load(path: Path) -> SavedPlan:
    """Read a saved plan. Errors: UsageError where the file does not exist or this odpm cannot read it."""
    text = files.read(path)
    if text is None:
        raise UsageError("there is no such file", where=str(path), todo="save a plan first: inv plan --out FILE")
    return saved_plan.load(text.decode(errors="replace"), str(path), VERSION)


def plan_check(
    paths: ProjectPaths, until: Sequence[str], options: RunOptions, saved: SavedPlan, path: Path
) -> Callable[[ObservedState, Sequence[Step]], None]:
    """The check of each round of a run against a saved plan. Errors: DriftError where the plan no longer applies."""
    begun = False

    def check(_: ObservedState, todo: Sequence[Step]) -> None:
        nonlocal begun
        if not begun:  # with Docker, as when the plan was saved
            observed = observe.observe(paths, until, options, docker_early=True)
            saved_plan.check_unchanged(saved.depends_on, _dependencies(paths, observed), str(path))
        saved_plan.check_announced(saved, todo, str(path), begun=begun)
        begun = True

    return check


def _dependencies(paths: ProjectPaths, observed: ObservedState) -> dict[str, str]:
    paths_read = (
        "odpm.json",
        LOCK_FILE,
        *PYTHON_LOCKS,
        *(template_file(name) for name in TEMPLATES),
        STATE_FILE,
    )
    found = {path: files.read(paths.root / path) for path in paths_read}
    get = paths.settings.get
    named = {reference.name for reference in references((found["odpm.json"] or b"").decode(errors="replace"))}
    return saved_plan.dependencies(
        observed,
        ExternalInputs(
            found,
            {name: get(name) for name in _SETTINGS},
            {name: get(name) is not None for name in sorted(named - set(_SETTINGS))},
        ),
    )
