"""The graph of real OCA add-ons over smart HTTP: which commits are locked, and what that costs the server.

The repositories are those of `tests.standins.oca`, copied so that their branches may move. Two small ones stand above them:
`acme/crm` asks by `oca_dependencies.txt`, `acme/sale` by a nested `odpm.json`. The platform is the tiny one of `failures`.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.e2e.conftest import say
from tests.e2e.failures import FILES, LOCKS, PLATFORM, Workspace, failure, grep, publish, workspace_at
from tests.e2e.harness import CommandResult, git
from tests.standins.githttp import GitServer
from tests.standins.gitrepo import PREFIX, place
from tests.standins.oca import BRANCH, ensure_oca

SHALLOW_FETCH = ["GET", "POST", "POST"]  # what the server can, the branch's commit, its pack
COMMIT_FETCH = ["GET", "POST"]  # the commit is known: nobody asks where the branch is
USER, PASSWORD = "robot", "tr0ub4dor"
CRM = {
    "crm_thing/__manifest__.py": "{'name': 'CRM'}\n",
    "oca_dependencies.txt": "partner-contact\nqueue https://github.com/OCA/queue.git 19.0\n",
}
SALE = {
    "sale_thing/__manifest__.py": "{'name': 'Sale'}\n",
    "odpm.json": json.dumps({"odpm_version": "4.0", "odoo_version": BRANCH, "dependencies": [f"{PREFIX}OCA/mail.git"]}),
}
REACHED = {  # from crm and sale; server-tools and web by partner-contact, server-env by mail
    "acme/crm", "acme/sale", "OCA/partner-contact", "OCA/queue", "OCA/mail", "OCA/server-tools", "OCA/web",
    "OCA/server-env", "odoo/odoo",
}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A project that asks for crm and sale, on a host of real add-ons."""
    shutil.copytree(ensure_oca(say), tmp_path / "host/OCA")
    for repository, files in ((PLATFORM, FILES[PLATFORM]), ("acme/crm.git", CRM), ("acme/sale.git", SALE)):
        publish(tmp_path / "host" / repository, files, BRANCH)
    made = workspace_at(tmp_path, PREFIX)
    made.root.mkdir()
    (made.root / "tasks.py").write_text("from odpm_tasks import collection\n\nns = collection()\n", encoding="utf-8")
    git("init", "-q", "-b", "main", "--template=", cwd=made.root)
    describe(made, f"{PREFIX}acme/crm.git {BRANCH}", f"{PREFIX}acme/sale.git {BRANCH}")
    return made


@pytest.fixture
def server(workspace: Workspace) -> Iterator[GitServer]:
    with GitServer(workspace.host) as running:
        workspace.bench.env["ODPM_GIT_MIRROR"] = f"{PREFIX}={running.base}"
        yield running


def describe(workspace: Workspace, *dependencies: str) -> None:
    workspace.describe(platform={"git": f"{PREFIX}{PLATFORM} {BRANCH}"}, dependencies=list(dependencies))


def locked(workspace: Workspace) -> dict[str, str]:
    """The commits of the lock by repository."""
    lock = workspace.lock()
    return {pin["url"].removeprefix(PREFIX): pin["commit"] for pin in (lock["platform"], *lock["dependencies"])}


def tips(workspace: Workspace) -> dict[str, str]:
    """What every branch of the graph is at, asked of the repositories themselves."""
    return {name: git("rev-parse", f"refs/heads/{BRANCH}", cwd=workspace.host / f"{name}.git") for name in REACHED}


def asked(server: GitServer) -> dict[str, list[str]]:
    """The methods of the requests since we last looked, by repository."""
    found: dict[str, list[str]] = defaultdict(list)
    for request in server.requests:
        assert request.status == 200
        found[request.repository.removesuffix(".git")].append(request.method)
    server.requests.clear()
    return dict(found)


def test_the_lock_is_what_the_server_has_for_one_fetch_each(workspace: Workspace, server: GitServer) -> None:
    workspace.bench.ok("lock")
    assert asked(server) == dict.fromkeys(REACHED, SHALLOW_FETCH)
    assert locked(workspace) == tips(workspace)
    before = (workspace.root / LOCKS[0]).read_bytes()
    assert "nothing changed" in workspace.bench.ok("lock").err
    workspace.bench.ok("lock", "--check")
    workspace.bench.ok("render")
    assert asked(server) == {}
    assert (workspace.root / LOCKS[0]).read_bytes() == before
    assert (workspace.source("web") / "web_responsive/__manifest__.py").exists()


def test_an_update_asks_each_once_and_moves_what_has_moved(workspace: Workspace, server: GitServer) -> None:
    workspace.bench.ok("lock")
    old = tips(workspace)
    workspace.publish("OCA/server-env.git", {"server_environment/__manifest__.py": "{'name': 'Moved'}\n"}, BRANCH)
    server.requests.clear()
    ran = workspace.bench.ok("lock", "--update")
    counts = {name: methods.count("GET") for name, methods in asked(server).items()}
    assert counts == dict.fromkeys(REACHED, 1)
    new = tips(workspace)
    assert locked(workspace) == new
    assert ran.out == f"server-env {old['OCA/server-env'][:8]} -> {new['OCA/server-env'][:8]}\n"


