"""Rules of merges: the entries of odpm.json, what the lock answers, the merge commit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.core.sources.merges import (
    Merged,
    MergedRef,
    MergeRequest,
    for_repository,
    known_result,
    parse_merge,
    pinned,
)
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import commit

A, B, C = commit("a"), commit("b"), commit("c")
ACME = "https://github.com/acme/web"
ONE = MergedRef("refs/pull/1/head", A)
FIX = MergedRef("refs/heads/19.0-fix", B, ACME)


@pytest.mark.parametrize(
    ("text", "refs", "url", "at"),
    [
        ("#12", ("refs/pull/12/head", "refs/merge-requests/12/head"), None, None),
        (f"#12 {A.upper()}", ("refs/pull/12/head", "refs/merge-requests/12/head"), None, A),
        ("refs/heads/19.0-fix", ("refs/heads/19.0-fix",), None, None),
        (f"refs/changes/34/1234/2 {A}", ("refs/changes/34/1234/2",), None, A),
        (f"{ACME}.git 19.0-fix", ("refs/heads/19.0-fix", "refs/tags/19.0-fix"), ACME, None),
        (f"{ACME} 19.0-fix {A}", ("refs/heads/19.0-fix", "refs/tags/19.0-fix"), ACME, A),
        (ACME, ("refs/heads/19.0", "refs/tags/19.0"), ACME, None),
        ("git@github.com:acme/web.git #3", ("refs/pull/3/head", "refs/merge-requests/3/head"), ACME, None),
        ("ssh://git@github.com/acme/web refs/pull/3/head", ("refs/pull/3/head",), ACME, None),
    ],
)
def test_an_entry(text: str, refs: tuple[str, ...], url: str | None, at: str | None) -> None:
    found = parse_merge(text)
    assert (found.refs("19.0"), found.url, found.commit) == (refs, url, at)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not #N, refs/… or a link"),
        ("12", "not #N, refs/… or a link"),
        ("19.0-fix", "not #N, refs/… or a link"),
        ("-oProxyCommand=x", "not #N, refs/… or a link"),
        ("../web 19.0", "not #N, refs/… or a link"),
        ("#", "`#` is not a pull request"),
        ("#1x", "`#1x` is not a pull request"),
        ("#1 19.0", "a commit of 40 hex digits can follow"),
        (f"#1 {A} {B}", "a commit of 40 hex digits can follow"),
        ("refs/pull/../x", "not a full ref"),
        ("refs/pull/*", "not a full ref"),
        ("refs/pull/1/head:refs/heads/x", "not a full ref"),
        ("refs/a\x00b", "not a full ref"),
        ("refs/", "not a full ref"),
        ("ext::sh 19.0", "would make git run a program"),
        ("file:///srv/web 19.0", "a folder of this machine"),
        (f"{ACME} refs/x..y", "cannot be the name of a branch"),
        (f"https://me:hunter2@github.com/acme/web?x {A}", "no `?` and no `#`"),
    ],
)
def test_an_entry_that_is_refused(text: str, why: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_merge(text)
    assert why in caught.value.what
    assert "hunter2" not in str(caught.value)


def test_a_link_to_the_repository_itself_is_a_ref_of_it() -> None:
    found = for_repository(
        [parse_merge(f"{ACME} #3"), parse_merge("#4")], parse_link("git@github.com:acme/web.git 19.0")
    )
    assert found == (MergeRequest("#3"), MergeRequest("#4"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("#1", "refs/pull/1/head", True),
        ("#1", "#2", False),
        ("#1", f"{ACME} #1", False),
        (f"{ACME} x", f"{ACME}.git x", True),
    ],
)
def test_two_entries_for_one_ref(one: str, other: str, same: bool) -> None:
    assert parse_merge(one).is_same(parse_merge(other)) is same


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("#1", ONE),
        (f"#1 {A}", ONE),
        (f"#1 {B}", None),
        ("#2", None),
        ("refs/pull/1/head", ONE),
        (f"{ACME} 19.0-fix", FIX),
        (f"{ACME} #1", None),
        ("refs/heads/19.0-fix", None),
    ],
)
def test_what_the_lock_answers(text: str, known: MergedRef | None) -> None:
    assert pinned([parse_merge(text)], (ONE, FIX), "19.0") == (known,)


def test_the_result_of_the_lock_counts_for_exactly_these_merges() -> None:
    known = Merged(C, (ONE, FIX), B)
    both = [parse_merge("#1"), parse_merge(f"{ACME} 19.0-fix")]
    assert known_result(C, both, known, "19.0") is known
    for pin, requests in ((C, both[::-1]), (C, both[:1]), (C, [*both, parse_merge("#2")]), (A, both), (None, both)):
        assert known_result(pin, requests, known, "19.0") is None
    assert known_result(C, both, None, "19.0") is None


def test_the_commit_depends_on_what_is_merged_alone() -> None:
    merged = Merged(C, (replace(ONE, base=B), FIX), B, "2.39.5")
    assert merged.text.decode() == (
        f"tree {B}\nparent {C}\nparent {A}\nparent {B}\n"
        "author odpm <odpm@localhost> 315532800 +0000\ncommitter odpm <odpm@localhost> 315532800 +0000\n\n"
        "odpm: merge refs/pull/1/head and 1 more\n\n"
        f"refs/pull/1/head {A}\n{ACME} refs/heads/19.0-fix {B}\n"
    )
    assert merged.commit == Merged(C, (ONE, FIX), B, "2.52.0").commit
    assert (
        len(
            {
                merged.commit,
                Merged(C, (FIX, ONE), B).commit,
                Merged(A, (ONE, FIX), B).commit,
                Merged(C, (ONE,), B).commit,
            }
        )
        == 4
    )


def test_a_request_is_printed_without_its_password() -> None:
    assert str(parse_merge(f"https://me:hunter2@github.com/acme/web 19.0-fix {A}")) == f"{ACME} 19.0-fix {A}"
    assert str(MergeRequest("#1", None, A)) == f"#1 {A}"
    assert Link("https://h/x").merges == ()
