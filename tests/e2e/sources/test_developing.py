"""The developing project in the lock: server and ci ask for its content, whatever commit, merge or clone it came by.

`odpm.json` names the project's own repository (`developing.git`); the lock was written on the branch `feature`, two commits
ahead of `main`, and every test works in a clone of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import HOST, LOCKS, MINIMAL, Workspace, create_workspace, failure, run_shell
from tests.e2e.harness import Bench, CommandResult, git

pytest_plugins = ["tests.e2e.workspaces"]
OWN = "team/own.git"
MODULE = "own_thing/__manifest__.py"
DESCRIPTION = {**MINIMAL, "developing": {"git": f"{HOST}{OWN}"}}
Clone = Callable[..., Bench]


def put(bench: Bench, path: str, text: str) -> None:
    (bench.root / path).parent.mkdir(parents=True, exist_ok=True)
    (bench.root / path).write_text(text, encoding="utf-8")


def commit(bench: Bench, message: str = "Work") -> None:
    git("add", "-A", cwd=bench.root)
    git("commit", "-qm", message, cwd=bench.root)


def head(bench: Bench) -> str:
    return git("rev-parse", "HEAD", cwd=bench.root)


def recorded(bench: Bench) -> dict[str, Any] | None:
    lock = json.loads((bench.root / LOCKS[0]).read_text(encoding="utf-8"))
    found: dict[str, Any] | None = lock.get("developing")
    return found


def describe(bench: Bench, **keys: object) -> None:
    put(bench, "odpm.json", json.dumps({**DESCRIPTION, **keys}, indent=2) + "\n")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The team's server: `main` with the description, `feature` with an add-on and the lock. Only to clone from."""
    workspace = create_workspace(tmp_path_factory.mktemp("team"))
    bench = workspace.bench
    describe(bench)
    commit(bench, "The description")
    git("remote", "add", "origin", f"{HOST}{OWN}", cwd=bench.root)
    git("checkout", "-qb", "feature", cwd=bench.root)
    put(bench, MODULE, "{'name': 'Own'}\n")
    commit(bench, "An add-on")
    bench.ok("lock")
    commit(bench, "The lock")
    git("clone", "-q", "--bare", str(bench.root), str(workspace.host / OWN), cwd=workspace.folder)
    return workspace


@pytest.fixture
def clone(team: Workspace, tmp_path: Path) -> Clone:
    """Makes a clone of the server's repository, by default of `feature`; `origin` is what the description says."""

    def make(*options: str, branch: str = "feature") -> Bench:
        root = tmp_path / f"clone-{len(list(tmp_path.glob('clone-*')))}"
        git("clone", "-q", "-b", branch, *options, f"file://{team.host / OWN}", str(root), cwd=tmp_path)
        git("remote", "set-url", "origin", f"{HOST}{OWN}", cwd=root)
        return Bench(root, {**team.bench.env, "ODPM_COMPOSE_PREFIX": f"{team.bench.prefix}-{root.name}"})

    return make


def wanting(bench: Bench, *words: str) -> None:
    """See that both strict scenarios end with 3 and these words, and leave the lock alone."""
    before = (bench.root / LOCKS[0]).read_bytes()
    for scenario in ("server", "ci"):
        failure(bench.inv("render", ODPM_SCENARIO=scenario), 3, *words)
    assert (bench.root / LOCKS[0]).read_bytes() == before


# The same content


def squashed(clone: Clone) -> Bench:
    bench = clone(branch="main")
    git("merge", "-q", "--squash", "origin/feature", cwd=bench.root)
    git("commit", "-qm", "All in one", cwd=bench.root)
    return bench


def merged(clone: Clone) -> Bench:
    bench = clone(branch="main")
    git("merge", "-q", "--no-ff", "-m", "Merge", "origin/feature", cwd=bench.root)
    return bench


def rebased(clone: Clone) -> Bench:
    bench = clone()
    before = head(bench)
    git("checkout", "-q", "--orphan", "other", cwd=bench.root)
    git("rm", "-rqf", ".", cwd=bench.root)
    git("commit", "-q", "--allow-empty", "-m", "Another beginning", cwd=bench.root)
    git("checkout", "-q", "feature", cwd=bench.root)
    git("rebase", "-q", "--root", "--onto", "other", cwd=bench.root)
    assert head(bench) != before
    return bench


def detached(clone: Clone) -> Bench:
    bench = clone()
    git("checkout", "-q", "--detach", cwd=bench.root)
    return bench


def in_a_worktree(clone: Clone) -> Bench:
    bench = clone(branch="main")
    root = bench.root.with_name("worktree")
    git("worktree", "add", "-q", "--detach", str(root), "origin/feature", cwd=bench.root)
    return Bench(root, bench.env)


