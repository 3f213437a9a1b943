"""A machine with Docker that a target names, for a Swarm one of its managers: its engine, and a folder there for the files of the target.

Everything goes through the Docker command line with the target's host or context, so ssh is the user's own, with its settings. Files
are written and read by containers of the target's image: no program but Docker is needed there.
"""

from __future__ import annotations

import contextlib
import getpass
import io
import socket
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.manifest.server_model import Target
from odpm_tasks.errors import BusyError, MachineError

ENVIRONMENT = ".env"
_ROOT = "/var/lib/odpm"
_READ = 'for path; do shift; [ ! -e "$path" ] || set -- "$@" "$path"; done; [ $# = 0 ] || tar -cf - -- "$@"'


@dataclass(frozen=True)
class Machine:
    """The engine of a target. `name`: of the Compose project or stack there; `image`: of the containers that read and write files.

    `helper`: a container of the lease, which runs scripts in place of a container for each.
    """

    target: Target
    name: str
    image: str = ""
    helper: str = ""

    @property
    def folder(self) -> str:
        """The folder of the target's files on the machine."""
        return f"{_ROOT}/{self.name}"

    @property
    def words(self) -> list[str]:
        if self.target.host:
            return ["docker", "--host", self.target.host]
        return ["docker", "--context", self.target.context] if self.target.context else ["docker"]

    def run(
        self,
        *words: str,
        check: bool = True,
        stdin: bytes = b"",
        timeout: float | None = None,
        on_line: Callable[[str], None] | None = None,
        cwd: Path | None = None,
    ) -> command.Outcome:
        """Run a Docker command on the machine. Errors: MachineError where its engine does not answer, else ProgramError."""
        argv = [*self.words, *words]
        outcome = command.run(argv, check=False, stdin=stdin, timeout=timeout, on_line=on_line, cwd=cwd)
        if not outcome.ok and (docker.is_unreachable(outcome) or "error during connect" in " ".join(outcome.tail())):
            raise self.unreachable(outcome)
        if check and not outcome.ok:
            raise command.failure(outcome)
        return outcome

    def unreachable(self, outcome: command.Outcome) -> MachineError:
        """The error for a machine whose engine does not answer."""
        named = self.target.host or (f"context {self.target.context}" if self.target.context else "this machine")
        check = (
            f"ssh {self.target.host.removeprefix('ssh://')} docker version"
            if self.target.host
            else f"{' '.join(self.words)} version"
        )
        return MachineError(
            f"the Docker engine of the target {self.target.name} does not answer: {named}",
            details=outcome.tail()[-2:],
            todo=f"check: {check}",
        )

    def compose(
        self, file: Path, *words: str, check: bool = True, on_line: Callable[[str], None] | None = None
    ) -> command.Outcome:
        """Run a Compose command on a file of this machine whose relative paths are those of the target's folder."""
        project = ("compose", "--project-name", self.name, "--project-directory", self.folder, "--file", str(file))
        return self.run(*project, *words, check=check, on_line=on_line)

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Write files below the folder; each is replaced as a whole."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, data in contents.items():
                info = tarfile.TarInfo(path)
                info.size, info.mtime = len(data), int(time.time())
                info.mode = 0o444 if path.startswith("secrets/") else 0o755 if data.startswith(b"#!") else 0o644
                tar.addfile(info, io.BytesIO(data))
        script = "mkdir -p secrets && chmod 700 secrets && tar --extract --no-same-owner --unlink-first --file -"
        self.shell(script, stdin=archive.getvalue())

    def read(self, *paths: str) -> dict[str, bytes]:
        """The contents of files below the folder, of a folder those of all its files; what does not exist is left out."""
        archive = self.shell(_READ, *paths).stdout
        if not archive:
            return {}
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            found = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            return {path: file.read() for path, file in found.items() if file}

    def get(self, path: str) -> str | None:
        """The text of a file below the folder; None where there is none."""
        found = self.read(path)
        return found[path].decode(errors="replace") if path in found else None

    def shell(self, script: str, *arguments: str, stdin: bytes = b"", check: bool = True) -> command.Outcome:
        """Run a script of `sh` in the target's folder, as root of a container without a network. Errors: as `run`."""
        interactive = ["--interactive"] if stdin else []
        words = ["-euc", script, "sh", *arguments]
        if self.helper:
            outcome = self.run("exec", *interactive, self.helper, "sh", *words, check=False, stdin=stdin)
            if not _is_gone(outcome):
                if check and not outcome.ok:
                    raise command.failure(outcome)
                return outcome
        return self.run("run", "--rm", *interactive, *self._options, self.image, *words, stdin=stdin, check=check)

    @property
    def _options(self) -> list[str]:
        """The options of a container for scripts."""
        folder = ["--volume", f"{self.folder}:/target", "--workdir=/target"]
        return ["--network=none", "--user=0:0", *folder, "--entrypoint=sh"]

    @contextlib.contextmanager
    def lease(self, who: str) -> Iterator[Machine]:
        """Hold the target for a deployment: a container whose name only one can have, and which ends when this process does.

        The machine that this returns runs its scripts in that container. Errors: BusyError naming who holds it.
        """
        name = f"{self.name}-deployment"
        words = [
            *self.words, "run", "--rm", "--interactive", "--name", name, "--label", f"odpm.who={who}", *self._options,
            self.image, "-c", "echo held; cat >/dev/null",
        ]  # fmt: skip
        self._remove_ended(name)
        with command.piped(words, detached=True) as running:
            if not running.ask(b"", b"held\n").ok:
                holder = self.run(
                    "inspect", "--format", '{{index .Config.Labels "odpm.who"}}', name, check=False
                ).text.strip()
                raise BusyError(
                    f"another deployment of {self.target.name} runs" + (f": {holder}" if holder else ""),
                    todo="wait until it has ended, then run the same command again",
                )
            try:
                yield replace(self, helper=name)
            finally:
                running.end_input()

    def _remove_ended(self, name: str) -> None:
        state = self.run("inspect", "--format", "{{.State.Running}}", name, check=False)
        if state.ok and state.text.strip() == "false":
            self.remove(name)

    def remove(self, *containers: str) -> None:
        """Remove containers, also running ones; their names are free afterwards. Errors: as `run`."""
        outcome = docker.until_removed(lambda: self.run("rm", "--force", *containers, check=False))
        if not outcome.ok and b"No such container" not in outcome.stderr:
            raise command.failure(outcome)

    def environment(self) -> dict[str, str]:
        """The variables in the file `ENVIRONMENT` of the folder, for the variables of its compose file."""
        return variables(self.read(ENVIRONMENT))


