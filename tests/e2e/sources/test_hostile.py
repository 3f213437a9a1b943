"""Repositories that mean harm, and machines whose git is set up oddly: refused or contained, and nothing outside is touched.

Trees are built by `planted`: who serves a repository decides what is in it. Links that lead out of a tree: `test_links_out`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters.git import export
from odpm_tasks.errors import OdpmError
from tests.e2e.failures import (
    HOST,
    IDENTITY,
    LOCKS,
    PLATFORM,
    SALE,
    WEB,
    Env,
    Workspace,
    checkout_state,
    failure,
    grep,
    leftovers,
    publish,
)
from tests.e2e.harness import git
from tests.e2e.planted import FILE, FOLDER, LINK, PROGRAM, SUBMODULE, commit, grow, plant, tree, write
from tests.standins.githttp import GitServer
from tests.unit.repositories import check_out

pytest_plugins = ["tests.e2e.workspaces"]

THIRD = "team/third.git"


@pytest.fixture
def both(workspace: Workspace) -> Workspace:
    """The stack asks for `web`, which is hostile in these tests, and for `sale`, which is not."""
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    return workspace


@pytest.fixture
def outside(workspace: Workspace) -> Path:
    """A folder that nothing of a repository may reach."""
    folder = workspace.folder / "outside"
    folder.mkdir()
    return folder


def served(workspace: Workspace, *names: str) -> None:
    """The run ends well, the checkouts are whole and clean, and the plan has nothing more to say of them."""
    ran = workspace.bench.ok("render", timeout=60)
    assert "Traceback" not in ran.output
    plan = json.loads(workspace.bench.ok("plan", "--strict", "--format", "json").out)
    steps = [step for step in plan["steps"] if step["id"] in {"git.resolve", "git.checkout", "git.materialize"}]
    assert {step["action"] for step in steps} == {"keep"}
    for name in names or ("web", "sale"):
        assert git("status", "--porcelain", "--ignored", cwd=workspace.source(name)) == ""
    assert leftovers(workspace) == []


# --- links -----------------------------------------------------------------------------------------------------------

LINKS = {
    "an option": "--upload-pack=touch{spoil}",
    "a short option": "-utouch",
    "an option as branch": "https://git.test/team/third.git --exec=touch",
    "a short option as branch": "https://git.test/team/third.git -u",
    "an option as commit": "https://git.test/team/third.git 19.0 --upload-pack=touch",
    "a helper": "ext::sh",
    "a helper with a host": "ext::ssh://git.test/x",
    "a descriptor": "fd::17",
    "an option as host": "ssh://-oProxyCommand=touch/x",
    "an option as host of git@": "git@-oProxyCommand=x:y",
    "an option as user": "ssh://-oProxyCommand=touch@git.test/x",
    "an option as path": "git@git.test:-oProxyCommand",
    "a line break in the path": "https://git.test/team%0ahost=evil.test/third.git",
    "a line break in the user": "https://me%0d%0ahost=evil.test@git.test/third.git",
    "a bell": "https://git.test/team/\u0007third.git",
    "a terminal's command": "https://git.test/team/\u001b]0;x\u0007third.git",
    "a zero": "https://git.test/team/third%00.git",
    "steps upward": "https://git.test/team/../../third.git",
    "hidden steps upward": "https://git.test/team/%2e%2e/third.git",
    "a file of a host": "file://git.test/srv",
    "a relative path": "../third",
}


@pytest.mark.parametrize("file", ["oca_dependencies.txt", "odpm.json"])
@pytest.mark.parametrize("plain", [True, False], ids=["printable", "with control characters"])
def test_hostile_links_of_a_repository_are_each_refused_before_git_sees_one(
    both: Workspace, file: str, plain: bool
) -> None:
    texts = [link.format(spoil=both.folder / "spoiled") for link in LINKS.values() if link.isprintable() is plain]
    nested = json.dumps({"dependencies": texts})
    lines = "".join(f"third {text}\n" for text in texts)
    both.publish(WEB, {"good/__manifest__.py": "{}\n", file: nested if file == "odpm.json" else lines})
    message = failure(both.bench.inv("render"), 4, f"web: {file}", most=len(texts) + 3)
    for number, text in enumerate(texts):
        spot = f"dependencies[{number}]: " if file == "odpm.json" else f"line {number + 1}: "
        assert spot in message, f"{text!r} is not refused\n{message}"
    assert all(char.isprintable() or char == "\n" for char in message), repr(message)
    assert not (both.folder / "spoiled").exists()
    assert not (both.root / LOCKS[0]).exists()
    assert [path.name for path in (both.cache / "git").iterdir()] == ["git.test"]


def test_a_repository_that_asks_for_the_platform_or_the_project_itself_gets_what_is_there(both: Workspace) -> None:
    git("remote", "add", "origin", f"{HOST}team/project.git", cwd=both.root)
    text = f"odoo {HOST}{PLATFORM} 17.0\nodoo2 git@git.test:odoo/odoo\nmine git@git.test:team/project.git 18.0\n"
    both.publish(WEB, {"good/__manifest__.py": "{}\n", "oca_dependencies.txt": text})
    served(both)
    assert [entry["url"] for entry in both.lock()["dependencies"]] == [f"{HOST}team/sale", f"{HOST}team/web"]


def test_a_repository_cannot_have_the_passwords_of_this_machine_sent_to_its_author(both: Workspace) -> None:
    secret = "hunter2hunter2"
    with GitServer(both.host) as server:
        for link in (
            f"{server.base}${{CI_TOKEN}}/x.git",
            f"http://${{CI_TOKEN}}@127.0.0.1:{server.port}/x.git",
            "/${CI_TOKEN}",
        ):
            both.publish(WEB, {"good/__manifest__.py": "{}\n", "odpm.json": json.dumps({"dependencies": [link]})})
            ran = both.bench.inv("render", CI_TOKEN=secret)
            failure(ran, 4, "web")
            assert secret not in ran.output
        assert server.requests == []
    assert grep(secret, both.root, both.cache) == []


def test_an_address_cannot_spoil_the_place_of_another_in_the_cache(both: Workspace) -> None:
    for path in (f"{WEB}.lock/x", f"{WEB}/objects/info", f"{WEB}.dates/x"):
        both.publish(SALE, {"good/__manifest__.py": "{}\n", "oca_dependencies.txt": f"x {HOST}{path}\n"})
        failure(both.bench.inv("render"), 5, path.removesuffix("/"))
    both.publish(SALE, {"good/__manifest__.py": "{}\n"})
    served(both)


# --- links in trees --------------------------------------------------------------------------------------------------


def test_links_inside_a_tree_are_checked_out_and_not_read(both: Workspace) -> None:
    plant(
        both,
        {
            b"mod": (LINK, b"./good/"),
            b"top": (LINK, b"."),
            b"loop": (LINK, b"loop"),
            b"dangling": (LINK, b"nowhere"),
            b"setup/good/odoo/addons/good": (LINK, b"../../../../good"),
        },
    )
    served(both)
    both.bench.ok("render", "--no-git-update", timeout=60)  # reads the checkouts instead of the commits
    assert [entry["url"] for entry in both.lock()["dependencies"]] == [f"{HOST}team/sale", f"{HOST}team/web"]
    assert (both.source("web") / "setup/good/odoo/addons/good/__manifest__.py").read_text(encoding="utf-8") == "{}\n"


def test_pipes_and_links_in_a_folder_source_do_not_hang(workspace: Workspace) -> None:
    mine = workspace.folder / "mine"
    (mine / "good").mkdir(parents=True)
    (mine / "good/__manifest__.py").write_text("{}\n", encoding="utf-8")
    (mine / "same").symlink_to("good")
    (mine / "pipe").mkdir()
    os.mkfifo(mine / "pipe/__manifest__.py")
    os.mkfifo(mine / "oca_dependencies.txt")
    (mine / "odpm.json").symlink_to("odpm.json")
    workspace.describe(dependencies=[f"file://{mine}"])
    workspace.bench.ok("render", timeout=60)
    workspace.bench.ok("plan", "--strict", timeout=60)
    assert "/opt/odoo/src/mine," in (workspace.root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")


def through(workspace: Workspace, outside: Path, name: bytes = b"dir") -> str:
    """A commit in whose one tree a link leads out and a folder of the same name puts a file there."""
    repo = workspace.host / WEB
    inner = grow(repo, {b"spoiled": (PROGRAM, b"x")})
    good = grow(repo, {b"__manifest__.py": (FILE, b"{}\n")})
    rows = [(LINK, name, write(repo, "blob", bytes(outside))), (FOLDER, b"dir", inner), (FOLDER, b"good", good)]
    return commit(repo, tree(repo, rows))


@pytest.mark.parametrize("name", [b"dir", b"DIR"])
def test_nothing_is_written_through_a_link(both: Workspace, outside: Path, name: bytes) -> None:
    """The lock refuses such a tree; git and the export would not follow the link either."""
    tip = through(both, outside, name)
    failure(both.bench.inv("lock"), 4, "out of its tree")
    store = both.cache / "git/git.test" / WEB
    both.source("web").parent.mkdir(parents=True)
    for repeat in range(2):  # new, and over what is there
        with suppress(OdpmError):
            check_out(both.source("web"), store, tip, f"{HOST}{WEB}")
        with suppress(OdpmError):
            export.export(store, tip, both.folder / f"tree{repeat}")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("removed", [FILE, SUBMODULE])
def test_a_killed_move_that_is_finished_removes_nothing_behind_a_link(both: Workspace, removed: str) -> None:
    content = b"1" * 40
    kept = {b"kept/precious": (FILE, content)}
    plant(both, {b"dir/precious": (removed, content), **kept})
    both.bench.ok("render")
    tip = plant(both, {b"dir": (LINK, b"kept"), **kept})
    both.bench.ok("lock", "--update")
    web = both.source("web")
    shutil.rmtree(web / "dir")
    (web / "dir").symlink_to("kept")
    (web / ".git/odpm-moving").write_text(f"{tip}\n", encoding="utf-8")  # killed just here
    served(both)
    assert (web / "kept/precious").read_bytes() == content
    assert git("rev-parse", "HEAD", cwd=web) == tip


def test_an_export_for_the_image_stays_in_its_folder(both: Workspace, outside: Path) -> None:
    entries = {b".dockerignore/x": (FILE, b""), b"up": (LINK, b"../.."), b"out": (LINK, bytes(outside))}
    tip = plant(both, {**entries, b"sub": (SUBMODULE, b"1" * 40)})
    failure(both.bench.inv("lock"), 4, "out of its tree")
    target = both.folder / "trees/web"
    export.export(both.cache / "git/git.test" / WEB, tip, target)
    assert [path.name for path in target.iterdir()] == ["files"]  # where `.dockerignore` would count, there is none
    written = {path.relative_to(target / "files").as_posix() for path in (target / "files").rglob("*")}
    assert written >= {"up", "out", "good/__manifest__.py"}
    assert list(outside.iterdir()) == []


# --- submodules and git's own names ----------------------------------------------------------------------------------

MODULES = """[submodule "x"]
\tpath = sub
\turl = ext::sh -c touch% {spoil}
[submodule "y"]
\tpath = -u
\turl = -u./payload
[submodule "../../../z"]
\tpath = "sub\r"
\turl = ./z
\tupdate = !touch {spoil}
"""


def test_submodules_stay_empty_folders(both: Workspace) -> None:
    spoil = both.folder / "spoiled"
    links = dict.fromkeys((b"sub", b"-u", b"sub\r", b"addon"), (SUBMODULE, b"1" * 40))
    plant(both, {b".gitmodules": (FILE, MODULES.format(spoil=spoil).encode()), **links})
    config = both.folder / "home/.gitconfig"
    config.write_text("[submodule]\n\trecurse = true\n[protocol]\n\tallow = always\n", encoding="utf-8")
    served(both)
    assert list((both.source("web") / "sub").iterdir()) == []
    assert not (both.source("web") / ".git/modules").exists()
    plant(both, {b"addon/__manifest__.py": (FILE, b"{}\n")})
    both.bench.ok("lock", "--update")
    served(both)
    assert (both.source("web") / "addon/__manifest__.py").exists()
    assert not spoil.exists()


GITS = {
    "web": b".git/config",
    "hooks": b".git/hooks/post-checkout",
    "another-case": b".GIT/config",
    "short-name": b"git~1/config",
    "with-a-blank": b".git /config",
    "a-file": b".git",
    "below": b"good/.git/hooks/post-checkout",
    "upward": b"../spoiled",
    "a-dot": b"./good/x",
}


def test_names_of_git_in_a_tree_are_refused_and_other_sources_are_checked_out(workspace: Workspace) -> None:
    """A repository for each of them, and a good one: first none of them can be had, then none can be moved."""
    hook = f"#!/bin/sh\ntouch {workspace.folder}/spoiled\n[core]\n\tfsmonitor = touch {workspace.folder}/spoiled\n".encode()
    for name in GITS.keys() - {"web"}:
        shutil.copytree(workspace.host / WEB, (workspace.host / WEB).with_name(f"{name}.git"))
    owner = WEB.partition("/")[0]
    workspace.describe(dependencies=[f"{HOST}{SALE} 19.0", *(f"{HOST}{owner}/{name}.git 19.0" for name in GITS)])

    def plant_all(hostile: bool) -> None:
        for name, path in GITS.items():
            plant(workspace, {path: (PROGRAM, hook)} if hostile else {}, f"{owner}/{name}.git")

    def refused() -> None:
        ran = workspace.bench.inv("render")
        assert ran.code == 5, ran.output
        assert "Traceback" not in ran.output
        assert [name for name in GITS if f".odpm/src/{name}" not in ran.err] == []
        assert GITS["web"].decode() in ran.err

    plant_all(hostile=True)
    refused()
    assert (workspace.source("sale") / "sale_thing/__manifest__.py").exists()
    assert [name for name in GITS if workspace.source(name).exists()] == []
    assert leftovers(workspace) == []
    plant_all(hostile=False)
    workspace.bench.ok("lock", "--update")
    served(workspace, "sale", *GITS)
    good = workspace.lock()
    plant_all(hostile=True)
    workspace.bench.ok("lock", "--update")
    before = [checkout_state(workspace.source(name)) for name in GITS]
    refused()
    assert [checkout_state(workspace.source(name)) for name in GITS] == before
    (workspace.root / LOCKS[0]).write_text(json.dumps(good), encoding="utf-8")  # the way back
    served(workspace, "sale", *GITS)
    assert not (workspace.folder / "spoiled").exists()


def test_a_run_killed_before_git_refuses_leaves_no_hook(both: Workspace) -> None:
    plant(both, {})
    served(both)
    bad = plant(both, {b".git/config": (FILE, b"")})
    good = both.lock()
    both.bench.ok("lock", "--update")
    (both.source("web") / ".git/odpm-moving").write_text(f"{bad}\n", encoding="utf-8")
    failure(both.bench.inv("render"), 5, ".odpm/src/web")
    (both.root / LOCKS[0]).write_text(json.dumps(good), encoding="utf-8")
    served(both)


ATTRIBUTES = b"""* text=auto
*.bat eol=crlf
*.u16 working-tree-encoding=UTF-16
*.text text
*.id ident
*.subst export-subst
*.lfs filter=lfs diff=lfs merge=lfs -text
*.spoil filter=spoil diff=spoil merge=spoil
"""
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n" % (b"0" * 64)
ODD = {
    b"a.bat": (FILE, b"a\nb\n"),
    b"auto.txt": (FILE, b"a\r\nb\r\n"),
    b"crlf.text": (FILE, b"a\r\nb\r\n"),  # git will call it changed for ever
    b"other.text": (FILE, b"a\r\nb\r\n"),
    b"a.u16": (FILE, "hé\n".encode()),
    b"bad.u16": (FILE, b"\xff\xfe\x00"),
    b"a.id": (FILE, b"$Id$\n"),
    b"a.subst": (FILE, b"$Format:%H$\n"),
    b"a.lfs": (FILE, POINTER),
    b"a.spoil": (FILE, b"x\n"),
}


def test_attributes_cause_no_drift_and_run_nothing(both: Workspace) -> None:
    plant(both, {b".gitattributes": (FILE, ATTRIBUTES), **ODD})
    both.bench.ok("render", timeout=60)
    web = both.source("web")
    assert (web / "a.lfs").read_bytes() == POINTER
    assert (web / "a.bat").read_bytes() == b"a\r\nb\r\n"
    for name in ODD:  # as if just written: git has to look at the content
        os.utime(web / name.decode())
    assert "crlf.text" in git("status", "--porcelain", cwd=web)
    both.bench.ok("plan", "--strict", ODPM_SCENARIO="server")
    again = {b".gitattributes": (FILE, ATTRIBUTES), b"crlf.text": (FILE, b"c\r\n"), b"other.text": ODD[b"other.text"]}
    plant(both, {**again, b"a.bat": (FILE, b"c\n"), b"a.u16": (FILE, b"new\n")})
    both.bench.ok("lock", "--update")
    both.bench.ok("render", timeout=60)
    for kept in (b"crlf.text", b"other.text"):
        assert (web / kept.decode()).read_bytes() == again[kept][1]
    (web / "crlf.text").write_bytes(b"mine\r\n")
    plant(both, {})
    both.bench.ok("lock", "--update")
    failure(both.bench.inv("render"), 7, "crlf.text")
    assert (web / "crlf.text").read_bytes() == b"mine\r\n"
    assert (web / "other.text").exists()


# --- how git is set up here ------------------------------------------------------------------------------------------

CONFIG = """
[core]
	autocrlf = true
	eol = crlf
	hooksPath = {home}/hooks
	fsmonitor = {home}/hooks/fsmonitor
	attributesFile = {home}/attributes
	splitIndex = true
	logAllRefUpdates = always
