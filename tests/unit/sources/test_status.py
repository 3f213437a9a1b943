"""The output of `sources.status`: the whole table, the words for each state, the JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from jsonschema import validate

from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.sources.status import CacheState, MergeState, SourceState, StoreState, as_json, as_text
from odpm_tasks.core.text import unstyled

WEB = "https://github.com/OCA/web"
CACHE = CacheState("/cache", (StoreState(WEB, "/cache/git/web.git", 3_000_000, 5),), 9_000_000, 2)


def state(**changes: Any) -> SourceState:
    values: dict[str, Any] = {"name": "web", "kind": "dependency", "url": WEB, "branch": "19.0", "locked": "a" * 40}
    return SourceState(**{**values, "checkout": "locked", **changes})


SOURCES = (
    state(name="odoo", kind="platform", url="https://github.com/odoo/odoo", locked="b" * 40, history="shallow"),
    state(
        checkout="branch",
        own_branch="mine",
        on_top=2,
        changes=1,
        untracked=3,
        stashes=2,
        history="whole",
        upstream="origin/19.0",
        behind=3,
        ahead=1,
    ),
    state(name="addons", url="file:///srv/addons", branch="", checkout="link"),
)


def test_a_wide_table_has_the_state_beside_the_commit() -> None:
    assert as_text(SOURCES, CACHE, 100, unstyled).splitlines() == [
        "source  branch  locked    checkout",
        "odoo    19.0    bbbbbbbb  as locked, shallow",
        "  platform  https://github.com/odoo/odoo",
        "web     19.0    aaaaaaaa  your branch mine with 2 commits on top, 1 local change, 3 untracked, 2",
        "                          stashes, with history, 3 behind and 1 ahead of origin/19.0",
        "  dependency  https://github.com/OCA/web",
        "addons  -       aaaaaaaa  a link to your folder",
        "  dependency  file:///srv/addons",
        "",
        "cache  /cache",
        "    3.0 MB  https://github.com/OCA/web",
        "  3.0 MB for this project, 9.0 MB in all for 2 projects",
    ]


def test_a_narrow_table_has_the_state_below() -> None:
    assert as_text(SOURCES[1:2], CACHE, 50, unstyled).splitlines()[:6] == [
        "source  branch  locked",
        "  checkout",
        "web     19.0    aaaaaaaa",
        "  your branch mine with 2 commits on top, 1 local",
        "  change, 3 untracked, 2 stashes, with history, 3",
        "  behind and 1 ahead of origin/19.0",
    ]


def test_without_a_lock_there_are_no_sources() -> None:
    assert as_text((), CACHE, 80, unstyled).splitlines()[:2] == ["no sources are known yet: inv lock", ""]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkout": "absent"}, "not checked out"),
        ({"checkout": "locked"}, "as locked"),
        ({"checkout": "elsewhere", "commit": "c" * 40}, "at cccccccc, not at the locked commit: inv render"),
        ({"checkout": "branch", "own_branch": "mine"}, "your branch mine"),
        ({"checkout": "branch", "own_branch": "mine", "on_top": 1}, "your branch mine with 1 commit on top"),
        ({"checkout": "commit", "commit": "c" * 40, "on_top": 2}, "your commit cccccccc, 2 commits on top"),
        ({"checkout": "moving"}, "a checkout was interrupted: inv render"),
        ({"checkout": "foreign"}, "not a checkout of odpm"),
        ({"checkout": "gone"}, "commits are missing in the cache: inv render"),
        ({"upstream": "origin/19.0", "behind": 0, "ahead": 0}, "as locked"),
        ({"upstream": "origin/19.0", "behind": 2, "ahead": 0}, "as locked, 2 behind origin/19.0"),
        ({"upstream": "origin/19.0", "behind": 0, "ahead": 2}, "as locked, 2 ahead of origin/19.0"),
        ({"behind": 2}, "as locked"),
    ],
)
def test_words_for_the_state_of_a_checkout(changes: dict[str, Any], words: str) -> None:
    assert as_text((state(**changes),), CACHE, 120, unstyled).splitlines()[1] == f"web     19.0    aaaaaaaa  {words}"


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ({}, False),
        ({"checkout": "link"}, False),
        ({"checkout": "absent"}, False),
        ({"untracked": 1}, False),
        ({"checkout": "branch", "own_branch": "mine"}, True),
        ({"changes": 1}, True),
        ({"stashes": 1}, True),
    ],
)
def test_work_of_the_user_is_marked(changes: dict[str, Any], marked: bool) -> None:
    lines = as_text((state(**changes),), CACHE, 120, lambda text, style: f"<{style}>{text}").splitlines()
    assert lines[0].startswith("<bold>source")
    assert lines[1].startswith("<warn>web" if marked else "web")
    assert lines[2] == f"<dim>  dependency  {WEB}"


def test_json_has_every_field() -> None:
    found = json.loads(as_json(SOURCES, CACHE))
    validate(found, schema("sources.status"))
    assert found["sources"] == [{**asdict(source), "merges": []} for source in SOURCES]
    assert found["cache"] == {
        "path": "/cache",
        "stores": [{"url": WEB, "path": "/cache/git/web.git", "bytes": 3_000_000, "commits": 5}],
        "bytes": 9_000_000,
        "projects": 2,
    }


@pytest.mark.parametrize(
    ("merge", "text"),
    [
        ({}, "refs/pull/1/head cccccccc"),
        ({"url": "https://github.com/acme/web"}, "https://github.com/acme/web refs/pull/1/head cccccccc"),
        ({"state": "upstream"}, "refs/pull/1/head cccccccc  merged upstream: remove it from odpm.json"),
        ({"state": "contained"}, "refs/pull/1/head cccccccc  its changes are upstream: remove it from odpm.json"),
        (
            {"state": "moved", "now": "d" * 40},
            "refs/pull/1/head cccccccc  moved to dddddddd: inv lock --update --only web",
        ),
        ({"state": "gone"}, "refs/pull/1/head cccccccc  the ref does not exist any more"),
        ({"state": "unknown", "reason": "no answer"}, "refs/pull/1/head cccccccc  not known: no answer"),
    ],
)
def test_the_merges_are_below_the_address(merge: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"ref": "refs/pull/1/head", "url": None, "commit": "c" * 40}
    shown = MergeState(**{**values, **merge})
    lines = as_text((state(pin="b" * 40, merges=(shown,)),), CACHE, 100, unstyled).splitlines()
    assert lines[2:4] == ["  dependency  https://github.com/OCA/web", f"  + {text}"]
