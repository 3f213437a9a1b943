"""Tasks that prepare: lock, plan, render, build, build-image, validate, migrate. None of them starts a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.core.planning.options import ASK_INDEX, NO_GIT_UPDATE, RunOptions
from odpm_tasks.tasks.base import Context, check_format, task
from odpm_tasks.tasks.options import project_for, step_ids

if TYPE_CHECKING:
    from collections.abc import Sequence


@task(
    run_options="plan",
    help={
        "diff": "Show the changes: the unified diff of each generated file, the commits of each moving repository.",
        "format": "text or json.",
        "strict": "Exit 2 when something that exists differs from the description.",
        "verbose": "Show every step, including kept and skipped ones.",
        "out": "Save the plan to this file; `inv up --plan FILE` performs exactly this plan, or refuses.",
        "refresh": "Query servers for what lock and cache do not contain; fills the cache, writes nothing in the project.",
    },
)
def plan(
    c: Context,
    diff: bool = False,
    format: str = "text",
    strict: bool = False,
    verbose: bool = False,
    out: str = "",
    refresh: bool = False,
    *,
    options: RunOptions,
) -> None:
    """Show what `inv up` would do.

    Changes nothing and, without --refresh, makes no network request.
    """
    from pathlib import Path

    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.errors import DriftError, UsageError

    check_format(format)
    if refresh and out:  # `up --plan` compares with what can be observed offline
        raise UsageError(
            "--out cannot be combined with --refresh",
            todo=f"inv plan --refresh && inv plan --out {out}",
        )
    if refresh and options.no_git_update:
        raise UsageError("--refresh cannot be combined with --no-git-update", todo="leave one of them out")
    project = project_for(options)
    made = project.plan(step_ids(options), refresh=refresh)
    from odpm_tasks.core.planning.observed import database_warnings, new_addons
    from odpm_tasks.tasks import output

    for warning in (*made.observed.warnings, *made.observed.notes, *database_warnings(made.observed)):
        terminal.warn(warning)
    if new := new_addons(made.observed):
        terminal.warn(f"new in this project, not installed: {', '.join(new)} (inv up -i {','.join(new)})")
    text = output.plan(project.paths, made, as_json=format == "json", diff=diff, verbose=verbose)
    # with `--out /dev/stdout` the saved plan is the only result
    (terminal.message if out and files.is_standard_output(Path(out)) else terminal.output)(text)
    if out:
        from odpm_tasks.planning import saved

        saved.save(project.paths, made, options, Path(out))
        terminal.message(f"saved; run it: inv up --plan {'FILE' if files.is_stream(Path(out)) else out}")
    if strict and made.drift:
        blocked = [step for step in made.drift if step.action == "blocked"]
        many = f"{len(blocked or made.drift)} step{'s' if len(blocked or made.drift) > 1 else ''}"
        if blocked:
            raise DriftError(
                f"{many} blocked: inv up would refuse",
                details=[f"{step.id}  {step.target}  {step.detail}" for step in blocked[:3]],
                todo="inv up names the command that keeps your work",
            )
        raise DriftError(
            f"drift: {many} would change something that exists",
            details=[f"{step.id}  {step.target or step.detail}" for step in made.drift[:3]],
            todo="inv up applies the description; inv plan --diff shows the changes",
        )


@task(help={"no_git_update": NO_GIT_UPDATE})
def render(c: Context, no_git_update: bool = False) -> None:
    """Resolve, check out and write every generated file; touch no Docker engine."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.project import PREPARING, Project

    if not Project.find().with_options(RunOptions(no_git_update=no_git_update)).converge(PREPARING).changed:
        terminal.message("nothing to do")


@task(help={"ask_index": ASK_INDEX, "format": "text or json."})
def validate(c: Context, ask_index: bool = False, format: str = "text") -> None:
    """Check odpm.json, the lock and the add-ons; list every problem at once."""
    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.core.manifest.reader import invalid, problems
    from odpm_tasks.core.odoo.addon_checks import require_addons
    from odpm_tasks.core.reports import report
    from odpm_tasks.errors import DescriptionError
    from odpm_tasks.project import Project

    check_format(format)
    project = Project.find()
    _ = project.scenario
    errors, warnings = problems(files.read_text(project.paths.manifest) or "", project.paths.settings.get)
    found = list(warnings)

    def finish(errors: Sequence[str] = ()) -> None:
        for warning in found:
            terminal.warn(warning)
        if format == "json":
            terminal.output(report({"valid": not errors, "errors": list(errors), "warnings": found}))
        elif not errors:
            terminal.output("odpm.json is valid")

    if errors:
        finish(errors)
        raise invalid("odpm.json", errors)
    lock = project.lock
    try:
        _ = project.manifest
    except DescriptionError:  # a variable without a value, which is a warning here
        terminal.message("add-ons are not checked: variables of odpm.json are not set")
    else:
        findings = project.check_addons(ask_index=ask_index)
        if findings is None and lock:
            terminal.message("add-ons of dependencies are not checked: the lock or the cache is incomplete (inv lock)")
        try:
            if findings and project.scenario.strict:
                require_addons(findings)
        except DescriptionError as error:
            finish((error.what, *error.details))
            raise
        found += findings.texts(strict=project.scenario.strict) if findings else ()
    finish()


@task(
    help={
        "write": "Write the result instead of showing the difference.",
        "drop_unknown": "With --write: drop keys that do not exist in the nested format.",
        "no_locks": "Do not copy the pins of the lock into locks.git, where they would override it.",
    }
)
def migrate(c: Context, write: bool = False, drop_unknown: bool = False, no_locks: bool = False) -> None:
    """Show, or write, odpm.json in the nested format (v2)."""
    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.core.manifest import migrate as migration
    from odpm_tasks.core.manifest.personal_settings import SECRETS, USER_SETTINGS
    from odpm_tasks.errors import DescriptionError
    from odpm_tasks.project import Project

    project = Project.find()
    text = files.read_text(project.paths.manifest) or ""
    result = migration.migrate(
        text,
        user_settings=files.read_text(project.root / USER_SETTINGS),
        secrets=files.read_text(project.root / SECRETS),
        lock_text=None if no_locks else files.read_text(project.paths.lock),
    )
    if result.already_v2:
        terminal.message("odpm.json is in the nested format already; nothing to do")
        return
    for key in result.unplaced:
        terminal.warn(f"{key} has no place in the nested format")
    for note in result.notes:
        terminal.message(note)
    if not write:
        terminal.output(migration.unified(text, result.new_text, "odpm.json").rstrip("\n"))
        return
    if result.unplaced and not drop_unknown:
        raise DescriptionError(
            "keys would be lost: " + ", ".join(result.unplaced),
            where="odpm.json",
            todo="inv migrate --write --drop-unknown",
        )
    with project.exclusive():
        files.write(project.paths.manifest, result.new_text.encode())
    terminal.message("odpm.json is written in the nested format")