def test_a_colleague_gets_the_locked_commits_of_branches_that_moved(workspace: Workspace, server: GitServer) -> None:
    workspace.bench.ok("lock")
    old, lock = tips(workspace), (workspace.root / LOCKS[0]).read_bytes()
    for name in ("OCA/partner-contact", "OCA/server-tools"):  # asked for by crm, and by the one that crm asks for
        workspace.publish(f"{name}.git", {"other_thing/__manifest__.py": "{'name': 'Other'}\n"}, BRANCH)
    shutil.rmtree(workspace.cache)
    server.requests.clear()
    workspace.bench.ok("render", ODPM_SCENARIO="server")
    assert asked(server) == dict.fromkeys(REACHED, COMMIT_FETCH)
    assert (workspace.root / LOCKS[0]).read_bytes() == lock
    heads = {name: git("rev-parse", "HEAD", cwd=workspace.source(name.rpartition("/")[2])) for name in REACHED}
    assert heads == old


def python_of(repository: Path) -> dict[str, Requirement]:
    """What the add-ons of a repository ask of Python, read from their manifests, by name."""
    place = git("ls-tree", "-r", "--name-only", BRANCH, cwd=repository).splitlines()
    texts = [git("show", f"{BRANCH}:{path}", cwd=repository) for path in place if path.endswith("/__manifest__.py")]
    blocks = [ast.literal_eval(text).get("external_dependencies", {}) for text in texts]
    asked = [Requirement(line) for block in blocks for line in block.get("python", [])]
    return {canonicalize_name(requirement.name): requirement for requirement in asked}


def test_what_add_ons_import_is_locked_with_hashes(workspace: Workspace, server: GitServer) -> None:
    for name in ("server-tools", "queue"):  # from now on nothing but manifests asks for packages
        without(workspace.host / f"OCA/{name}.git", "requirements.txt")
    wanted = python_of(place("OCA/server-tools")) | python_of(place("OCA/queue"))
    assert {"sentry-sdk", "requests"} <= wanted.keys()
    workspace.bench.ok("lock")
    text = (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==(\S+).*\\\n    --hash=sha256:[0-9a-f]{64}", text, flags=re.MULTILINE))
    for name, requirement in wanted.items():
        assert pinned[name] in requirement.specifier


def without(repository: Path, file: str) -> None:
    """One more commit on the branch, that takes a file of the root away."""
    tree = git("ls-tree", BRANCH, cwd=repository).splitlines()
    kept = "".join(f"{line}\n" for line in tree if not line.endswith(f"\t{file}"))
    made = subprocess.run(["git", "mktree"], cwd=repository, input=kept, capture_output=True, text=True, check=True)
    commit = git("commit-tree", made.stdout.strip(), "-p", BRANCH, "-m", "x", cwd=repository)
    git("update-ref", f"refs/heads/{BRANCH}", commit, cwd=repository)


def test_a_private_repository_below_the_top(workspace: Workspace, server: GitServer, tmp_path: Path) -> None:
    """The link is of a trusted dependency, the login of the user: `${GIT_LOGIN}` of `.env`. Links at the top are in test_bad_git."""
    publish(tmp_path / "private/team/secret.git", {"secret_thing/__manifest__.py": "{'name': 'Secret'}\n"}, BRANCH)
    with GitServer(tmp_path / "private", auth=(USER, PASSWORD)) as private:
        link = private.url("team/secret.git").replace("://", "://${GIT_LOGIN}@")
        files = {**SALE, "odpm.json": json.dumps({"odpm_version": "4.0", "dependencies": [f"{link} {BRANCH}"]})}
        workspace.publish("acme/sale.git", files, BRANCH)
        (workspace.root / ".env").write_text(f"GIT_LOGIN={USER}:{PASSWORD}\n", encoding="utf-8")
        described = json.loads((workspace.root / "odpm.json").read_text(encoding="utf-8"))
        failure(
            workspace.bench.inv("lock"), 4, "sale would send the variable GIT_LOGIN", "add it to trust in odpm.json"
        )
        workspace.describe(**described, trust=["sale"])
        ran: list[CommandResult] = [
            workspace.bench.ok(*words) for words in (("lock",), ("render",), ("plan", "--diff", "--verbose"))
        ]
        address = private.url("team/secret")
    commit = git("rev-parse", BRANCH, cwd=tmp_path / "private/team/secret.git")
    assert locked(workspace)[address.replace("http://", "https://")] == commit
    assert (workspace.source("secret") / "secret_thing/__manifest__.py").exists()
    assert git("config", "--get", "remote.origin.url", cwd=workspace.source("secret")) == f"{address}.git"
    output = "".join(each.output for each in ran)
    for word in (USER, PASSWORD):
        assert word not in output
        assert grep(word, workspace.root / ".odpm", workspace.root / ".git", workspace.cache) == []