[init]
	defaultBranch = trunk
	templateDir = {home}/template
	defaultObjectFormat = sha256
	defaultRefFormat = reftable
[fetch]
	prune = true
	pruneTags = true
	recurseSubmodules = true
	writeCommitGraph = true
[transfer]
	fsckObjects = true
[commit]
	gpgsign = true
[clone]
	defaultRemoteName = upstream
[submodule]
	recurse = true
[safe]
	bareRepository = explicit
[grep]
	column = true
	patternType = perl
[color]
	ui = always
[status]
	short = true
	branch = true
	showUntrackedFiles = all
[diff]
	external = false
	renames = copies
	mnemonicPrefix = true
[log]
	showSignature = true
	decorate = full
[feature]
	manyFiles = true
[filter "lfs"]
	smudge = touch {home}/smudged && cat
	clean = cat
	required = true
[user]
	useConfigOnly = true
[url "file://{host}/"]
	insteadOf = https://other.test/
"""
HOOKS = ("post-checkout", "post-index-change", "reference-transaction", "post-merge", "fsmonitor")


def set_up_oddly(workspace: Workspace) -> None:
    """A home whose git does what people's do, all of it at once."""
    home = workspace.folder / "home"
    for folder in ("hooks", "template/hooks"):
        (home / folder).mkdir(parents=True)
        for name in HOOKS:
            (home / folder / name).write_text(f"#!/bin/sh\ntouch {home}/ran-{name}\n", encoding="utf-8")
            (home / folder / name).chmod(0o755)
    (home / "attributes").write_text("* text=auto eol=crlf\n", encoding="utf-8")
    (home / ".gitconfig").write_text(CONFIG.format(home=home, host=workspace.host), encoding="utf-8")


