"""Tasks that prepare: lock, plan, render, build, build-image, validate, migrate. None of them starts a service."""

from __future__ import annotations

from odpm_tasks.tasks import wishes
from odpm_tasks.tasks.base import AS_FOUND, Context, task, words


@task(
    help={
        "update": "Ask every branch for its newest commit, and the package index for newest versions.",
        "only": "With --update: only these repositories (names, comma separated).",
        "check": "Write nothing in the project; exit 3 when the lock is missing, incomplete, stale or contradicted.",
        "sync_manifest_locks": "Also write the pins into `locks` of odpm.json (nested format).",
        "diff": "Write nothing; show what lies between the lock at a commit of the project (default: HEAD) and the lock now.",
        "format": "With --diff: text, json or markdown.",
    },
    optional=["diff"],
)
def lock(
    c: Context,
    update: bool = False,
    only: str = "",
    check: bool = False,
    sync_manifest_locks: bool = False,
    diff: str | bool | None = None,
    format: str = "",
) -> None:
    """Pin what the description asks for: every repository to a commit, every Python package to a version."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.lock import named, names
    from odpm_tasks.errors import LockError, UsageError
    from odpm_tasks.project import Project

    project = Project.find()
    if only and not update:
        raise UsageError("--only goes with --update", todo="inv lock --update --only " + only)
    if diff is not None and diff is not False:  # "" is a name that is not there, not "lock"
        from odpm_tasks.tasks import show

        if update or check or sync_manifest_locks:
            raise UsageError("--diff only shows, and goes with nothing but --format", todo="inv lock --diff")
        terminal.tell(show.lock_diff(project, "HEAD" if diff is True else diff, format or "text"))
        return
    if format:
        raise UsageError("--format goes with --diff", todo=f"inv lock --diff --format {format}")
    if check:
        project.check_lock()
        terminal.tell("the lock is complete and fits the description")
        return
    if project.scenario.strict:
        raise LockError(
            f"inv lock writes the lock, and {project.scenario.name} only follows it",
            todo="ODPM_SCENARIO=developer inv lock, then commit the lock",
        )
    with project.exclusive():
        chosen = words(only)
        known = project.lock.pins if project.lock else {}
        if unknown := [name for name in chosen if not named(known, [name])]:
            raise UsageError(
                f"no repository of the lock is named {unknown[0]!r}",
                todo=f"one of: {', '.join(sorted(names(known).values(), key=str.lower))}",
            )
        resolved = project.resolve(update=update, only=chosen)
        changes = project.write_lock(resolved, fresh_python=update and not chosen)
        synced = sync_manifest_locks and project.sync_manifest_locks()
    for warning in (*project.warnings, *resolved.warnings):
        terminal.warn(warning)
    for change in changes:
        terminal.tell(change)
    if synced:
        terminal.tell("odpm.json: locks written")
    if not changes and not synced:
        terminal.say(f"{len(resolved.sources)} repositories, nothing changed")
    if update and not sync_manifest_locks and project.manifest.locks_git:
        terminal.warn(
            "odpm.json pins commits itself (locks.git) and is followed; --sync-manifest-locks moves those too"
        )


@task(
    short=wishes.SHORT,
    help={
        **wishes.HELP,
        "diff": "Show how: the unified diff of every generated file, the commits of every moving repository.",
        "format": "text or json.",
        "strict": "Exit 2 when something that exists differs from the description.",
        "verbose": "Show every step, also what is kept.",
        "out": "Save the plan to this file; `inv up --plan FILE` does exactly that later, or refuses.",
        "refresh": "Ask servers for what lock and cache cannot tell; fills the cache, writes nothing in the project.",
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
    database: str = "",
    install: str = "",
    update: str = "",
    demo: bool = False,
    dev: str = "",
    debug: bool = False,
    skip_start: bool = False,
    no_git_update: bool = False,
) -> None:
    """Show what `inv up` would do. Changes nothing and, without --refresh, asks no server."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import DriftError, UsageError
    from odpm_tasks.tasks import show

    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    if refresh and out:  # a saved plan is held against what is to be seen offline
        raise UsageError(
            "--out saves what this machine knows by itself, --refresh asks servers first",
            todo=f"inv plan --refresh && inv plan --out {out}",
        )
    if refresh and no_git_update:
        raise UsageError(
            "--no-git-update takes checkouts as they are, so there is nothing to ask", todo="leave one out"
        )
    wished = wishes.wished(database, install, update, demo, dev, debug, skip_start, no_git_update)
    project = wishes.project_for(wished)
    made = project.plan(wishes.steps(wished), refresh=refresh)
    for warning in made.world.warnings:
        terminal.warn(warning)
    terminal.tell(show.plan(project.place, made, as_json=format == "json", diff=diff, verbose=verbose))
    if out:
        from pathlib import Path

        from odpm_tasks import saved_plans

        saved_plans.save(project.place, made, wished, Path(out))
        terminal.say(f"saved; carry it out: inv up --plan {out}")
    if strict and made.drift:
        raise DriftError(
            f"drift: {len(made.drift)} step{'s' if len(made.drift) > 1 else ''} would change what exists",
            details=[f"{step.id}  {step.target}" for step in made.drift[:3]],
            todo="inv up brings it to the description; inv plan --diff shows how",
        )


