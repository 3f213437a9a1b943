"""A project on this machine: how it is found, the order of its settings, and that a plan changes nothing.

The servers are repositories of this machine behind a mirror rule; no test needs a network, Docker or uv.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import PYTHON_LOCKS
from odpm_tasks.core.locking.lockfile import write_lock
from odpm_tasks.core.locking.python_lock import python_lock_header
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.core.planning.steps import PREPARING, Plan
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import BusyError, DataLossError, DescriptionError, LockError, MachineError, OdpmError
from odpm_tasks.project import Project
from odpm_tasks.sources.folders import developing_url
from odpm_tasks.sources.project_names import remotes, stack_name
from tests.unit.builders import MINIMAL
from tests.unit.repositories import content, git, packed, put, repository, save, tip, without_times

GITHUB = "https://github.com/"


@dataclass(frozen=True)
class Desk:
    """A developer's machine: a home, servers that only it can reach, and a checkout, always in the same folder."""

    room: Path

    @property
    def home(self) -> Path:
        return self.room / "home"

    @property
    def root(self) -> Path:
        return self.room / "acme"

    def project(self, **settings: str) -> Project:
        return Project.at(self.root, **settings)

    def describe(self, *dependencies: str, **keys: object) -> None:
        platform = {"git": f"{GITHUB}odoo/odoo 19.0"}
        text = json.dumps({**MINIMAL, "platform": platform, "dependencies": list(dependencies), **keys}, indent=2)
        (self.root / "odpm.json").write_text(text, encoding="utf-8")

    def server(self, name: str) -> Path:
        return self.room / "servers" / name

    def once(self, state: str, build: Callable[[], None]) -> None:
        """Put the desk into a state: built the first time, then copied (alternates of git are absolute paths)."""
        kept = self.room.with_name(f"{self.room.name}-{state}")
        if not kept.exists():
            build()
            shutil.copytree(self.room, kept, symlinks=True)
        else:
            shutil.copytree(kept, self.room, symlinks=True, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of each desk: odoo/odoo, OCA/web which needs OCA/queue, and the checkout of me/acme."""
    folder = tmp_path_factory.mktemp("template")
    servers = folder / "servers"
    platform = {"odoo-bin": "", "addons/sale/__manifest__.py": "{}", "requirements.txt": "lxml==5.2.1\n"}
    web = {"web_x/__manifest__.py": "{}", "oca_dependencies.txt": "queue\n"}
    queue = {"queue/__manifest__.py": "{'external_dependencies': {'python': ['zeep']}}"}
    for name, held in {"odoo/odoo": platform, "OCA/web": web, "OCA/queue": queue}.items():
        packed(repository(servers / name, held))
    root = repository(folder / "acme", {"addons/mine/__manifest__.py": "{}"}, branch="main")
    git(root, "remote", "add", "origin", "git@github.com:me/acme.git")
    packed(root)
    return folder


@pytest.fixture
def bare(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A folder with a description and nothing else."""
    made = Desk(tmp_path)
    put(made.home, {".odpm/.env": ""})
    monkeypatch.setenv("HOME", str(made.home))
    made.root.mkdir()
    made.describe()
    return made


@pytest.fixture
def desk(clean: Path, template: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """A fresh checkout with one add-on, nothing prepared; git is the only program."""
    made = Desk(template.with_name("desk"))
    shutil.copytree(template, made.room, symlinks=True)
    found = shutil.which("git")
    assert found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    shutil.copytree(clean, made.home)
    monkeypatch.setenv("HOME", str(made.home))
    mirror = f"ODPM_GIT_MIRROR={GITHUB}=file://{made.room / 'servers'}/\n"
    nobody = "ODPM_APT_MIRROR=http://127.0.0.1:9/debian\n"
    put(made.home, {".odpm/.env": mirror + nobody})
    made.describe(f"{GITHUB}OCA/web 19.0")
    monkeypatch.chdir(made.root)
    yield made
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(made.room)


def pin(project: Project) -> None:
    """Write the lock of the repositories: pinned commits, else the current ones."""
    files.write(project.paths.lock, write_lock(project.resolve().lock(project.lock)).encode())


def lock_python(project: Project) -> None:
    """Write Python locks with the header that uv's output gets; it names their inputs."""
    observed = project.observe(PREPARING)
    assert isinstance(observed, ResolvedState)
    texts = [f"{python_lock_header(observed.python.inputs)}{name}==1\n".encode() for name in ("lxml", "debugpy")]
    for path, data in zip(PYTHON_LOCKS, texts, strict=True):
        files.write(project.root / path, data)
    lock = project.lock
    assert lock is not None
    digest = files.sha256(b"\0".join(texts))
    text = json.dumps({**json.loads(write_lock(lock)), "venv": digest}, indent=2, sort_keys=True) + "\n"
    project.paths.lock.write_text(text, encoding="utf-8")


def prepare(project: Project) -> None:
    """Everything that `render` does, with the Python locks of `lock_python` instead of uv's."""
    pin(project)
    lock_python(project)
    project.apply(project.plan(PREPARING))


def actions(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in plan.steps:
        found.setdefault(step.id, []).append(step.action)
    return found


# Where the project is


@pytest.mark.parametrize("below", ["", "addons", "addons/mine", ".odpm", ".odpm/src", ".odpm/src/web/web_x"])
def test_found_from_any_folder_below(bare: Desk, below: str) -> None:
    folder = bare.root / below
    folder.mkdir(parents=True, exist_ok=True)
    (bare.root / ".odpm" / "src" / "web").mkdir(parents=True, exist_ok=True)
    (bare.root / ".odpm" / "src" / "web" / "odpm.json").write_text("{}", encoding="utf-8")
    assert Project.find(folder).root == bare.root


def test_found_from_the_current_folder(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bare.root, {"addons/x": ""})
    monkeypatch.chdir(bare.root / "addons")
    assert Project.find().root == bare.root


def test_the_nearest_project_is_found(bare: Desk) -> None:
    inner = bare.root / "addons" / "inner"
    put(inner, {"odpm.json": "{}", "x/y": ""})
    assert Project.find(inner / "x").root == inner


def test_no_project_is_an_error_with_the_folder(tmp_path: Path, clean: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        Project.find(tmp_path)
    assert str(tmp_path) in caught.value.where
    assert caught.value.exit_code == 4


# Settings


def settings(bare: Desk, project: str = "", home: str = "") -> None:
    (bare.root / ".env").write_text(project, encoding="utf-8")
    (bare.home / ".odpm" / ".env").write_text(home, encoding="utf-8")


def test_environment_overrides_project_overrides_home(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(bare, "A=project\nB=project\nODPM_SCENARIO=server\n", "A=home\nB=home\nC=home\nODPM_SCENARIO=ci\n")
    monkeypatch.setenv("A", "process")
    found = bare.project().paths.settings
    assert [found.get(name) for name in "ABC"] == ["process", "project", "home"]
    assert found.where("C") == "C in ~/.odpm/.env"
    assert bare.project().scenario.name == "server"
    monkeypatch.setenv("ODPM_SCENARIO", "developer")
    assert bare.project().scenario.name == "developer"
    assert bare.project(ODPM_SCENARIO="ci").scenario.name == "ci"


def test_defaults_without_any_file(bare: Desk) -> None:
    (bare.home / ".odpm" / ".env").unlink()
    assert bare.project().scenario.name == "developer"
    assert bare.project().paths.cache == bare.home / ".cache" / "odpm"


def test_a_user_without_home_needs_a_cache_folder(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with `--user` has neither HOME nor an entry for the user in /etc/passwd."""

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    for name in ("ODPM_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MachineError) as error:
        Project.at(bare.root)
    assert str(error.value) == (
        "odpm: there is no folder for the cache: HOME is not set, and the system does not know this user\n"
        "  next:  set HOME or ODPM_CACHE_DIR, for example: ODPM_CACHE_DIR=/var/cache/odpm inv plan"
    )
    settings(bare, "ODPM_CACHE_DIR=/var/cache/odpm\n")
    assert Project.at(bare.root).paths.cache == Path("/var/cache/odpm")


def test_the_cache_folder_is_a_setting(bare: Desk) -> None:
    settings(bare, "ODPM_CACHE_DIR=../cache\n")
    assert Project.at(bare.root).paths.cache == bare.root / "../cache"  # from whatever folder a task is run
    settings(bare, "ODPM_CACHE_DIR=~/elsewhere\n")
    assert bare.project().paths.cache == bare.home / "elsewhere"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=100%", "100%"),
        ("A=%(x)s %d", "%(x)s %d"),
        ("A=p$ss", "p$ss"),
        ("A='p$$w'", "p$$w"),
        ("A=$HOME", "$HOME"),
        ("A=a#b", "a#b"),
        ("A=a # why", "a"),
        ('A="a # b"', "a # b"),
        ("export A=1", "1"),
        ("A=", ""),
        ("A='two words'", "two words"),
        ("B=x\nA=${B}y", "xy"),
        ("A=${NOBODY_SETS_THIS:-default}", "default"),
        ("\ufeffA=1", "1"),
        ("# comment\r\nA=1\r\n", "1"),
        ("A=ключ", "ключ"),
    ],
)
def test_syntax_of_env_files(bare: Desk, line: str, value: str) -> None:
    settings(bare, line)
    assert bare.project().paths.settings.get("A") == value


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\nthis is no setting\nB=2\n", 2), ("A='open\n", 1), ("A=1\nB=2\n= x\n", 3)]
)
@pytest.mark.parametrize("where", ["project", "home"])
def test_a_broken_line_is_named(bare: Desk, text: str, line: int, where: str) -> None:
    settings(bare, **{where: text})
    with pytest.raises(DescriptionError) as caught:
        bare.project()
    path = bare.root / ".env" if where == "project" else bare.home / ".odpm" / ".env"
    assert caught.value.where == f"{path}:{line}"
    assert caught.value.exit_code == 4


# What is read


def test_the_description_with_the_scenarios_overlay(bare: Desk) -> None:
    bare.describe(scenarios={"ci": {"services": {"mail": {"image": "x"}}}})
    assert dict(bare.project().manifest.services) == {}
    assert dict(bare.project(ODPM_SCENARIO="ci").manifest.services) == {"mail": {"image": "x"}}


def test_variables_of_links_come_from_the_same_layers(bare: Desk) -> None:
    settings(bare, "HOST=git.example.org\n")
    bare.describe("https://${HOST}/x/y")
    assert bare.project().manifest.dependencies[0].url == "https://git.example.org/x/y"


def test_an_invalid_description_or_lock_is_an_odpm_error(bare: Desk) -> None:
    put(bare.root, {"odpm.json": "{"})
    with pytest.raises(DescriptionError):
        bare.project().plan(PREPARING)
    bare.describe()
    put(bare.root, {".odpm/deps.lock.json": "{"})
    with pytest.raises(LockError):
        bare.project().plan(PREPARING)


# A plan changes nothing


def never(desk: Desk) -> None:
    """No lock, no cache, no checkout."""


def locked(desk: Desk) -> None:
    """A lock from a colleague; the cache of this machine is empty."""
    pin(desk.project())
    shutil.rmtree(desk.home / ".cache")


def resolved(desk: Desk) -> None:
    pin(desk.project())


def prepared(desk: Desk) -> None:
    desk.once("prepared", lambda: prepare(desk.project()))


def dirty(desk: Desk) -> None:
    prepared(desk)
    put(desk.root, {".odpm/src/web/web_x/__manifest__.py": "{'mine': 1}", ".odpm/src/web/new": "x"})
    put(desk.root, {"docker-compose.yml": "edited"})


def moved(desk: Desk) -> None:
    prepared(desk)
    save(desk.server("OCA/web"), "second", {"new": "x"})
    found = desk.project().resolve(update=True)
    files.write(desk.project().paths.lock, write_lock(found.lock(desk.project().lock)).encode())


@pytest.mark.parametrize("state", [never, locked, resolved, prepared, dirty, moved])
def test_a_plan_changes_nothing_and_makes_no_request(desk: Desk, state: Callable[[Desk], None]) -> None:
    state(desk)
    (desk.room / "servers").rename(desk.room / "unreachable")
    before = content(desk.root)
    cache = desk.home / ".cache" / "odpm" / "git"
    stores = content(cache) if cache.exists() else {}
    first = desk.project().plan()
    second = desk.project().plan()
    assert content(desk.root) == before
    assert (content(cache) if cache.exists() else {}) == stores
    assert first.steps == second.steps


def test_plans_from_an_empty_to_a_prepared_project(desk: Desk) -> None:
    assert [step.id for step in desk.project().plan(PREPARING).ready] == ["git.resolve"]
    locked(desk)
    plan = desk.project().plan(PREPARING)
    assert {(step.id, step.target) for step in plan.ready} >= {
        ("git.materialize", "odoo"),
        ("git.materialize", "web"),
    }
    assert {step.id for step in plan.ready} == {"git.materialize"}
    prepare(desk.project())
    plan = desk.project().plan(PREPARING)
    assert plan.ready == ()
    assert plan.drift == ()
    assert plan.complete
    assert {action for found in actions(plan).values() for action in found} == {"keep", "skip"}


def test_the_prepared_project(desk: Desk) -> None:
    prepared(desk)
    root = desk.root
    assert {name: tip(root / ".odpm" / "src" / name) for name in ("odoo", "web", "queue")} == {
        "odoo": tip(desk.server("odoo/odoo")),
        "web": tip(desk.server("OCA/web")),
        "queue": tip(desk.server("OCA/queue")),
    }
    conf = (root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")
    paths = ["project/addons", "web", "queue", "odoo/addons"]
    assert f"addons_path = {','.join(f'/opt/odoo/src/{path}' for path in paths)}\n" in conf
    assert os.access(root / ".odpm/build/odoo-run", os.X_OK)
    assert git(root, "status", "--porcelain").splitlines() == ["?? .odpm/", "?? odpm.json"]
    assert git(root, "status", "--porcelain", "-uall").splitlines() == [
        "?? .odpm/.gitignore",
        "?? .odpm/deps.lock.json",
        "?? .odpm/requirements.developer.lock",
        "?? .odpm/requirements.lock",
        "?? odpm.json",
    ]


def test_two_checkouts_on_two_machines_have_the_same_files(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(desk)
    other = tmp_path / "another" / "place" / "work"
    shutil.copytree(
        desk.root, other, symlinks=True, ignore=shutil.ignore_patterns("src", "build", "*.yml", "state.toml")
    )
    monkeypatch.setenv("ODPM_CACHE_DIR", str(tmp_path / "another cache"))
    colleague = Project.at(other)
    colleague.apply(colleague.plan(PREPARING))
    names = [
        "docker-compose.yml", ".odpm/deps.lock.json", ".odpm/build/odoo.conf", ".odpm/build/Dockerfile", ".odpm/build/odoo-run",
    ]  # fmt: skip
    for name in names:
        assert (other / name).read_bytes() == (desk.root / name).read_bytes()
        assert str(desk.room).encode() not in (other / name).read_bytes()


# Acting


def test_the_second_run_has_nothing_to_do(desk: Desk) -> None:
    prepared(desk)
    before = content(desk.root)
    project = desk.project()
    assert project.apply(project.plan(PREPARING)) == ()
    changed = {name for name, now in content(desk.root).items() if now != before.get(name)}
    assert changed <= {".odpm", ".odpm/run.lock"}


def test_a_killed_run_is_finished_by_the_next(desk: Desk) -> None:
    prepared(desk)
    shutil.rmtree(desk.root / ".odpm" / "src" / "web")
    (desk.root / ".odpm" / "src" / ".odoo.4242").mkdir()
    (desk.root / ".odpm" / "state.toml").write_text("half = ", encoding="utf-8")
    (desk.root / ".odpm/build/odoo.conf").unlink()
    project = desk.project()
    done = project.apply(project.plan(PREPARING))
    assert {step.id for step in done} >= {"git.checkout", "template.odoo_conf"}
    assert project.plan(PREPARING).ready == ()


def test_an_edited_file_is_drift_and_kept_as_orig(desk: Desk) -> None:
    prepared(desk)
    put(desk.root, {"docker-compose.yml": "mine"})
    project = desk.project()
    assert [(step.id, step.target) for step in project.plan(PREPARING).drift] == [
        ("compose.generate", "docker-compose.yml")
    ]
    project.apply(project.plan(PREPARING))
    assert (desk.root / "docker-compose.yml.orig").read_text(encoding="utf-8") == "mine"
    assert project.plan(PREPARING).ready == ()
    assert "docker-compose.yml" not in git(desk.root, "status", "--porcelain", "-uall")


def test_local_work_stops_the_run_and_stays(desk: Desk) -> None:
    moved(desk)
    web = desk.root / ".odpm" / "src" / "web"
    put(web, {"web_x/__manifest__.py": "{'mine': 1}"})
    before = without_times(web)
    lock_python(desk.project())
    project = desk.project()
    assert actions(project.plan(PREPARING))["git.checkout"] == ["keep", "blocked", "keep"]
    with pytest.raises(DataLossError) as caught:
        project.apply(project.plan(PREPARING))
    assert caught.value.exit_code == 7
    assert {name: now for name, now in without_times(web).items() if not name.startswith(".git/")} == {
        name: now for name, now in before.items() if not name.startswith(".git/")
    }


def changed_file(web: Path) -> None:
    put(web, {"web_x/__manifest__.py": "{'mine': 1}"})


def untracked_file(web: Path) -> None:
    put(web, {"new": "mine"})


def own_branch(web: Path) -> None:
    git(web, "checkout", "-q", "-b", "mine")


def own_commit(web: Path) -> None:
    save(web, "mine", {"mine.txt": "x"})


def foreign_folder(web: Path) -> None:
    shutil.rmtree(web)
    put(web, {"mine.txt": "x"})


def no_work(web: Path) -> None:
    put(web, {"untracked.txt": "x"})


@pytest.mark.parametrize("work", [changed_file, untracked_file, own_branch, own_commit, foreign_folder, no_work])
def test_a_plan_marks_as_blocked_what_the_run_refuses(desk: Desk, work: Callable[[Path], None]) -> None:
    moved(desk)
    work(desk.root / ".odpm" / "src" / "web")
    lock_python(desk.project())
    project = desk.project()
    found = [step for step in project.plan(PREPARING).steps if step.target.endswith("/web")]
    assert [step.action for step in found] == ["update" if work is no_work else "blocked"]
    if work is no_work:
        project.apply(project.plan(PREPARING))
    else:
        with pytest.raises(DataLossError):
            project.apply(project.plan(PREPARING))


def test_a_python_that_is_too_old_for_the_series_ends_a_run_before_anything_is_fetched(desk: Desk) -> None:
    desk.describe(python="3.9")
    for act in (desk.project().plan, desk.project().resolve, desk.project().converge, desk.project().check_lock):
        with pytest.raises(DescriptionError) as caught:
            act()
        assert caught.value.where == "odpm.json: python"
        assert '"python": "3.11"' in caught.value.todo
    assert not (desk.root / ".odpm" / "src").exists()


@pytest.mark.parametrize("scenario", ["server", "ci"])
def test_strict_scenarios_never_write_the_lock(desk: Desk, scenario: str) -> None:
    project = desk.project(ODPM_SCENARIO=scenario)
    with pytest.raises(LockError) as caught:
        project.plan(PREPARING)
    assert caught.value.exit_code == 3
    assert not (desk.root / ".odpm" / "deps.lock.json").exists()


def test_the_lock_is_followed_when_the_branch_has_moved(desk: Desk) -> None:
    prepared(desk)
    before = tip(desk.root / ".odpm" / "src" / "web")
    save(desk.server("OCA/web"), "second", {"new": "x"})
    for scenario in ("developer", "server", "ci"):
        project = desk.project(ODPM_SCENARIO=scenario)
        assert {source.name: source.commit for source in project.resolve().sources}["web"] == before
        assert actions(project.plan(PREPARING))["git.resolve"] == ["keep"]
    after = {source.name: source.commit for source in desk.project().resolve(update=True, only=["web"]).sources}
    assert after["web"] == tip(desk.server("OCA/web")) != before


def test_one_run_at_a_time(desk: Desk) -> None:
    seen: list[BaseException] = []

    def other() -> None:
        try:
            with desk.project().exclusive():
                pass
        except OdpmError as error:
            seen.append(error)

    with desk.project().exclusive(), desk.project().exclusive():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert [type(error) for error in seen] == [BusyError]
    assert "this project" in str(seen[0])


def test_a_folder_of_this_machine_is_used_in_place(desk: Desk, tmp_path: Path) -> None:
    put(tmp_path / "local", {"local_x/__manifest__.py": "{}"})
    desk.describe(f"file://{tmp_path / 'local'}")
    prepare(desk.project())
    link = desk.root / ".odpm" / "src" / "local"
    assert link.readlink() == tmp_path / "local"
    put(tmp_path / "local", {"local_x/new.py": "x"})
    assert actions(desk.project().plan(PREPARING))["git.resolve"] == ["keep"]
    with pytest.raises(LockError):
        desk.project(ODPM_SCENARIO="server").plan(PREPARING)


def test_a_missing_folder_is_named(desk: Desk) -> None:
    desk.describe("file:///nowhere/at/all")
    with pytest.raises(DescriptionError) as caught:
        desk.project().plan(PREPARING)
    assert "file:///nowhere/at/all" in str(caught.value)


def test_every_url_of_a_remote_identifies_a_checkout(desk: Desk) -> None:
    git(desk.root, "remote", "set-url", "--add", "origin", "https://backup.test/acme.git")
    git(desk.root, "remote", "add", "another", "https://github.com/team/another")
    found = remotes(desk.project().paths)
    assert [name for name, _ in found] == ["origin", "origin", "another"]
    for url in (found[0][1], "https://backup.test/acme", "https://github.com/team/another.git"):
        assert developing_url(found, parse_link(url)) == parse_link(url).canonical
    assert developing_url(found, None) == parse_link(found[0][1]).canonical


def test_the_name_of_a_project(desk: Desk) -> None:
    project = desk.project()
    assert stack_name(project.paths, project.manifest, remotes(project.paths)) == "acme"
    git(desk.root, "remote", "set-url", "origin", "https://github.com/me/Other.Name.git/")
    assert stack_name(project.paths, project.manifest, remotes(project.paths)) == "other-name"
    git(desk.root, "remote", "remove", "origin")
    assert stack_name(project.paths, project.manifest, remotes(project.paths)) == "acme"
