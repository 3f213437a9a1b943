"""Tasks for other machines: `deploy.*`."""

from __future__ import annotations

from odpm_tasks.tasks import stack
from odpm_tasks.tasks.base import Context, check_format, remainder, task
from odpm_tasks.tasks.deployment.chosen_target import (
    deployable,
    deployment_of,
    entries_of,
    machine_of,
    spec_of,
    target_of,
    told,
)

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
    chosen = target_of(project, target)
    spec = spec_of(project, chosen, image)
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
    chosen = deployable(project, target)
    wanted = deployment_of(project, chosen, image)
    with terminal.activity() as show:
        done = deploy.deploy(wanted, show, backup=not no_backup)
    terminal.message(told(chosen, done))
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
    chosen = deployable(project, target)
    found = observe.observe(deployment_of(project, chosen, image))
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
    chosen = deployable(project, target)
    machine = machine_of(project, chosen)
    with terminal.activity() as show:
        done = deploy.roll_back(machine, release, show)
    terminal.message(told(chosen, done))
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
    entries = entries_of(machine_of(project, deployable(project, target)))
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
    machine = machine_of(project, deployable(project, target))
    entries, found = entries_of(machine), containers(machine)
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
    chosen = deployable(project, target)
    machine = machine_of(project, chosen)
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
    chosen = deployable(project, target)
    machine = machine_of(project, chosen)
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
