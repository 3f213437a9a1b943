"""Teams change over person by person: odpm 4.x follows a lock of ours, we follow one of its, in both formats.

odpm 4.x is the real one, from the Python index, driven by its command line. It keeps a folder of its own for each project,
with the lock in it, and its checkouts below ODOO_PROJECTS_DIR.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import FILES, HOST, LOCKS, MINIMAL, PLATFORM, SALE, WEB, Workspace
from tests.e2e.harness import LAYERS, CommandResult, git
from tests.ports import claim_port
from tests.standins.engine import ensure_engine
from tests.standins.older import NotOnIndex, ensure_older

pytest_plugins = ["tests.e2e.workspaces"]
OWN = "team/own.git"
FORMATS: dict[str, dict[str, Any]] = {
    "flat": {
        "odpm_version": "4.0",
        "odoo_version": "19.0",
        "python_version": "3.11",
        "distro_version": "12",
        "postgres_version": "15",
        "odoo_git_link": f"{HOST}{PLATFORM}",
        "developing_project": f"{HOST}{OWN}",
    },
    "nested": {**MINIMAL, "requires_odpm": "4.7.0", "developing": {"git": f"{HOST}{OWN}"}},
}
SPELLINGS = (HOST, "http://git.test/", "git@git.test:", "ssh://git@git.test/", "https://me:hunter2@git.test/")
DEPENDENCIES = [f"{HOST}{WEB} 19.0", f"{HOST}{SALE}"]  # one with a branch, one without


@dataclass
class Team:
    """A project that is worked on with both command lines: ours in `ground.root`, the older one in a folder beside."""

    workspace: Workspace
    older: list[str]

    @property
    def root(self) -> Path:
        return self.workspace.root

    @property
    def elder(self) -> Path:
        return self.workspace.folder / "elder"

    @property
    def elder_lock(self) -> Path:
        return self.elder / LOCKS[0]

    def describe(self, form: str, *dependencies: str) -> None:
        """Give the project its description, and the team's server the project."""
        description = {**FORMATS[form], "dependencies": list(dependencies or DEPENDENCIES)}
        (self.root / "odpm.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        git("init", "-q", "--bare", "-b", "main", "--template=", str(self.workspace.host / OWN), cwd=self.root)
        git("remote", "add", "origin", f"{HOST}{OWN}", cwd=self.root)
        self.push()

    def push(self) -> None:
        git("add", "-A", cwd=self.root)
        git("commit", "-qm", "Work", cwd=self.root)
        git("push", "-q", str(self.workspace.host / OWN), "main", cwd=self.root)

    def move_tips(self) -> dict[str, str]:
        """A new commit on each dependency's branch; by repository."""
        return {name: self.workspace.publish(name, {**FILES[name], "new": "x"}) for name in (WEB, SALE)}

    def odpm4(self, *words: str, scenario: str = "developer", lock: bytes | None = None) -> CommandResult:
        """Run odpm 4.x in a fresh folder of its own that holds nothing but its settings and, where given, a lock."""
        settings = {"developing_project": f"{HOST}{OWN}", "check_system": False, "update_git_repos": False}
        creation = {"db_lang": "en_US", "db_country_code": None, "create_demo": False}
        logins = {"db_default_admin_login": "admin", "db_default_admin_password": "admin"}
        rest = {"init_modules": "", "update_modules": "", "db_manager_password": "1", "sql_queries": []}
        ports = ("ODOO_PORT", "POSTGRES_PORT", "DEBUGGER_PORT", "GEVENT_PORT")
        places = {"BACKUP_DIR": self.elder / "backups", "ODOO_PROJECTS_DIR": self.elder / "projects"}
        env = {**places, "PATH_TO_SSH_KEY": "", "ODPM_SCENARIO": scenario, "ODPM_LOCALE": "en_US", "ODPM_IDE": "vscode"}
        env |= {name: claim_port() for name in ports}
        (self.elder / ".odpm").mkdir(parents=True, exist_ok=True)
        for paths in places.values():
            paths.mkdir(exist_ok=True)
        whole = {**settings, **rest, "db_creation_data": {**creation, **logins}, "clean_git_repos": False}
        (self.elder / "user_settings.json").write_text(json.dumps(whole), encoding="utf-8")
        (self.elder / ".env").write_text("".join(f"{key}={value}\n" for key, value in env.items()), encoding="utf-8")
        if lock is not None:
            self.elder_lock.write_bytes(lock)
        outside = {name: value for name, value in os.environ.items() if not name.startswith(LAYERS)}
        for _ in range(5):
            done = subprocess.run(
                [*self.older, *words], cwd=self.elder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                env={**outside, "HOME": str(self.workspace.folder / "home")}, check=False,
            )  # fmt: skip
            # It lists all containers with their sizes, and the engine fails that if another test removes one of them.
            if done.returncode == 0 or "rw layer snapshot not found" not in done.stderr:
                break
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def stands_on(self, repository: str) -> str:
        """The commit that odpm 4.x has checked out."""
        return git("rev-parse", "HEAD", cwd=self.elder / "projects/git.test" / repository.removesuffix(".git"))


@pytest.fixture(scope="session")
def older() -> list[str]:
    try:
        return ensure_older(lambda text: print(text, file=sys.stderr))
    except NotOnIndex as error:
        pytest.skip(str(error))


@pytest.fixture
def team(workspace: Workspace, older: list[str]) -> Team:
    """odpm 4.x asks Docker who holds its ports and whether Compose accepts its file, even where it starts nothing."""
    ensure_engine(lambda text: print(text, file=sys.stderr))
    host = f"file://{workspace.host}/"
    rules = "".join(f"\tinsteadOf = {prefix}\n" for prefix in SPELLINGS)
    (workspace.folder / "home/.gitconfig").write_text(f'[url "{host}"]\n{rules}', encoding="utf-8")
    workspace.bench.env["ODPM_GIT_MIRROR"] = " ".join(f"{prefix}={host}" for prefix in SPELLINGS)
    return Team(workspace, older)


def pins(lock: dict[str, Any]) -> dict[str, str]:
    return {entry["url"]: entry["commit"] for entry in (lock["platform"], *lock["dependencies"])}


def tip(team: Team, repository: str) -> str:
    return git("rev-parse", "19.0", cwd=team.workspace.host / repository)


@pytest.mark.parametrize("form", FORMATS)
def test_the_older_follows_our_lock(team: Team, form: str) -> None:
    team.describe(form)
    team.workspace.bench.ok("lock")
    images = {"postgres:15": f"sha256:{'a' * 64}"}
    package = {
        "name": "tool",
        "url": "https://git.test/team/tool",
        "commit": "a" * 40,
        "version": "1.0",
        "requirements": [],
    }
    locked = {"images": images, "python": [package], **team.workspace.lock(), "x-team": {"note": "kept"}}
    assert set(locked) >= {"developing", "venv", "images", "python"}
    text = json.dumps(locked, indent=2, sort_keys=True).encode()
    before = {name: tip(team, name) for name in (WEB, SALE)}
    after = team.move_tips()

    for scenario in ("developer", "server", "ci"):
        ran = team.odpm4("--skip-start", scenario=scenario, lock=text)
        assert ran.code == 0, ran.output
        assert "Applying git dependency lock" in ran.output
        assert "drift" not in ran.output
        assert {name: team.stands_on(name) for name in (WEB, SALE)} == before
        assert team.stands_on(PLATFORM) == locked["platform"]["commit"]
        assert team.stands_on(OWN) == locked["developing"]["commit"]
        assert team.elder_lock.read_bytes() == text

    team.elder_lock.unlink()  # what it does without a lock: this test would see it
    team.odpm4("--skip-start")
    assert {name: team.stands_on(name) for name in (WEB, SALE)} == after


def test_the_older_accepts_our_entry_of_a_folder(team: Team) -> None:
    """Its fingerprints rest on times and on git, ours on content: it tells of drift, uses the folder and goes on."""
    folder = team.workspace.folder / "local"
    (folder / "local_thing").mkdir(parents=True)
    (folder / "local_thing/__manifest__.py").write_text("{'name': 'Local'}\n", encoding="utf-8")
    team.describe("nested", *DEPENDENCIES, folder.as_uri())
    team.workspace.bench.ok("lock")
    before = tip(team, WEB)
    team.move_tips()
    ran = team.odpm4("--skip-start", lock=(team.root / LOCKS[0]).read_bytes())
    assert ran.code == 0, ran.output
    assert [line for line in ran.output.splitlines() if "drift" in line and folder.as_uri() not in line] == []
    assert team.stands_on(WEB) == before
    assert (team.elder / "dependencies/local").resolve() == folder.resolve()


@pytest.mark.parametrize("url", ["git@git.test:team/web.git", f"{HOST}team/web/", "http://git.test/team/web.git"])
def test_the_older_knows_our_canonical_address(team: Team, url: str) -> None:
    team.describe("nested", f"{url} 19.0")
    team.workspace.bench.ok("lock")
    before = tip(team, WEB)
    team.move_tips()
    ran = team.odpm4("--skip-start", lock=(team.root / LOCKS[0]).read_bytes())
    assert ran.code == 0, ran.output
    assert team.stands_on(WEB) == before


@pytest.mark.parametrize("form", FORMATS)
def test_we_follow_the_lock_of_the_older(team: Team, form: str) -> None:
    team.describe(form)
    written = team.odpm4("--update-lock")
    assert written.code == 0, written.output
    theirs = json.loads(team.elder_lock.read_text(encoding="utf-8"))
    assert set(pins(theirs)) == {f"{HOST}{name}".removesuffix(".git") for name in (PLATFORM, WEB, SALE)}
    team.move_tips()
    inv = team.workspace.bench
    (team.root / ".odpm").mkdir()
    (team.root / LOCKS[0]).write_bytes(team.elder_lock.read_bytes())

    plan = inv.ok("plan", "--verbose").out
    for url, commit in pins(theirs).items():
        assert re.search(rf" {url.rsplit('/', 1)[-1]} +fetch {commit[:8]}", plan), plan
    assert not re.search(r" own +fetch", plan), "the developing checkout is here, nobody fetches it"

    inv.ok("lock")
    ours = team.workspace.lock()
    assert pins(ours) == pins(theirs)
    assert {key: ours[key] for key in theirs if key != "developing"} == {
        key: theirs[key] for key in theirs if key != "developing"
    }
    assert ours["developing"]["url"] == theirs["developing"]["url"]
    assert set(ours) - set(theirs) <= {"venv", "odoo_version", "images", "tools"}
    inv.ok("lock", "--check")
    inv.ok("render")
    for name in ("odoo", "web", "sale"):
        commit = next(commit for url, commit in pins(theirs).items() if url.endswith(f"/{name}"))
        assert git("rev-parse", "HEAD", cwd=team.workspace.source(name)) == commit


def test_a_lock_of_the_older_is_enough_for_no_strict_scenario(team: Team) -> None:
    """It pins no Python package and no content of the developing project: server and ci say what to type."""
    team.describe("nested")
    assert team.odpm4("--update-lock").code == 0
    (team.root / ".odpm").mkdir()
    (team.root / LOCKS[0]).write_bytes(team.elder_lock.read_bytes())
    for scenario in ("server", "ci"):
        ran = team.workspace.bench.inv("render", ODPM_SCENARIO=scenario)
        assert ran.code == 3
        assert "ODPM_SCENARIO=developer inv lock" in ran.err
    assert (team.root / LOCKS[0]).read_bytes() == team.elder_lock.read_bytes()


def test_a_password_that_the_older_locked_is_gone_after_us(team: Team) -> None:
    """It keeps user and password of `https://` and the scheme of `ssh://`; both are the same repository to us."""
    team.describe("nested", f"https://me:hunter2@git.test/{WEB} 19.0", f"ssh://git@git.test/{SALE}")
    assert team.odpm4("--update-lock").code == 0
    theirs = team.elder_lock.read_text(encoding="utf-8")
    assert "hunter2" in theirs
    before = {name: tip(team, name) for name in (WEB, SALE)}
    team.move_tips()
    (team.root / ".odpm").mkdir()
    (team.root / LOCKS[0]).write_text(theirs, encoding="utf-8")
    team.workspace.bench.ok("lock")
    assert "hunter2" not in (team.root / LOCKS[0]).read_text(encoding="utf-8")
    assert {name: pins(team.workspace.lock())[f"{HOST}{name}".removesuffix(".git")] for name in before} == before


def test_pins_that_the_older_wrote_into_the_manifest(team: Team) -> None:
    """It pins the developing project there too, by a commit that cannot hold that very line: of ours only content counts."""
    team.describe("nested")
    assert team.odpm4("--update-lock", "--sync-manifest-locks").code == 0
    synced = (team.elder / "projects/git.test/team/own/odpm.json").read_text(encoding="utf-8")
    before = {name: tip(team, name) for name in (WEB, SALE)}
    assert set(before.values()) < set(json.loads(synced)["locks"]["git"].values())
    team.move_tips()
    (team.root / "odpm.json").write_text(synced, encoding="utf-8")
    team.push()
    inv = team.workspace.bench
    inv.ok("lock")
    own = team.workspace.lock()["developing"]
    assert own["commit"] != json.loads(synced)["locks"]["git"][own["url"]]
    assert {name: pins(team.workspace.lock())[f"{HOST}{name}".removesuffix(".git")] for name in before} == before
    inv.ok("lock", "--check")
    team.push()
    inv.ok("lock", "--check")
    inv.ok("render", ODPM_SCENARIO="server")
    assert git("status", "--porcelain", cwd=team.root) == ""

    ran = team.odpm4("--skip-start", lock=(team.root / LOCKS[0]).read_bytes())
    assert ran.code == 0, ran.output
    assert {name: team.stands_on(name) for name in before} == before


def test_the_older_reads_pins_that_we_wrote_into_the_manifest(team: Team) -> None:
    team.describe("nested")
    before = {name: tip(team, name) for name in (WEB, SALE)}
    team.workspace.bench.ok("lock", "--update", "--sync-manifest-locks")
    team.push()
    team.move_tips()
    ran = team.odpm4("--skip-start")
    assert ran.code == 0, ran.output
    assert {name: team.stands_on(name) for name in before} == before
    valid = team.odpm4("manifest", "validate")
    assert valid.code == 0, valid.output