def variables(found: Mapping[str, bytes]) -> dict[str, str]:
    """The variables in the file `ENVIRONMENT` of what was read; none without it."""
    text = found.get(ENVIRONMENT, b"").decode(errors="replace")
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def _is_gone(outcome: command.Outcome) -> bool:
    """Whether the container was not there, so that nothing was run: the connection that kept it was cut."""
    said = outcome.stderr.decode(errors="replace")
    return not outcome.ok and said.startswith("Error") and ("No such container" in said or "is not running" in said)


def who() -> str:
    """`user@host` of this machine, for the history of a target."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def containers(machine: Machine) -> list[dict[str, str]]:
    """The containers of the target: id, name, service, state, status, image, release."""
    labels = {"service": "com.docker.compose.service", "oneoff": "com.docker.compose.oneoff", "release": "odpm.release"}
    shown = {
        "id": "{{.ID}}",
        "name": "{{.Names}}",
        "state": "{{.State}}",
        "status": "{{.Status}}",
        "image": "{{.Image}}",
    }
    shown |= {key: f'{{{{.Label "{label}"}}}}' for key, label in labels.items()}
    row = "\t".join(shown.values())
    found = machine.run(
        "ps", "--all", "--no-trunc", "--filter", f"label=com.docker.compose.project={machine.name}", "--format", row
    ).text
    rows = (dict(zip(shown, line.split("\t"), strict=True)) for line in found.splitlines())
    return [each for each in rows if each["oneoff"] != "True"]