def test_the_users_own_settings_of_git_change_nothing(both: Workspace, workspace_rendered: Workspace) -> None:
    set_up_oddly(both)
    ask = json.dumps({"dependencies": [f"https://other.test/{THIRD} 19.0"]}).encode()
    publish(both.host / THIRD, {"third/__manifest__.py": "{}\n"})
    entries = {b"a.txt": (FILE, b"a\nb\n"), b"crlf.txt": (FILE, b"a\r\nb\r\n"), b"sub": (SUBMODULE, b"1" * 40)}
    attributes = {b".gitattributes": (FILE, b"*.lfs filter=lfs\na.txt text\n"), b"a.lfs": (FILE, POINTER)}
    tip = plant(both, {**entries, **attributes, b"odpm.json": (FILE, ask)})
    served(both, "odoo", "web", "sale", "third")
    web = both.source("web")
    for name in ("a.txt", "crlf.txt", "a.lfs"):
        assert (web / name).read_bytes() == subprocess.check_output(["git", "show", f"HEAD:{name}"], cwd=web), name
    export.export(both.cache / "git/git.test" / WEB, tip, both.folder / "tree")
    assert (both.folder / "tree/files/a.txt").read_bytes() == b"a\nb\n"
    for words in (("lock", "--check"), ("lock", "--update"), ("lock", "--diff"), ("sources.status",)):
        both.bench.ok(*words)
    both.bench.ok("plan", "--strict", ODPM_SCENARIO="server")
    git("tag", "mine", cwd=web)
    both.bench.ok("sources.unshallow", "web")
    assert git("tag", cwd=web) == "mine"
    assert [path.name for path in (both.folder / "home").glob("*ed")] == []
    assert [path.name for path in (both.folder / "home").glob("ran-*")] == []
    assert not (web / ".git/hooks").exists()
    same = [entry for entry in both.lock()["dependencies"] if entry["url"].endswith("/sale")]
    assert both.lock()["platform"] == workspace_rendered.lock()["platform"]
    assert len(same) == 1


