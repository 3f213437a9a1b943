"""Releases: their history, which are kept, what a rollback returns to; the journal of a deployment."""

from __future__ import annotations

import pytest

from odpm_tasks.core.deployment.journal import Journal, read_journal, write_journal
from odpm_tasks.core.deployment.releases import (
    Deployment,
    kept,
    read_history,
    release_id,
    rollback,
    write_history,
)
from odpm_tasks.errors import DescriptionError

A, B, C, D = (Deployment(name * 12, name, f"2026-01-0{day}", {}) for day, name in enumerate("abcd", 1))


def updating(entry: Deployment, **snapshots: str) -> Deployment:
    return Deployment(entry.release, entry.commit, entry.time, snapshots)


def test_the_id_depends_on_every_part_and_on_their_borders() -> None:
    ids = [release_id(parts) for parts in ((b"a", b"bc"), (b"ab", b"c"), (b"a", b"bd"), (b"a", b"bc", b""))]
    assert len({*ids}) == 4
    assert ids[0] == release_id([b"a", b"bc"])
    assert all(len(one) == 12 for one in ids)


def test_the_history_is_read_as_it_was_written() -> None:
    entries = (A, updating(B, shop="odpm.snapshot.1"), Deployment("a" * 12, rollback=True))
    assert read_history(write_history(entries)) == entries


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '[{"release": "a"}]', '{"a": 1}', "null"])
def test_a_damaged_history_has_no_entries(text: str | None) -> None:
    assert read_history(text) == ()


def test_the_history_does_not_grow_without_end() -> None:
    assert len(read_history(write_history([A] * 80))) == 50


def test_the_last_three_releases_are_kept_the_current_one_first() -> None:
    assert kept([A, B, C, D]) == (D.release, C.release, B.release)
    assert kept([A, B, A, B, C]) == (C.release, B.release, A.release)
    assert kept([]) == ()


def test_without_a_name_the_release_before_is_chosen() -> None:
    names = [one.release for one in (A, B, C)]
    assert rollback([A, B, C], names).to == B
    assert rollback([A, B, C], names, A.release).to == A
    assert rollback([A, B, C], [A.release, C.release]).to == A  # B is not on disk
    assert rollback([A, B, B], names).to == A


def test_databases_return_to_the_first_snapshot_after_the_release() -> None:
    entries = [updating(A, shop="0"), updating(B, shop="1"), updating(C, shop="2", test="3")]
    names = [one.release for one in entries]
    assert rollback(entries, names).updates == {"shop": "2", "test": "3"}
    assert rollback(entries, names, A.release).updates == {"shop": "1", "test": "3"}


def test_after_a_rollback_the_newer_release_needs_the_state_that_the_rollback_kept() -> None:
    entries = [A, updating(B, shop="1"), Deployment(A.release, "a", "", {"shop": "2"}, rollback=True)]
    chosen = rollback(entries, [A.release, B.release])
    assert (chosen.to.release, chosen.updates) == (B.release, {"shop": "2"})


@pytest.mark.parametrize(
    ("entries", "name", "text"),
    [
        ([], "", "there is no earlier release"),
        ([A], "", "there is no earlier release"),
        ([A, B], B.release, "is the current release"),
        ([A, B], "aaaaaaaaaaab", "the nearest is aaaaaaaaaaaa"),
    ],
)
def test_a_release_that_cannot_be_returned_to(entries: list[Deployment], name: str, text: str) -> None:
    with pytest.raises(DescriptionError, match=text):
        rollback(entries, [one.release for one in entries], name)


def test_the_journal_is_read_as_it_was_written() -> None:
    journal = Journal("updating", A.release, {"shop": "odpm.snapshot.1", "test": ""})
    assert read_journal(write_journal(journal)) == journal
    assert journal.restorable == {"shop": "odpm.snapshot.1"}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"phase": "other"}', '{"phase": "updating"}'])
def test_a_damaged_journal_is_none(text: str | None) -> None:
    assert read_journal(text) is None
