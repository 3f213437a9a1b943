"""`init` as people type it: in an empty folder, in a repository, on a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.failures import failure, photograph, way_out
from tests.e2e.harness import REPOSITORY, Bench, Ran, git

GOLDEN = REPOSITORY / "tests/golden/convert"


@pytest.fixture
def empty(tmp_path: Path) -> Bench:
    """An empty folder, and a home that knows nothing."""
    (tmp_path / "home").mkdir()
    (tmp_path / "shop").mkdir()
    return Bench(tmp_path / "shop", {"HOME": str(tmp_path / "home"), "ODPM_CACHE_DIR": str(tmp_path / "cache")})


def module(bench: Bench, *words: str, cwd: Path | None = None) -> Ran:
    """`python -m odpm_tasks`: how tasks are typed where there is no tasks.py."""
    done = subprocess.run(
        [sys.executable, "-m", "odpm_tasks", *words], cwd=cwd or bench.root, env=bench.environment(), capture_output=True,
        text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def converse(bench: Bench, *words: str, answers: Sequence[tuple[str, str]], patience: float = 30) -> tuple[int, str]:
    """Run a task on a terminal; wait for each question, type its answer. The exit code and what the screen showed."""
    child, master = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it
        os.chdir(bench.root)
        os.execve(sys.executable, [sys.executable, "-m", "odpm_tasks", *words], bench.environment({"TERM": "dumb"}))
    screen, seen, waiting, deadline = "", 0, list(answers), time.monotonic() + patience
    heard = time.monotonic()
    while time.monotonic() < deadline:
        if not waiting and answers and time.monotonic() - heard > 3:
            # a Ctrl-C between Python's prompt and its read is not noticed before the next key: a person presses again
            os.write(master, answers[-1][1].encode())
            heard = time.monotonic()
        if waiting and (at := screen.find(waiting[0][0], seen)) >= 0:
            seen = at + len(waiting[0][0])
            os.write(master, waiting.pop(0)[1].encode())
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(master, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            data = b""
        if not data:
            break
        screen += data.decode()
        heard = time.monotonic()
    else:
        os.kill(child, signal.SIGKILL)
    os.close(master)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not waiting, f"never asked {waiting}\n{screen}"
    return code, screen.replace("\r\n", "\n")


def test_an_empty_folder_becomes_a_project(empty: Bench) -> None:
    ran = module(empty, "init")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == (
        "  create  tasks.py\n"
        "  create  .gitignore\n"
        "  create  addons/  for your add-ons\n"
        "  create  odpm.json  Odoo 19.0, Python 3.11, Debian 12, PostgreSQL 15\n"
        "next:  git init, then inv plan shows what inv up will do\n"
    )
    assert (empty.root / "tasks.py").read_text() == "from odpm_tasks import collection\n\nns = collection()\n"
    assert sorted(path.name for path in empty.root.iterdir()) == [".gitignore", "addons", "odpm.json", "tasks.py"]
    checked = empty.ok("validate")
    assert (checked.out, checked.err) == ("odpm.json is valid\n", "")
    (empty.root / "addons/deeper").mkdir()
    assert empty.inv("validate", cwd=empty.root / "addons/deeper").code == 0
    assert "pin odoo 19.0" in empty.ok("plan").out


@pytest.mark.parametrize("schema", ["1", "2"])
def test_what_the_options_say_stands_in_the_description(empty: Bench, schema: str) -> None:
    words = ("--odoo", "18", "--python=3.12", "--postgres", "16", "--schema", schema, "--addons", "mine")
    links = ("https://github.com/OCA/web.git 18.0", "git@git.example.org:a/b.git")
    assert module(empty, "init", *words, *(f"--dependency={link}" for link in links)).code == 0
    data = json.loads((empty.root / "odpm.json").read_text())
    assert data["odoo_version"] == "18.0"
    assert data["dependencies"] == list(links)
    flat = ("python_version", "postgres_version") if schema == "1" else ("python", "postgres")
    assert [data[key] for key in flat] == ["3.12", "16"]
    assert (empty.root / "mine").is_dir()
    assert empty.ok("validate").err == ""


def test_a_second_init_is_refused_and_its_way_out_works(empty: Bench) -> None:
    module(empty, "init")
    before = photograph(empty.root)
    message = failure(empty.inv("init", "--odoo=18.0"), 4, "there is an odpm.json already", str(empty.root))
    failure(module(empty, "init", "--yes", cwd=empty.root / "addons"), 4, "lies in a project", str(empty.root))
    assert photograph(empty.root) == before
    subprocess.run(["sh", "-c", way_out(message)], cwd=empty.root, check=True)
    assert empty.inv("init", "--odoo=18.0").code == 0
    assert '"18.0"' in (empty.root / "odpm.json").read_text()
    assert '"19.0"' in (empty.root / "odpm.json.old").read_text()


def test_a_repository_of_add_ons_keeps_what_it_has(empty: Bench) -> None:
    for name in ("sale_thing", "stock_thing"):
        (empty.root / name).mkdir()
        (empty.root / name / "__manifest__.py").write_text("{'name': 'x', 'version': '17.0.1.2.0'}\n")
    (empty.root / ".gitignore").write_text("*.pyc\n.env")
    tasks = "from invoke import task\n\n@task\ndef mine(c):\n    pass\n"
    (empty.root / "tasks.py").write_text(tasks)
    git("init", "-q", "-b", "17.0", cwd=empty.root)
    ran = module(empty, "init")
    assert ran.code == 0
    assert json.loads((empty.root / "odpm.json").read_text())["odoo_version"] == "17.0"
    assert (empty.root / "tasks.py").read_text() == tasks
    assert (empty.root / ".gitignore").read_text() == "*.pyc\n.env\n.venv/\n__pycache__/\n"
    assert not (empty.root / "addons").exists()
    assert "keep    tasks.py" in ran.err
    assert ran.err.endswith("next:  python -m odpm_tasks plan shows what python -m odpm_tasks up will do\n")
    assert "odpm.json is valid" in module(empty, "validate").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--odoo", "8.0"), "8.0"),
        (("--odoo", "new"), "an Odoo version"),
        (("--python", "3"), "a Python version"),
        (("--schema", "3"), "no format"),
        (("--dependency", "ext::sh -c x"), "refused"),
        (("--addons", "a/b"), "one folder below"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_option_that_makes_no_sense_writes_nothing(empty: Bench, words: tuple[str, ...], told: str) -> None:
    failure(module(empty, "init", *words), 1, told)
    assert list(empty.root.iterdir()) == []


@pytest.mark.parametrize("source", ["/nowhere", "."])
def test_nothing_to_take_over_writes_nothing(empty: Bench, source: str) -> None:
    failure(module(empty, "init", "--from", source), 4, "--from a doodba project")
    assert list(empty.root.iterdir()) == []


def test_a_doodba_project_is_taken_over_in_its_place(empty: Bench) -> None:
    shutil.copytree(GOLDEN / "doodba/input", empty.root, dirs_exist_ok=True)
    ran = module(empty, "init", "--from", ".", "--schema", "2")
    assert ran.code == 0
    assert (empty.root / "odpm.json").read_text() == (GOLDEN / "doodba/odpm.json").read_text()
    assert "left over (" in ran.err
    assert "merge of oca refs/pull/2890/head" in ran.err
    assert "${GITHUB_TOKEN}: stays a variable of odpm.json; write GITHUB_TOKEN=… into .env" in ran.err
    assert not (empty.root / "addons").exists()
    checked = empty.ok("validate")
    assert "GITHUB_TOKEN is not set" in checked.err
    (empty.root / ".env").write_text("GITHUB_TOKEN=x\nDB_FILTER=^x$\n")
    assert empty.ok("validate").err == ""


def test_the_flat_format_says_what_it_cannot_hold(empty: Bench) -> None:
    ran = module(empty, "init", "--from", str(GOLDEN / "doodba/input"))
    assert ran.code == 0
    assert "ghostscript" in ran.err
    assert "--schema 2" in ran.err
    empty.ok("validate")


def test_without_a_version_it_is_asked_for_by_an_error(empty: Bench) -> None:
    text = "web:\n  remotes: {oca: https://github.com/OCA/web.git}\n  merges: [oca $ODOO_VERSION]\n"
    (empty.root / "repos.yaml").write_text(text)
    message = failure(module(empty, "init", "--from", "repos.yaml"), 1, "does not tell the Odoo version")
    assert not (empty.root / "odpm.json").exists()
    assert module(empty, "init", "--from", "repos.yaml", *way_out(message).split()).code == 0
    assert json.loads((empty.root / "odpm.json").read_text())["dependencies"] == ["https://github.com/OCA/web.git"]


def test_on_a_terminal_it_asks_and_asks_again(empty: Bench) -> None:
    code, screen = converse(
        empty,
        "init",
        answers=[
            ("Odoo [19.0]: ", "nineteen\n"),
            ("is not an Odoo version", ""),
            ("Odoo [19.0]: ", "18\n"),
            ("PostgreSQL [15]: ", "16\n"),
            ("no more): ", "../web\n"),
            ("no more): ", "https://github.com/OCA/web.git 18.0\n"),
            ("no more): ", "\n"),
            ("Folder for your add-ons [addons]: ", "mine\n"),
        ],
    )
    assert code == 0, screen
    assert json.loads((empty.root / "odpm.json").read_text()) == {
        "odpm_version": "4.0",
        "odoo_version": "18.0",
        "python_version": "3.11",
        "distro_version": "12",
        "postgres_version": "16",
        "dependencies": ["https://github.com/OCA/web.git 18.0"],
    }
    assert (empty.root / "mine").is_dir()
    assert "create  odpm.json" in screen


def test_on_a_terminal_enter_takes_the_defaults_and_yes_asks_nothing(empty: Bench) -> None:
    code, screen = converse(
        empty, "init", answers=[("Odoo [", "\n"), ("PostgreSQL [", "\n"), ("no more): ", "\n"), ("add-ons [", "\n")]
    )
    assert code == 0, screen
    asked = photograph(empty.root)
    for path in empty.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, screen = converse(empty, "init", "--yes", answers=[])
    assert code == 0, screen
    assert photograph(empty.root) == asked
    assert "[" not in screen


def test_what_options_say_is_not_asked(empty: Bench) -> None:
    words = ("--odoo=18.0", "--postgres=16", "--dependency=https://github.com/OCA/web.git", "--addons=mine")
    code, screen = converse(empty, "init", *words, answers=[])
    assert code == 0, screen


@pytest.mark.parametrize(("key", "code"), [("\x04", 1), ("\x03", 130)], ids=["ctrl-d", "ctrl-c"])
def test_leaving_in_the_middle_writes_nothing(empty: Bench, key: str, code: int) -> None:
    ended, screen = converse(empty, "init", answers=[("Odoo [", "18.0\n"), ("PostgreSQL [", key)])
    assert ended == code, screen
    assert "Traceback" not in screen
    assert list(empty.root.iterdir()) == []


def test_it_says_how_to_find_it_where_there_is_no_tasks_py(empty: Bench) -> None:
    assert "python -m odpm_tasks init" in " ".join(module(empty, "--help", "init").out.split())
    listed = module(empty, "--list").out
    assert "\n  init " in listed
    assert "\n  up " in listed
    failure(module(empty, "plan"), 4, "there is no odpm.json", "python -m odpm_tasks init")
