"""The running Odoo while files are edited: reload its code, update add-ons in it, drop cached assets."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

from odpm_tasks.adapters import command, http, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import running
from odpm_tasks.adapters.docker.engine import Container
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo import log as odoo_logs
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.published_ports import WEB, published_port
from odpm_tasks.errors import ProgramError
from odpm_tasks.stack import addon_hashes, compose, odoo_log
from odpm_tasks.stack.compose import LOCK_TIMEOUT
from odpm_tasks.stack.database import odoo_failure
from odpm_tasks.stack.databases.psql import sql
from odpm_tasks.stack.up import page_status

RELOAD_TIMEOUT = 600.0
_POLL_INTERVAL = 0.03
_STATE_INTERVAL = 1.0
_SLOW = 15.0
_OWN_RELOAD = 3.0  # seconds within which Odoo notices an edit (`--dev=reload`)
_HEARD = 2.0  # seconds within which it stops to answer after a signal
_STARTED, _RELOADING = r"HTTP service \(", "Initiating server reload|Reloading server"  # in its log
# The caches of all processes of Odoo are dropped when the number of their table or sequence rises: `registry.py`. The tables
# exist from 19.0 on, one sequence for each cache from 17.0 on.
_DROP_ASSETS = """
DO $$ BEGIN
    IF to_regclass('orm_signaling_assets') IS NOT NULL THEN
        INSERT INTO orm_signaling_assets DEFAULT VALUES;
    ELSIF to_regclass('base_cache_signaling_assets') IS NOT NULL THEN
        PERFORM nextval('base_cache_signaling_assets');
    ELSE
        PERFORM nextval('base_cache_signaling');
    END IF;
