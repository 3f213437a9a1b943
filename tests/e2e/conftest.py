"""Fixtures of the end-to-end tests: engine, images, repositories and projects, created once where they are missing."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import family
from tests.e2e.backups import add_backups
from tests.e2e.baked import Built
from tests.e2e.harness import PORTS, Bench, demo_project, docker, git
from tests.ports import claim_port
from tests.standins.engine import ensure_engine
from tests.standins.githost import ensure_git_host
from tests.standins.images import DEFAULT, ensure_images
from tests.standins.registry import Registry
from tests.standins.wkhtmltopdf import ensure_wkhtmltopdf

URLS = (
    "https://github.com/odoo/odoo.git",
    "https://github.com/OCA/partner-contact.git",
    "https://github.com/OCA/mail.git",
)
_numbers = itertools.count(1)
_benches: list[Bench] = []

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell started the tests with `&`: every program that they start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _uv_cache() -> dict[str, str]:
    """Every project has its own home folder; all share the downloaded packages."""
    return {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")}


@pytest.fixture(scope="session")
def engine() -> None:
    """A running Docker engine with the base images."""
    ensure_engine(say)
    ensure_images(DEFAULT, say)


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The environment for the sources of the project: a mirror rule for stand-ins if the git host does not respond, and a PDF
    renderer with patched Qt, whether or not its publisher responds."""
    rule = ensure_git_host(URLS, say)
    package = ensure_wkhtmltopdf(say)
    renderer = {"ODPM_WKHTMLTOPDF": str(package)} if package else {}
    return {**({"ODPM_GIT_MIRROR": rule} if rule else {}), **renderer}


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all workers of this run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def cache(common: Path) -> Path:
    """The cache of the projects of this run, empty at first."""
    return common / "cache"


@pytest.fixture(scope="session")
def make_bench(sources: dict[str, str], cache: Path) -> Iterator[Callable[[Path], Bench]]:
    """Creates a `Bench` for a folder, with its own container names and ports, so that a demo can run at the same time."""

    def make(root: Path) -> Bench:
        ports = {name: str(claim_port()) for name in PORTS}
        name = f"odpm-test-{os.getpid()}-{next(_numbers)}"
        home = root.parent / f"home-of-{root.name}"
        home.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            root,
            {
                **sources,
                **ports,
                "ODPM_CACHE_DIR": str(cache),
                "ODPM_COMPOSE_PREFIX": name,
                "HOME": str(home),
                **_uv_cache(),
            },
        )
        _benches.append(bench)
        return bench

    yield make
    _remove_benches()


def _remove_benches() -> None:
    while _benches:
        bench = _benches.pop()
        if shutil.which("docker"):
            bench.remove()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Remove the stacks of a family of tests after its last test: stacks that run take time from the other tests."""
    if nextitem is None or family(item.nodeid) != family(nextitem.nodeid):
        _remove_benches()


@pytest.fixture
def project(tmp_path: Path, make_bench: Callable[[Path], Bench]) -> Bench:
    """A fresh project: the demo's description and add-on."""
    return make_bench(demo_project(tmp_path / "project"))


@pytest.fixture(scope="session")
def locked(common: Path, make_bench: Callable[[Path], Bench]) -> Path:
    """A project as a developer leaves it to the team: its locks are committed. One for all workers."""
    root = common / "team/project"
    with FileLock(common / "team.lock"):
        if not root.exists():
            bench = make_bench(demo_project(common / "unlocked/project"))
            bench.ok("lock")
            git("add", "-A", cwd=bench.root)
            git("commit", "-qm", "The locks", cwd=bench.root)
            root.parent.mkdir()
            bench.root.rename(root)
    return root


@pytest.fixture(scope="session")
def clone(locked: Path, make_bench: Callable[[Path], Bench]) -> Callable[[Path], Bench]:
    """Clones the project of the team. No clone shares a file with another: git renews the time of an object that it would write."""

    def make(root: Path) -> Bench:
        git("clone", "-q", "--no-hardlinks", str(locked), str(root), cwd=locked)
        return make_bench(root)

    return make


@pytest.fixture(scope="session")
def ci(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], engine: None) -> Bench:
    """A clone of the team's project in the scenario that builds images."""
    made = clone(tmp_path_factory.mktemp("ci") / "project")
    made.env["ODPM_SCENARIO"] = "ci"
    return made


@pytest.fixture(scope="session")
def ci_image(ci: Bench, registry: Registry) -> Iterator[Built]:
    """The image of the demo project, built and pushed once; the build prints its name with the digest."""
    tag = f"{registry.address}/{ci.prefix}/odoo:1.0"
    yield Built(tag, ci.ok("build-image", "--tag", tag, "--push").out)
    docker("image", "rm", "--force", tag)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A registry on loopback, empty at first."""
    with Registry() as one:
        yield one


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], engine: None) -> tuple[Bench, Bench]:
    """Two running checkouts of one project without configured ports. A test may destroy the second one."""
    folder = tmp_path_factory.mktemp("two")
    made = [clone(folder / name / "project") for name in ("first", "second")]
    for bench in made:
        for port in PORTS:
            del bench.env[port]
        # one run of the tests on this machine at a time: ports are free until they are published
        with FileLock(Path(tempfile.gettempdir(), "odpm-test-free-ports.lock")):
            bench.ok("up", "--free-ports", "-i", "base")
    return made[0], made[1]


@pytest.fixture(scope="session")
def developer(tmp_path_factory: pytest.TempPathFactory, make_bench: Callable[[Path], Bench], engine: None) -> Bench:
    """A running project in the developer scenario. A test that changes it must restore it."""
    bench = make_bench(demo_project(tmp_path_factory.mktemp("developer") / "project"))
    bench.ok("up")
    return bench


@pytest.fixture(scope="session")
def server_stack(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], engine: None) -> Bench:
    """A clone of the team's project that runs in the scenario server. A test that changes it must restore it."""
    bench = clone(tmp_path_factory.mktemp("server") / "project")
    bench.env["ODPM_SCENARIO"] = "server"
    add_backups(bench, bench.root.parent / "backups")
    bench.ok("up")
    return bench
