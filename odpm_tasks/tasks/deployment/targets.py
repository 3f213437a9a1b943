"""Tasks for other machines: `deploy.*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task

if TYPE_CHECKING:
    from odpm_tasks.core.manifest.server_model import Target
    from odpm_tasks.project import Project


@task(
    word="target",
    help={
        "target": "The target: a name in `targets` of odpm.json.",
        "output": "The folder to write to (default: .odpm/deploy/TARGET).",
        "image": "The image, in place of that of the target or of the last build.",
    },
)
def render(c: Context, target: str = "", output: str = "", image: str = "") -> None:
    """Write the files of a target for Compose, Swarm or Kubernetes."""
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.config.paths import LOCK_FILE
    from odpm_tasks.core.planning.observed import RenderedState
    from odpm_tasks.core.planning.steps import PREPARING
    from odpm_tasks.deployment import targets
    from odpm_tasks.errors import LockError
    from odpm_tasks.project import Project

    project = Project.find()
    chosen = _target(project, target)
    found = targets.image_of(project.paths, chosen, image)
    side = Project.at(project.root, ODPM_SCENARIO=chosen.scenario)
    observed = side.observe(PREPARING)
    if not isinstance(observed, RenderedState):
        raise LockError("the lock is missing or incomplete", where=LOCK_FILE, todo="inv lock, then build the image")
    for warning in found.warnings:
        terminal.warn(warning)
    rendered = targets.target_files(side.paths, observed, chosen, found.reference)
    folder = Path(output).expanduser() if output else project.paths.odpm / "deploy" / chosen.name
    written = targets.write(folder, rendered)
    for path in written.kept:
        terminal.warn(f"{path} is the file that was edited, or that no run had written")
    for path in written.removed:
        terminal.message(f"removed {path}, which this target does not need any more")
    terminal.message(f"{len(written.changed)} of {len(rendered)} files changed" if written.changed else "nothing to do")
    terminal.output(str(folder))


def _target(project: Project, name: str) -> Target:
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
