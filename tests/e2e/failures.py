"""Helpers for tests of failures: a git host with tiny repositories, faulty servers, runs that are interrupted or killed.

The platform has four files, so everything except Docker takes about a second. The fixtures are in `workspaces`; a test
module loads them with `pytest_plugins = ["tests.e2e.workspaces"]`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.harness import Bench, CommandResult, git, inv_programs
from tests.ports import claim_port
from tests.standins.githttp import GitServer

HOST = "https://git.test/"
PLATFORM, WEB, SALE = "odoo/odoo.git", "team/web.git", "team/sale.git"
FILES: dict[str, dict[str, str | bytes]] = {
    PLATFORM: {
        "odoo-bin": "#!/usr/bin/env python3\nprint('Odoo Server 19.0')\n",
        "odoo/addons/base/__manifest__.py": "{'name': 'Base'}\n",
        "addons/mail/__manifest__.py": "{'name': 'Mail'}\n",
        "requirements.txt": "",
    },
    WEB: {"web_thing/__manifest__.py": "{'name': 'Web thing'}\n", "web_thing/models.py": "A = 1\n", ".gitignore": "*.log\n"},
    SALE: {"sale_thing/__manifest__.py": "{'name': 'Sale thing'}\n"},
}  # fmt: skip
MINIMAL: dict[str, Any] = {
    "manifest_schema": 2,
    "requires_odpm": "5.0.0",
    "platform": {"git": f"{HOST}{PLATFORM} 19.0"},
    "python": "3.11",
    "distro": {"name": "debian", "version": "12"},
    "postgres": "15",
    "dependencies": [f"{HOST}{WEB} 19.0"],
}
LOCKS = (".odpm/deps.lock.json", ".odpm/requirements.lock", ".odpm/requirements.developer.lock")
GENERATED = (*LOCKS, "docker-compose.yml", ".odpm/build/Dockerfile", ".odpm/build/odoo.conf", ".odpm/build/odoo-run")
IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
_numbers = itertools.count(1)
Env = dict[str, Any]  # environment variables; Any, so that `**env` type-checks next to the options of `Bench.inv`


@dataclass
class Workspace:
    """A project, a git host (URLs below `HOST` are rewritten to its folder) and a cache in one temporary folder."""

    folder: Path
    bench: Bench

    @property
    def host(self) -> Path:
        return self.folder / "host"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def root(self) -> Path:
        return self.bench.root

    @property
    def mark(self) -> str:
        """The environment variable that identifies the processes of this workspace."""
        return f"ODPM_COMPOSE_PREFIX={self.bench.prefix}"

    def source(self, name: str) -> Path:
        return self.root / ".odpm/src" / name

    def lock(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.root / LOCKS[0]).read_text(encoding="utf-8"))
        return data

    def describe(self, **keys: object) -> None:
        """Write odpm.json: the minimal description with these keys set or, for None, removed."""
        data = {key: value for key, value in {**MINIMAL, **keys}.items() if value is not None}
        (self.root / "odpm.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def publish(self, repository: str, files: Mapping[str, str | bytes], branch: str = "19.0") -> str:
        """Add a commit with exactly these files to a branch of the host. The commit id depends on the content only."""
        return publish(self.host / repository, files, branch)

    def at(self, server: GitServer | FaultyProxy) -> Env:
        """The environment in which the git host is this server."""
        return {"ODPM_GIT_MIRROR": f"{HOST}={server.base}"}

    def start(self, *words: str, **env: str) -> BackgroundRun:
        return BackgroundRun(self, words, env)

    def stored(self, repository: str) -> bool:
        """Whether the cache holds a complete commit of a repository."""
        store = self.cache / "git/git.test" / repository
        return any((store / "refs/odpm/commits").glob("*"))


def publish(
    repo: Path, files: Mapping[str, str | bytes], branch: str = "19.0", date: str = "2025-09-18", pull: str = ""
) -> str:
    """Add a commit to a branch of a bare repository, which is created if missing. `date`: ISO 8601, UTC. Returns the id.

    `pull`: the number of a pull request; the commit is added to it instead. It starts at the first commit of the branch.
    """
    if not (repo / "HEAD").exists():
        repo.mkdir(parents=True)
        git("init", "-q", "--bare", "--template=", "-b", branch, cwd=repo)
        for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            git("config", key, "true", cwd=repo)
    ref = f"refs/pull/{pull}/head" if pull else f"refs/heads/{branch}"
    if pull and subprocess.run(["git", "rev-parse", "-q", "--verify", ref], cwd=repo, check=False).returncode:
        git("update-ref", ref, git("rev-list", "--max-parents=0", branch, cwd=repo), cwd=repo)
    known = subprocess.run(["git", "rev-parse", "-q", "--verify", ref], cwd=repo, capture_output=True, check=False)
    seconds = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    feed = [f"commit {ref}\ncommitter t <t@t> {seconds} +0000\ndata 2\nx\n".encode()]
    feed += [f"from {known.stdout.decode().strip()}\ndeleteall\n".encode()] if known.returncode == 0 else []
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        name = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        feed.append(f'M 100644 inline "{name}"\ndata {len(data)}\n'.encode() + data + b"\n")
    done = subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=repo, input=b"".join(feed), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return git("rev-parse", ref, cwd=repo)


def create_workspace(folder: Path, like: Workspace | None = None) -> Workspace:
    """A new workspace: three repositories, a project with a description and one commit, no locks.

    `like`: copy host and project from the `blank` folder of that workspace instead of creating them.
    """
    blank = like.folder / "blank" if like else folder / "blank"
    if not like:
        for repository, files in FILES.items():
            publish(blank / "host" / repository, files)
        root = blank / "project"
        root.mkdir()
        (root / "odpm.json").write_text(json.dumps(MINIMAL, indent=2) + "\n", encoding="utf-8")
        (root / "tasks.py").write_text("from odpm_tasks import collection\n\nns = collection()\n", encoding="utf-8")
        git("init", "-q", "-b", "main", "--template=", cwd=root)
        git("add", "-A", cwd=root)
        git("commit", "-qm", "A project", cwd=root)
    for name in ("host", "project"):
        shutil.copytree(blank / name, folder / name)
    return workspace_at(folder, HOST)


def workspace_at(folder: Path, *prefixes: str) -> Workspace:
    """The workspace of a folder with `project` and `host`; URLs with one of the prefixes are rewritten to the host."""
    (folder / "home").mkdir()
    env = {
        "ODPM_GIT_MIRROR": " ".join(f"{prefix}=file://{folder}/host/" for prefix in prefixes),
        "ODPM_IMAGE_MIRROR": "127.0.0.1:9/",  # no registry responds: locks contain no image digests, wherever tests run
        "ODPM_APT_MIRROR": "http://127.0.0.1:9/debian",  # for the same reason: locks contain no state of a Debian archive
        "ODPM_CACHE_DIR": str(folder / "cache"),
        "ODPM_COMPOSE_PREFIX": f"odpm-bad-{os.getpid()}-{next(_numbers)}",
        "HOME": str(folder / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv"),
    }
    return Workspace(folder, Bench(folder / "project", env))


def failure(ran: CommandResult, code: int, *words: str, most: int = 5) -> str:
    """Check that a run failed as SPEC.md 7 requires and that the message contains the words; returns the message.

    Checked: the exit code; nothing on standard output; no traceback; from `odpm: ` at most `most` lines with a `next:` line.
    """
    assert ran.code == code, f"ended with {ran.code}, not {code}\n{ran.output}"
    assert "Traceback" not in ran.output, ran.output
    assert ran.out == "", ran.out
    lines = ran.err.splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("odpm: ")]
    assert begins, f"no message\n{ran.err}"
    printed = lines[begins[-1] :]
    assert len(printed) <= most, f"{len(printed)} lines\n{ran.err}"
    message = "\n".join(printed)
    for word in words:
        assert word in message, f"{word!r} is not in\n{message}"
    assert any(line.startswith("  next:  ") for line in printed), f"no next: line\n{message}"
    return message


def suggested_command(message: str) -> str:
    """The command in the `next:` line of a message: the text after the last colon of its first clause."""
    todo = next(line for line in message.splitlines() if line.startswith("  next:  "))
    return todo.removeprefix("  next:  ").split("; ")[0].rpartition(": ")[2]


def run_shell(workspace: Workspace, command: str) -> None:
    """Run a command in a shell in the project folder."""
    path = f"{inv_programs()}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = workspace.bench.environment({"PATH": path, **IDENTITY})
    done = subprocess.run(
        ["sh", "-c", command], cwd=workspace.root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


def file_digests(root: Path, *leave: str) -> dict[str, str]:
    """Path -> mode and digest of every file below a folder, without `.git`, byte code, the run lock and `leave`."""
    found: dict[str, str] = {}
    skip = {".git", "__pycache__", "run.lock", "run.lock.holder", *leave}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in skip and not (Path(folder) / name).is_symlink()]
        for name in (*names, *(entry.name for entry in Path(folder).iterdir() if entry.is_symlink())):
            path = Path(folder) / name
            if name in skip:
                continue
            status = path.lstat()
            content = str(path.readlink()).encode() if stat.S_ISLNK(status.st_mode) else path.read_bytes()
            found[path.relative_to(root).as_posix()] = f"{status.st_mode:o} {hashlib.sha256(content).hexdigest()[:12]}"
    return found


def checkout_state(checkout: Path) -> tuple[object, ...]:
    """The user-visible state of a checkout: files, HEAD, branches, stashes, staged changes."""
    asked = (
        ("rev-parse", "HEAD"),
        ("branch", "--list"),
        ("stash", "list"),
        ("diff", "--cached"),
        ("status", "--porcelain"),
    )
    head = (checkout / ".git/HEAD").read_text(encoding="utf-8")
    return (file_digests(checkout), head, *(git(*words, cwd=checkout) for words in asked))


def outcome(workspace: Workspace) -> dict[str, str]:
    """The result of a run: generated files, and commit, status and `git fsck` of each checkout."""
    found = {path: (workspace.root / path).read_text(encoding="utf-8") for path in GENERATED}
    for checkout in sorted((workspace.root / ".odpm/src").glob("[!.]*")):
        found[f"{checkout.name} HEAD"] = git("rev-parse", "HEAD", cwd=checkout)
        found[f"{checkout.name} status"] = git("status", "--porcelain", "--ignored", cwd=checkout)
        found[f"{checkout.name} fsck"] = git("fsck", "--no-progress", "--no-dangling", cwd=checkout)
    return found


def leftovers(workspace: Workspace) -> list[str]:
    """Temporary files and folders that a run left in the project, and other unknown hidden names."""
    names = [
        path.name
        for paths in (".odpm", ".odpm/src", ".odpm/build", ".")
        for path in (workspace.root / paths).glob(".*")
    ]
    return sorted(set(names) - {".git", ".gitignore", ".env", ".odpm", ".hypothesis"})


def grep(secret: str, *folders: Path) -> list[str]:
    """Files below some folders that contain a word. Compressed git objects are not searched."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes():
                found.append(str(path))
    return found


