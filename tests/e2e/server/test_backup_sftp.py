"""Backups on a server that ssh reaches: its key is checked, and what refuses is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backups import backup_status, stored
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker
from tests.standins.sshd import SshServer, make_key

pytestmark = [pytest.mark.docker, pytest.mark.long]


@contextmanager
def repository_on(bench: Bench, server: SshServer, path: Path) -> Iterator[None]:
    """The stack with a repository on a server; then as before."""
    path_of = {"repository": f"sftp://{server.user}@{server.host}:{server.port}/{path}"}
    before = json.loads((bench.root / "odpm.json").read_text(encoding="utf-8"))["backup"]
    bench.edit(backup=path_of)
    bench.commit("Backups by ssh")
    try:
        yield
    finally:
        for name in ("BACKUP_SSH_KEY_FILE", "BACKUP_KNOWN_HOSTS_FILE"):
            bench.env.pop(name, None)
        bench.edit(backup=before)
        bench.commit("As before")
        bench.ok("up")
        bench.ok("backup.run")


def test_an_ssh_server(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    network = f"{bench.prefix}_default"
    host = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network).strip()
    folder = tmp_path / "repository"
    with SshServer(tmp_path / "server", host=host) as server, repository_on(bench, server, folder):
        failure(bench.inv("up"), 4, "BACKUP_SSH_KEY_FILE is not set", "BACKUP_SSH_KEY_FILE=FILE")
        bench.env["BACKUP_SSH_KEY_FILE"] = str(server.key)
        failure(bench.inv("up"), 4, "BACKUP_KNOWN_HOSTS_FILE is not set", "BACKUP_KNOWN_HOSTS_FILE=FILE")
        bench.env["BACKUP_KNOWN_HOSTS_FILE"] = str(server.known_hosts)
        bench.ok("up")
        bench.ok("backup.run")
        bench.ok("backup.run")
        assert (folder / "config").is_file()
        assert len(stored(bench)) == 2
        assert backup_status(bench)["problem"] == ""
        bench.ok("backup.restore", "--to", "from-ssh")
        bench.ok("db.drop", "from-ssh", "--yes")

        container = str(bench.containers()["backup"]["Id"])
        shown = docker("inspect", container) + docker("top", container, "-ww", "-eo", "pid,args")
        shown += bench.inv("logs", "backup").output
        secret = server.key.read_text(encoding="ascii").splitlines()[1:-1]
        assert not [line for line in secret if line in shown]

        other = make_key(tmp_path / "other")
        address = f"[{server.host}]:{server.port}"
        hosts = tmp_path / "other_hosts"
        public = other.with_name("other.pub").read_text(encoding="ascii").split()
        hosts.write_text(f"{address} {public[0]} {public[1]}\n", encoding="ascii")
        count = len(list((folder / "snapshots").iterdir()))
        ran = bench.inv("backup.run", BACKUP_KNOWN_HOSTS_FILE=str(hosts))
        failure(ran, 4, "has another key than BACKUP_KNOWN_HOSTS_FILE says", "ssh-keyscan")
        hosts.write_text("elsewhere.example ssh-ed25519 AAAA\n", encoding="ascii")
        ran = bench.inv("backup.list", BACKUP_KNOWN_HOSTS_FILE=str(hosts))
        failure(ran, 4, "or none is known", "ssh-keyscan")
        ran = bench.inv("backup.run", BACKUP_SSH_KEY_FILE=str(other))
        failure(ran, 4, "the server of the repository refuses the key", "BACKUP_SSH_KEY_FILE")
        assert "refuses the key" in backup_status(bench)["problem"]
        assert len(list((folder / "snapshots").iterdir())) == count

        server.__exit__(None, None, None)
        failure(bench.inv("backup.run"), 5, "the server of the repository does not answer", "backup.repository")
