"""Receive the archive of a database from another machine: a checkout by ssh, or Odoo's database manager by HTTPS.

What arrives is not trusted: it is kept in a nameless file, and its reader checks it as any other archive. Nothing of it is
held in memory.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from http.client import HTTPException
from typing import IO, Any, BinaryIO, cast
from urllib.parse import urlencode, urlsplit

from odpm_tasks.adapters import command, http, terminal
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git.remote import ssh_command
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.databases import pulling
from odpm_tasks.core.databases.pulling import DatabaseManager, RemoteCheckout
from odpm_tasks.core.text import size
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives.backup import spool_folder
from odpm_tasks.databases.archives.reader import OpenArchive, opened_archive
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError

_PAGE = 1 << 20  # bytes of a page that are read
_GREETING = 1 << 16  # bytes that a remote shell may print before the archive
_PREPARING = 3600.0  # seconds; a database manager sends nothing until its archive is complete


class _Stream:
    """An archive that arrives: `read` as of a file, and `finish` at its end, which decides whether it is complete."""

    def __init__(self, source: IO[bytes], progress: ByteProgress) -> None:
        self.source, self.progress = source, progress
        self._ended = False

    def read(self, length: int) -> bytes:
        """At most `length` bytes; fewer only at the end. Errors: ProgramError where the archive is incomplete."""
        if self._ended:
            return b""
        block = self.receive(length)
        self.progress.add(len(block), "receiving")
        if len(block) < length:
            self._ended = True
            self.finish()
        return block

    def receive(self, length: int) -> bytes:
        return self.source.read(length)

    def finish(self) -> None:
        """Check the end. Errors: ProgramError."""


@contextlib.contextmanager
def pulled(
    access: DatabaseAccess, source: RemoteCheckout | DatabaseManager, database: str, show: terminal.Activity
) -> Iterator[OpenArchive]:
    """The archive of a database of `source`, received and opened; `database`: empty for its own.

    Errors: ProgramError where the other machine, its task or the connection fails; DescriptionError for a wrong name or password;
    those of `opened_archive`.
    """
    progress = ByteProgress(show, source.host, 0)
    show.note(source.host, "waiting for its archive")
    settings = access.paths.settings
    if isinstance(source, RemoteCheckout):
        sender = _from_checkout(source, database, settings, progress)
    else:
        sender = _from_manager(source, database, settings, progress)
    with sender as stream, opened_archive("-", cast(BinaryIO, stream), spool_folder(access), source.host) as found:
        show.done(source.host)
        yield found


class _CheckoutStream(_Stream):
    def __init__(self, process: command.PipedProcess, progress: ByteProgress, checkout: RemoteCheckout) -> None:
        super().__init__(process.output, progress)
        self._process, self._checkout = process, checkout

    def finish(self) -> None:
        outcome = self._process.outcome()
        if not outcome.ok:
            raise _remote_error(outcome, self._checkout, self.progress.done)


@contextlib.contextmanager
def _from_checkout(
    checkout: RemoteCheckout, database: str, settings: Settings, progress: ByteProgress
) -> Iterator[_Stream]:
    ssh = ssh_command(settings.get("PATH_TO_SSH_KEY"), settings.git_timeout)
    words = ["sh", "-c", f'{ssh} "$@"', "ssh", *checkout.words, pulling.remote_command(checkout, database)]
    with command.piped(words, env={"LC_ALL": "C"}) as process:
        process.end_input()
        pulling.check_mark(_mark(process, checkout), checkout)
        yield _CheckoutStream(process, progress, checkout)


def _mark(process: command.PipedProcess, checkout: RemoteCheckout) -> str:
    """The line before the archive; what a shell prints before it is skipped. Errors: ProgramError."""
    read = 0
    while read < _GREETING and (line := process.output.readline(_GREETING)):
        read += len(line)
        if line.startswith(f"{pulling.MARK} ".encode()):
            return line.decode(errors="replace").strip()
    if read < _GREETING and not (outcome := process.outcome()).ok:
        raise _remote_error(outcome, checkout, 0)
    return ""


_SSH_FAILED = 255  # ssh itself, not the remote command
_HINTS = {
    "host key": ("its host key is unknown or has changed", "verify the key that ssh shows and accept it: ssh {login}"),
    "ssh key": (
        "it refuses the login",
        "set PATH_TO_SSH_KEY=KEY in .env or run ssh-add KEY, then test it: ssh {login}",
    ),
    "host": ("its name cannot be resolved", "correct the name of the host"),
}


def _remote_error(outcome: command.Outcome, checkout: RemoteCheckout, count: int) -> OdpmError:
    """The error for ssh that failed, or for the remote task. `count`: the bytes of the archive that have arrived."""
    lines = outcome.tail()
    if outcome.code not in {_SSH_FAILED, -signal.SIGPIPE, -signal.SIGTERM}:
        return pulling.remote_failure(checkout.host, lines)
    text = "\n".join(lines)
    what, todo = _HINTS.get(messages.failure_kind(text) or "", ("", "test the connection: ssh {login}"))
    if count:
        what, todo = f"the connection ended after {size(count)}", "run the same command again"
    elif messages.is_timeout(text):
        what = "it does not respond"
    login = " ".join(checkout.words).replace("-- ", "")
    return ProgramError(
        f"cannot pull from {checkout.host}: {what or 'ssh cannot connect'}",
        details=messages.error_lines(text)[:2],
        todo=todo.format(login=login),
    )


class _ManagerStream(_Stream):
    def __init__(self, answer: Any, progress: ByteProgress, source: DatabaseManager) -> None:
        super().__init__(answer, progress)
        self._manager = source

    def receive(self, length: int) -> bytes:
        try:
            return self.source.read(length)
        except (OSError, HTTPException):
            raise self._cut() from None

    def finish(self) -> None:
        if getattr(self.source, "length", None):  # the rest of the announced length; http.client reports no error
            raise self._cut()

    def _cut(self) -> ProgramError:
        return ProgramError(
            f"the connection to {self._manager.host} ended after {size(self.progress.done)}",
            todo="run the same command again",
        )


@contextlib.contextmanager
def _from_manager(
    source: DatabaseManager, database: str, settings: Settings, progress: ByteProgress
) -> Iterator[_Stream]:
    timeout = float(settings.git_timeout)
    password = settings.get("ODPM_MASTER_PASSWORD")
    if not password:
        raise DescriptionError(
            "the database manager needs the master password of that server",
            where="ODPM_MASTER_PASSWORD",
            todo="ODPM_MASTER_PASSWORD=… in .env, which is not committed",
        )
    _check_manager(source, password, timeout)
    database = database or pulling.only_database(source, _databases(source, timeout))
    fields = {"master_pwd": password, "name": database, "backup_format": "zip"}
    with _answer(source, "backup", urlencode(fields).encode(), _PREPARING) as answer:
        if answer.headers.get_content_type() == "text/html":
            page = answer.read(_PAGE).decode(errors="replace")
            raise pulling.manager_failure(source, database, pulling.manager_problem(page).replace(password, "***"))
        http.limit_pauses(answer, timeout)
        yield _ManagerStream(answer, progress, source)


def _check_manager(source: DatabaseManager, password: str, timeout: float) -> None:
    """Check what the page of a database manager says, before the password is sent. Errors: ProgramError, DescriptionError."""
    with _answer(source, "manager", None, timeout) as answer:
        page, address = answer.read(_PAGE).decode(errors="replace"), urlsplit(answer.geturl())
    if address.netloc != source.host:  # a redirect makes GET of POST
        raise ProgramError(
            f"{source.host} leads to another address", todo=f"inv db.pull {address.scheme}://{address.netloc}"
        )
    if pulling.is_closed(page):
        raise ProgramError(
            f"the database manager of {source.host} is closed (list_db = False)",
            todo="pull from its checkout by ssh: inv db.pull ssh://HOST/PATH",
        )
    if pulling.is_unprotected(page) and password != pulling.UNPROTECTED:
        raise ProgramError(
            f"the database manager of {source.host} has no master password, and would make this one its own",
            todo=f"set one there first: {source.url}/web/database/manager",
        )


def _databases(source: DatabaseManager, timeout: float) -> list[str]:
    """The names that a server lists; none where it lists none."""
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": {}}).encode()
    with _answer(source, "list", body, timeout, "application/json") as answer:
        try:
            found = json.loads(answer.read(_PAGE)).get("result") or []
            return [name for name in found if isinstance(name, str)]
        except (ValueError, AttributeError):
            return []


@contextlib.contextmanager
def _answer(source: DatabaseManager, page: str, body: bytes | None, timeout: float, content: str = "") -> Iterator[Any]:
    """The answer of a page of the database manager; `body`: is posted. Errors: ProgramError."""
    try:
        answer = http.open_page(f"{source.url}/web/database/{page}", timeout, body, content, direct=source.is_local)
    except ProgramError as error:
        error.what = f"cannot pull from {source.host}: {error.what}"
        error.todo = error.todo or f"look at it in a browser: {source.url}/web/database/manager"
        raise
    with contextlib.closing(answer):
        yield answer
