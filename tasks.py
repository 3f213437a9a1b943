"""This repository's own tasks: `python3 tasks.py TASK` needs Python's standard library only.

Run as a program, this file creates `.odpm/venv`, installs `requirements.txt` into it (for `test` and `lint` also
`tests/requirements.txt`) and starts invoke there. Under invoke it is the namespace: the tasks of odpm_tasks, and `demo`,
`lint` and `test`.
"""

import compileall
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".odpm" / "venv"
PYTHON = VENV / "bin" / "python"
LIBRARY = ROOT / "requirements.txt"
TOOLS = ROOT / "tests" / "requirements.txt"


def enter() -> None:
    """Start invoke in the environment, after installing what is missing or has changed."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python runs this file to print the message
        leave(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}",
            "apt-get install python3, then: python3 tasks.py …",
        )
    import fcntl

    VENV.parent.mkdir(exist_ok=True)
    with (VENV.parent / "venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not current(LIBRARY):
            install(LIBRARY, clear=True)
        if {"test", "lint"} & set(sys.argv[1:]) and not current(TOOLS):
            install(TOOLS)
    os.execv(PYTHON, [str(PYTHON), "-m", "invoke", "--search-root", str(ROOT), *sys.argv[1:]])


def current(requirements: Path) -> bool:
    """Whether the environment was made from this file as it is now."""
    stamp = stamp_of(requirements)
    return stamp.is_file() and stamp.read_text() == digest_of(requirements)


def stamp_of(requirements: Path) -> Path:
    return VENV / ("made-from" if requirements == LIBRARY else "tools-made-from")


def digest_of(requirements: Path) -> str:
    package = (ROOT / "pyproject.toml").read_bytes() if requirements == LIBRARY else b""
    return hashlib.sha256(requirements.read_bytes() + package).hexdigest()


def install(requirements: Path, *, clear: bool = False) -> None:
    """Install a requirements file into the environment, which `clear` creates first."""
    name = requirements.relative_to(ROOT)
    print(f"venv      installing {name} into .odpm/venv", file=sys.stderr, flush=True)
    if clear:
        call(sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
    with tempfile.TemporaryDirectory() as scratch:
        pip = [*pip_command(Path(scratch)), "--python", str(PYTHON), "--disable-pip-version-check", "-q"]
        if clear:
            call(*pip, "install", next(line for line in LIBRARY.read_text().splitlines() if line.startswith("uv==")))
        # uv takes seconds where pip takes half a minute; pip is the fallback
        quick = [str(PYTHON), *["-m", "uv", "pip", "install", "-q", "--compile-bytecode", "--python"], str(PYTHON)]
        if not call(*quick, "-r", str(requirements), cwd=ROOT, env=uv_settings(pip), optional=True):
            call(*pip, "install", "-r", str(requirements), cwd=ROOT)
    stamp_of(requirements).write_text(digest_of(requirements))


def uv_settings(pip: list[str]) -> dict[str, str]:
    """The environment variables that make uv use the package index of this machine's pip configuration."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for section in ("global", "install", ":env:"):  # the last one wins
        for key, value in re.findall(rf"^{section}\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
            found |= {names[key]: value} if key in names else {}
    return {**found, **os.environ}


def pip_command(scratch: Path) -> list[str]:
    """This Python's pip; without one (Debian), the wheel of Debian's package for `venv`, downloaded by apt."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for folder in (Path("/usr/share/python-wheels"), scratch / "usr/share/python-wheels"):
        for wheel in sorted(folder.glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
        if folder.is_relative_to(scratch) or not shutil.which("apt-get"):
            break
        # separate lists, because apt's own need root and `apt-get update`
        lists = scratch / "lists" / "partial"
        lists.mkdir(parents=True)
        settings = (
            f"Dir::State::lists={lists.parent}",
            f"Dir::Cache={scratch}",
            "APT::Sandbox::User=root",
            "Acquire::Check-Valid-Until=false",
        )
        apt = ["apt-get", "-qq", *(word for setting in settings for word in ("-o", setting))]
        call(*apt, "update", cwd=scratch)
        call(*apt, "download", "python3-pip-whl", cwd=scratch)
        for package in scratch.glob("python3-pip-whl_*.deb"):
            call("dpkg-deb", "-x", str(package), str(scratch))
    leave("this Python has no pip, and apt cannot download one", "apt-get install python3-venv, then the same command")
    raise AssertionError


def call(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None, optional: bool = False) -> bool:
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except KeyboardInterrupt:
        sys.exit("odpm: interrupted; the same command continues")
    if done.returncode and not optional:
        lines = [line for line in done.stdout.splitlines() if line.strip() and "is ignored: it is neither" not in line]
        leave(
            f"{' '.join(words[:3])} … failed", "check the package index, then run the same command again", *lines[-3:]
        )
    return done.returncode == 0


def leave(what: str, todo: str, *details: str) -> None:
    print(f"odpm: {what}", *(f"  {line}" for line in details), f"  next:  {todo}", sep="\n", file=sys.stderr)
    sys.exit(8)


if __name__ == "__main__":
    enter()

from invoke import task  # noqa: E402

from odpm_tasks import collection  # noqa: E402

ns = collection("test")


@task(
    auto_shortflags=False,
    help={"yes": "Install what is missing: a Docker engine, base images, repositories."},
)
def demo(c, yes=False):  # type: ignore[no-untyped-def]
    """Start from nothing and end at Odoo's login page; what this machine lacks is made from package registries."""
    from tests.standins import demo as show

    show.run(c, ROOT, install=yes)


@task(auto_shortflags=False)
def lint(c):  # type: ignore[no-untyped-def]
    """Check style, types and layers: ruff, mypy --strict, import-linter."""
    from tests.unit.test_style import CHECKS

    with c.cd(str(ROOT)):
        for check in CHECKS:
            c.run(f"{VENV / 'bin'}/{check}", hide="out" if check.startswith("lint-imports") else None)


@task(
    auto_shortflags=False,
    help={
        "fast": "Only the unit tests, with fewer random cases: no Docker, no network.",
        "long": "Also the tests that repeat, wait or load, with new random cases.",
        "k": "Only tests whose names match: pytest's -k.",
        "file": "Only this file or folder, or one test of it: PATH or PATH::TEST.",
    },
)
def test(c, fast=False, long=False, k="", file=""):  # type: ignore[no-untyped-def]
    """Check style and types, then run the tests: unit, and end to end with real git, Docker, PostgreSQL and Odoo."""
    # compiled once for the thousands of processes that the tests start, also under PYTHONDONTWRITEBYTECODE
    compileall.compile_dir(ROOT / "odpm_tasks", quiet=1)
    words = [str(PYTHON), "-m", "pytest", "--durations=10"]
    words += [file] if file else ["tests/unit"] if fast else []
    words += ["-k", k] if k else []
    words += ["--hypothesis-profile=few"] if fast else []
    words += ["--hypothesis-profile=many"] if long else ["-m", "not long"]
    if not k and not file:
        # two workers per core: a test that waits for a container or a server leaves its core to another one
        cores = os.cpu_count() or 1
        words += ["-n", str(min(4, cores if fast else 2 * cores)), "--dist", "loadfile", "--no-loadscope-reorder"]
    os.chdir(ROOT)
    os.execv(PYTHON, words)


for own in (demo, lint, test):
    ns.add_task(own)