def test_a_protocol_that_the_user_forbids_is_not_used(workspace: Workspace) -> None:
    (workspace.folder / "home/.gitconfig").write_text('[protocol "file"]\n\tallow = never\n', encoding="utf-8")
    failure(workspace.bench.inv("render"), 5, "odoo")
    with GitServer(workspace.host) as server:
        workspace.bench.ok("render", **workspace.at(server))


def test_a_run_inside_of_a_git_hook_leaves_that_repository_alone(both: Workspace, outside: Path) -> None:
    git("init", "-q", cwd=outside)
    (outside / "file").write_text("x\n", encoding="utf-8")
    git("add", "-A", cwd=outside)
    git("commit", "-qm", "x", cwd=outside)
    before = checkout_state(outside)
    own = outside / ".git"
    env: Env = {
        "GIT_DIR": str(own),
        "GIT_WORK_TREE": str(outside),
        "GIT_INDEX_FILE": str(own / "index"),
        "GIT_OBJECT_DIRECTORY": str(own / "objects"),
        "GIT_QUARANTINE_PATH": str(own / "objects"),
        "GIT_PREFIX": "",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_DEFAULT_HASH": "sha256",
    }
    for words in (("render",), ("plan", "--strict"), ("lock", "--check"), ("sources.status",)):
        both.bench.ok(*words, **env)
    served(both)
    assert checkout_state(outside) == before


