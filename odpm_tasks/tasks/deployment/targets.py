"""Tasks for other machines: `deploy.*`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks import stack
from odpm_tasks.tasks.base import Context, check_format, remainder, task

if TYPE_CHECKING:
    from odpm_tasks.core.manifest.server_model import Target
    from odpm_tasks.core.targets.history import TargetRelease
    from odpm_tasks.core.targets.spec import TargetSpec
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.deployment.targets.release import TargetDeployment
    from odpm_tasks.project import Project

TARGET = "The target: a name in `targets` of odpm.json."
IMAGE = "The image, in place of that of the target or of the last build."


@task(
    word="target",
    help={
        "target": TARGET,
        "output": "The folder to write to (default: .odpm/deploy/TARGET).",
        "image": IMAGE,
        "by-tag": "Name the other images by their tags, for a machine that loads them from archives.",
    },
)
def render(c: Context, target: str = "", output: str = "", image: str = "", by_tag: bool = False) -> None:
    """Write the files of a target for Compose, Swarm or Kubernetes."""
    from dataclasses import replace
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.deployment.targets import files
    from odpm_tasks.project import Project

    project = Project.find()
    chosen = _target(project, target)
    spec = _spec(project, chosen, image)
    if by_tag:
        spec = replace(spec, digests={})
    rendered = files.target_files(spec)
    for note in files.notes(spec):
        terminal.warn(note)
    folder = Path(output).expanduser() if output else project.paths.odpm / "deploy" / chosen.name
    written = files.write(folder, chosen.name, rendered)
    for path in written.kept:
        terminal.warn(f"{path} is the file that was edited, or that no run had written")
    for path in written.removed:
        terminal.message(f"removed {path}, which this target does not need any more")
    terminal.message(f"{len(written.changed)} of {len(rendered)} files changed" if written.changed else "nothing to do")
    terminal.output(str(folder))


@task(
    word="target",
    help={"target": TARGET, "image": IMAGE, "no-backup": "Make no backup before an update of add-ons."},
)
def up(c: Context, target: str = "", image: str = "", no_backup: bool = False) -> None:
    """Deploy to a target: put the image and its files there, update, start."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.deployment.targets import deploy
    from odpm_tasks.project import Project

    project = Project.find()
    chosen = _deployable(project, target)
    wanted = _deployment(project, chosen, image)
    with terminal.activity() as show:
        done = deploy.deploy(wanted, show, backup=not no_backup)
    terminal.message(_told(chosen, done))
    terminal.output(done.id)


@task(
    word="target",
    help={
        "target": TARGET,
        "image": IMAGE,
        "format": "text or json.",
        "strict": "Exit 2 when something that runs there would change.",
    },
)
def plan(c: Context, target: str = "", image: str = "", format: str = "text", strict: bool = False) -> None:
    """Show what `deploy.up` would change on a target."""
    from dataclasses import asdict

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.reports import report
    from odpm_tasks.deployment.targets import observe
    from odpm_tasks.errors import DriftError
    from odpm_tasks.project import Project

    check_format(format)
    project = Project.find()
    chosen = _deployable(project, target)
    found = observe.observe(_deployment(project, chosen, image))
    if format == "json":
        terminal.output(report({"target": chosen.name, **asdict(found)}))
    else:
        nodes = [f"nodes    {found.nodes}"] if found.nodes else []
        terminal.output("\n".join([*map(str, found.steps), *nodes, f"downtime {found.downtime}"]))
    if strict and found.drift:
        raise DriftError(f"the target {chosen.name} would change", todo=f"inv deploy.up {chosen.name}")


