"""Packages from git: their merge with other requirements, their entries in the lock, their changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from odpm_tasks.core.locking.changes import lock_changes
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock, write_lock
from odpm_tasks.core.locking.python_lock import without_addresses, without_urls
from odpm_tasks.core.locking.python_requirements import MergedRequirements, RequirementLine, merge
from odpm_tasks.errors import LockError

A, B = "a" * 40, "b" * 40
GIT = "tool @ git+https://git.example/team/tool@main"
TOOL = GitPackage("tool", "https://git.example/team/tool", A, "1.0", "main", ("six>=1",))


def merged(manifest: str = "", platform: str = "", others: str = "") -> MergedRequirements:
    ranks = (("odpm.json", manifest), ("odoo", platform), ("web", others))
    first, second, third = ([RequirementLine(line, name) for line in text.split("|") if line] for name, text in ranks)
    return merge(first, second, third)


@pytest.mark.parametrize(
    ("manifest", "platform", "others", "git", "lines", "limits", "overridden"),
    [
        (GIT, "six==1", "", GIT, ("six==1",), (), []),
        # a version of a weaker origin has no effect, its extras do
        (GIT, "tool==1", "tool[x]", GIT.replace("tool ", "tool[x] ", 1), (), (), ["tool==1"]),
        # versions of the same origin and of a stronger one are limits
        (f"{GIT}|tool>=2", "", "", GIT, (), ("tool>=2",), []),
        ("tool>=2", "", GIT, GIT, (), ("tool>=2",), []),
        # a pin of a stronger origin decides against git
        ("tool==2", "", GIT, None, ("tool==2",), (), [GIT]),
        ("", "tool==2", f"{GIT}|tool>1", None, ("tool==2",), (), [GIT]),
        # another address of a weaker origin
        (GIT, "", GIT.replace("main", "dev"), GIT, (), (), [GIT.replace("main", "dev")]),
    ],
)
def test_a_package_from_git_is_used_unless_a_stronger_origin_pins_a_version(
    manifest: str,
    platform: str,
    others: str,
    git: str | None,
    lines: tuple[str, ...],
    limits: tuple[str, ...],
    overridden: list[str],
) -> None:
    found = merged(manifest, platform, others)
    assert [one.text for one in found.git] == ([git] if git else [])
    assert (found.lines, found.constraints) == (lines, limits)
    assert [ignored.line for ignored, _ in found.overridden] == overridden
    assert found.conflicts == ()


def test_two_addresses_of_one_rank_contradict_each_other_and_two_spellings_do_not() -> None:
    other = GIT.replace("main", "dev")
    assert [pair[0].line for pair in merged(others=f"{GIT}|{other}").conflicts] == [other]
    spelled = "tool @ git+ssh://git@git.example/team/tool.git@main"
    assert merged(others=f"{GIT}|{spelled}").conflicts == ()
    assert merged(others=GIT).text == merged(others=spelled).text
    assert "hunter2" not in merged(GIT.replace("https://", "https://me:hunter2@")).text


def test_a_constraint_limits_and_does_not_require() -> None:
    limit = RequirementLine("six<2", "web: c.txt", constraint=True)
    found = merge([], [], [limit])
    assert (found.lines, found.constraints) == ((), ("six<2",))
    found = merge([RequirementLine("six==2", "odpm.json")], [], [limit])
    assert (found.lines, found.constraints) == (("six==2",), ())
    assert found.overridden[0][0] == limit
    assert replace(limit, line="six[x]<2").refusal == "a constraint is a name and versions"


LOCK = Lock(Pin("https://git.example/odoo", A), python=(TOOL,))


def test_entries_are_sorted_and_survive_a_rewrite() -> None:
    other = GitPackage(
        "a-tool", "https://git.example/b", B, "2.1.dev1+g0", subdirectory="src/x", requires_python=">=3.8"
    )
    text = write_lock(replace(LOCK, python=(TOOL, other)))
    assert read_lock(text).python == (other, TOOL)
    assert write_lock(read_lock(text)) == text
    assert json.loads(text)["python"][1] == {
        "name": "tool", "url": "https://git.example/team/tool", "ref": "main", "commit": A, "version": "1.0",
        "requirements": ["six>=1"],
    }  # fmt: skip
    assert json.loads(text)["schema_version"] == 1
    assert "python" not in json.loads(write_lock(replace(LOCK, python=())))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "a'; rm"),
        ("commit", "main"),
        ("version", "1 && x"),
        ("version", "latest"),
        ("requirements", ["six", "-r /etc/passwd"]),
        ("subdirectory", "../x"),
        ("subdirectory", "a;b"),
    ],
)
def test_an_entry_that_could_break_a_build_is_refused(key: str, value: object) -> None:
    data = json.loads(write_lock(LOCK))
    data["python"][0][key] = value
    with pytest.raises(LockError, match="the lock is not valid"):
        read_lock(json.dumps(data))


def test_changes_of_packages_are_changes_of_the_lock() -> None:
    moved = replace(TOOL, commit=B, version="1.1")
    assert lock_changes(replace(LOCK, python=()), LOCK) == ("add tool 1.0 @ aaaaaaaa",)
    assert lock_changes(LOCK, replace(LOCK, python=())) == ("drop tool",)
    assert lock_changes(LOCK, replace(LOCK, python=(moved,))) == ("tool 1.0 @ aaaaaaaa -> 1.1 @ bbbbbbbb",)
    followed = replace(TOOL, ref="v1")
    assert lock_changes(LOCK, replace(LOCK, python=(followed,))) == ("tool follows https://git.example/team/tool v1",)


def test_the_python_locks_do_not_have_the_stand_ins_of_packages_from_git() -> None:
    text = "six==1 \\\n    --hash=sha256:0\ntool[x] @ file:///tmp/tool-1.0-py3-none-any.whl \\\n    --hash=sha256:1\n"
    assert without_addresses(text, [TOOL]) == "six==1 \\\n    --hash=sha256:0\n"
    requires = ("tool @ git+https://git.example/x", "six", "other @ https://git.example/other.whl")
    assert without_urls(requires, {"tool"}) == ("tool", "six", "other @ https://git.example/other.whl")