def test_a_commit_hook_of_the_project_can_check_the_lock(both: Workspace) -> None:
    both.bench.ok("lock")
    git("add", "-A", cwd=both.root)
    git("commit", "-qm", "locked", cwd=both.root)
    inv = f"{sys.executable} -m invoke"
    script = f"#!/bin/sh\nset -e\necho $GIT_INDEX_FILE >> {both.folder}/seen\n{inv} lock --check\n{inv} render\n"
    hook = both.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script, encoding="utf-8")
    hook.chmod(0o755)
    for name in ("one.txt", "two.txt"):
        (both.root / name).write_text("x\n", encoding="utf-8")
    git("add", "one.txt", "two.txt", cwd=both.root)
    env = both.bench.environment(IDENTITY)
    for words in (("-m", "a part", "one.txt"), ("-m", "the rest")):
        done = subprocess.run(
            ["git", "commit", *words], cwd=both.root, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert len((both.folder / "seen").read_text(encoding="utf-8").split()) == 2, "git told its hook no index"
    assert git("show", "--format=", "--name-only", "HEAD~1", cwd=both.root) == "one.txt"
    assert git("status", "--porcelain", cwd=both.root) == ""
    served(both)


# --- names and sizes -------------------------------------------------------------------------------------------------

FIT = (
    b"-dash",
    b"sp ace",
    b"quo'te",
    b'dou"ble',
    b"dol$lar",
    b"$(id)",
    b"co:lon",
    b"%(x)s",
    b"#hash",
    b"\xc3\xbc",
    b"x" * 250,
)
UNFIT = (b"tab\t", b"new\nline", b"cr\rlist_db = False", b"esc\x1b[31m", b"\xff\xfe", b"com,ma", "\u202egnp".encode())


@pytest.mark.parametrize("where", ["add-on", "folder of add-ons"])
def test_any_name_in_a_tree_can_be_locked_and_checked_out(both: Workspace, where: str) -> None:
    end = b"/__manifest__.py" if where == "add-on" else b"/thing/__manifest__.py"
    repo = both.host / WEB
    tip = commit(repo, grow(repo, {name + end: (FILE, b"{}\n") for name in (*FIT, *UNFIT)}))
    served(both)
    web = os.fsencode(both.source("web"))
    assert all(os.path.exists(os.path.join(web, name + end)) for name in (*FIT, *UNFIT))  # noqa: PTH110, PTH118 - bytes
    ran = both.bench.ok("render")
    assert ran.err.count("is not a readable manifest") == len(UNFIT), ran.err
    assert all(char.isprintable() or char == "\n" for char in ran.err), repr(ran.err)
    path = (both.root / ".odpm/build/odoo.conf").read_bytes().partition(b"addons_path = ")[2].partition(b"\n")[0]
    wanted = (
        {b"/opt/odoo/src/web/" + name.replace(b"$", b"$$") for name in FIT}
        if where != "add-on"
        else {b"/opt/odoo/src/web"}
    )
    assert set(path.split(b",")) == wanted | {b"/opt/odoo/src/sale", b"/opt/odoo/src/odoo/addons"}
    export.export(both.cache / "git/git.test" / WEB, tip, both.folder / "tree")
    git("add", ".odpm", "odpm.json", cwd=both.root)
    git("commit", "-qm", "locked", cwd=both.root)
    plant(both, {})
    both.bench.ok("lock", "--update")
    both.bench.ok("lock", "--diff", timeout=60)
    both.bench.ok("lock", "--diff", "--format", "json", timeout=60)
    served(both)


def test_names_that_differ_in_case_only_stay_two(both: Workspace) -> None:
    plant(both, {b"Readme": (FILE, b"1"), b"README": (FILE, b"2"), b"Dir/a": (FILE, b"3"), b"dir/A": (FILE, b"4")})
    publish(both.host / "other/Web.git", {"another/__manifest__.py": "{}\n"})
    both.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}other/Web.git 19.0", f"{HOST}{SALE} 19.0"])
    served(both, "team-web", "other-Web", "sale")
    folders = [path.name.casefold() for path in (both.root / ".odpm/src").iterdir()]
    assert len(set(folders)) == len(folders) == 4


