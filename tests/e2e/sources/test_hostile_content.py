"""Content of a repository that no honest one has, through the tasks that read it.

Only errors of this library, no control character on the terminal or in a generated file, no long run. One plant per family;
`tests/unit/planning/test_hostile_repositories.py` tries many more without git.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.e2e.failures import GENERATED, HOST, LOCKS, SALE, WEB, Workspace, failure, file_digests
from tests.e2e.harness import git
from tests.e2e.planted import FILE, LINK, commit, grow, plant

pytest_plugins = ["tests.e2e.workspaces"]

ESCAPE = "\x1b]0;owned\x07\x1b[31m\u202e"
LONG = "0x" + "f" * 5000  # Python does not print an integer of this length
ACCEPTED: dict[bytes, bytes] = {
    b"version/__manifest__.py": f"{{'version': {LONG}, 'installable': {LONG}}}".encode(),
    b"surrogate/__manifest__.py": rb"{'version': '\ud800', 'external_dependencies': {'deb': ['\udcff', '\x1b[31m']}}",
    b"empty/__manifest__.py": b"{'external_dependencies': {'python': ['', '# x', None, 3], 'bin': ['\\x1b[31m\\n']}}",
    b"types/__manifest__.py": b"{'external_dependencies': {'python': 3, 'bin': {}, 'deb': b'x'}, 1: 2}",
    b"many/__manifest__.py": b"{'external_dependencies': {'python': ['\\n']"
    + b", 'bin': ["
    + b"'x'," * 200_000
    + b"]}}",
    b"requirements.txt": f"# {ESCAPE}\n{ESCAPE} @ /etc/passwd\n-r ../../x\n\0\n--index-url http://x\n".encode(),
    b"oca_dependencies.txt": f"# {ESCAPE}\n".encode(),
    f"{ESCAPE}/__manifest__.py".encode(): b"{}",
    b"new\nline/x/__manifest__.py": b"{}",
    b"\xff\xfe/__manifest__.py": b"{}",
    b"d/" * 400 + b"x": b"deep",
    b"static/" + b"n" * 250: b"long",
}
DESCRIPTION = {
    "manifest_schema": 2,
    "python": {"a": [1]},
    "odoo_version": True,
    "trust": {"x": 3},
    "locks": [],
    "scenarios": [1],
    "hooks": {"post_clone": [3, ESCAPE, {"a": 1}]},
    "services": {
        ESCAPE: {"image": "x"},
        "a": {"image": ESCAPE, "labels": {ESCAPE: ESCAPE}},
        "b": {"image": {"x": [None]}, "ports": 3, "volumes": {"a": 1}},
        "c": 3,
        "d": [],
    },
    "service_patches": {"odoo": [1], "db": {"image": ESCAPE}, ESCAPE: None},
}


def read_by_every_task(workspace: Workspace) -> str:
    """The output of the tasks that read the repositories; all succeed."""
    output = ""
    for words in (
        ("lock",),
        ("render",),
        ("plan",),
        ("plan", "--verbose", "--format", "json"),
        ("sources.status",),
        ("validate",),
    ):
        ran = workspace.bench.ok(*words, timeout=60)
        assert "Traceback" not in ran.output, ran.output
        assert all(char.isprintable() or char == "\n" for char in ran.output), repr(ran.output)
        output += ran.output
    return output


def test_odd_content_is_left_out_or_reported(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").touch()
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    plant(workspace, {name: (FILE, data) for name, data in ACCEPTED.items()})
    plant(workspace, {b"odpm.json": (FILE, json.dumps(DESCRIPTION).encode())}, SALE)
    begin = time.monotonic()
    output = read_by_every_task(workspace)
    assert time.monotonic() - begin < 120
    assert "many/__manifest__.py is not a readable manifest" in output
    for path in GENERATED:
        text = (workspace.root / path).read_text(encoding="utf-8")
        assert all(char.isprintable() or char == "\n" for char in text), path
    assert file_digests(outside).keys() == {"x"}
    assert sorted(path.name for path in (workspace.root / ".odpm/src").iterdir()) == ["odoo", "sale", "web"]


REFUSED: dict[str, tuple[dict[bytes, tuple[str, bytes]], str]] = {
    "thousands of packages": (
        {b"requirements.txt": (FILE, b"".join(b"p%d\n" % n for n in range(50_000)))},
        "more than 2000",
    ),
    "thousands of add-ons": (
        {b"a%d/__manifest__.py" % number: (FILE, b"{}") for number in range(5_001)},
        "more than 5,000 add-ons",
    ),
    "a long number": ({b"odpm.json": (FILE, b'{"odoo_version": ' + b"9" * 5000 + b"}")}, "web: odpm.json"),
    "an object that is a list": ({b"odpm.json": (FILE, b"[]")}, "is not a JSON object"),
    "bytes that are no text": ({b"oca_dependencies.txt": (FILE, b"\xff\x00\x1b[2J")}, "oca_dependencies.txt"),
    "links with control characters": ({b"m/\x1b[2J\n": (LINK, b"/\x1b[31m\n\xff")}, "lead out of its tree"),
}


@pytest.mark.parametrize(("entries", "told"), REFUSED.values(), ids=REFUSED)
def test_content_that_cannot_be_used_is_refused_with_its_repository(
    workspace: Workspace, entries: dict[bytes, tuple[str, bytes]], told: str
) -> None:
    plant(workspace, entries)
    ran = workspace.bench.inv("lock", timeout=60)
    message = failure(ran, 4, "web", told)
    assert all(char.isprintable() or char == "\n" for char in message), repr(message)
    assert not (workspace.root / LOCKS[0]).exists()
    assert "Traceback" not in workspace.bench.inv("status", timeout=60).output


def test_messages_authors_and_versions_of_commits_do_not_control_the_terminal(workspace: Workspace) -> None:
    repo = workspace.host / WEB
    message = f"{ESCAPE}\xff".encode("latin-1", errors="replace") + "\u202e\r\x9b31m".encode()
    parent = ""
    for number in range(3):
        text = f"{{'version': '19.0.{number}.0.0\\x1b[31m\\r'}}".encode()
        entries = {
            b"m/__manifest__.py": (FILE, text),
            f"m/migrations/19.0.{number}.0.0{ESCAPE}/pre-x.py".encode(): (FILE, b""),
        }
        parent = commit(repo, grow(repo, entries), message, parent)
        if number == 0:
            workspace.bench.ok("render")
            git("add", "-A", cwd=workspace.root)
            git("commit", "-qm", "locked", cwd=workspace.root)
    workspace.bench.ok("lock", "--update")
    tasks = [
        "lock --diff",
        "lock --diff --format json",
        "lock --diff --format markdown",
        "plan --diff",
        "sources.status",
    ]
    for words in tasks:
        ran = workspace.bench.ok(*words.split())
        assert all(char.isprintable() or char == "\n" for char in ran.output), (words, repr(ran.output))
    assert "19.0.2.0.0" in workspace.bench.ok("lock", "--diff").out
