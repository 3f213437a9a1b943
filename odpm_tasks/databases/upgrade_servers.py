"""The two servers of an upgrade, of the old major version and of the new one, side by side on their volumes.

They have no network. The new one reaches the old one through its socket, in a volume of its own. Both end when this process ends,
also where it is killed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.odoo.log import full_disk
from odpm_tasks.errors import MachineError, ProgramError

SOCKETS, OLD_SOCKETS = "/var/run/postgresql", "/odpm-old"
_POLL_INTERVAL = 0.2
# Settings of a database or role must not stop the move.
_OPTIONS = ("env", "PGOPTIONS=-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0")
# The server ends with the standard input of its container, cleanly: `kill` is repeated, because initdb's part ignores it.
_TIED = (
    'exec 3<&0; docker-entrypoint.sh "$@" 3<&- </dev/null >&2 & server=$!; '
    "stop() { while kill -INT $server 2>/dev/null; do sleep 0.2; done; }; trap stop INT TERM; "
    "(cat <&3 >/dev/null; stop) & exec 3<&-; wait $server; wait $server"
)


@dataclass(frozen=True)
class UpgradeServer:
    """A server to start. `mounts`: `SOURCE:TARGET` of volumes and files; `words`: the arguments of `postgres`."""

    name: str
    image: str
    mounts: Sequence[str]
    words: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def running(server: UpgradeServer) -> Iterator[str]:
    """The name of a container in which the server accepts connections; it is stopped and removed at the end of the block.

    Errors: ProgramError with the last lines of its log; MachineError where its disk is full, also for a ProgramError of the block.
    """
    words = ["docker", "create", "--interactive", f"--name={server.name}", "--network=none", "--no-healthcheck"]
    words += ["--shm-size=256m", *(f"--volume={mount}" for mount in server.mounts)]
    words += [f"--env={name}={value}" for name, value in server.environment.items()]
    command.run([*words, "--entrypoint=sh", server.image, "-c", _TIED, "sh", "postgres", *server.words])
    try:
        with command.piped(["docker", "start", "--attach", "--interactive", server.name]) as client:
            _wait_until_ready(server)
            yield server.name
            client.finish()  # the data is written
    except ProgramError:
        if reason := full_disk(docker.log_since_start(server.name)):  # the server ends, and its clients know no reason
            raise MachineError(
                "the disk is full",
                where=f"volume {server.mounts[0].partition(':')[0]}",
                details=[reason],
                todo="free some space (inv prune shows what is unused), then run the same command again",
            ) from None
        raise
    finally:
        docker.remove_containers([server.name])


def _wait_until_ready(server: UpgradeServer) -> None:
    """Wait for TCP connections: while it creates its data, a server accepts only those of its socket."""
    while not docker.execute(server.name, "pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres").ok:
        state = command.run(["docker", "inspect", "--format", "{{.State.Status}}", server.name], check=False).text
        if state.strip() not in {"created", "running"}:
            log = docker.last_lines(server.name)
            raise command.failure(command.Outcome((server.image,), 1, b"", "\n".join(log).encode()))
        time.sleep(_POLL_INTERVAL)


def psql(container: str, script: str, database: str, *, old: bool = False) -> str:
    """The answer to a script in the new server, or in the `old` one, both reached from `container`, that of the new one.

    Errors: ProgramError, MachineError for a full disk.
    """
    words = ["psql", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-XAtq", "-F", " ", *socket(old)]
    outcome = docker.execute(container, *_OPTIONS, *words, stdin=script.encode())
    if not outcome.ok:
        raise command.failure(outcome)
    return outcome.text.strip("\n")


def socket(old: bool) -> list[str]:
    """The option of PostgreSQL's programs in the new container that selects the server."""
    return [f"--host={OLD_SOCKETS}"] if old else []


def pipe(container: str, script: str, *arguments: str, what: str, stdin: str = "") -> None:
    """Run a script of bash in a container, in which a pipe fails with each of its programs. Errors: ProgramError that says `what`."""
    outcome = docker.execute(
        container, *_OPTIONS, "bash", "-c", f"set -euo pipefail\n{script}", "bash", *arguments, stdin=stdin.encode()
    )
    if not outcome.ok:
        error = command.failure(outcome)
        if isinstance(error, ProgramError):
            error.what = f"cannot {what}"
        raise error
