"""The options of `plan` and `up`, from the command line and from a saved plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odpm_tasks.core.planning.options import RunOptions
    from odpm_tasks.planning.converge import BeforeRound
    from odpm_tasks.project import Project


def project_for(options: RunOptions) -> Project:
    """The project of the current folder with these options. Errors: UsageError for an option that only
    `developer` has."""
    from odpm_tasks.core.planning.options import DEBUG_VALUES
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    project = Project.find().with_options(options)
    if options.debug and options.no_debug:
        raise UsageError("--debug cannot be combined with --no-debug", todo="leave one of them out")
    if options.debug not in {"", *DEBUG_VALUES}:
        raise UsageError(f"--debug={options.debug} is unknown", todo="--debug, or --debug=wait to wait for a client")
    if (options.dev or options.debug) and not project.scenario.developer:
        raise UsageError(
            f"--dev and --debug are available in developer only, the scenario is {project.scenario.name}",
            todo="ODPM_SCENARIO=developer inv up …",
        )
    return project


def from_saved_plan(file: str, options: RunOptions) -> tuple[Project, Sequence[str], BeforeRound]:
    """The project with the options of a saved plan, the ids of its steps, and the check of each round against the plan.

    Errors: UsageError if the plan is of another project or scenario, or if `options` is not empty.
    """
    from odpm_tasks.core.planning.saved import check_fits
    from odpm_tasks.errors import UsageError
    from odpm_tasks.planning import saved as saved_plans
    from odpm_tasks.project import Project

    if given := options.given():
        raise UsageError(
            f"--plan cannot be combined with {given[0]}",
            todo=f"omit it, or save a plan with it: inv plan {given[0]} … --out {file}",
        )
    path = Path(file)
    saved = saved_plans.load(path)
    found = Project.find()
    check_fits(saved, saved_plans.identity(found.paths), found.scenario.name, file)
    project = project_for(saved.options)
    until = step_ids(saved.options)
    return project, until, saved_plans.plan_check(project.paths, until, project.options, saved, path)


def step_ids(options: RunOptions) -> Sequence[str]:
    """The ids of the steps of a run with these options."""
    from odpm_tasks.project import ORDER, PREPARING

    return PREPARING if options.skip_start else ORDER