@task(word="release", help={"target": TARGET, "release": "The release (default: the one before)."})
def rollback(c: Context, release: str = "", target: str = "") -> None:
    """Return a target to an earlier release, with its image and files."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.deployment.targets import deploy
    from odpm_tasks.project import Project

    project = Project.find()
    chosen = _deployable(project, target)
    machine = _machine(project, chosen)
    with terminal.activity() as show:
        done = deploy.roll_back(machine, release, show)
    terminal.message(_told(chosen, done))
    terminal.output(done.id)


@task(word="target", help={"target": TARGET, "format": "text or json."})
def history(c: Context, target: str = "", format: str = "text") -> None:
    """List the deployments of a target, the newest first."""
    from dataclasses import asdict

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.reports import report
    from odpm_tasks.project import Project

    check_format(format)
    project = Project.find()
    entries = _entries(_machine(project, _deployable(project, target)))
    if format == "json":
        terminal.output(report({"deployments": [asdict(entry) for entry in reversed(entries)]}))
        return
    for entry in reversed(entries):
        notes = [
            *(["rollback"] if entry.rollback else []),
            *([f"updated {', '.join(entry.updated)}"] if entry.updated else []),
        ]
        terminal.output("  ".join(filter(None, (entry.id, entry.time, entry.who, entry.image, "; ".join(notes)))))


@task(word="target", help={"target": TARGET, "format": "text or json."})
def status(c: Context, target: str = "", format: str = "text") -> None:
    """Show what runs on a target: the release and each container."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.reports import report
    from odpm_tasks.deployment.targets.kinds import containers
    from odpm_tasks.project import Project

    check_format(format)
    project = Project.find()
    machine = _machine(project, _deployable(project, target))
    entries, found = _entries(machine), containers(machine)
    current = entries[-1] if entries else None
    shown = [{key: each[key] for key in ("service", "name", "state", "status", "image")} for each in found]
    if format == "json":
        terminal.output(report({"release": current.id if current else "", "containers": shown}))
        return
    terminal.output(
        f"release {current.id}, since {current.time}, by {current.who}" if current else "no deployment has succeeded"
    )
    for each in sorted(shown, key=lambda each: (each["service"], each["name"])):
        terminal.output(f"  {each['service']:<12} {each['status']:<32} {each['name']}")


@task(
    word="service",
    help={
        "target": TARGET,
        "service": "The service (default: all).",
        "follow": "Wait for new lines.",
        "tail": "The number of lines of each container.",
        "since": "Only lines since then: a time (2026-11-27T14:30:00Z) or a duration before now (90s, 15m, 2h).",
    },
    short={"follow": "f", "service": "s"},
)
def logs(
    c: Context, service: str = "", target: str = "", follow: bool = False, tail: int = 100, since: str = ""
) -> None:
    """Print the logs of the services of a target."""
    from pathlib import Path

    from odpm_tasks.adapters import process, terminal
    from odpm_tasks.adapters.docker import compose_cli
    from odpm_tasks.core.text import nearest
    from odpm_tasks.deployment.targets import kinds
    from odpm_tasks.errors import ProgramError, UsageError
    from odpm_tasks.project import Project

    project = Project.find()
    chosen = _deployable(project, target)
    machine = _machine(project, chosen)
    known = kinds.services(machine)
    if service and service not in known:
        raise UsageError(
            f"the target {chosen.name} has no service {service!r}{nearest(service, known)}",
            todo=f"one of: {', '.join(known)}",
        )
    options = [f"--tail={tail}", *([f"--since={since}"] if since else []), *(["--follow"] if follow else [])]
    elsewhere = Path("/")  # Compose must not find a file of this folder
    plain = not follow and not terminal.is_interactive()
    for words in kinds.log_commands(machine, service, options, plain=plain):
        if not plain:
            stack.leave(process.foreground([*machine.words, *words], cwd=elsewhere))
            continue
        outcome = machine.run(*words, check=False, cwd=elsewhere)
        if not outcome.ok:
            raise ProgramError(
                f"the logs of the target {chosen.name} cannot be read",
                details=outcome.tail()[-2:],
                todo=f"inv deploy.logs --target {chosen.name} --since 15m"
                if since
                else f"inv deploy.status {chosen.name}",
            )
        written = (
            (outcome.stdout + outcome.stderr).decode(errors="replace") if kinds.is_swarm(machine) else outcome.text
        )
        terminal.output(compose_cli.plain_text(written))


