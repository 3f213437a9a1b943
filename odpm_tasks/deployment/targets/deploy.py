"""Deploy to a target of kind `compose`: the release is put on the machine, databases are updated, containers are replaced.

The old release serves until then. Without an update new containers start beside the old ones, and no request fails; with one the
maintenance page is shown meanwhile, and a copy of the database is kept until it has succeeded. A run that fails leaves the release
and the database as before. One that is killed leaves a journal on the machine, by which the next one goes back first.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from odpm_tasks.adapters import terminal
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets import history
from odpm_tasks.core.targets.history import TargetRelease
from odpm_tasks.deployment.targets import backups, database, ports, preflight, release, services
from odpm_tasks.deployment.targets.machine import Machine, who
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import DataLossError, OdpmError

HISTORY = "history.json"


def deploy(wanted: TargetDeployment, show: terminal.Activity, *, backup: bool = True) -> TargetRelease:
    """Deploy a release; `backup`: with one before an update.

    Errors: BusyError while another deployment runs there; those of Docker; ProgramError where it does not start.
    """
    machine = wanted.machine
    show.note("target", "check the machine")
    preflight.check_machine(machine)
    show.note("image", wanted.image)
    preflight.pull(machine, wanted.image)
    preflight.require_same_lock(machine, wanted)
    ports.require_free(machine, wanted)
    with machine.lease(who()):
        known = history.read(machine.get(HISTORY))
        preflight.require_same_volume(machine, known, wanted)
        go_back_after_kill(machine, known, show)
        if backup:
            raised = database.raised_there(machine, wanted)
            backups.before_update(machine, wanted, [addon.name for addon in raised], show)
        entry = TargetRelease(wanted.release, wanted.image, wanted.lock, _now(), who())
        release.put(machine, wanted)
        return _switch(machine, known, entry, wanted, show)


def roll_back(machine: Machine, named: str, show: terminal.Activity) -> TargetRelease:
    """Return to an earlier release, whose files the machine has.

    Errors: UsageError without one; DataLossError where a release in between has updated the database.
    """
    with machine.lease(who()):
        known = history.read(machine.get(HISTORY))
        go_back_after_kill(machine, known, show)
        earlier = history.to_return_to(known, named)
        if updated := history.updated_since(known, earlier.id):
            raise DataLossError(
                f"a release after {earlier.id} has updated add-ons of the database: {', '.join(updated[:5])}",
                todo="restore a backup of that time, or deploy a release that has these versions",
            )
        entry = replace(earlier, time=_now(), who=who(), updated=())
        return _switch(machine, known, entry, None, show)


def _switch(
    machine: Machine,
    known: tuple[TargetRelease, ...],
    entry: TargetRelease,
    wanted: TargetDeployment | None,
    show: terminal.Activity,
) -> TargetRelease:
    """Make a release whose files are on the machine the one that runs; go back where it does not start."""
    before = known[-1].id if known else ""
    updated: tuple[str, ...] = ()
    with release.compose_file(machine, entry.id) as file:
        try:
            release.use_files(machine, entry.id)
            backups.make_folder(machine, file)
            database.start(machine, file, show)
            if wanted:
                updated = database.update(machine, file, wanted, entry.time, show)
            services.replace(machine, file, show)
            show.note("services", "start")
            services.compose(machine, file, "up", "--detach", "--remove-orphans", "--wait", show=show)
        except BaseException as error:
            _go_back(machine, before, entry.id, error, show)
            raise
        done = replace(entry, updated=updated)
        # in this order: a run that is killed in between has succeeded, and nothing goes back
        machine.put({HISTORY: history.written((*known, done)).encode()})
        machine.shell(f"rm -f {database.JOURNAL} {database.MAINTENANCE}")
        if wanted:
            database.forget_copy(machine, file, wanted.database)
    release.remove_old(machine, (*known, done))
    return done


def _go_back(machine: Machine, before: str, failed: str, error: BaseException, show: terminal.Activity) -> None:
    """Restore the database where it was updated, and start the release that ran before."""
    journal = json.loads(machine.get(database.JOURNAL) or "{}")
    if not before or (before == failed and not journal):
        return
    show.note("deployment", "return to the state before")
    with release.compose_file(machine, before) as file:
        services.remove_others(machine, load(file.read_text(encoding="utf-8")))
        if journal and database.is_own(file):
            services.stop_odoo(machine)
            database.restore(machine, file, str(journal["database"]))
        release.use_files(machine, before)
        services.compose(machine, file, "up", "--detach", "--remove-orphans", "--wait", show=show)
    machine.shell(f"rm -f {database.JOURNAL} {database.MAINTENANCE}")
    if isinstance(error, OdpmError):
        restored = ", the database is as before" if journal else ""
        terminal.message(f"  release {before} serves{restored}")


def go_back_after_kill(machine: Machine, known: tuple[TargetRelease, ...], show: terminal.Activity) -> None:
    """Finish what a killed deployment left: the database is that of before its update, and the last release of the history serves."""
    journal = json.loads(machine.get(database.JOURNAL) or "{}")
    if not journal:
        return
    if known and known[-1].time == journal["begun"]:  # it had succeeded
        machine.shell(f"rm -f {database.JOURNAL} {database.MAINTENANCE}")
        return
    terminal.message(
        "  an earlier deployment was interrupted while it updated the database: return to the state before"
    )
    running = machine.run("ps", "-q", "--filter", f"label=com.docker.compose.project={machine.name}",
                          "--filter", "label=com.docker.compose.oneoff=True").text.split()  # fmt: skip
    if running:
        machine.run("rm", "--force", *running)
    if known:
        _go_back(machine, known[-1].id, str(journal["release"]), KeyboardInterrupt(), show)
        return
    with release.compose_file(machine, str(journal["release"])) as file:
        database.start(machine, file, show)
        database.restore(machine, file, str(journal["database"]))
    machine.shell(f"rm -f {database.JOURNAL}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
