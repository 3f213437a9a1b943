"""`init` as a user runs it: in an empty folder, in a repository, on a terminal and without one."""

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

from tests.e2e.failures import failure, file_digests, suggested_command
from tests.e2e.harness import REPOSITORY, Bench, CommandResult, git

GOLDEN = REPOSITORY / "tests/golden/convert"


@pytest.fixture
def empty(tmp_path: Path) -> Bench:
    """An empty folder, with an empty home folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "shop").mkdir()
    return Bench(tmp_path / "shop", {"HOME": str(tmp_path / "home"), "ODPM_CACHE_DIR": str(tmp_path / "cache")})


def module(bench: Bench, *words: str, cwd: Path | None = None) -> CommandResult:
    """Run `python -m odpm_tasks`, the command in a folder without a tasks.py."""
    done = subprocess.run(
        [sys.executable, "-m", "odpm_tasks", *words], cwd=cwd or bench.root, env=bench.environment(), capture_output=True,
        text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return CommandResult(done.returncode, done.stdout, done.stderr)


def run_on_terminal(
    bench: Bench, *words: str, answers: Sequence[tuple[str, str]], timeout: float = 30
) -> tuple[int, str]:
    """Run a task on a terminal: wait for each question and type its answer. Returns the exit code and the output."""
    child, master = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # children of a background job ignore it
        os.chdir(bench.root)
        os.execve(sys.executable, [sys.executable, "-m", "odpm_tasks", *words], bench.environment({"TERM": "dumb"}))
    screen, offset, waiting, deadline = "", 0, list(answers), time.monotonic() + timeout
    last_output = time.monotonic()
    while time.monotonic() < deadline:
        if not waiting and answers and time.monotonic() - last_output > 3:
            # Python does not notice a Ctrl-C between its prompt and its read before the next key: send it again
            os.write(master, answers[-1][1].encode())
            last_output = time.monotonic()
        if waiting and (at := screen.find(waiting[0][0], offset)) >= 0:
            offset = at + len(waiting[0][0])
            os.write(master, waiting.pop(0)[1].encode())
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(master, 4096)
        except OSError:  # on Linux: the other side is closed
            data = b""
        if not data:
            break
        screen += data.decode()
        last_output = time.monotonic()
    else:
        os.kill(child, signal.SIGKILL)
    os.close(master)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert not waiting, f"not asked: {waiting}\n{screen}"
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
def test_options_are_written_to_the_manifest(empty: Bench, schema: str) -> None:
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


def test_a_second_init_is_refused_and_its_advice_works(empty: Bench) -> None:
    module(empty, "init")
    before = file_digests(empty.root)
    message = failure(empty.inv("init", "--odoo=18.0"), 4, "odpm.json already exists", str(empty.root))
    failure(module(empty, "init", "--yes", cwd=empty.root / "addons"), 4, "inside a project", str(empty.root))
    assert file_digests(empty.root) == before
    subprocess.run(["sh", "-c", suggested_command(message)], cwd=empty.root, check=True)
    assert empty.inv("init", "--odoo=18.0").code == 0
    assert '"18.0"' in (empty.root / "odpm.json").read_text()
    assert '"19.0"' in (empty.root / "odpm.json.old").read_text()


def test_a_repository_of_add_ons_keeps_its_files(empty: Bench) -> None:
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
    ("words", "message"),
    [
        (("--odoo", "8.0"), "8.0"),
        (("--odoo", "new"), "an Odoo version"),
        (("--python", "3"), "a Python version"),
        (("--schema", "3"), "unknown format"),
        (("--dependency", "ext::sh -c x"), "refused"),
        (("--addons", "a/b"), "one folder below"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_invalid_option_writes_nothing(empty: Bench, words: tuple[str, ...], message: str) -> None:
    failure(module(empty, "init", *words), 1, message)
    assert list(empty.root.iterdir()) == []


@pytest.mark.parametrize("source", ["/nowhere", "."])
def test_a_source_without_a_project_writes_nothing(empty: Bench, source: str) -> None:
    failure(module(empty, "init", "--from", source), 4, "git-aggregator")
    assert list(empty.root.iterdir()) == []


def test_a_doodba_project_is_converted_in_its_folder(empty: Bench) -> None:
    shutil.copytree(GOLDEN / "doodba/input", empty.root, dirs_exist_ok=True)
    ran = module(empty, "init", "--from", ".", "--schema", "2")
    assert ran.code == 0
    assert (empty.root / "odpm.json").read_text() == (GOLDEN / "doodba/odpm.json").read_text()
    assert "not converted (" in ran.err
    assert "shell_command_after git apply" in ran.err
    assert "${GITHUB_TOKEN}: used in odpm.json and not set; set GITHUB_TOKEN=… in .env" in ran.err
    assert not (empty.root / "addons").exists()
    checked = empty.ok("validate")
    assert "GITHUB_TOKEN is not set" in checked.err
    (empty.root / ".env").write_text("GITHUB_TOKEN=x\nDB_FILTER=^x$\n")
    assert empty.ok("validate").err == ""


def test_the_flat_format_reports_what_it_drops(empty: Bench) -> None:
    ran = module(empty, "init", "--from", str(GOLDEN / "doodba/input"), "--schema", "1")
    assert ran.code == 0
    assert "ghostscript" in ran.err
    assert "options of the server email_from, db_name" in ran.err
    assert "--schema 2" in ran.err
    empty.ok("validate")


def test_from_without_a_path_is_this_folder_and_the_format_follows_from_the_values(empty: Bench) -> None:
    shutil.copytree(GOLDEN / "doodba/input", empty.root, dirs_exist_ok=True)
    shutil.copy(GOLDEN / "aggregator/input/repos.yaml", empty.root)
    ran = module(empty, "init", "--from")
    assert ran.code == 0
    assert ran.err.startswith(
        "from .: doodba\n  not read: git-aggregator; --from git-aggregator:PATH converts it alone\n"
    )
    assert json.loads((empty.root / "odpm.json").read_text())["manifest_schema"] == 2  # it has Debian packages


@pytest.mark.parametrize("source", ["git-aggregator", "git-aggregator:."])
def test_from_can_name_the_kind(empty: Bench, source: str) -> None:
    shutil.copytree(GOLDEN / "doodba/input", empty.root, dirs_exist_ok=True)
    failure(module(empty, "init", "--from", source), 4, "no git-aggregator project found; found: doodba")
    shutil.copy(GOLDEN / "aggregator/input/repos.yaml", empty.root)
    assert module(empty, "init", "--from", source, "--odoo=17.0").err.startswith(f"from {source}: git-aggregator\n")


def test_the_format_is_the_smallest_that_has_all_keys(empty: Bench) -> None:
    module(empty, "init", "--from", str(GOLDEN / "doodba/input"))
    assert json.loads((empty.root / "odpm.json").read_text())["manifest_schema"] == 2
    (empty.root / "odpm.json").unlink()
    module(empty, "init", "--from", str(GOLDEN / "ini-smallest/input"))
    assert json.loads((empty.root / "odpm.json").read_text())["odpm_version"] == "4.0"


def test_the_report_is_short_and_complete_in_a_file(empty: Bench) -> None:
    source = empty.root.parent / "source"
    shutil.copytree(GOLDEN / "doodba-template/input", source)
    names = [f"repository-{number}" for number in range(60)]
    remotes = "".join(f"    mine{number}: https://git.example.org/{number}.git\n" for number in range(60))
    (source / "odoo/custom/src/addons.yaml").write_text("".join(f"{name}: [some_addon]\n" for name in names))
    (source / "odoo/custom/src/repos.yaml").write_text(
        "".join(f"{name}:\n  merges: [gone 17.0]\n  remotes:\n{remotes}" for name in names[:30])
    )
    ran = module(empty, "init", "--from", str(source))
    assert ran.code == 0
    assert len(ran.err.splitlines()) <= 25, ran.err
    assert "not converted (32):" in ran.err
    file = empty.root / ".odpm/logs/not-converted.txt"
    assert "more lines: .odpm/logs/not-converted.txt" in ran.err
    assert sum("has no remote with an address" in line for line in file.read_text().splitlines()) == 30
    assert sum("selection of some_addon" in line for line in file.read_text().splitlines()) == 60
    git("init", "-q", cwd=empty.root)
    assert ".odpm/logs" not in git("status", "--porcelain", "--untracked-files=all", cwd=empty.root)


def test_a_missing_version_is_an_error_with_the_option(empty: Bench) -> None:
    text = "web:\n  remotes: {oca: https://github.com/OCA/web.git}\n  merges: [oca $ODOO_VERSION]\n"
    (empty.root / "repos.yaml").write_text(text)
    message = failure(module(empty, "init", "--from", "repos.yaml"), 1, "does not contain the Odoo version")
    assert not (empty.root / "odpm.json").exists()
    assert module(empty, "init", "--from", "repos.yaml", *suggested_command(message).split()).code == 0
    assert json.loads((empty.root / "odpm.json").read_text())["dependencies"] == ["https://github.com/OCA/web.git"]


def test_on_a_terminal_invalid_answers_are_asked_again(empty: Bench) -> None:
    code, screen = run_on_terminal(
        empty,
        "init",
        answers=[
            ("Odoo [19.0]: ", "nineteen\n"),
            ("is not an Odoo version", ""),
            ("Odoo [19.0]: ", "18\n"),
            ("PostgreSQL [15]: ", "16\n"),
            ("continue): ", "../web\n"),
            ("continue): ", "https://github.com/OCA/web.git 18.0\n"),
            ("continue): ", "\n"),
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


def test_on_a_terminal_enter_means_the_default_and_yes_asks_nothing(empty: Bench) -> None:
    code, screen = run_on_terminal(
        empty, "init", answers=[("Odoo [", "\n"), ("PostgreSQL [", "\n"), ("continue): ", "\n"), ("add-ons [", "\n")]
    )
    assert code == 0, screen
    asked = file_digests(empty.root)
    for path in empty.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code, screen = run_on_terminal(empty, "init", "--yes", answers=[])
    assert code == 0, screen
    assert file_digests(empty.root) == asked
    assert "[" not in screen


def test_options_are_not_asked(empty: Bench) -> None:
    words = ("--odoo=18.0", "--postgres=16", "--dependency=https://github.com/OCA/web.git", "--addons=mine")
    code, screen = run_on_terminal(empty, "init", *words, answers=[])
    assert code == 0, screen


@pytest.mark.parametrize(("key", "code"), [("\x04", 1), ("\x03", 130)], ids=["ctrl-d", "ctrl-c"])
def test_an_interrupted_dialogue_writes_nothing(empty: Bench, key: str, code: int) -> None:
    ended, screen = run_on_terminal(empty, "init", answers=[("Odoo [", "18.0\n"), ("PostgreSQL [", key)])
    assert ended == code, screen
    assert "Traceback" not in screen
    assert list(empty.root.iterdir()) == []


def test_messages_name_the_command_without_a_tasks_py(empty: Bench) -> None:
    assert "python -m odpm_tasks init" in " ".join(module(empty, "--help", "init").out.split())
    listed = module(empty, "--list").out
    assert "\n  init " in listed
    assert "\n  up " in listed
    failure(module(empty, "plan"), 4, "there is no odpm.json", "python -m odpm_tasks init")


def test_a_project_of_odpm_4_is_continued_with_its_settings_and_lock(empty: Bench) -> None:
    """Again after it was interrupted: what exists stays, and nothing is added twice."""
    elder, root = empty.root.parent / "elder", empty.root
    shutil.copytree(REPOSITORY / "tests/golden/migrate/odpm4/input", elder)
    shutil.copy(REPOSITORY / "tests/golden/migrate/odpm4/dotenv", elder / ".env")
    shutil.copy(elder / "odpm.json", root)
    ran = module(empty, "init", "--from", "../elder", "--odoo", "18.0")
    failure(ran, 1, "keeps its odpm.json", "--odoo")
    assert file_digests(root).keys() == {"odpm.json"}
    before = json.loads((root / "odpm.json").read_text("utf-8"))
    ran = module(empty, "init", "--from", "../elder")
    assert ran.code == 0, ran.err
    assert "to do (" in ran.err
    assert "tiger" not in ran.out + ran.err
    assert json.loads((root / "odpm.json").read_text("utf-8")) == before | {"use_oca_dependencies": False}
    assert (root / ".odpm/deps.lock.json").read_bytes() == (elder / ".odpm/deps.lock.json").read_bytes()
    assert (root / ".env").stat().st_mode & 0o777 == 0o600
    made = file_digests(root)
    (root / "tasks.py").unlink()
    again = module(empty, "init", "--from", "../elder")
    assert again.code == 0, again.err
    assert file_digests(root) == made
    assert empty.ok("validate").out == "odpm.json is valid\n"