def test_a_repository_of_a_very_long_name(both: Workspace) -> None:
    long, deep = f"{'n' * 240}.git", f"{'deep/' * 60}x.git"
    for path in (long, deep):
        publish(both.host / path, {"thing/__manifest__.py": "{}\n"})
    both.describe(dependencies=[f"{HOST}{long} 19.0", f"{HOST}{deep} 19.0", f"{HOST}{SALE} 19.0"])
    served(both, "sale", "x")
    both.describe(dependencies=[f"{HOST}{'d/' * 3000}x.git 19.0"])
    failure(both.bench.inv("render"), 5, "cannot fetch")


def test_a_file_that_exceeds_the_disk_is_reported(both: Workspace) -> None:
    plant(both, {b"n" * 300: (FILE, b"x")})
    failure(both.bench.inv("render"), 5, ".odpm/src/web", "nnnn")
    assert (both.source("sale") / "sale_thing/__manifest__.py").exists()
    assert leftovers(both) == []


HUGE = 50_000_000
REFUSED = {
    "a huge odpm.json": (b"odpm.json", b'["' + b"x" * HUGE + b'"]', "web: odpm.json"),
    "blank lines without end": (b"oca_dependencies.txt", b"\n" * HUGE, "web: oca_dependencies.txt"),
    "huge requirements": (b"requirements.txt", b"#" * HUGE, "web: requirements.txt"),
    "a deep list": (b"odpm.json", b"[" * 100_000, "nested too deeply"),
    "a deep object": (b"odpm.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    "thousands of repositories": (
        b"oca_dependencies.txt",
        b"".join(b"r%d https://git.test/bomb/r%d.git\n" % (number, number) for number in range(10_000)),
        "web requires more repositories",
    ),
}