def processes(mark: str) -> dict[int, str]:
    """Process id -> command line of the processes whose environment contains the mark."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if line:  # a zombie has none
                    found[int(process.name)] = line
    return found


def eventually(what: Callable[[], object], timeout: float = 20.0) -> bool:
    """Wait for a condition; returns False after the timeout (seconds)."""
    deadline = time.monotonic() + timeout
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class BackgroundRun:
    """A run in the background, in its own process group like a command of a shell."""

    def __init__(self, workspace: Workspace, words: Iterable[str], env: Mapping[str, str]) -> None:
        self.workspace = workspace
        self.files = [workspace.folder / f"output-{next(_numbers)}" for _ in range(2)]
        with self.files[0].open("wb") as out, self.files[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "invoke", *words], cwd=workspace.root, env=workspace.bench.environment(env),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, what: Callable[[], object], timeout: float = 20.0) -> None:
        """Wait for a condition, and check that the run has not ended."""
        assert eventually(lambda: what() or self.process.poll() is not None, timeout), "the condition was never met"
        assert self.process.poll() is None, f"the run ended too early\n{self.output().output}"

    def runs(self, pattern: str) -> bool:
        """Whether the command line of one of its processes matches the pattern."""
        return any(re.search(pattern, line) for line in processes(self.workspace.mark).values())

    def interrupt(self) -> CommandResult:
        """Ctrl-C: SIGINT to the whole process group."""
        os.killpg(self.pid, signal.SIGINT)
        return self.end()

    def kill(self, *, programs: bool = False) -> None:
        """Send SIGKILL to the run; with `programs`, as in a crash of the machine, also to the processes that it started."""
        with suppress(ProcessLookupError):  # the run may have ended meanwhile
            os.kill(self.pid, signal.SIGKILL)
        while programs and (left := processes(self.workspace.mark)):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(30)

    def end(self, timeout: float = 60.0) -> CommandResult:
        self.process.wait(timeout)
        return self.output()

    def output(self) -> CommandResult:
        out, err = (path.read_text(encoding="utf-8", errors="replace") for path in self.files)
        code = self.process.returncode
        return CommandResult(-1 if code is None else code, out, err)


@dataclass
class FaultyProxy:
    """A proxy for a git server that cuts a connection, or stalls it, after `after` bytes of the response.

    After `times` faults it forwards everything. `reached` is set at the first fault.
    """

    server: GitServer
    after: int
    silent: bool = False
    times: int = 1_000_000
    reached: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", claim_port()))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", self.server.port))
            threading.Thread(target=self._relay, args=(client, behind, None), daemon=True).start()
            threading.Thread(target=self._relay, args=(behind, client, self.after), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(4096):
                if limit is not None and passed + len(block) > limit and self.times > 0:
                    self.times -= 1
                    sink.sendall(block[: limit - passed])
                    self.reached.set()
                    if self.silent:
                        self._over.wait(60)
                    break
                passed += len(block)
                sink.sendall(block)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class ProcessWatcher:
    """Searches the command lines of all processes of a workspace for secrets while the block runs."""

    def __init__(self, mark: str, *secrets: str) -> None:
        self.mark, self.secrets = mark, secrets
        self.seen: set[str] = set()
        self.caught: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for line in processes(self.mark).values():
                self.seen.add(line)
                self.caught += [line for secret in self.secrets if secret in line]
            time.sleep(0.05)


def fill_disk(folder: Path, leave: int = 0) -> Path:
    """Fill a file system except for `leave` bytes; returns the file that fills it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - leave))
    return filler