def of_a_fork(clone: Clone) -> Bench:
    bench = clone()
    git("remote", "rename", "origin", "upstream", cwd=bench.root)
    git("remote", "add", "origin", f"{HOST}somebody/own.git", cwd=bench.root)
    return bench


def described_anew(clone: Clone) -> Bench:
    """Only `odpm.json` and the lock differ: what the description asks for is the lock's business."""
    bench = clone()
    describe(bench, odoo_conf={"options": {"workers": 2}})
    lock = json.loads((bench.root / LOCKS[0]).read_text(encoding="utf-8"))
    put(bench, LOCKS[0], json.dumps({**lock, "x-team": "a note"}, indent=2, sort_keys=True) + "\n")
    commit(bench)
    return bench


def beside_a_new_file(clone: Clone) -> Bench:
    bench = clone()
    put(bench, "notes.txt", "mine\n")
    put(bench, "own_thing/new.py", "A = 1\n")
    return bench


@pytest.mark.parametrize(
    "state",
    [
        lambda clone: clone("--depth", "1"),
        lambda clone: clone("--single-branch"),
        squashed, merged, rebased, detached, in_a_worktree, of_a_fork, described_anew, beside_a_new_file,
    ],
    ids=["depth one", "single branch", "squash", "merge", "rebase", "detached", "worktree", "fork", "lock only", "untracked"],
)  # fmt: skip
def test_the_same_content_is_fine(team: Workspace, clone: Clone, state: Callable[[Clone], Bench]) -> None:
    bench = state(clone)
    before = head(bench)
    bench.ok("lock", "--check")
    for scenario in ("ci", "server"):
        bench.ok("render", ODPM_SCENARIO=scenario)
    assert head(bench) == before
    assert recorded(bench) == recorded(team.bench)


# Another content


def edited(bench: Bench) -> None:
    put(bench, MODULE, "{'name': 'Own', 'version': '2'}\n")


def added(bench: Bench) -> None:
    put(bench, "own_thing/models.py", "A = 1\n")


def gone(bench: Bench) -> None:
    (bench.root / MODULE).unlink()


def runnable(bench: Bench) -> None:
    (bench.root / MODULE).chmod(0o755)


def renamed(bench: Bench) -> None:
    (bench.root / "own_thing").rename(bench.root / "other_thing")


def overridden(bench: Bench) -> None:
    put(bench, ".odpm/templates/odoo.conf.j2", "[options]\n")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        *((change, lambda clone: clone()) for change in (edited, added, gone, runnable, renamed, overridden)),
        (edited, lambda clone: clone("--depth", "1")),
        (edited, merged),
        (edited, in_a_worktree),
    ],
)
def test_another_content_is_refused(
    clone: Clone, change: Callable[[Bench], None], state: Callable[[Clone], Bench]
) -> None:
    bench = state(clone)
    change(bench)
    commit(bench)
    wanting(bench, "the developing project differs from the lock", "ODPM_SCENARIO=developer inv lock")
    failure(bench.inv("lock", "--check"), 3, "the developing project differs from the lock")


@pytest.mark.parametrize("stage", [False, True], ids=["edited", "staged"])
def test_what_is_not_committed_is_named(clone: Clone, stage: bool) -> None:
    bench = clone()
    edited(bench)
    if stage:
        git("add", "-A", cwd=bench.root)
    wanting(bench, "the developing project has local changes", MODULE, "git stash")
    failure(bench.inv("lock", "--check", ODPM_SCENARIO="server"), 3, MODULE)
    bench.ok("lock", "--check")  # a commit hook of a developer asks for the lock, not for the work under way
    assert "'version': '2'" in (bench.root / MODULE).read_text(encoding="utf-8")


def test_a_lock_that_does_not_record_it_is_refused(clone: Clone) -> None:
    bench = clone()
    lock = json.loads((bench.root / LOCKS[0]).read_text(encoding="utf-8"))
    del lock["developing"]
    put(bench, LOCKS[0], json.dumps(lock, indent=2, sort_keys=True) + "\n")
    commit(bench)
    wanting(bench, "the lock does not record the developing project")


def test_what_nobody_recorded_is_not_checked(clone: Clone) -> None:
    """Without `developing.git` there is nothing to hold this checkout to."""
    bench = clone()
    bench.edit(developing=None)
    assert "drop own" in bench.ok("lock").out
    assert recorded(bench) is None
    commit(bench)
    edited(bench)
    bench.ok("render", ODPM_SCENARIO="server")


# In developer


def test_a_developer_is_never_forced(clone: Clone) -> None:
    bench = clone()
    edited(bench)
    commit(bench)
    put(bench, "tasks.py", (bench.root / "tasks.py").read_text(encoding="utf-8") + "\n# under way\n")
    before, lock = head(bench), (bench.root / LOCKS[0]).read_bytes()
    status = git("status", "--porcelain", "-uno", cwd=bench.root)
    bench.ok("render")
    assert "+ create" not in bench.ok("plan", "--verbose").out.partition("\nrun")[0]
    assert (head(bench), (bench.root / LOCKS[0]).read_bytes()) == (before, lock)
    assert git("status", "--porcelain", "-uno", cwd=bench.root) == status


