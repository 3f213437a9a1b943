"""The difference of two locks as a value, and how it reads: tables of cases and whole texts."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import validate

from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.locking import diff
from odpm_tasks.core.locking.diff import compare, pairs
from odpm_tasks.core.locking.diff_markdown import _addon_line, as_markdown
from odpm_tasks.core.locking.diff_model import AddonChange, CommitAddon, LockDiff, PairDetails, PinPair
from odpm_tasks.core.locking.diff_packages import (
    Locked,
    PythonSide,
    SystemChange,
    SystemPackageChange,
    package_changes,
    packages,
)
from odpm_tasks.core.locking.diff_text import SHOWN, as_json, as_text
from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.odoo.addon_versions import runs, version_key
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.sources.commits import Commit, CommitRange
from tests.unit.builders import OCA, ODOO, commit

LABELS = ("HEAD (12345678)", "now")
NONE = (PythonSide(), PythonSide())
A, B, C = commit("a"), commit("b"), commit("c")


def pin(name: str, at: str = A, branch: str | None = "19.0") -> Pin:
    return Pin(ODOO if name == "odoo" else f"{OCA}/{name}", at, branch)


def folder(path: str, at: str) -> Pin:
    return Pin(f"file://{path}", at, file=True)


def lock(*dependencies: Pin, platform: Pin | None = None, developing: Pin | None = None) -> Lock:
    return Lock(platform or pin("odoo"), dependencies, developing)


def held(*addons: CommitAddon) -> dict[str, CommitAddon]:
    return {addon.name: addon for addon in addons}


def moved(name: str = "web", old: str = A, new: str = B) -> PinPair:
    return PinPair(name, "dependency", pin(name, old), pin(name, new))


def told(*seen: tuple[PinPair, PairDetails]) -> list[tuple[str, ...]]:
    """The add-ons of a difference: name, kind, repository, versions, scripts, where it came from."""
    found = compare(LABELS, "19.0", seen, NONE)
    return [(c.name, c.kind, c.repository, c.old, c.new, *c.scripts, c.moved_from) for c in found.addons]


# --- which repositories ---


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (lock(pin("web")), lock(pin("web")), []),
        (None, lock(pin("web")), [("odoo", "platform", None, A), ("web", "dependency", None, A)]),
        (lock(pin("web")), lock(pin("web", B)), [("web", "dependency", A, B)]),
        (lock(pin("web")), lock(pin("web", A, "20.0")), [("web", "dependency", A, A)]),
        (lock(pin("web"), pin("b")), lock(pin("a"), pin("web")), [("a", "dependency", None, A), ("b", "dependency", A, None)]),
        (lock(), lock(platform=Pin(f"{OCA}/OCB", B)), [("OCB", "platform", A, B)]),
        (lock(developing=pin("own", A)), lock(developing=pin("own", B)), [("own", "developing", A, B)]),
        (lock(pin("web")), lock(developing=pin("web", B)), [("web", "developing", A, B)]),
        (lock(folder("/a/x", A)), lock(folder("/elsewhere/x", A)), []),
        (lock(folder("/a/x", A)), lock(folder("/elsewhere/x", B)), [("x", "dependency", A, B)]),
        (lock(folder("/a/x", A), folder("/a/y", B)), lock(folder("/b/y", B), folder("/b/x", C)), [("x", "dependency", A, C)]),
        (lock(pin("web")), lock(Pin("https://git.test/team/web", A), pin("web")), [("team-web", "dependency", None, A)]),
    ],
)  # fmt: skip
def test_the_pins_that_differ(
    old: Lock | None, new: Lock, expected: list[tuple[str, str, str | None, str | None]]
) -> None:
    found = [(p.name, p.role, p.old and p.old.commit, p.new and p.new.commit) for p in pairs(old, new)]
    assert found == expected


# --- which add-ons ---


def test_the_add_ons_of_a_commit_are_those_on_the_add_ons_path() -> None:
    names = ["web_a/__manifest__.py", "web_a/migrations/1.1/pre-x.py", "web_a/upgrades/1.2/end-y.py", "web_a/migrations/1.1/helper.py",
             "web_a/models.py", "deep/web_b/__manifest__.py", "README.md"]  # fmt: skip
    entries = {name: f"id of {name}" for name in [*names, "web_a", "deep/web_b"]}
    scripts = ("web_a/migrations/1.1/pre-x.py", "web_a/upgrades/1.2/end-y.py")
    assert diff.addons_at(entries, "dependency") == {"web_a": CommitAddon("web_a", "id of web_a", scripts=scripts)}


def test_a_repository_that_is_itself_an_add_on() -> None:
    entries = {"__manifest__.py": "1", "migrations": "2", "migrations/1.1/pre-x.py": "3"}
    found = diff.addons_at(entries, "dependency", "acme")["acme"]
    assert (found.name, found.path, found.scripts) == ("acme", "", ("migrations/1.1/pre-x.py",))
    assert found.tree != diff.addons_at({**entries, "migrations": "4"}, "dependency", "acme")["acme"].tree
    assert diff.unread_manifests({"acme": found}, None)["acme"][0] == "__manifest__.py"
    assert diff.addons_at(entries, "dependency", "acme-print") == {}


def test_the_platform_includes_the_add_ons_of_odoo_addons() -> None:
    names = ["addons/mail/__manifest__.py", "odoo/addons/base/__manifest__.py", "odoo/addons/base/x/__manifest__.py"]
    entries = dict.fromkeys(names, "") | {"addons/mail": "1", "odoo/addons/base": "2"}
    assert diff.addons_at(entries, "platform") == {
        "mail": CommitAddon("addons/mail", "1"),
        "base": CommitAddon("odoo/addons/base", "2"),
    }
    assert set(diff.addons_at(entries, "dependency")) == {"mail"}


def test_only_differing_manifests_are_read_and_add_ons_that_odoo_skips_are_left_out() -> None:
    old = held(CommitAddon("same", "1"), CommitAddon("edited", "1"), CommitAddon("gone", "1"))
    new = held(
        CommitAddon("same", "1"),
        CommitAddon("edited", "2"),
        CommitAddon("broken", "2"),
        CommitAddon("off", "2"),
    )
    asked = diff.unread_manifests(new, old)
    assert asked == {
        name: (f"{name}/__manifest__.py", f"{name}/__openerp__.py") for name in ("edited", "broken", "off")
    }
    contents = {
        "edited/__openerp__.py": b"{'version': '1.1'}",
        "broken/__manifest__.py": b"{",
        "off/__manifest__.py": b"{'installable': False}",
    }
    assert diff.with_manifests(new, asked, contents) == held(
        CommitAddon("same", "1"), CommitAddon("edited", "2", "1.1")
    )
    assert set(diff.unread_manifests(old, None)) == {"same", "edited", "gone"}


SCRIPTS = ("a/migrations/19.0.1.1.0/pre-x.py", "a/migrations/19.0.2.0.0/pre-x.py")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([CommitAddon("a", "1")], [CommitAddon("a", "1")], []),
        ([], [CommitAddon("a", "1", "1.0")], [("a", "added", "web", "", "1.0", "")]),
        ([CommitAddon("a", "1", "1.0")], [], [("a", "removed", "web", "1.0", "", "")]),
        ([CommitAddon("a", "1", "1.0")], [CommitAddon("a", "2", "1.1", scripts=SCRIPTS)],
         [("a", "version", "web", "1.0", "1.1", SCRIPTS[0], "")]),
        ([CommitAddon("a", "1", "1.0")], [CommitAddon("a", "2", "1.0", scripts=SCRIPTS)], [("a", "content", "web", "1.0", "1.0", "")]),
        ([CommitAddon("a", "1", "1.0")], [CommitAddon("a", "2", "19.0.1.0")], [("a", "content", "web", "1.0", "19.0.1.0", "")]),
        ([CommitAddon("a", "1", "1.1")], [CommitAddon("a", "2", "1.0", scripts=SCRIPTS)], [("a", "version", "web", "1.1", "1.0", "")]),
        ([CommitAddon("a", "1")], [CommitAddon("deep/a", "1")], []),
    ],
)  # fmt: skip
def test_add_ons_are_compared_by_name_version_and_content(
    old: list[CommitAddon], new: list[CommitAddon], expected: list[tuple[str, ...]]
) -> None:
    assert told((moved(), PairDetails(held(*old), held(*new)))) == expected


def test_an_add_on_that_changed_its_repository_is_one_change() -> None:
    first = (moved("web"), PairDetails(held(CommitAddon("a", "1", "1.0"), CommitAddon("b", "1", "1.0")), held()))
    second = (
        PinPair("ux", "dependency", None, pin("ux")),
        PairDetails(None, held(CommitAddon("a", "1", "1.0"), CommitAddon("b", "2", "1.1"))),
    )
    assert told(first, second) == [
        ("a", "moved", "ux", "1.0", "1.0", "web"),
        ("b", "version", "ux", "1.0", "1.1", "web"),
    ]
    assert compare(LABELS, "19.0", [first, second], NONE).update == (("b", "version"),)


@pytest.mark.parametrize(
    ("pair", "seen", "expected"),
    [
        (moved(), PairDetails(None, held(CommitAddon("a", "", "1.0"))), [("a", "unknown", "web", "", "1.0", "")]),
        (moved(), PairDetails(held(CommitAddon("a")), None), []),
        (moved(old=B), PairDetails(None, held(CommitAddon("a"))), []),
        (PinPair("web", "dependency", pin("web"), None), PairDetails(), []),
    ],
)
def test_an_add_on_that_cannot_be_compared_is_unknown(
    pair: PinPair, seen: PairDetails, expected: list[tuple[str, ...]]
) -> None:
    assert told((pair, seen)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [("1.0", "19.0.1.0"), ("", "1.0"), ("1.0", "1.0.0"), ("19.0", "19.0"), ("1.01", "1.1")],
)
def test_spellings_of_one_version(old: str, new: str) -> None:
    assert version_key(old, "19.0") == version_key(new, "19.0")


@pytest.mark.parametrize(
    ("folder", "old", "new", "expected"),
    [
        ("19.0.1.1.0", "19.0.1.0.0", "19.0.1.1.0", True),
        ("19.0.1.1.0", "19.0.1.1.0", "19.0.1.2.0", False),
        ("19.0.1.10.0", "19.0.1.9.0", "19.0.1.10.1", True),
        ("19.0.2.0.0", "19.0.1.0.0", "19.0.1.1.0", False),
        ("1.1", "1.0", "1.1", True),
        ("1.1", "19.0.1.0", "19.0.1.1", True),
        ("1.1", "18.0.1.1", "19.0.1.1", False),
        ("19.0.1.0.0", "18.0.5.0.0", "19.0.1.0.0", True),
        ("saas~18.4.1.0", "18.0.1.0", "19.0.1.0", False),
        ("0.0.0", "1.0", "1.1", True),
        ("0.0.0", "1.1", "1.0", False),
        ("0.0.0", "1.0", "1.0", False),
        ("1.1", "19.0", "19.0.1.1", True),
        ("2.0", "19.0.1.0.0", "19.0.1.1", False),
        ("1.0.1", "1.0.0", "1.0.1", True),
        ("1.a", "0.9", "1.1", True),
    ],
)
def test_the_scripts_that_odoo_runs(folder: str, old: str, new: str, expected: bool) -> None:
    assert runs(f"a/migrations/{folder}/post-x.py", old, new, "19.0") is expected


def test_versions_without_a_series_are_completed_as_odoo_does() -> None:
    """Before 19.0, Odoo adds the series to four numbers, too; the series is found in the name of a branch."""
    assert version_key("1.2.3.4", "18.0") == version_key("18.0.1.2.3.4", "18.0")
    assert version_key("1.2.3.4", "19.0") != version_key("19.0.1.2.3.4", "19.0")
    assert version_key("1.1", "16.0-custom") == version_key("16.0.1.1", "16.0")
    assert version_key("1.1", "master") == version_key("master.1.1", "master")


# --- which Python packages ---


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a==1\n", "a==1\n", []),
        ("a==1\n", "A==1\n# a comment\n", []),
        ("", "a==1\n", [("a", "added", "", "1")]),
        ("a==1\n", "", [("a", "removed", "1", "")]),
        ("a==1 \\\n    --hash=sha256:00\n", "a==2 \\\n    --hash=sha256:11\n", [("a", "moved", "1", "2")]),
        ("a==1 \\\n    --hash=sha256:00\n", "a==1 \\\n    --hash=sha256:11\n", [("a", "hashes", "1", "1")]),
        ("a==1 ; sys_platform == 'x'\na==2 ; sys_platform == 'y'\n", "a==1 ; sys_platform == 'x'\na==3 ; sys_platform == 'y'\n",
         [("a", "moved", '2 sys_platform == "y"', '3 sys_platform == "y"')]),
        ("a==1 ; sys_platform == 'x'\na==2 ; sys_platform == 'y'\n", "a==2\n",
         [("a", "moved", '1 sys_platform == "x"+2 sys_platform == "y"', "2")]),
        ("a @ https://host/a-1.zip\n", "a @ https://host/a-2.zip\n", [("a", "moved", "https://host/a-1.zip", "https://host/a-2.zip")]),
    ],
)  # fmt: skip
def test_python_packages_by_marker(old: str, new: str, expected: list[tuple[str, ...]]) -> None:
    def words(rows: tuple[Locked, ...]) -> str:
        return "+".join(f"{row.version} {row.marker}".strip() for row in rows)

    found = packages(PythonSide(old), PythonSide(new))
    assert [(change.name, change.kind, words(change.old), words(change.new)) for change in found] == expected


def test_a_package_of_both_locks_is_listed_once() -> None:
    found = packages(PythonSide("a==1\n", "a==1\nb==1\n"), PythonSide("a==2\n", "a==2\nb==2\n"))
    assert [(change.name, change.developer) for change in found] == [("a", False), ("b", True)]


# --- what to update ---


def test_base_alone_is_the_update_argument_and_each_module_is_listed_once() -> None:
    first = (
        moved("odoo"),
        PairDetails(
            held(CommitAddon("addons/mail", "1"), CommitAddon("odoo/addons/base", "1")),
            held(CommitAddon("addons/mail", "2"), CommitAddon("odoo/addons/base", "2")),
        ),
    )
    found = compare(LABELS, "19.0", [first, (moved("web"), PairDetails(None, held(CommitAddon("mail"))))], NONE)
    assert found.update == (("base", "content"), ("mail", "content"))
    assert found.update_argument == "base"


# --- how it reads ---


def many() -> LockDiff:
    """One of everything, with what others may have written on purpose."""
    commits = tuple(Commit(commit(str(number)), subject=f"[FIX] number {number}") for number in range(40))
    old = held(
        CommitAddon("web_a", "1", "19.0.1.0.0"),
        CommitAddon("web_b", "1", "19.0.1.0.0"),
        CommitAddon("web_old", "1", "19.0.1.0.0"),
    )
    scripts = ("web_a/migrations/19.0.1.1.0/pre-x.py",)
    new = held(
        CommitAddon("web_a", "2", "19.0.1.1.0", scripts=scripts),
        CommitAddon("web_b", "2", "19.0.1.0.0"),
        CommitAddon("web;rm", "2", "19.0.1.0.0"),
    )
    evil = Commit(C, subject="`` | @team #1 <img>\x1b[31m\n**x**")
    seen = [
        (moved("odoo"), PairDetails({}, {}, CommitRange(commits, 1234))),
        (moved("web"), PairDetails(old, new, CommitRange((evil,), 1, rewritten=True))),
        (PinPair("ux", "dependency", None, pin("ux")), PairDetails(None, {})),
        (PinPair("gone", "dependency", pin("gone"), None), PairDetails()),
        (
            PinPair("x", "dependency", folder("/a/x", A), folder("/b/x", B)),
            PairDetails(None, held(CommitAddon("mine;x", "", "1.0")), None, ("not known",)),
        ),
    ]
    python = (PythonSide("lxml==5.0\n"), PythonSide("lxml==5.1\n", "debugpy==1.8\n"))
    return compare(
        LABELS, "19.0", seen, python, ({"python:3.12": "sha256:" + "0" * 64}, {"python:3.12": "sha256:" + "1" * 64})
    )


def short(word: str) -> str:
    return commit(word)[:8]


def test_as_text() -> None:
    listed = "\n".join(f"    {short(str(number))}  [FIX] number {number}" for number in range(SHOWN))
    assert (
        as_text(many())
        == f"""\