@pytest.mark.parametrize(("name", "data", "told"), REFUSED.values(), ids=REFUSED)
def test_too_large_files_are_refused_at_once(both: Workspace, name: bytes, data: bytes, told: str) -> None:
    plant(both, {name: (FILE, data)})
    failure(both.bench.inv("render", timeout=60), 4, told)
    assert not both.stored("../bomb/r0.git")
    plant(both, {})
    served(both)


def test_too_large_manifests_are_reported_and_skipped(both: Workspace) -> None:
    many: dict[str, bytes] = {
        "huge": b"{'a': '" + b"x" * HUGE + b"'}",
        "deep": b"{'a':" * 100_000,
        "signs": b"-" * 100_000 + b"1",
        "sum": b"1+" * 100_000 + b"1",
    }
    plant(both, {f"{name}/__manifest__.py".encode(): (FILE, data) for name, data in many.items()})
    served(both)
    told = both.bench.ok("render", timeout=60).err
    for name in many:
        assert f"web: {name}/__manifest__.py is not a readable manifest" in told


@pytest.mark.docker
def test_folders_of_the_project_itself_may_have_odd_names(workspace: Workspace, engine: None) -> None:
    for name in ("sp ace", "dol$lar", "co:lon", 'dou"ble', "com,ma", "new\nline"):
        (workspace.root / name / "thing").mkdir(parents=True)
        (workspace.root / name / "thing/__manifest__.py").write_text("{}\n", encoding="utf-8")
    workspace.bench.ok("render")
    compose: dict[str, Any] = compose_of(workspace)
    places = [entry if isinstance(entry, str) else entry["source"] for entry in compose["services"]["odoo"]["volumes"]]
    assert "./co:lon" in places
    assert [paths.partition(":")[0] for paths in places if paths.startswith(("./sp", "./dol", "./dou"))] == [
        "./dol$$lar",
        './dou"ble',
        "./sp ace",
    ]
    assert not [paths for paths in places if "com" in paths or "line" in paths.partition("/opt")[0]]
    words = ["docker", "compose", "-f", "docker-compose.yml", "config", "--quiet"]
    done = subprocess.run(words, cwd=workspace.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compose_of(workspace: Workspace) -> dict[str, Any]:
    import yaml

    data: dict[str, Any] = yaml.safe_load((workspace.root / "docker-compose.yml").read_text(encoding="utf-8"))
    return data
