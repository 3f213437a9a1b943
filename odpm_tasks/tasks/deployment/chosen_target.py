"""What the tasks `deploy.*` work with: a target, its release in this checkout, its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odpm_tasks.core.manifest.server_model import Target
    from odpm_tasks.core.targets.history import TargetRelease
    from odpm_tasks.core.targets.spec import TargetSpec
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.deployment.targets.release import TargetDeployment
    from odpm_tasks.project import Project


def target_of(project: Project, name: str) -> Target:
    """The target of a name; without a name the only one. Errors: DescriptionError without targets, else UsageError."""
    from odpm_tasks.core.text import nearest
    from odpm_tasks.errors import DescriptionError, UsageError

    known = project.manifest.targets
    if not known:
        raise DescriptionError(
            "the project has no targets",
            where="odpm.json: targets",
            todo='add one, for example "targets": {"production": {"kind": "compose", "domain": "shop.example"}}',
        )
    if not name and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        what = f"there is no target {name!r}{nearest(name, known)}" if name else "which target?"
        raise UsageError(what, where="odpm.json: targets", todo=f"inv deploy.render {next(iter(known))}")
    return known[name]


def deployable(project: Project, name: str) -> Target:
    """A target that odpm deploys to itself. Errors: DescriptionError for another kind."""
    from odpm_tasks.deployment.targets.kinds import DEPLOYABLE
    from odpm_tasks.errors import DescriptionError

    chosen = target_of(project, name)
    if chosen.kind not in DEPLOYABLE:
        raise DescriptionError(
            f"a target of kind {chosen.kind} is rendered here and deployed by its own tools",
            where=f"odpm.json: targets.{chosen.name}.kind",
            todo=f"inv deploy.render {chosen.name}; the commands are in docs/deploy.md",
        )
    return chosen


def spec_of(project: Project, target: Target, image: str, *, versions: bool = False) -> TargetSpec:
    """What a target runs; `versions`: with those of its add-ons.

    Errors: LockError without a complete lock; DescriptionError without an image.
    """
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.config.paths import LOCK_FILE
    from odpm_tasks.core.planning.observed import RenderedState
    from odpm_tasks.core.planning.steps import PREPARING
    from odpm_tasks.deployment.targets import files
    from odpm_tasks.errors import LockError
    from odpm_tasks.project import Project

    found = files.image_of(project.paths, target, image)
    side = Project.at(project.root, ODPM_SCENARIO=target.scenario)
    observed = side.observe(PREPARING)
    if not isinstance(observed, RenderedState):
        raise LockError("the lock is missing or incomplete", where=LOCK_FILE, todo="inv lock, then build the image")
    for warning in found.warnings:
        terminal.warn(warning)
    return files.target_spec(side.paths, observed, target, found.reference, versions=versions)


def deployment_of(project: Project, target: Target, image: str) -> TargetDeployment:
    """The release that this checkout describes for a target. Errors: those of `spec_of`; DescriptionError for an image without digest."""
    from odpm_tasks.deployment.targets import files
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.deployment.targets.release import TargetDeployment
    from odpm_tasks.errors import DescriptionError

    spec = spec_of(project, target, image, versions=True)
    if "@" not in spec.image:
        raise DescriptionError(
            f"{spec.image} has no digest: what is deployed must not change",
            where=f"odpm.json: targets.{target.name}.image",
            todo="ODPM_SCENARIO=ci inv build-image --tag … --push, or --image NAME@sha256:…",
        )
    return TargetDeployment(
        Machine(target, spec.name, spec.image),
        files.target_files(spec),
        spec.image,
        spec.lock,
        spec.manifest.odoo_version,
        spec.database,
        spec.versions,
        files.secret_values(project.paths, target),
    )


def machine_of(project: Project, target: Target) -> Machine:
    """The machine of a target, with the image that runs there. Errors: ProgramError where nothing was deployed."""
    from dataclasses import replace

    from odpm_tasks.deployment.targets.kinds import containers
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.errors import ProgramError
    from odpm_tasks.sources.project_names import remotes, stack_name

    paths = project.paths
    machine = Machine(target, f"{stack_name(paths, project.manifest, remotes(paths))}-{target.name}")
    found = [each["image"] for each in containers(machine) if each["release"]]
    if not found:
        raise ProgramError(f"nothing was deployed to the target {target.name}", todo=f"inv deploy.up {target.name}")
    return replace(machine, image=found[0])


def entries_of(machine: Machine) -> tuple[TargetRelease, ...]:
    from odpm_tasks.core.targets import history as histories
    from odpm_tasks.deployment.targets.deploy import HISTORY

    return histories.read(machine.get(HISTORY))


def told(target: Target, done: TargetRelease) -> str:
    updated = f", updated {', '.join(done.updated)}" if done.updated else ""
    return f"{target.name} runs release {done.id}{updated}"