lock  HEAD (12345678) -> now: 3 repositories moved, 1 added, 1 removed, 2 Python packages, 1 image

  odoo  19.0  {A[:8]} -> {B[:8]}  1234 commits
{listed}
    … and 1204 more

  web  19.0  {A[:8]} -> {B[:8]}  1 commit, rewritten
    {C[:8]}  `` | @team #1 <img> [31m **x**
    + web;rm   19.0.1.0.0
    ~ web_a    19.0.1.0.0 -> 19.0.1.1.0
        web_a/migrations/19.0.1.1.0/pre-x.py
    ~ web_b    19.0.1.0.0  content
    - web_old  19.0.1.0.0

  ux  19.0  {A[:8]}  added

  gone  19.0  {A[:8]}  removed

  x  {A[:8]} -> {B[:8]}
    was file:///a/x
    note  not known
    ~ mine;x  1.0  not known

  Python packages
    ~ lxml     5.0 -> 5.1
    + debugpy  1.8  (developer)

  Images
    ~ python:3.12  sha256:000000000000 -> sha256:111111111111

  To update
    version       web_a
    content only  web_b
    not known     mine;x
    inv up -u 'mine;x,web_a,web_b'"""
    )


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "a\\\\|b", "`|`", "a\\\\\\|![x](https://evil.example/x.png)"])
def test_no_name_leaves_its_cell_of_a_table(name: str) -> None:
    """In a table two backslashes are one backslash, so that a bar after them would end the cell."""
    row = _addon_line(AddonChange(name, "added", "web", scripts=(f"{name}/pre.py",)))
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4


def test_a_folder_with_thousands_of_digits_is_no_migration() -> None:
    assert not runs(f"a/migrations/{'1' * 6000}/post-x.py", "1.0", "2.0", "19.0")


def test_as_markdown() -> None:
    listed = "\n".join(f"- `{short(str(number))}` `[FIX] number {number}`" for number in range(SHOWN))
    assert (
        as_markdown(many())
        == f"""\
