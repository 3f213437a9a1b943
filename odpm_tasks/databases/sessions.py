"""Programs that keep running for the duration of a task: psql, and the program for files. Each answers one request after the other.

The start of a program in a container takes a tenth of a second, and a task needs dozens of answers.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.run_image import PYTHON
from odpm_tasks.core.databases import sql
from odpm_tasks.stack.databases.psql import psql_words, session_user

_MAIN = "postgres"
_FILES = Path(__file__).parents[1] / "templates" / "filestore.py"


def file_words() -> list[str]:
    """The command line of the program for files, for a container with Odoo's data."""
    return [PYTHON, "-I", "-c", _FILES.read_text(encoding="utf-8")]


def file_program(container: str) -> list[str]:
    """The command line that starts it in a running container."""
    return ["docker", "exec", "--interactive", container, *file_words()]


class Sessions:
    """Running programs of one kind. A request gets one that is idle, or a new one: requests of several threads run at once.

    A program that has ended is replaced at the next request; one whose request was interrupted is ended.
    """

    def __init__(self, argv: Callable[[], Sequence[str]], end: bytes) -> None:
        self._argv, self._end = argv, end
        self._idle: list[command.PipedProcess] = []
        self._open = ExitStack()
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start a program for a later request, without waiting for it."""
        started = self._start()
        with self._guard:
            self._idle.append(started)

    def adopt(self, other: Sessions) -> None:
        """Use the idle programs of other sessions of the same kind; `close` ends them, too."""
        self._open.callback(other.close)
        with self._guard:
            self._idle += other._idle
            other._idle = []

    def ask(self, request: bytes) -> command.Outcome:
        """The answer to a request; the code is not 0 where the program ended instead."""
        program = self._take()
        try:
            outcome = program.ask(request, self._end)
        except BaseException:
            program.stop()
            raise
        if outcome.ok:
            with self._guard:
                self._idle.append(program)
        return outcome

    def end(self) -> None:
        """End the idle programs, without waiting for them."""
        with self._guard:
            for program in self._idle:
                program.end_input()
            self._idle.clear()

    def close(self) -> None:
        """End all programs and wait for them."""
        self.end()
        self._open.close()

    def _take(self) -> command.PipedProcess:
        with self._guard:
            while self._idle:
                program = self._idle.pop()
                if program.runs:
                    return program
        return self._start()

    def _start(self) -> command.PipedProcess:
        argv = self._argv()
        with self._guard:
            return self._open.enter_context(command.piped(argv, detached=True))


class PsqlSessions(Sessions):
    """psql in a container. Between requests it is connected to the database `postgres` only: a session in another one would
    keep that from being copied.
    """

    def __init__(self, container: str) -> None:
        self._mark = secrets.token_hex(16)
        words = ["docker", "exec", "--interactive", container, *psql_words(session_user(_MAIN), _MAIN)]
        super().__init__(lambda: words, f"{self._mark}\n".encode())

    def run(self, script: str, database: str, settings: str = "") -> command.Outcome:
        """Run a script that ends at the first error, as the role of odpm's sessions in that database; `settings`: statements before it."""
        other = database != _MAIN
        lines = [
            sql.connect(database, session_user(database)) if other else "RESET ALL;",
            f"{settings};" if settings else "",
            f"{script}\n;",
            sql.connect(_MAIN, session_user(_MAIN)) if other else "",
            f"SELECT {sql.literal(self._mark)};",
        ]
        request = "".join(f"{line}\n" for line in lines if line).encode()
        outcome = self.ask(request)
        idle = not outcome.ok and b"due to idle-session timeout" in outcome.stderr  # nothing of the request was run
        return self.ask(request) if idle else outcome


class FileSessions(Sessions):
    """`templates/filestore.py` as a program that answers; `argv` starts it."""

    def __init__(self, argv: Callable[[], Sequence[str]]) -> None:
        super().__init__(argv, b"\n")

    def run(self, words: Sequence[str]) -> command.Outcome:
        """Run a command. Its output is the answer as JSON; that of one that failed is an error."""
        outcome = self.ask(json.dumps(words).encode() + b"\n")
        if not outcome.ok:
            return outcome
        answer = json.loads(outcome.stdout)
        if "error" in answer:
            return command.Outcome(outcome.argv, 1, b"", answer["error"].encode())
        return command.Outcome(outcome.argv, 0, json.dumps(answer["answer"]).encode(), b"")
