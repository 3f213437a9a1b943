"""The Python locks end to end: who asks wins, who contradicts is named. Real uv, the machine's index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, HOST, LOCKS, PLATFORM, SALE, WEB, Workspace, failure
from tests.standins.package_index import Index, only

pytest_plugins = ["tests.e2e.workspaces"]
BOTH = [f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"]


def asking(workspace: Workspace, **texts: str) -> None:
    """Put requirements.txt files into the repositories, and depend on both."""
    for repository, key in ((PLATFORM, "platform"), (WEB, "web"), (SALE, "sale")):
        if key in texts:
            workspace.publish(repository, {**FILES[repository], "requirements.txt": texts[key]})
    workspace.describe(dependencies=BOTH)


def test_conflicting_requirements_of_two_repositories_are_reported(workspace: Workspace) -> None:
    asking(workspace, web="six==1.15.0\n", sale="six==1.16.0\n")
    message = failure(
        workspace.bench.inv("lock"),
        4,
        "six==1.15.0: required by web",
        "six==1.16.0: required by sale",
        "requirements of odpm.json",
    )
    assert not (workspace.root / LOCKS[1]).exists()
    # the way out that it names
    assert "add the version you want" in message
    workspace.describe(dependencies=BOTH, requirements=["six==1.16.0"])
    ran = workspace.bench.ok("lock")
    assert "six==1.16.0 of odpm.json: requirements overrides six==1.15.0 of web: requirements.txt" in ran.err
    assert "six==1.16.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")


def test_a_contradiction_behind_a_package_names_who_asked(workspace: Workspace) -> None:
    """requests 2.31 wants urllib3 1.21.1 or newer: no line contradicts another, what they need does."""
    asking(workspace, web="requests==2.31.0\n", sale="urllib3==1.20\n")
    ran = workspace.bench.inv("lock")
    assert ran.code == 4
    for words in (
        "requests==2.31.0: required by web: requirements.txt",
        "urllib3==1.20: required by sale: requirements.txt",
    ):
        assert words in ran.err, ran.err


def test_the_platform_wins_over_add_ons_and_the_manifest_over_both(workspace: Workspace) -> None:
    asking(workspace, platform="six==1.16.0\n", web="six>=1.17\n", sale="six<1.17\n")
    ran = workspace.bench.ok("lock")
    assert "six==1.16.0 of odoo: requirements.txt overrides six>=1.17 of web: requirements.txt" in ran.err
    assert "sale: requirements.txt" not in ran.err
    assert "six==1.16.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    workspace.describe(dependencies=BOTH, requirements=["six==1.17.0"])
    workspace.bench.ok("lock")
    assert "six==1.17.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")


def test_ranges_of_several_meet(workspace: Workspace) -> None:
    asking(workspace, platform="six>=1.14\n", web="six<1.17\n", sale="six!=1.16.0\n")
    workspace.bench.ok("lock")
    assert "six==1.15.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")


def test_python_locks_that_nobody_names_are_taken_as_they_are(workspace: Workspace) -> None:
    """The repositories' lock is lost, or is that of an older odpm: nothing is asked of the index."""
    asking(workspace, web="six==1.15.0\n")
    workspace.bench.ok("lock")
    before = {path: (workspace.root / path).read_bytes() for path in LOCKS}
    (workspace.root / LOCKS[0]).unlink()
    workspace.bench.env.update(UV_OFFLINE="1", UV_CACHE_DIR=str(workspace.folder / "no-packages"))
    workspace.bench.ok("lock")
    assert {path: (workspace.root / path).read_bytes() for path in LOCKS} == before
    # requirements changed: now they are not
    asking(workspace, web="six==1.16.0\n")
    (workspace.root / LOCKS[0]).unlink()
    assert workspace.bench.inv("lock").code != 0