@task(
    name="exec",
    remainder=True,
    help={"target": TARGET, "service": "The service (default: web)."},
    short={"service": "s"},
)
def exec_(c: Context, target: str = "", service: str = "web") -> None:
    """Run a program in a container of a target: inv deploy.exec -- odoo shell."""
    from odpm_tasks.adapters import process, terminal
    from odpm_tasks.deployment.targets.kinds import containers
    from odpm_tasks.errors import ProgramError, UsageError
    from odpm_tasks.project import Project

    words = remainder()
    if not words:
        raise UsageError("no program is named", todo="inv deploy.exec -- odoo shell -d DATABASE")
    project = Project.find()
    chosen = _deployable(project, target)
    machine = _machine(project, chosen)
    running = [each for each in containers(machine) if each["service"] == service and each["state"] == "running"]
    found = max(running, key=lambda each: bool(each["id"]), default=None)
    if found is None:
        raise ProgramError(
            f"{service} does not run on the target {chosen.name}", todo=f"inv deploy.status {chosen.name}"
        )
    if not found["id"]:
        raise ProgramError(
            f"no container of {service} is on the node that the target {chosen.name} names: {found['status']}",
            todo=f"docker exec in {found['name']} on that node",
        )
    terminal_options = ["--interactive", "--tty"] if terminal.is_interactive() else ["--interactive"]
    stack.leave(process.foreground([*machine.words, "exec", *terminal_options, found["id"], "odoo-run", *words]))


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


def _deployable(project: Project, name: str) -> Target:
    """A target that odpm deploys to itself. Errors: DescriptionError for another kind."""
    from odpm_tasks.deployment.targets.kinds import DEPLOYABLE
    from odpm_tasks.errors import DescriptionError

    chosen = _target(project, name)
    if chosen.kind not in DEPLOYABLE:
        raise DescriptionError(
            f"a target of kind {chosen.kind} is rendered here and deployed by its own tools",
            where=f"odpm.json: targets.{chosen.name}.kind",
            todo=f"inv deploy.render {chosen.name}; the commands are in docs/deploy.md",
        )
    return chosen


def _spec(project: Project, target: Target, image: str, *, versions: bool = False) -> TargetSpec:
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


def _deployment(project: Project, target: Target, image: str) -> TargetDeployment:
    """The release that this checkout describes for a target. Errors: those of `_spec`; DescriptionError for an image without digest."""
    from odpm_tasks.deployment.targets import files
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.deployment.targets.release import TargetDeployment
    from odpm_tasks.errors import DescriptionError

    spec = _spec(project, target, image, versions=True)
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


def _machine(project: Project, target: Target) -> Machine:
    """The machine of a target, with the image that runs there. Errors: ProgramError where nothing was deployed."""
    from dataclasses import replace

    from odpm_tasks.deployment.targets.kinds import containers
    from odpm_tasks.deployment.targets.machine import Machine
    from odpm_tasks.errors import ProgramError
    from odpm_tasks.sources.folders import remotes, stack_name

    paths = project.paths
    machine = Machine(target, f"{stack_name(paths, project.manifest, remotes(paths))}-{target.name}")
    found = [each["image"] for each in containers(machine) if each["release"]]
    if not found:
        raise ProgramError(f"nothing was deployed to the target {target.name}", todo=f"inv deploy.up {target.name}")
    return replace(machine, image=found[0])


def _entries(machine: Machine) -> tuple[TargetRelease, ...]:
    from odpm_tasks.core.targets import history as histories
    from odpm_tasks.deployment.targets.deploy import HISTORY

    return histories.read(machine.get(HISTORY))


def _told(target: Target, done: TargetRelease) -> str:
    updated = f", updated {', '.join(done.updated)}" if done.updated else ""
    return f"{target.name} runs release {done.id}{updated}"