@task(help={"no_git_update": AS_FOUND})
def render(c: Context, no_git_update: bool = False) -> None:
    """Resolve, check out and write every generated file; touch no Docker engine."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.project import PREPARING, Project

    if not Project.find().wishing(touch_git=not no_git_update).bring(PREPARING).changed:
        terminal.say("nothing to do")


@task(help={"force": "Build even when the image is there, and show the whole log."})
def build(c: Context, force: bool = False) -> None:
    """Build the environment image (Python packages and system libraries), where its inputs changed."""
    from odpm_tasks import building
    from odpm_tasks.adapters import terminal
    from odpm_tasks.project import ORDER, PREPARING, Project

    project = Project.find()
    with project.exclusive():
        if force:
            order = building.Order(show_log=True)
            tag = building.build_image(project.place, project.bring(PREPARING).sight, order).names[0]
        else:
            tag = project.bring(ORDER[: ORDER.index("image.build") + 1]).sight.world.image
    terminal.tell(tag)


@task(
    name="build-image",
    help={
        "tag": "Name of the image (repeat or comma separate for several).",
        "push": "Push it to its registry.",
        "output": "Write it to this archive (.tar).",
        "platform": "Build for these platforms, for example linux/amd64,linux/arm64.",
        "cache_from": "Where earlier layers may come from, as buildx has it (repeat for several).",
        "cache_to": "Where layers are left for the next build, as buildx has it (repeat for several).",
        "sbom": "List what is in it (CycloneDX) in .odpm/build/sbom.cdx.json, and name licences that contradict.",
        "check_licenses": "Fail where licences of add-ons contradict.",
        "no_cache": "Take no step from the build cache.",
        "no_smoke_test": "Give it its name without trying it.",
        "show_log": "Show the whole log of the build.",
        "format": "text or json.",
    },
    iterable=["tag", "cache_from", "cache_to"],
)
def build_image(
    c: Context,
    tag: list[str] | None = None,
    push: bool = False,
    output: str = "",
    platform: str = "",
    cache_from: list[str] | None = None,
    cache_to: list[str] | None = None,
    sbom: bool = False,
    check_licenses: bool = False,
    no_cache: bool = False,
    no_smoke_test: bool = False,
    show_log: bool = False,
    format: str = "text",
) -> None:
    """Build the image that carries everything: sources, Python environment, configuration. Only in the scenario ci."""
    from pathlib import Path

    from odpm_tasks import building
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import PREPARING, Project

    project = Project.find()
    scenario = project.scenario
    tags = words(tag)
    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    if scenario.mounts:
        raise UsageError(
            f"build-image bakes the sources into the image; in {scenario.name} they are mounted from disk",
            where=project.place.settings.where("ODPM_SCENARIO"),
            todo="ODPM_SCENARIO=ci inv build-image; for the environment alone: inv build",
        )
    if push and not tags:
        raise UsageError(
            "--push needs to know where to", todo="inv build-image --tag registry.example/team/odoo:1.0 --push"
        )
    order = building.Order(
        tags, push, words(platform), cache_from or (), cache_to or (), sbom, check_licenses,
        Path(output) if output else None, not no_smoke_test, no_cache, show_log,
    )  # fmt: skip
    with project.exclusive():
        built = building.build_image(project.place, project.bring(PREPARING).sight, order)
    if format == "json":
        terminal.tell(built.json)
        return
    for name in built.names:
        terminal.tell(f"{name}@{built.pushed.get(name) or built.digest}")


@task()
def validate(c: Context) -> None:
    """Check odpm.json and the lock; list every problem at once."""
    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.core.manifest import invalid, problems
    from odpm_tasks.project import Project

    project = Project.find()
    _ = project.scenario
    errors, warnings = problems(files.read_text(project.place.manifest) or "", project.place.settings.get)
    for warning in warnings:
        terminal.warn(warning)
    if errors:
        raise invalid("odpm.json", errors)
    _ = project.lock
    terminal.tell("odpm.json is valid")


@task(
    help={
        "write": "Write the result instead of showing the difference.",
        "drop_unknown": "With --write: give up keys that have no place.",
    }
)
def migrate(c: Context, write: bool = False, drop_unknown: bool = False) -> None:
    """Show, or write, odpm.json in the nested format (v2)."""
    from odpm_tasks.adapters import files, terminal
    from odpm_tasks.core import migrate as migration
    from odpm_tasks.errors import DescriptionError
    from odpm_tasks.project import Project

    project = Project.find()
    text = files.read_text(project.place.manifest) or ""
    result = migration.migrate(
        text,
        user_settings=files.read_text(project.root / "user_settings.json"),
        lock_text=files.read_text(project.place.lock),
    )
    if result.already_v2:
        terminal.say("odpm.json is in the nested format already; nothing to do")
        return
    for key in result.unplaced:
        terminal.warn(f"{key} has no place in the nested format")
    for note in result.notes:
        terminal.say(note)
    if not write:
        terminal.tell(migration.unified(text, result.new_text, "odpm.json").rstrip("\n"))
        return
    if result.unplaced and not drop_unknown:
        raise DescriptionError(
            "keys would be lost: " + ", ".join(result.unplaced),
            where="odpm.json",
            todo="inv migrate --write --drop-unknown",
        )
    with project.exclusive():
        files.write(project.place.manifest, result.new_text.encode())
    terminal.say("odpm.json is written in the nested format")
