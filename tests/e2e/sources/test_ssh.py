"""Sources by ssh, with a real server on loopback: the ways in, and what is said where there is none."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.errors import MachineError
from tests.e2e.failures import HOST, PLATFORM, SALE, WEB, Workspace, failure, processes
from tests.e2e.harness import git
from tests.standins.sshd import SshServer, make_key

pytest_plugins = ["tests.e2e.workspaces"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    try:
        with SshServer(tmp_path_factory.mktemp("sshd")) as running:
            yield running
    except MachineError as error:
        pytest.skip(error.what)


@pytest.fixture
def reached(workspace: Workspace, server: SshServer) -> Workspace:
    """A ground whose user's git knows the server's host key, and no key of the user's."""
    ssh_as(workspace, server)
    workspace.describe(dependencies=[link(workspace, server), f"{HOST}{SALE} 19.0"])
    return workspace


def link(workspace: Workspace, server: SshServer) -> str:
    return f"{server.url(workspace.host / WEB)} 19.0"


def ssh_as(workspace: Workspace, server: SshServer, known_hosts: Path | None = None) -> None:
    """Let the user's git start ssh with a configuration of the test's: ssh itself looks in the account's real home."""
    config = workspace.folder / "ssh_config"
    config.write_text(
        f"Host forge\n  HostName 127.0.0.1\n  Port {server.port}\n"
        f"Host *\n  UserKnownHostsFile {known_hosts or server.known_hosts}\n  GlobalKnownHostsFile none\n"
        "  IdentityFile none\n  StrictHostKeyChecking ask\n",
        encoding="utf-8",
    )
    home = workspace.folder / "home/.gitconfig"
    home.write_text(f"[core]\n\tsshCommand = ssh -F {shlex.quote(str(config))}\n", encoding="utf-8")


def arrived(workspace: Workspace, server: SshServer) -> None:
    assert (workspace.source("web") / "web_thing/models.py").exists()
    assert f"Accepted publickey for {server.user}" in server.log.read_text(encoding="utf-8")
    path = workspace.host / WEB
    assert (
        workspace.lock()["dependencies"][0]["url"] == f"https://127.0.0.1:{server.port}{str(path).removesuffix('.git')}"
    )
    assert git("config", "--get", "remote.origin.url", cwd=workspace.source("web")) == server.url(path)


def refused(workspace: Workspace, *words: str, **env: Any) -> str:
    begun = time.monotonic()
    ran = workspace.bench.inv("render", timeout=30, **env)
    assert time.monotonic() - begun < 10
    message = failure(ran, 5, "odpm.json", *words)
    assert "retry in" not in ran.err
    assert not processes(workspace.mark)
    assert workspace.stored(PLATFORM)
    assert workspace.stored(SALE)
    return message


def test_the_key_of_path_to_ssh_key(reached: Workspace, server: SshServer) -> None:
    reached.bench.ok("render", PATH_TO_SSH_KEY=str(server.key), SSH_AUTH_SOCK="")
    arrived(reached, server)
    reached.bench.ok("render", SSH_AUTH_SOCK="")  # what is there needs no key


def test_the_key_of_an_agent(reached: Workspace, server: SshServer) -> None:
    socket = reached.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as agent:
        try:
            while not socket.exists():
                time.sleep(0.02)
            env = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", str(server.key)], env=env, check=True)
            reached.bench.ok("render", SSH_AUTH_SOCK=str(socket))
        finally:
            agent.terminate()
    arrived(reached, server)


def test_the_short_form_of_an_address(reached: Workspace, server: SshServer) -> None:
    reached.describe(dependencies=[f"{server.user}@forge:{reached.host / WEB} 19.0"])
    reached.bench.ok("render", PATH_TO_SSH_KEY=str(server.key), SSH_AUTH_SOCK="")
    assert (reached.source("web") / "web_thing/models.py").exists()
    path = str(reached.host / WEB).removesuffix(".git")
    assert reached.lock()["dependencies"][0]["url"] == f"https://forge{path}"


def test_a_key_that_the_server_rejects(reached: Workspace) -> None:
    stranger = make_key(reached.folder / "stranger")
    message = refused(reached, "Permission denied (publickey)", PATH_TO_SSH_KEY=str(stranger), SSH_AUTH_SOCK="")
    assert "PATH_TO_SSH_KEY" in message


def test_no_key_at_all(reached: Workspace) -> None:
    refused(reached, "Permission denied (publickey)", "ssh-add", SSH_AUTH_SOCK="")


def test_a_key_with_a_passphrase(reached: Workspace, server: SshServer) -> None:
    locked = reached.folder / "locked"
    locked.write_bytes(server.key.read_bytes())
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked)], check=True)
    refused(reached, "Permission denied (publickey)", PATH_TO_SSH_KEY=str(locked), SSH_AUTH_SOCK="")


def test_an_unknown_host_key(reached: Workspace, server: SshServer) -> None:
    nobody = reached.folder / "known_hosts"
    ssh_as(reached, server, nobody)
    message = refused(reached, "Host key verification failed", PATH_TO_SSH_KEY=str(server.key), SSH_AUTH_SOCK="")
    assert message.endswith(f": git ls-remote {server.url(reached.host / WEB)}")
    assert not nobody.exists()


def test_a_changed_host_key(reached: Workspace, server: SshServer) -> None:
    other = make_key(reached.folder / "other").with_suffix(".pub").read_text(encoding="ascii").split()
    known = reached.folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n", encoding="ascii")
    ssh_as(reached, server, known)
    refused(reached, "REMOTE HOST IDENTIFICATION", PATH_TO_SSH_KEY=str(server.key), SSH_AUTH_SOCK="")


def test_a_repository_that_is_not_there(reached: Workspace, server: SshServer) -> None:
    reached.describe(dependencies=[f"{server.url(reached.host / 'team/none.git')} 19.0", f"{HOST}{SALE} 19.0"])
    refused(reached, "team/none.git", "does not appear to be a git repository", PATH_TO_SSH_KEY=str(server.key))