**Lock** `HEAD (12345678)` → `now`: 3 repositories moved, 1 added, 1 removed, 2 Python packages, 1 image

| repository | from | to | commits | add-ons |
|---|---|---|---|---|
| [`odoo`](https://github.com/odoo/odoo) `19.0` | `{A[:8]}` | `{B[:8]}` | 1234 commits |  |
| [`web`](https://github.com/OCA/web) `19.0` | `{A[:8]}` | `{B[:8]}` | 1 commit, rewritten | 1 added, 1 removed, 1 new version, 1 content |
| [`ux`](https://github.com/OCA/ux) `19.0` | – | `{A[:8]}` | added |  |
| [`gone`](https://github.com/OCA/gone) `19.0` | `{A[:8]}` | – | removed |  |
| `x` | `{A[:8]}` | `{B[:8]}` |  | 1 not known |

- `x`: `not known`

<details><summary>odoo: 1234 commits</summary>

{listed}
- … and 1204 more

</details>

<details><summary>web: 1 commit, rewritten</summary>

- `{C[:8]}` ``` `` | @team #1 <img> [31m **x** ```

</details>

<details><summary>Add-ons: 1 added, 1 removed, 1 new version, 1 content, 1 not known</summary>

| add-on | repository | change |
|---|---|---|
| `web;rm` | `web` | new, `19.0.1.0.0` |
| `web_a` | `web` | `19.0.1.0.0 -> 19.0.1.1.0`<br>`web_a/migrations/19.0.1.1.0/pre-x.py` |
| `web_b` | `web` | `19.0.1.0.0  content` |
| `web_old` | `web` | **removed**, `19.0.1.0.0` |
| `mine;x` | `x` | `1.0  not known` |

</details>

<details><summary>Python packages: 2</summary>

| package | from | to | |
|---|---|---|---|
| `lxml` | `5.0` | `5.1` | moved |
| `debugpy` | – | `1.8` | added, developer |

</details>

<details><summary>Images: 1</summary>

- `python:3.12`: `sha256:000000000000` → `sha256:111111111111`

</details>

**To update**: 1 version moved, 1 content only, 1 not known

```sh
inv up -u 'mine;x,web_a,web_b'
```"""
    )


TOOLS = ({"wkhtmltopdf": "of the distribution"}, {"wkhtmltopdf": "0.12.6"})


def test_tools_in_text_and_markdown() -> None:
    diff = compare(LABELS, "19.0", [], (PythonSide(), PythonSide()), tools=TOOLS)
    assert as_text(diff).splitlines()[0].endswith(": 1 tool")
    assert "of the distribution -> 0.12.6" in as_text(diff)
    assert "- `wkhtmltopdf`: `of the distribution` → `0.12.6`" in as_markdown(diff)
    assert not diff.same
    assert compare(LABELS, "19.0", [], (PythonSide(), PythonSide()), tools=(TOOLS[0], TOOLS[0])).same


def test_as_json() -> None:
    new = held(CommitAddon("web_a", "2", "19.0.1.1.0", scripts=SCRIPTS[:1]), CommitAddon("web_b", "2"))
    seen = PairDetails(
        held(CommitAddon("web_a", "1", "19.0.1.0.0")),
        new,
        CommitRange((Commit(C, subject="x | y"),), 1, complete=False),
        ("a note",),
    )
    images: tuple[dict[str, str], dict[str, str]] = ({}, {"python:3.12": "sha256:1"})
    python = (PythonSide(), PythonSide("lxml==5.1 ; sys_platform == 'linux'\n"))
    data = json.loads(as_json(compare(LABELS, "19.0", [(moved(), seen)], python, images, TOOLS)))
    validate(data, schema("lock-diff"))
    assert data == {
        "schema_version": 1,
        "odpm": VERSION,
        "old": "HEAD (12345678)",
        "new": "now",
        "changed": True,
        "repositories": [
            {
                "name": "web",
                "url": "https://github.com/OCA/web",
                "role": "dependency",
                "change": "moved",
                "old": {"commit": A, "branch": "19.0"},
                "new": {"commit": B, "branch": "19.0"},
                "commits": {"count": None, "rewritten": False, "list": [{"id": C, "subject": "x | y"}]},
                "addons": [
                    {
                        "name": "web_a",
                        "change": "version",
                        "old": "19.0.1.0.0",
                        "new": "19.0.1.1.0",
                        "migrations": list(SCRIPTS[:1]),
                        "moved_from": None,
                    },
                    {
                        "name": "web_b",
                        "change": "added",
                        "old": None,
                        "new": None,
                        "migrations": [],
                        "moved_from": None,
                    },
                ],
                "notes": ["a note"],
            }
        ],
        "python": [
            {
                "name": "lxml",
                "change": "added",
                "developer": False,
                "old": [],
                "new": [{"version": "5.1", "marker": 'sys_platform == "linux"'}],
            }
        ],
        "images": [{"reference": "python:3.12", "old": None, "new": "sha256:1"}],
        "tools": [{"name": "wkhtmltopdf", "old": "of the distribution", "new": "0.12.6"}],
        "system": None,
        "update": {"modules": [{"name": "web_a", "reason": "version"}], "argument": "web_a"},
    }


def test_no_difference() -> None:
    nothing = LockDiff(*LABELS)
    assert as_text(nothing) == "lock  HEAD (12345678) -> now: nothing changed"
    assert as_markdown(nothing) == "**Lock** `HEAD (12345678)` → `now`: nothing changed"
    assert json.loads(as_json(nothing)) == {
        "schema_version": 1,
        "odpm": VERSION,
        "old": "HEAD (12345678)", "new": "now", "changed": False, "repositories": [], "python": [], "images": [],
        "tools": [],
        "system": None,
        "update": {"modules": [], "argument": ""},
    }  # fmt: skip


def test_long_lists_are_cut_in_text_and_complete_in_json() -> None:
    new = held(*(CommitAddon(f"a{number:03}", "2", "1.0") for number in range(200)))
    found = compare(LABELS, "19.0", [(moved(), PairDetails({}, new))], NONE)
    assert as_text(found).splitlines()[-1] == "    … and 170 more"
    assert "| … and 80 more | | |" in as_markdown(found)
    assert len(json.loads(as_json(found))["repositories"][0]["addons"]) == 200


def test_incomplete_history() -> None:
    commits = (Commit(C, subject="x"),)
    open_end = compare(LABELS, "19.0", [(moved(), PairDetails({}, {}, CommitRange(commits, 1, complete=False)))], NONE)
    lost = compare(LABELS, "19.0", [(moved(), PairDetails({}, {}, CommitRange(rewritten=True, complete=False)))], NONE)
    assert as_text(open_end).splitlines()[2:] == [
        f"  web  19.0  {A[:8]} -> {B[:8]}  at least 1 commit",
        f"    {C[:8]}  x",
        "    … and more, not counted",
    ]
    assert as_text(lost).splitlines()[2:] == [f"  web  19.0  {A[:8]} -> {B[:8]}  unknown commits, rewritten"]


def test_styles_come_from_the_paint_function() -> None:
    painted = as_text(many(), lambda text, style: f"<{style}>{text}</>")
    assert "<bold>web</>" in painted
    assert "    <create>+</> web;rm   19.0.1.0.0" in painted
    assert f"    <dim>{C[:8]}</>  " in painted


@pytest.mark.parametrize("path", ["a/migrations/1.1/x.py", "a/migrations/1.1/post-x.txt", "a/models/post-x.py"])
def test_other_files_are_no_migration_scripts(path: str) -> None:
    assert not runs(path, "1.0", "2.0", "19.0")


# --- Debian packages ---

OLD = ArchiveState("bookworm", "2026-07-11T10:16:37Z", "2026-07-12T10:16:37Z")
NEW = ArchiveState("bookworm", "2026-08-11T10:16:37Z", "2026-08-12T10:16:37Z")
SYSTEM = SystemChange(
    OLD,
    NEW,
    package_changes(
        {"libpq5": "15.1", "openssl": "3.0-1", "tini": "0.19", "local": "1"},
        {"libpq5": "15.2", "openssl": "3.0-2", "tini": "0.19"},
        {"openssl": "3.0-3", "libpq5": "15.1"},
    ),
)


def test_packages_that_move_and_security_updates() -> None:
    assert SYSTEM.packages == (
        SystemPackageChange("libpq5", "15.1", "15.2"),
        SystemPackageChange("openssl", "3.0-1", "3.0-3", security=True),
    )


def test_system_in_every_format() -> None:
    found = LockDiff(*LABELS, system=SYSTEM)
    assert not found.same
    assert as_text(found) == (
        "lock  HEAD (12345678) -> now: 2 Debian packages (1 security update)\n\n"
        f"  Debian packages  {OLD} -> {NEW}\n"
        "    ~ openssl  3.0-1 -> 3.0-3  security\n"
        "    ~ libpq5   15.1 -> 15.2"
    )
    assert "| `openssl` | `3.0-1` | `3.0-3` | security |" in as_markdown(found)
    assert json.loads(as_json(found))["system"] == {
        "old": OLD.data,
        "new": NEW.data,
        "packages": [
            {"name": "libpq5", "old": "15.1", "new": "15.2", "security": False},
            {"name": "openssl", "old": "3.0-1", "new": "3.0-3", "security": True},
        ],
        "note": None,
    }


def test_system_without_known_packages() -> None:
    found = LockDiff(*LABELS, system=SystemChange(None, NEW, note="not known: no image"))
    assert as_text(found) == (
        "lock  HEAD (12345678) -> now: state of the Debian archive\n\n"
        f"  Debian packages  {NEW}\n    note  not known: no image"
    )
    assert "not known: no image" in as_markdown(found)
    assert json.loads(as_json(found))["system"]["packages"] is None
