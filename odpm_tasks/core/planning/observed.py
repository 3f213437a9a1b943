"""The observed state: everything that a plan depends on, as values. One type per phase of the observation.

Each type extends the one before: `ObservedState` (description, lock), `ResolvedState` (the graph of repositories is known),
`RenderedState` (the generated files are known), `RunningState` (Docker was queried).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.deployment.journal import Journal
from odpm_tasks.core.editors.editor_file import EditorFile
from odpm_tasks.core.locking.graph import Resolution, SourceQuery
from odpm_tasks.core.locking.lockfile import DevelopingState, Lock, PythonLocks
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addon_checks import AddonFindings
from odpm_tasks.core.odoo.installed_addons import DatabaseFindings
from odpm_tasks.core.planning.costs import Cost
from odpm_tasks.core.stack.dependency_services import Fragments
from odpm_tasks.core.stack.render import Rendered, Stack
from odpm_tasks.errors import OdpmError, ProgramError


@dataclass(frozen=True)
class Checkout:
    """The state of a source's checkout: absent, ours at `commit`, or the user's work on top of `base`.

    `moving`: an earlier run was interrupted while it moved the checkout. `changes`: changed tracked files, determined in
    strict scenarios, and where the checkout has to be moved; then `in_the_way` has untracked files that the move would
    overwrite. `replaceable`: a foreign link that a run replaces.
    `gone`: commits that the checkout depends on and that are neither in it nor in the store.
    """

    kind: Literal["absent", "ours", "moving", "branch", "commit", "foreign", "link"]
    commit: str | None = None
    branch: str | None = None
    base: str | None = None
    changes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    in_the_way: tuple[str, ...] = ()
    replaceable: bool = False


@dataclass(frozen=True)
class OtherDatabase:
    """A database of the stack beside the project's own that holds Odoo. `installed`: the names of its add-ons."""

    name: str
    installed: frozenset[str]
    addons: DatabaseFindings


@dataclass(frozen=True)
class DatabaseUpdate:
    """What `db.update` does to a database: the add-ons that Odoo gets with `-i` and with `-u`."""

    name: str
    install: tuple[str, ...]
    update: tuple[str, ...]


ServicesState = Literal["absent", "changed", "running"]
DatabaseState = Literal["unknown", "absent", "unfinished", "ready"]


@dataclass(frozen=True)
class Running:
    """The answers of Docker: whether the image exists, the services run as the last `up` left them, the database is ready.

    `image` None: Docker does not answer; `problem` is the reason. `postgres`: the service of PostgreSQL, which starts before
    the others; `services` are the others. `refusals`: the errors that starting the services would end with. `build_cost`,
    `postgres_cost`, `start_cost`: what building the image, starting PostgreSQL and starting the other services would cost.
    `mailbox`: the address of the built-in mail catcher, while it runs. `mail_servers`: the active mail servers of the
    database outside of the stack, as name and host. `addons`: how the installed add-ons of the database differ from the sources.
    `others`: in scenarios that enforce the lock, the other databases that take part in a deployment. `journal`: of a deployment
    that was interrupted.
    """

    image: bool | None = None
    services: ServicesState = "absent"
    detail: str = ""
    database: DatabaseState = "unknown"
    problem: str = ""
    refusals: tuple[OdpmError, ...] = ()
    build_cost: Cost = field(default_factory=Cost)
    start_cost: Cost = field(default_factory=Cost)
    postgres: ServicesState = "running"
    postgres_detail: str = ""
    postgres_cost: Cost = field(default_factory=Cost)
    mailbox: str = ""
    mail_servers: tuple[tuple[str, str], ...] = ()
    addons: DatabaseFindings = field(default_factory=DatabaseFindings)
    others: tuple[OtherDatabase, ...] = ()
    journal: Journal | None = None


@dataclass(frozen=True)
class ObservedState:
    """What is known before the graph of repositories is resolved: description, lock, options, recorded state.

    `touch_git` false (`--no-git-update`): checkouts are used as they are; a strict scenario still reads the lock
    (`reads_lock`) and compares. `unresolved`: queries that neither lock nor cache answer. `uncached`: canonical URLs
    whose commits the cache lacks. `recorded`: the content of `.odpm/state.toml`. `checking`: the lock is only checked.
    `warnings`: printed by every run. `notes`: what is used or ignored as it is; printed by `lock`, `plan` and `validate` alone.
    `updates_raised`: add-ons whose version is above the installed one are updated. `takes_snapshot`: of the database before.
    `one_database`: an option names the only database that is updated.
    """

    scenario: Scenario
    manifest: Manifest
    lock: Lock | None
    touch_git: bool = True
    reads_lock: bool = True
    own: DevelopingState | None = None
    unresolved: tuple[SourceQuery, ...] = ()
    uncached: tuple[str, ...] = ()
    last_scenario: str | None = None
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    updates_raised: bool = False
    takes_snapshot: bool = True
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    recorded: Mapping[str, Any] = field(default_factory=dict)
    checking: bool = False
    one_database: bool = False


