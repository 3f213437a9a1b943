"""Watch the files of a stack and do the smallest action for each edit."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.file_changes import FileChanges, watching
from odpm_tasks.core.edits import batch
from odpm_tasks.core.edits.batch import Todo
from odpm_tasks.core.edits.rules import DESCRIPTION, REQUIREMENTS, decide, is_description, is_ignored
from odpm_tasks.core.edits.values import Decision, FileEdit
from odpm_tasks.core.odoo.addons import MANIFEST, MANIFESTS
from odpm_tasks.core.planning.observed import require_rendered
from odpm_tasks.core.text import plural
from odpm_tasks.edits.odoo import EditedOdoo
from odpm_tasks.edits.watched import Contents, edit_context, is_compared, read, watched_folders
from odpm_tasks.errors import OdpmError
from odpm_tasks.project import Project

_INTERVAL = 1.0
_STALE_LOCK = 30.0  # seconds
_AS_BEFORE = "file"
_STATE = ".odpm/state.toml"
_CONTEXT = (*(f"/{name}" for name in MANIFESTS), ".po")  # edits that need the add-ons and languages as they are now


class Watch:
    """A watched stack: what is known of its files, and the edits that no action has covered yet.

    An edit that has an error, or whose action failed, stays: it is tried again with the next edit.
    """

    def __init__(self, project: Project, database: str, *, list_only: bool = False) -> None:
        self._root, self._named, self._list_only = project.root, database, list_only
        self._open: dict[str, None] = {}
        self._described: dict[str, Decision] = {}  # open edits of files that describe the stack
        self._failed: dict[str, Decision] = {}  # edits whose action failed: Odoo may have loaded a part of them
        self._erroneous: set[str] = set()
        self._observe(project)
        self._contents = Contents(self._root, self._context)

    def _observe(self, project: Project) -> None:
        self._project = project
        observed = require_rendered(project.observe())
        self._database = self._named or observed.database
        self._odoo = EditedOdoo(project.paths, observed, self._database)
        self._observed = observed
        self._refresh()

    def _refresh(self) -> None:
        """Read the add-ons on disk and in the database again."""
        dev, debug = self._odoo.switches()
        features = [word.strip() for word in dev.split(",") if word.strip() not in {"", "none"}]
        server, observed = self._odoo.server, self._observed
        self._context = edit_context(self._project.paths, observed, server, self._database, features, debug=debug)
        self._folders = watched_folders(self._project.paths, observed, self._context)

    def run(self) -> None:
        """Watch until this process is interrupted."""
        with (
            files.exclusive(self._project.paths.odpm / "watch.lock", "the watch of this project"),
            _ended_with_terminal(),
        ):
            self._announce()
            while True:
                folders = self._folders
                with watching([*folders.recursive], [*folders.flat]) as changes:
                    self._handle(self._contents.differing())
                    while self._folders == folders:
                        self._handle(self._next(changes))

    def _next(self, changes: FileChanges) -> set[str]:
        names: set[str] = set()
        for path in changes.next(self._git_works, _INTERVAL):
            names |= {*self._files_of(path)}
        return names

    def _announce(self) -> None:
        own = sum(not addon.folder.startswith(".odpm/") for addon in self._context.addons.values())
        rest = sum(addon.installed for addon in self._context.addons.values() if addon.folder.startswith(".odpm/"))
        dev = f"; Odoo has --dev={','.join(sorted(self._context.dev))}" if self._context.dev else ""
        terminal.message(
            f"watching {plural(own, 'add-on')} of this project and {rest} installed of other sources, "
            f"database {self._database}{dev}; Ctrl-C ends it"
        )

    def _files_of(self, path: Path) -> Iterator[str]:
        """The files that a reported path stands for: a folder that was moved stands for all files in it."""
        name = self._folders.name_of(path)
        if not name or is_ignored(name):
            return
        if path.is_dir():
            for folder, below, found in os.walk(path):
                below[:] = [one for one in below if not is_ignored(one)]
                yield from (f"{name}/{Path(folder, one).relative_to(path).as_posix()}" for one in found)
        else:
            yield name
            yield from self._contents.below(name)

    def _git_works(self, paths: Collection[Path]) -> bool:
        """Whether git writes files of a repository right now, for example because it checks out a branch."""
        del paths
        for folder in self._folders.flat:
            try:
                if time.time() - (folder / ".git/index.lock").stat().st_mtime < _STALE_LOCK:
                    return True
            except OSError:
                continue
        return False

    def _handle(self, names: Collection[str]) -> None:
        """Decide about edited files and act. Errors are printed, and the watch goes on."""
        try:
            self._process({name for name in names if not is_ignored(name)})
        except OdpmError as error:
            terminal.message(error.message)

    def _process(self, names: Collection[str]) -> None:
        names = {*names}
        if _STATE in names:  # another run has changed the stack
            with self._project.exclusive(wait=True):
                self._observe(Project.at(self._root))
            self._contents.extend(self._context)
            names |= {*self._described}
        elif any(name.endswith(_CONTEXT) for name in names):
            self._refresh()
            self._contents.extend(self._context)
        names = {name for name in names if self._is_relevant(name)}
        if not names:
            return
        self._open |= dict.fromkeys(sorted(names))
        found = self._decisions(names)
        self._show(found, names)
        ups = {one.path for one in found if one.action == "up"}
        up_is_new = bool(ups & {*names})
        todo = batch.todo(found, reloads_itself=self._context.reloads_itself(), up_is_new=up_is_new)
        self._cover(found if self._list_only else [one for one in todo.done if one.action in {"nothing", "page"}])
        if self._list_only:
            return
        if todo.acts:
            self._act(todo)
        if text := batch.waiting_text(todo, up_is_new=up_is_new):
            terminal.message(text)

    def _show(self, found: Collection[Decision], names: Collection[str]) -> None:
        """Print the decisions about these files, and every error that is left."""
        shown = [one for one in found if one.action == "error" or one.path in names]
        shown = [one for one in shown if one.kind != _AS_BEFORE or one.path in self._erroneous]
        self._erroneous = {one.path for one in found if one.action == "error"}
        for line in batch.edit_lines(shown, lambda text, style: terminal.paint(text, style, sys.stdout)):
            terminal.output(line)

    def _is_relevant(self, name: str) -> bool:
        return (
            is_description(name)
            or name in REQUIREMENTS
            or self._context.addon_of(name) is not None
            or (name.startswith(f"{self._context.platform_code}/") and name.endswith(".py"))
        )

    def _decisions(self, names: Collection[str]) -> list[Decision]:
        """The decisions about all open edits; `names`: those that are new. The plan is made again for new ones only."""
        self._bytes: dict[str, bytes | None] = {}
        found: list[Decision] = []
        described: list[str] = []
        for name in self._open:
            after = self._bytes[name] = read(self._root / name)
            before, known = self._contents.before(name)
            if is_description(name):
                described.append(name)
                continue
            if before == after and (known or not is_compared(name)):
                one = Decision(name, _AS_BEFORE, "nothing", "as it was at the last action")
            else:
                one = decide(FileEdit(name, before, after, known, self._manifest_of(name)), self._context)
            if name in self._failed and one.action not in {"update", "reload", "error"}:
                one = replace(self._failed[name], reason="its last action failed")
            found.append(one)
        if {*described} & {*names}:
            self._described = {one.path: one for one in self._by_plan(described)}
        return [*found, *(self._described[name] for name in described)]

    def _manifest_of(self, name: str) -> bytes | None:
        place = self._context.addon_of(name)
        return read(self._root / place[0].folder / MANIFEST) if place else None

    def _by_plan(self, names: list[str]) -> list[Decision]:
        """The decision of the plan about files that describe the stack."""
        project = Project.at(self._root)
        try:
            with project.exclusive(wait=True):
                steps = [
                    step.id
                    for step in project.plan().steps
                    if step.action in {"create", "update", "blocked", "pending"}
                ]
        except OdpmError as error:
            first = error.where.partition(":")[0]
            place = first if first in names else names[0]
            where = error.where if error.where != place else ""
            details = "; ".join(filter(None, [error.what, where, *error.details[:2]]))
            return [Decision(name, DESCRIPTION, "error" if name == place else "nothing", details) for name in names]
        if steps:
            shown = ", ".join(steps[:4]) + (", …" if len(steps) > 4 else "")
            return [Decision(name, DESCRIPTION, "up", f"the plan changes: {shown}") for name in names]
        return [Decision(name, DESCRIPTION, "nothing", "the plan has no changes") for name in names]

    def _cover(self, decisions: Iterable[Decision]) -> None:
        """These edits need nothing more."""
        for one in decisions:
            self._contents.record(one.path, self._bytes.get(one.path))
            for kept in (self._open, self._failed, self._described):
                kept.pop(one.path, None)

    def _act(self, todo: Todo) -> None:
        begun = time.monotonic()
        with self._project.exclusive(wait=True):
            try:
                word = self._perform(todo)
            except OdpmError:
                self._failed |= {one.path: one for one in todo.done if one.action in {"update", "reload"}}
                raise
        text = batch.actions_text(todo, word)
        terminal.output(f"done      {text}  {time.monotonic() - begun:.1f} s")
        self._cover(todo.done)
        if todo.update:
            self._refresh()
            self._contents.extend(self._context)

    def _perform(self, todo: Todo) -> str:
        """Do it; returns whether Odoo was reloaded or restarted."""
        begun = time.time()
        if todo.update:
            self._odoo.update(todo.update, overwrite=todo.overwrite)
        if todo.reload:
            return self._odoo.reload(by_odoo=todo.by_odoo)
        if todo.update:
            self._odoo.check(begun)
        elif todo.assets:
            self._odoo.drop_assets()
        return "reload"


@contextmanager
def _ended_with_terminal() -> Iterator[None]:
    """The end of the terminal ends this process as Ctrl-C and SIGTERM do: programs that it started are stopped."""

    def end(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGHUP, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
