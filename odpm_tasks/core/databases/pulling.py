"""Where a database is pulled from: an address, the command for a checkout, and what a checkout or a database manager answers."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from urllib.parse import unquote, urlsplit

from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError

FORMS = "ssh://[USER@]HOST[:PORT]/PATH of a checkout, or https://HOST of an Odoo server"
UNPROTECTED = "admin"  # Odoo's own master password where none is set
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:]+")
_LOOPBACK = re.compile(r"localhost|127(?:\.\d{1,3}){3}|::1")
_USER = re.compile(r"[A-Za-z0-9_][^\s:@/]*")


@dataclass(frozen=True)
class RemoteCheckout:
    """A checkout that ssh reaches. `user`, `port`: empty where ssh's configuration decides. `path`: relative to the home folder
    where it does not begin with `/`."""

    host: str
    path: str
    user: str = ""
    port: str = ""

    @property
    def login(self) -> str:
        """The destination as ssh reads it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments of ssh up to the command."""
        return (*(("-p", self.port) if self.port else ()), "--", self.login)


@dataclass(frozen=True)
class DatabaseManager:
    """The database manager of an Odoo server. `url`: without a slash at its end."""

    url: str

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return _LOOPBACK.fullmatch(urlsplit(self.url).hostname or "") is not None


def parse_source(text: str) -> RemoteCheckout | DatabaseManager:
    """The source that an address names. Errors: DescriptionError, which repeats no password."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused("the address is not valid") from None
    if parts.scheme not in {"ssh", "https", "http"}:
        raise _refused("a database is pulled from another kind of address")
    if parts.password is not None:
        raise _refused("a password in the address can be seen by other users of this machine", _passwords(parts.scheme))
    if not _HOST.fullmatch(host) or parts.query or parts.fragment:
        raise _refused("the address is not valid")
    if parts.scheme == "ssh":
        path = unquote(parts.path)
        if not path.strip("/") or not path.isprintable():
            raise _refused("the address has no path of a checkout")
        if parts.username is not None and not _USER.fullmatch(parts.username):
            raise _refused("the user in the address is not valid")
        return RemoteCheckout(host, path.removeprefix("/~/"), parts.username or "", str(port or ""))
    if parts.username is not None:
        raise _refused("a database manager has no users", _passwords(parts.scheme))
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise _refused(
            "over http:// others read the master password and the database",
            f"https://{parts.netloc}{parts.path}, or ssh://{host}/PATH",
        )
    return DatabaseManager(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}")


def _passwords(scheme: str) -> str:
    return "use a key: ssh-add KEY" if scheme == "ssh" else "ODPM_MASTER_PASSWORD=… in .env is the master password"


def _refused(what: str, todo: str = "") -> DescriptionError:
    return DescriptionError(what, where="SOURCE", todo=todo or f"inv db.pull {FORMS}")


MARK = "odpm-pull"  # begins the line before the archive; a shell may print greetings before it
_FOUND = "archive"
_SCRIPT = (
    'say() { printf "\\n%s %s\\n" "$mark" "$1"; }; mark=$1; shift; '
    'cd -- "$1" 2>/dev/null || { say folder; exit 1; }; shift; '
    "[ -f odpm.json ] && [ -f tasks.py ] || { say checkout; exit 1; }; "
    'PATH="$PWD/.venv/bin:$PWD/venv/bin:$PWD/.odpm/venv/bin:$PATH:$HOME/.local/bin"; '
    "inv=$(command -v inv) || inv=$(sh -lc 'command -v inv' 2>/dev/null | tail -n 1); "
    '[ -x "$inv" ] || { say program; exit 1; }; '
    f'say {_FOUND}; exec "$inv" db.backup --output - --archive zip "$@"'
)


def remote_command(checkout: RemoteCheckout, database: str) -> str:
    """The command that a remote shell runs: one line `MARK …`, then the archive of `database` (empty: the checkout's own)."""
    words = ["sh", "-c", _SCRIPT, "sh", MARK, checkout.path, *(["--database", database] if database else [])]
    return " ".join(map(quote, words))


def check_mark(line: str, checkout: RemoteCheckout) -> None:
    """Check what the remote shell found. Errors: ProgramError where there is no checkout, or no odpm in it."""
    found = line.removeprefix(MARK).strip()
    what, todo = {
        _FOUND: ("", ""),
        "folder": ("there is no such folder", f"look at the path: ssh {checkout.login} ls"),
        "checkout": ("the folder is no checkout of a project: it lacks odpm.json or tasks.py", "correct the path"),
        "program": (
            "there is no inv: neither in .venv/bin of the checkout nor on the user's PATH",
            "install odpm-tasks there",
        ),
    }.get(found, ("it answered something unknown", "correct the address"))
    if what:
        raise ProgramError(f"cannot pull from {checkout.host}: {what}", where=checkout.path, todo=todo)


def remote_failure(host: str, lines: Sequence[str]) -> ProgramError:
    """The error for a task that failed at a checkout. `lines`: of its standard error, where odpm writes its messages."""
    begin = max((number for number, line in enumerate(lines) if line.startswith("odpm: ")), default=None)
    if begin is None:
        shown = [line.strip() for line in lines if line.strip()]
        return ProgramError(f"inv db.backup failed on {host}", details=shown[-3:], todo=_repeat(host))
    what = lines[begin].removeprefix("odpm: ")
    details = [line.strip() for line in lines[begin + 1 :] if line.startswith("  ")]
    shown = [re.sub(r"^next:\s*", "there: ", line) for line in details]
    return ProgramError(
        f"on {host}: {what}", details=shown[:2] + shown[-1:] if len(shown) > 3 else shown, todo=_repeat(host)
    )


def _repeat(host: str) -> str:
    return f"correct it on {host}, then run the same command again"


def manager_problem(page: str) -> str:
    """What the page of a database manager says in place of an archive; empty where it says nothing."""
    found = re.search(r'class="alert alert-danger"[^>]*>(.*?)</div>', page, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", found[1])).split()) if found else ""


def is_closed(page: str) -> bool:
    """Whether a database manager is closed by `list_db = False`."""
    return "database manager has been disabled" in page


def is_unprotected(page: str) -> bool:
    """Whether a database manager has no master password: Odoo would make the first one that it gets its own."""
    return "database manager is not protected" in page


def manager_failure(source: DatabaseManager, database: str, problem: str) -> OdpmError:
    """The error for a backup that a database manager refuses. `problem`: in its words."""
    if "Access Denied" in problem:
        return DescriptionError(
            f"{source.host} refuses the master password",
            where="ODPM_MASTER_PASSWORD",
            todo="set the one of that server: ODPM_MASTER_PASSWORD=… in .env",
        )
    if "is not known" in problem:
        return DescriptionError(
            f"{source.host} has no database {database}", where="--remote-database", todo="correct the name"
        )
    return ProgramError(
        f"{source.host} makes no backup of {database}",
        details=[problem[:200] or "it sent a page in place of an archive"],
        todo=f"try it in a browser: {source.url}/web/database/manager",
    )


def only_database(source: DatabaseManager, names: Sequence[str]) -> str:
    """The database of a server that has one. Errors: DescriptionError."""
    if len(names) == 1:
        return names[0]
    shown = f"it has {', '.join(names[:10])}{' …' if len(names) > 10 else ''}" if names else "it does not list them"
    raise DescriptionError(
        f"which database of {source.host}? {shown}", where="--remote-database", todo="--remote-database NAME"
    )