@dataclass(frozen=True, kw_only=True)
class ResolvedState(ObservedState):
    """The graph of repositories is known. With `--no-git-update`, `resolution` is the content of the checkouts.

    `fragments`: services, patches and hooks of dependencies; `manifest` does not contain them. `addons`: the result of the
    checks of all add-ons.
    """

    resolution: Resolution
    python: PythonLocks
    checkouts: Mapping[str, Checkout] = field(default_factory=dict)
    fragments: Fragments = field(default_factory=Fragments)
    addons: AddonFindings = field(default_factory=AddonFindings)


@dataclass(frozen=True, kw_only=True)
class RenderedState(ResolvedState):
    """The generated files are known: `rendered` as described, `current` as they are on disk (None: absent).

    `obsolete_files`: files that an earlier run generated and this one does not, and whether they are unedited.
    `overrides`: the project's own template by generated file. `database_chosen`: an option, a setting or the description
    names the database; otherwise it has the name of the folder. `editor_files`: the files of the editors that ODPM_IDE names;
    `editor_leftovers`: the paths of those that an earlier run wrote for other editors. `release_exported`: the folder of the
    release exists.
    """

    stack: Stack
    rendered: Rendered
    current: Mapping[str, bytes | None]
    image: str
    database: str
    database_chosen: bool = True
    modules: tuple[str, ...] = ()
    edited: frozenset[str] = frozenset()
    obsolete_files: Mapping[str, bool] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    editor_files: tuple[EditorFile, ...] = ()
    editor_leftovers: tuple[str, ...] = ()
    validated: bool = False
    release_exported: bool = True


@dataclass(frozen=True, kw_only=True)
class RunningState(RenderedState):
    """Docker was queried; `running` holds its answers."""

    running: Running

    @property
    def to_update(self) -> tuple[str, ...]:
        """The add-ons that `db.update` passes to Odoo with `-u`: those of the options, then those with a raised version."""
        raised = [addon.name for addon in self.running.addons.raised] if self.updates_raised else []
        return tuple(dict.fromkeys((*self.update, *raised)))

    @property
    def updates(self) -> tuple[DatabaseUpdate, ...]:
        """The databases that `db.update` changes: the project's own, then the others. Add-ons are installed in the first only."""
        found = []
        if self.running.database not in {"absent", "unfinished"} and (self.install or self.to_update):
            found.append(DatabaseUpdate(self.database, self.install, self.to_update))
        for other in self.running.others:
            asked = [name for name in self.update if name in {"all", "changed"} or name in other.installed]
            raised = [addon.name for addon in other.addons.raised] if self.updates_raised else []
            if names := tuple(dict.fromkeys((*asked, *raised))):
                found.append(DatabaseUpdate(other.name, (), names))
        return tuple(found)


State = TypeVar("State", bound=ObservedState)


def extend(observed: ObservedState, state: type[State], **values: Any) -> State:
    """The state of the next phase: everything observed so far, with the fields that this phase adds."""
    return state(**{item.name: getattr(observed, item.name) for item in fields(observed)} | values)


def require_rendered(observed: ObservedState) -> RenderedState:
    """The state with its generated files. Errors: ProgramError where lock or description do not allow to render them."""
    if isinstance(observed, RenderedState):
        return observed
    raise ProgramError("the project is not prepared", todo="inv up")


def new_addons(observed: ObservedState) -> tuple[str, ...]:
    """The add-ons of the developing project that it did not have when the services were last started or changed."""
    before = observed.recorded.get("up", {}).get("modules")
    if before is None or not isinstance(observed, RenderedState):
        return ()
    return tuple(name for name in observed.modules if name not in before and name not in observed.install)


def database_warnings(observed: ObservedState) -> tuple[str, ...]:
    """What a run reports of the installed add-ons. What stops a strict scenario is not repeated."""
    if not isinstance(observed, RunningState):
        return ()
    found = observed.running.addons
    if observed.scenario.strict:
        found = replace(found, gone=(), series="")
    updated = observed.updates_raised or bool({"all", "changed"} & {*observed.update})
    return tuple(found.texts(observed.database, observed.manifest.odoo_version, updated=updated))