END $$
"""


class EditedOdoo:
    """Odoo and PostgreSQL of a stack, for one database.

    Errors of its methods: ProgramError, with exception, file and line where Odoo reports them; MachineError where Docker does not
    answer.
    """

    def __init__(self, paths: ProjectPaths, observed: RenderedState, database: str) -> None:
        self._paths, self._observed, self._database = paths, observed, database
        self._project = compose.compose_project(paths, observed.stack)
        self._odoo: Container | None = None

    @property
    def server(self) -> str:
        """The container of PostgreSQL."""
        return self._container("db").id

    def _container(self, service: str) -> Container:
        found = [one for one in docker.containers(self._project) if one.service == service and not one.oneoff]
        if not found or found[0].state != "running":
            raise ProgramError(f"{service} is not running", todo="inv up")
        return found[0]

    def find(self) -> Container:
        """The container of Odoo; one that has ended is started."""
        if self._odoo is None:
            found = [one for one in docker.containers(self._project) if one.service == "odoo" and not one.oneoff]
            if not found:
                raise ProgramError("odoo is not running", todo="inv up")
            self._odoo = found[0]
        return self._odoo

    def switches(self) -> tuple[str, bool]:
        """`--dev` of the running Odoo, and whether it runs under the debugger."""
        given = running.environment(self.find().id)
        return given.get("ODPM_DEV", ""), given.get("ODPM_DEBUG", "").lower() not in {
            "",
            "0",
            "no",
            "off",
            "false",
            "none",
        }

    def forget(self) -> None:
        """Look the container up again: another program may have recreated it."""
        self._odoo = None

    def reload(self, *, by_odoo: bool = False) -> str:
        """Let Odoo load its code again and wait until it serves the database; returns the action: a stopped Odoo is started.

        `by_odoo`: Odoo has noticed the edit (`--dev=reload`).
        """
        begun = time.time()
        try:
            if by_odoo and self._goes_down(begun):
                word = "reload"
                self._wait(begun, reloading=False)
            else:
                self._require_answer()
                word = self._signal()
                self._wait(begun, reloading=word == "reload")
        except ProgramError:
            self.forget()
            raise
        self.check(begun)
        return word

    def _signal(self) -> str:
        for _ in range(2):  # the container may have been recreated
            if running.send_signal(self.find().id, "HUP"):
                return "reload"
            self.forget()
        if not running.start(self.find().id):
            raise ProgramError("odoo cannot be started", todo="inv up")
        self.forget()
        return "restart"

    def _goes_down(self, begun: float) -> bool:
        """Whether Odoo stops to answer soon, or has started again."""
        deadline = time.monotonic() + _OWN_RELOAD
        while time.monotonic() < deadline:
            if self.status(1.0) == 0:
                return True
            time.sleep(_POLL_INTERVAL)
        return self._logged(_STARTED, begun - _OWN_RELOAD)

    def _require_answer(self) -> None:
        """Wait until Odoo answers: before it has set up its signals, one would end it."""
        if self.status(1.0) == 0 and running.state(self.find().id) == "running":
            self._wait(time.time() - 3600, reloading=False)

    def _port(self) -> int:
        return int(published_port(self.find().ports, WEB) or 0)

    def status(self, timeout: float) -> int:
        """The status of the answer to a health check; 0 without an answer."""
        if not self._port():
            return 200 if docker.execute(self.find().id, "odoo-run", "health").ok else 0
        path = series(self._observed.manifest.odoo_version).health_path or "/web/login"
        return http.local_status(self._port(), path, timeout, redirects=0)

    def _wait(self, begun: float, *, reloading: bool) -> None:
        """Wait until Odoo answers. `reloading`: it answers first, then not, then again."""
        deadline, checked, was_down = time.monotonic() + RELOAD_TIMEOUT, time.monotonic(), not reloading
        with terminal.activity() as show:
            while True:
                status = self.status(5.0)
                if status and was_down:
                    return
                was_down = was_down or status == 0
                if time.monotonic() - checked > _STATE_INTERVAL:
                    checked = time.monotonic()
                    if running.state(self.find().id) != "running":
                        self._fail(begun, "Odoo ended")
                    was_down = was_down or self._logged(_STARTED, begun)
                    waited = RELOAD_TIMEOUT - (deadline - time.monotonic())
                    if not was_down and waited > _HEARD and not self._logged(_RELOADING, begun):
                        # the system may give a signal to any thread of Odoo, and the one that reacts sleeps for up to a minute
                        running.send_signal(self.find().id, "HUP")
                    if waited > _SLOW:
                        show.note("odoo", f"no answer for {waited:.0f} s: at a breakpoint?")
                if time.monotonic() > deadline:
                    raise ProgramError(f"Odoo does not answer for {RELOAD_TIMEOUT:.0f} s", todo="inv logs odoo")
                time.sleep(_POLL_INTERVAL)

    def _logged(self, pattern: str, begun: float) -> bool:
        return any(re.search(pattern, line) for line in running.log_since(self.find().id, begun))

    def check(self, begun: float) -> None:
        """Load a page of the database. Errors: ProgramError with the reason if its add-ons cannot be loaded."""
        status = page_status(self.find(), self._database)
        lines = self._lines(begun)
        failed = odoo_logs.registry_failure(lines, self._database, odoo_log.platform_folder(self._observed))
        if failed or status >= 500:
            self._fail(begun, f"Odoo cannot load the database {self._database}", lines)

    def _lines(self, begun: float) -> list[str]:
        return odoo_log.masked(self._paths, running.log_since(self.find().id, begun))

    def _fail(self, begun: float, context: str, lines: Sequence[str] = ()) -> NoReturn:
        lines = lines or self._lines(begun)
        platform = odoo_log.platform_folder(self._observed)
        failed = odoo_logs.registry_failure(lines, self._database, platform) or odoo_logs.failure(lines, platform)
        if failed is None:
            details = [line for line in lines if line.strip()][-2:]
            raise ProgramError(context, details=details, todo="inv logs odoo")
        raise odoo_log.failure_error(
            self._paths, self._observed, failed, context, todo="correct it: the next edit is tried again"
        )

    def update(self, addons: Collection[str], *, overwrite: bool) -> None:
        """Update add-ons in the database while Odoo runs; it loads the result at its next request.

        `overwrite`: replace translations that were changed in the database.
        """
        database, server = self._database, self.server
        before = addon_hashes.installed(server, database)
        words = ["odoo", "-d", database, f"-u{','.join(addons)}", "--stop-after-init", "--no-http"]
        words += ["--i18n-overwrite"] if overwrite else []
        limit = f"PGOPTIONS=-c lock_timeout={LOCK_TIMEOUT}"
        lines: list[str] = []
        with terminal.activity() as show:

            def note(line: str) -> None:
                lines.append(line)
                if "oading " in line:
                    show.note(database, line.rsplit(": ", 1)[-1])

            outcome = command.run(["docker", "exec", self.find().id, "env", limit, *words], check=False, on_line=note)
        if not outcome.ok:
            kept = odoo_log.keep_log(self._paths, "odoo", database, lines) if lines else ""
            error = odoo_failure(self._paths, self._observed, database, outcome.code, lines, f"the whole log: {kept}")
            error.todo = error.todo.replace("run the same command again", "save it: the update is tried again")
            raise error
        addon_hashes.record_hashes(
            self._paths, self._observed.stack, server, database, before=before, update=tuple(addons)
        )

    def drop_assets(self) -> None:
        """Let Odoo build the asset bundles again."""
        sql(self.server, _DROP_ASSETS, self._database)
