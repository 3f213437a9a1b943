"""Deploy to a target of kind `compose` or `swarm`: the release is put there, the database is updated, containers are replaced.

The old release serves until then. Without an update new containers start beside the old ones, and no request fails; with one the
maintenance page is shown meanwhile, and a copy of the database is kept until it has succeeded. A run that fails leaves the release
and the database as before. One that is killed leaves a journal on the machine, by which the next one goes back first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from odpm_tasks.adapters import terminal
from odpm_tasks.core.targets import history
from odpm_tasks.core.targets.history import TargetRelease
from odpm_tasks.deployment.targets import backups, database, kinds, preflight, release
from odpm_tasks.deployment.targets.machine import Machine, who
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.deployment.targets.target_stack import JOURNAL, MAINTENANCE
from odpm_tasks.errors import DataLossError, OdpmError

HISTORY = "history.json"


def deploy(wanted: TargetDeployment, show: terminal.Activity, *, backup: bool = True) -> TargetRelease:
    """Deploy a release; `backup`: with one before an update.

    Errors: BusyError while another deployment runs there; those of Docker; ProgramError where it does not start.
    """
    machine = wanted.machine
    show.note("target", "check the machine")
    preflight.check_machine(machine)
    kinds.check(wanted)
    show.note("image", wanted.image)
    preflight.pull(machine, wanted.image)
    preflight.require_same_lock(machine, wanted)
    with machine.lease(who()) as held:
        return _deploy(replace(wanted, machine=held), show, backup=backup)


def _deploy(wanted: TargetDeployment, show: terminal.Activity, *, backup: bool) -> TargetRelease:
    machine = wanted.machine
    preflight.check_disk(machine)
    kinds.check_ports(wanted)
    before = _state(machine)
    known = before.known
    running = release.running_services(machine, known)
    preflight.require_same_volume(running, wanted)
    database.require_passwords(wanted)
    go_back_after_kill(machine, before, show)
    installed = database.installed_there(wanted, known, running, show)
    raised = database.raised(wanted, installed or {})
    if backup:
        backups.before_update(machine, wanted, [addon.name for addon in raised], show)
    entry = TargetRelease(wanted.release, wanted.image, wanted.lock, _now(), who())
    kinds.put(wanted)
    return _switch(machine, before, entry, show, wanted, installed)


def roll_back(machine: Machine, named: str, show: terminal.Activity) -> TargetRelease:
    """Return to an earlier release, whose files the machine has.

    Errors: UsageError without one; DataLossError where a release in between has updated the database.
    """
    with machine.lease(who()) as held:
        before = _state(held)
        go_back_after_kill(held, before, show)
        earlier = history.to_return_to(before.known, named)
        if updated := history.updated_since(before.known, earlier.id):
            raise DataLossError(
                f"a release after {earlier.id} has updated add-ons of the database: {', '.join(updated[:5])}",
                todo="restore a backup of that time, or deploy a release that has these versions",
            )
        entry = replace(earlier, time=_now(), who=who(), updated=())
        return _switch(held, before, entry, show)


@dataclass(frozen=True)
class _State:
    """What former deployments noted on a machine: those that succeeded, and of one that was interrupted while it updated its journal.

    `maintenance`: whether it was interrupted with the maintenance page shown.
    """

    known: tuple[TargetRelease, ...]
    journal: dict[str, str]
    maintenance: bool


def _state(machine: Machine) -> _State:
    found = machine.read(HISTORY, JOURNAL, MAINTENANCE)
    known = history.read(found.get(HISTORY, b"").decode(errors="replace"))
    return _State(known, json.loads(found.get(JOURNAL) or "{}"), MAINTENANCE in found)


def _switch(
    machine: Machine,
    state: _State,
    entry: TargetRelease,
    show: terminal.Activity,
    wanted: TargetDeployment | None = None,
    installed: Mapping[str, str] | None = None,
) -> TargetRelease:
    """Make a release whose files are on the machine the one that runs; go back where it does not start.

    `wanted`: what is deployed, None to return to a release; `installed`: the add-ons of its database, where they are known.
    """
    known, before = state.known, state.known[-1].id if state.known else ""
    updated: tuple[str, ...] = ()
    with kinds.opened(machine, entry.id) as stack:
        try:
            database.start(stack, show, empty=not installed)
            if wanted:
                updated = database.update(stack, wanted, installed, entry.time, show)
            stack.start(show)
        except BaseException as error:
            _go_back(machine, before, entry.id, error, show)
            raise
        done = replace(entry, updated=updated)
        # in this order: a run that is killed in between has succeeded, and nothing goes back
        machine.put({HISTORY: history.written((*known, done)).encode()})
        stack.end_update()
        if wanted and (updated or state.maintenance):
            database.forget_copy(stack, wanted.database)
        stack.tidy()
    release.remove_old(machine, (*known, done))
    return done


def _go_back(machine: Machine, before: str, failed: str, error: BaseException, show: terminal.Activity) -> None:
    """Restore the database where it was updated, and start the release that ran before."""
    journal = json.loads(machine.get(JOURNAL) or "{}")
    if not before or (before == failed and not journal):
        return
    show.note("deployment", "return to the state before")
    with kinds.opened(machine, before) as stack:
        stack.remove_others()
        if journal and stack.own_database:
            stack.stop_odoo()
            database.restore(stack, str(journal["database"]))
        stack.start(show)
        stack.end_update()
    if isinstance(error, OdpmError):
        restored = ", the database is as before" if journal else ""
        terminal.message(f"  release {before} serves{restored}")


def go_back_after_kill(machine: Machine, state: _State, show: terminal.Activity) -> None:
    """Finish what a killed deployment left: the database is that of before its update, and the last release of the history serves."""
    known, journal = state.known, state.journal
    if not journal:
        return
    if known and known[-1].time == journal["begun"]:  # it had succeeded
        with kinds.opened(machine, known[-1].id) as stack:
            stack.end_update()
        return
    terminal.message(
        "  an earlier deployment was interrupted while it updated the database: return to the state before"
    )
    kinds.end_jobs(machine)
    if known:
        _go_back(machine, known[-1].id, str(journal["release"]), KeyboardInterrupt(), show)
        return
    with kinds.opened(machine, str(journal["release"])) as stack:
        database.start(stack, show)
        database.restore(stack, str(journal["database"]))
    machine.shell(f"rm -f {JOURNAL}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