def test_inv_lock_records_it_anew(clone: Clone) -> None:
    bench = clone()
    edited(bench)
    commit(bench)
    before = head(bench)
    tree = (recorded(bench) or {})["tree"]
    assert f"own {(recorded(bench) or {})['commit'][:8]} -> {before[:8]}" in bench.ok("lock").out
    entry = recorded(bench)
    assert entry == {"url": f"{HOST}{OWN}".removesuffix(".git"), "commit": before, "tree": entry and entry["tree"]}
    assert entry["tree"] != tree
    commit(bench, "The lock alone")
    bench.ok("render", ODPM_SCENARIO="server")
    assert "nothing changed" in bench.ok("lock").output
    assert git("status", "--porcelain", cwd=bench.root) == ""


def test_what_the_message_says_mends_it(clone: Clone) -> None:
    bench = clone()
    edited(bench)
    commit(bench)
    wanting(bench, "ODPM_SCENARIO=developer inv lock")
    run_shell(Workspace(bench.root.parent, bench), "ODPM_SCENARIO=developer inv lock && git commit -qam 'The lock'")
    bench.ok("render", ODPM_SCENARIO="ci")


@pytest.mark.parametrize("missing", ["lock", "entry"])
def test_render_records_what_the_lock_lacks(clone: Clone, missing: str) -> None:
    bench = clone()
    lock = json.loads((bench.root / LOCKS[0]).read_text(encoding="utf-8"))
    (bench.root / LOCKS[0]).unlink()
    if missing == "entry":
        tree = lock.pop("developing")["tree"]
        put(bench, LOCKS[0], json.dumps(lock, indent=2, sort_keys=True) + "\n")
    commit(bench)
    assert "git.resolve" in bench.ok("render").output
    entry = recorded(bench)
    assert entry is not None
    assert entry["commit"] == head(bench)
    assert missing == "lock" or entry["tree"] == tree
    commit(bench, "The lock")
    bench.ok("render", ODPM_SCENARIO="server")


# Another repository


@pytest.fixture
def elsewhere(clone: Clone, team: Workspace) -> Bench:
    """The description stands in a repository of its own and names the one that is developed."""
    bench = clone()
    git("remote", "set-url", "origin", f"{HOST}team/stand.git", cwd=bench.root)
    describe(bench, developing={"git": f"{HOST}team/shop.git 19.0"})
    team.publish("team/shop.git", {"shop/__manifest__.py": f"{{'name': '{bench.root}'}}\n"})
    return bench


def test_another_repository_is_pinned_like_any_source(team: Workspace, elsewhere: Bench) -> None:
    def render(scenario: str) -> CommandResult:
        return elsewhere.inv("render", ODPM_SCENARIO=scenario)

    for scenario in ("server", "ci"):
        failure(render(scenario), 3, "the lock is incomplete", f"{HOST}team/shop 19.0")
    elsewhere.ok("lock")
    pin = git("rev-parse", "19.0", cwd=team.host / "team/shop.git")
    assert recorded(elsewhere) == {"url": f"{HOST}team/shop", "branch": "19.0", "commit": pin}
    team.publish("team/shop.git", {"shop/__manifest__.py": "{'name': 'Later'}\n"})
    edited(elsewhere)  # the folder of the description is not what is developed
    assert render("server").code == 0
    assert git("rev-parse", "HEAD", cwd=elsewhere.root / ".odpm/src/shop") == pin
    conf = (elsewhere.root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")
    assert re.search("^addons_path = .*/shop,.*/web,", conf, re.MULTILINE)
    elsewhere.ok("lock", "--check")


def test_another_repository_in_the_locks_of_the_manifest(team: Workspace, elsewhere: Bench) -> None:
    elsewhere.ok("lock", "--update", "--sync-manifest-locks")
    pin = git("rev-parse", "19.0", cwd=team.host / "team/shop.git")
    pins = json.loads((elsewhere.root / "odpm.json").read_text(encoding="utf-8"))["locks"]["git"]
    assert pins[f"{HOST}team/shop"] == pin
    elsewhere.ok("lock", "--check")
    later = team.publish("team/shop.git", {"shop/__manifest__.py": "{'name': 'Later'}\n"})
    elsewhere.edit(locks={"git": {**pins, f"{HOST}team/shop": later}})
    failure(elsewhere.inv("lock", "--check"), 3, f"shop: odpm.json {later[:8]}, lock {pin[:8]}")
    elsewhere.ok("lock")
    assert (recorded(elsewhere) or {})["commit"] == later
