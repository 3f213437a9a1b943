"""This repository's own tasks, and how to start from nothing: `python3 tasks.py TASK`.

Run bare, with the standard library alone, this file makes `.odpm/venv`, installs `requirements.txt` into it and goes on
inside. Under invoke it is the namespace: everything of odpm_tasks, our `demo`, `lint` and `test`.
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


def enter() -> None:
    """Go on inside the environment, made first where it is missing or its requirements have changed."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what says so
        leave(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}",
            "apt-get install python3, then: python3 tasks.py …",
        )
    import fcntl

    wanted = hashlib.sha256(
        (ROOT / "requirements.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    ).hexdigest()
    stamp = VENV / "made-from"
    if not stamp.is_file() or stamp.read_text() != wanted:
        VENV.parent.mkdir(exist_ok=True)
        with (VENV.parent / "venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.is_file() or stamp.read_text() != wanted:
                install()
                stamp.write_text(wanted)
    os.execv(PYTHON, [str(PYTHON), "-m", "invoke", "--search-root", str(ROOT), *sys.argv[1:]])


def install() -> None:
    print("venv      installing requirements.txt into .odpm/venv", file=sys.stderr, flush=True)
    call(sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
    with tempfile.TemporaryDirectory() as scratch:
        pip = [*pip_command(Path(scratch)), "--python", str(PYTHON), "--disable-pip-version-check", "-q"]
        requirements = ROOT / "requirements.txt"
        uv = next(line for line in requirements.read_text().splitlines() if line.startswith("uv=="))
        call(*pip, "install", uv)
        # uv does in seconds what takes pip half a minute; where it does not get through, pip may
        quick = [str(PYTHON), *["-m", "uv", "pip", "install", "-q", "--compile-bytecode", "--python"], str(PYTHON)]
        if not call(*quick, "-r", str(requirements), cwd=ROOT, env=uv_settings(pip), optional=True):
            call(*pip, "install", "-r", str(requirements), cwd=ROOT)


def uv_settings(pip: list[str]) -> dict[str, str]:
    """The environment in which uv uses the package index that pip of this machine is set to."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    found = {}
    for section in ("global", "install", ":env:"):  # the last one counts
        for key, value in re.findall(rf"^{section}\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
            found |= {names[key]: value} if key in names else {}
    return {**found, **os.environ}


def pip_command(scratch: Path) -> list[str]:
    """This Python's pip; where it has none (Debian), the wheel that Debian packages for `venv`, taken by apt."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    for folder in (Path("/usr/share/python-wheels"), scratch / "usr/share/python-wheels"):
        for wheel in sorted(folder.glob("pip-*.whl")):
            return [sys.executable, str(wheel / "pip")]
        if folder.is_relative_to(scratch) or not shutil.which("apt-get"):
            break
        # lists of our own, so that this works without root and on a machine that never ran apt-get update
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
    leave("this Python has no pip, and apt has none to give", "apt-get install python3-venv, then run again")
    raise AssertionError


def call(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None, optional: bool = False) -> bool:
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except KeyboardInterrupt:
        sys.exit("odpm: interrupted; the same command goes on from here")
    if done.returncode and not optional:
        lines = [line for line in done.stdout.splitlines() if line.strip() and "is ignored: it is neither" not in line]
        leave(f"{' '.join(words[:3])} … failed", "see whether the package index answers, then run again", *lines[-3:])
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
    """From nothing to Odoo's login page: whatever this machine lacks is made from its package registries."""
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
        "long": "Also the patient ones, and new random cases.",
        "k": "pytest's -k.",
    },
)
def test(c, fast=False, long=False, k=""):  # type: ignore[no-untyped-def]
    """Check style and types, then run the tests: unit, and end to end with real git, Docker, PostgreSQL and Odoo."""
    # once, for the thousands of processes that the tests start: the environment may want no byte code
    compileall.compile_dir(ROOT / "odpm_tasks", quiet=1)
    words = [str(PYTHON), "-m", "pytest", *(["tests/unit", "--hypothesis-profile=few"] if fast else [])]
    words += ["--hypothesis-profile=many"] if long else ["-m", "not long"]
    # a worker per core, a file to one worker: a file shares its running stack
    words += (
        ["-k", k] if k else ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder"]
    )
    os.chdir(ROOT)
    os.execv(PYTHON, words)


for own in (demo, lint, test):
    ns.add_task(own)