def test_both_architectures_and_no_index_address(workspace: Workspace) -> None:
    asking(workspace, web="MarkupSafe==2.1.5\n")
    workspace.bench.ok("lock")
    text = (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert text.count("--hash=sha256:") > 20  # wheels of every platform, and the sources
    assert "://" not in text


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    yield made
    made.close()


def test_a_package_to_leave_out_is_in_no_lock_even_if_another_one_requires_it(
    workspace: Workspace, index: Index
) -> None:
    index.wheel("needs", "1.0", "Requires-Dist: mysqlclient\nRequires-Dist: six\n")
    index.wheel("six", "1.16.0")
    asking(workspace, web="needs\nnowhere-to-be==1\n")
    workspace.describe(dependencies=BOTH, requirements_ignore=["MySQLdb", "nowhere_to.be"])
    workspace.bench.ok("lock", **only(index))
    names = [line.split("==")[0] for line in (workspace.root / LOCKS[1]).read_text(encoding="utf-8").splitlines()]
    assert {"needs", "six"} < set(names)
    assert not {"mysqlclient", "nowhere-to-be"} & set(names)
    # without the list the lock is out of date
    workspace.describe(dependencies=BOTH)
    assert workspace.bench.inv("lock", "--check").code == 3


def test_what_stops_a_lock_is_named_with_who_requires_it_and_a_way_out(workspace: Workspace, index: Index) -> None:
    """One run per kind of failure; the wording of each is in tests/golden/uv_errors."""
    index.wheel("six", "1.15.0")
    index.wheel("newpy", "1.0", python=">=3.8")
    index.wheel("newpy", "2.0", python=">=3.12")
    index.add("broken", "broken-1.0.tar.gz", b"no archive")

    def failing(line: str, code: int, *words: str, **env: str) -> None:
        asking(workspace, web=f"{line}\n")
        failure(workspace.bench.inv("lock", "--update", **{**only(index), **env}), code, *words)

    asker = "required by web: requirements.txt"
    failing(
        "nowhere",
        4,
        "the package index has no package nowhere",
        f"nowhere: {asker}",
        '"requirements_ignore": ["nowhere"]',
    )
    failing("six==1.14.0", 4, "has no version six==1.14.0; the newest is 1.15.0", f"six==1.14.0: {asker}")
    failing("newpy>=2", 4, "no release for Python 3.11: it needs Python >=3.12", f"newpy>=2: {asker}", '"newpy==1.0"')
    failing("broken", 5, "broken-1.0.tar.gz of the package index is a damaged archive")
    failing("six", 4, "a setting of uv is invalid", "UV_RESOLUTION", UV_RESOLUTION="best")
    failing(
        "six",
        5,
        "does not answer",
        "it refuses the connection",
        UV_DEFAULT_INDEX="http://127.0.0.1:9/simple",
        UV_HTTP_RETRIES="0",
    )
    # requirements for other systems and versions of Python contradict nothing
    asking(
        workspace, web="six==1.15.0\nsix==1.16.0 ; sys_platform == 'win32'\n", sale="six==9 ; python_version < '3'\n"
    )
    workspace.bench.ok("lock", "--update", **only(index))


def test_an_index_without_login_is_named(workspace: Workspace, index: Index, tmp_path: Path) -> None:
    closed = Index(tmp_path / "closed", status=401)
    try:
        asking(workspace, web="six\n")
        ran = workspace.bench.inv("lock", **{**only(index), "UV_DEFAULT_INDEX": f"corp={closed.url}"})
        failure(ran, 5, "refuses access for six: HTTP 401", "UV_INDEX_CORP_USERNAME and UV_INDEX_CORP_PASSWORD")
    finally:
        closed.close()


def test_nothing_in_a_requirements_file_vanishes_without_a_word(workspace: Workspace, index: Index) -> None:
    for name in ("six", "zeep"):
        index.wheel(name, "1.0")
    text = "# one \\\r\nsix \\\r\n  >=1\r\n-r more.txt\r\nzeep\r\n  --extra-index-url https://h.test\r\n"
    workspace.publish(WEB, {**FILES[WEB], "requirements.txt": text.encode("utf-16")})
    ran = workspace.bench.ok("lock", **only(index))
    assert "web: requirements.txt, line 4: the requirement '-r more.txt' is left out: it names another file" in ran.err
    assert "web: requirements.txt, line 6: the requirement '--extra-index-url https://h.test' is left out" in ran.err
    assert "six==1.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert "zeep==1.0" in (workspace.root / LOCKS[1]).read_text(encoding="utf-8")


def requiring(*names: str, depends: str = "base") -> str:
    return repr({"name": "x", "version": "1.0", "depends": [depends], "external_dependencies": {"python": [*names]}})


def test_a_name_that_no_index_has_stops_a_lock_only_for_an_add_on_that_is_needed(
    workspace: Workspace, index: Index
) -> None:
    for name in ("dnspython", "zeep"):
        index.wheel(name, "1.0")
    addons = {
        "unused/__manifest__.py": requiring("dns", "csv", "no_such_module", "other_missing", "lasso"),
        "used/__manifest__.py": requiring("zeep"),
    }
    workspace.publish(WEB, {**FILES[WEB], **addons})
    own = workspace.root / "mine/__manifest__.py"
    own.parent.mkdir()
    own.write_text(repr({"name": "mine", "depends": ["used"]}), encoding="utf-8")
    ran = workspace.bench.ok("lock", **only(index))
    for name in ("no-such-module", "other-missing"):
        assert (
            f"{name} is left out: the package index does not have it; this project does not need web: unused" in ran.err
        )
    assert "lasso is left out: only the Debian package python3-lasso has it" in ran.err
    text = (workspace.root / LOCKS[1]).read_text(encoding="utf-8")
    assert "dnspython==1.0" in text
    assert "zeep==1.0" in text
    assert "lasso" not in text
    workspace.bench.ok("lock", "--check", **only(index))
    # an add-on of the project comes to depend on it
    workspace.publish(WEB, {**FILES[WEB], **addons, "used/__manifest__.py": requiring("zeep", depends="unused")})
    ran = workspace.bench.inv("lock", "--update", **only(index))
    failure(
        ran,
        4,
        "lasso is in no package index, only in the Debian package python3-lasso",
        "web: unused",
        '"python3-lasso"',
    )
    workspace.describe(system_packages=["python3-lasso"])
    ran = workspace.bench.inv("lock", **only(index))
    failure(ran, 4, "the package index has no package no-such-module", "no_such_module: required by web: unused")
    workspace.describe(system_packages=["python3-lasso"], requirements_ignore=["no_such_module", "other_missing"])
    workspace.bench.ok("lock", **only(index))
