"""A server that runs `python -m invoke` in forks of one process, which has imported the modules.

A short task spends most of its time on the start of Python and on imports, and the tests start thousands. The server
imports all modules of odpm_tasks before the first run: no module may read environment, folder or terminal on import.
Runs that a test kills, and runs whose environment changes Python itself, get a process of their own (`Bench.running`,
`plain`).
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

LIBRARIES = ("invoke.program", "jinja2", "rich.console", "rich.live", "rich.table", "sh", "yaml")
# `inv` in a shell: pass words, folder, environment and the three standard files to the server, and exit as the run does.
CLIENT = """\
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
asked = json.dumps({"words": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
socket.send_fds(line, [len(asked).to_bytes(8, "big")], [0, 1, 2])
line.sendall(asked)
line.recv(8)
code = int.from_bytes(line.recv(8), "big", signed=True)
sys.exit(code if code >= 0 else 128 - code)
"""
_INTERPRETERS = ("PYTHON", "LC_", "LANG", "TZ")


def plain(env: Mapping[str, str]) -> bool:
    """Whether this environment configures Python itself, so that the run needs a new interpreter."""
    return any(env.get(name) != os.environ.get(name) for name in {*env, *os.environ} if name.startswith(_INTERPRETERS))


class InvServer:
    """`server.run(words, cwd, env, feed, timeout)`: exit code, standard output, standard error. Ends with this process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="inv-")
        self._address = str(Path(self._folder.name) / "socket")
        words = [sys.executable, "-m", "tests.e2e.inv_server", self._address]
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def run(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str], feed: str, timeout: float
    ) -> tuple[int, str, str]:
        with socket.socket(socket.AF_UNIX) as line, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            line.settimeout(timeout)
            line.connect(self._address)
            reader, writer = os.pipe()
            asked = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
            socket.send_fds(line, [len(asked).to_bytes(8, "big")], [reader, out.fileno(), err.fileno()])
            os.close(reader)
            line.sendall(asked)
            pid = int.from_bytes(line.recv(8), "big")
            try:
                with os.fdopen(writer, "wb") as stdin:
                    stdin.write(feed.encode())
            except BrokenPipeError:
                pass  # the task does not read its input
            try:
                told = line.recv(8)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["inv", *words], timeout) from None
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode().replace("\r\n", "\n"))
            return int.from_bytes(told, "big", signed=True), texts[0], texts[1]

    @property
    def programs(self) -> Path:
        """A folder for PATH whose `inv` runs in the server."""
        folder = Path(self._folder.name, "bin")
        if not folder.exists():
            folder.mkdir()
            client = Path(self._folder.name, "client.py")
            client.write_text(CLIENT, encoding="utf-8")
            program = folder / "inv"
            program.write_text(
                f'#!/bin/sh\nexec {sys.executable} -I -S {client} {self._address} "$@"\n', encoding="utf-8"
            )
            program.chmod(0o755)
        return folder

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


def serve(address: str) -> None:
    """Serve until standard input is closed."""
    import importlib
    import pkgutil

    import odpm_tasks

    own = [module.name for module in pkgutil.walk_packages(odpm_tasks.__path__, "odpm_tasks.")]
    for name in (*LIBRARIES, *own):
        if not name.startswith("odpm_tasks.templates") and not name.endswith("__main__"):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    """In a forked process: start the run, wait for it, send its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, fds, _, _ = socket.recv_fds(line, 8, 3)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += line.recv(size - len(text))
    asked = json.loads(text)
    pid = os.fork()
    if pid == 0:
        line.close()
        _become(asked["words"], asked["cwd"], asked["env"], fds)
    for fd in fds:
        os.close(fd)
    line.sendall(pid.to_bytes(8, "big"))
    _, status = os.waitpid(pid, 0)
    line.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "big", signed=True))
    os._exit(0)


def _become(words: Sequence[str], cwd: str, env: Mapping[str, str], fds: Sequence[int]) -> NoReturn:
    """Run `python -m invoke WORDS` in this process, with this folder and environment."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = cwd
    sys.argv = ["invoke", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from invoke.main import program

    program.run()
    sys.exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
