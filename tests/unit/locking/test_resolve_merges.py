"""Merges in the graph and in the lock: what is kept, what is resolved, what a dependency may choose."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from odpm_tasks.core.locking.changes import complete_lock, lock_changes, merge_changes
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock, write_lock
from odpm_tasks.core.locking.pins import effective_pins
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.core.sources.merges import MergedRef, parse_merge
from odpm_tasks.core.sources.trust import is_trusted
from odpm_tasks.errors import DescriptionError, LockError
from tests.unit.builders import OCA, ODOO, Servers, commit, manifest

WEB = f"{OCA}/web"
A, B, C = commit("a"), commit("b"), commit("c")
ONE = MergedRef("refs/pull/1/head", commit("#1"), base=A)
TWO = MergedRef("refs/pull/2/head", commit("#2"), base=B)


def web(*merges: str, link: str = f"{WEB}.git 19.0", **keys: Any) -> dict[str, Any]:
    return {"git": link, "merges": list(merges), **keys}


def pin(*merges: MergedRef, tree: str | None = C) -> Pin:
    return Pin(WEB, A, "19.0", merges=merges, merged_tree=tree, merged_by="2.39.5" if tree else "")


def lock_of(resolved: Resolution) -> Pin:
    return resolved.lock(None).pins[WEB]


def test_the_lock_entry_has_the_pin_and_every_merge() -> None:
    resolved = Servers().resolve(manifest(web("#1", "https://github.com/acme/web.git 19.0-fix")))
    source = next(source for source in resolved.sources if source.name == "web")
    found = lock_of(resolved)
    assert found.commit == source.base == commit(f"{WEB} 19.0")
    assert [(str(merge), merge.commit) for merge in found.merges] == [
        ("refs/pull/1/head", commit("#1")),
        ("https://github.com/acme/web refs/heads/19.0-fix", commit("https://github.com/acme/web.git 19.0-fix")),
    ]
    assert found.content == source.commit != source.base
    assert found.merged == source.merged


def test_the_merges_of_the_lock_are_used_where_they_are_those_of_the_description() -> None:
    known = pin(ONE, TWO)
    servers = Servers()
    resolved = servers.resolve(manifest(web("#1", "#2")), known)
    assert servers.queries[1].merged == known.merged
    assert servers.queries[1].content == known.content
    assert lock_of(resolved) == known


@pytest.mark.parametrize(
    ("merges", "known", "expected"),
    [
        (("#1", "#2", "#3"), pin(ONE, TWO), (ONE, TWO, None)),
        (("#2", "#1"), pin(ONE, TWO), (TWO, ONE)),
        (("#2",), pin(ONE, TWO), (TWO,)),
        (("#1", "#2"), pin(ONE, TWO, tree=None), (ONE, TWO)),
        ((f"#1 {A}",), pin(ONE), (None,)),
        (("#1",), Pin(WEB, A, "19.0"), (None,)),
    ],
)
def test_only_what_is_new_is_resolved(merges: tuple[str, ...], known: Pin, expected: tuple[Any, ...]) -> None:
    servers = Servers()
    servers.resolve(manifest(web(*merges)), known)
    query = servers.queries[1]
    assert (query.commit, query.pinned, query.merged, query.content) == (A, expected, None, None)


def test_the_merges_of_another_commit_have_to_be_made_again() -> None:
    servers = Servers()
    servers.resolve(manifest(web("#1", link=f"{WEB} 19.0 {B}")), pin(ONE))
    assert (servers.queries[1].commit, servers.queries[1].merged) == (B, None)


def test_graph_files_come_from_the_merged_tree_services_and_hooks_from_the_pin() -> None:
    base = Facts(odpm_json='{"hooks": {}}')
    merged = Facts(odpm_json=json.dumps({"dependencies": [f"{OCA}/queue 19.0"]}), requirements="cachetools\n")
    resolved = Servers(web=base).put(f"{WEB} merged", merged).resolve(manifest(web("#1")))
    assert [source.name for source in resolved.sources] == ["odoo", "web", "queue"]
    assert [line.line for line in resolved.requirements] == ["cachetools"]
    assert resolved.sources[1].odpm_json == '{"hooks": {}}'
    assert resolved.sources[2].odpm_json is None


def test_oca_dependencies_can_be_ignored() -> None:
    servers = Servers(web=Facts(oca_dependencies="queue\n"))
    assert [s.name for s in servers.resolve(manifest({"git": WEB})).sources] == ["odoo", "web", "queue"]
    assert [s.name for s in servers.resolve(manifest({"git": WEB, "oca_dependencies": False})).sources] == [
        "odoo",
        "web",
    ]


def shop(*dependencies: Any) -> Servers:
    return Servers(shop=Facts(odpm_json=json.dumps({"manifest_schema": 2, "dependencies": list(dependencies)})))


def test_merges_of_an_untrusted_dependency_are_left_out_with_a_warning() -> None:
    servers = shop(web("#1", "#2", oca_dependencies=False))
    servers.put(WEB, Facts(oca_dependencies="queue\n"))
    resolved = servers.resolve(manifest(f"{OCA}/shop 19.0"))
    assert [(s.name, s.merged) for s in resolved.sources[1:]] == [("shop", None), ("web", None), ("queue", None)]
    assert resolved.warnings == (
        "shop: odpm.json: the merge #1 into web and 2 more is left out: add web to the dependencies of odpm.json, "
        "or shop to trust",
    )


def test_merges_of_a_trusted_dependency_are_used() -> None:
    resolved = shop(web("#1")).resolve(manifest(f"{OCA}/shop 19.0", trust=["shop"]))
    assert [(s.name, bool(s.merged)) for s in resolved.sources] == [("odoo", False), ("shop", False), ("web", True)]
    assert resolved.warnings == ()


def test_the_projects_own_entry_decides_what_is_merged() -> None:
    resolved = shop(web("#1")).resolve(manifest(f"{OCA}/shop 19.0", f"{WEB} 19.0", trust=["shop"]))
    assert next(source for source in resolved.sources if source.name == "web").merged is None


def test_two_dependencies_with_different_merges() -> None:
    servers = shop(web("#1")).put(f"{OCA}/pos", Facts(odpm_json=json.dumps({"dependencies": [f"{WEB} 19.0"]})))
    with pytest.raises(DescriptionError) as caught:
        servers.resolve(manifest(f"{OCA}/shop 19.0", f"{OCA}/pos 19.0", trust=["shop", "pos"]))
    assert caught.value.details == (
        "19.0 + #1: odpm.json -> shop",
        "19.0: odpm.json -> pos",
    )


def test_an_address_trusts_no_merge_that_a_dependency_chooses() -> None:
    link = parse_link(f"{WEB} 19.0")
    merged = replace(link, merges=(parse_merge("#1"),))
    assert is_trusted([WEB], link, [])
    assert not is_trusted([WEB], merged, [])
    assert is_trusted([WEB], merged, [link])


def test_a_pin_of_the_manifest_drops_the_result_of_other_merges() -> None:
    lock = Lock(Pin(ODOO, A, "19.0"), (pin(ONE),))
    found = effective_pins(lock, {WEB: B}, "19.0")[WEB]
    assert (found.commit, found.merges, found.merged_tree) == (B, (ONE,), None)
    assert found.merges[0].base is None
    assert effective_pins(lock, {WEB: A}, "19.0")[WEB].merged == pin(ONE).merged


def test_a_lock_that_the_manifest_overrides_keeps_its_merges() -> None:
    old = Lock(Pin(ODOO, A, "19.0"), (pin(ONE),))
    new = Lock(Pin(ODOO, A, "19.0"), (replace(pin(ONE, TWO, tree=B), commit=B),))
    assert complete_lock(new, old, {WEB: B}).dependencies == (pin(ONE),)
    assert complete_lock(new, old, {}).dependencies == new.dependencies


def test_a_lock_with_merges_is_read_as_it_was_written() -> None:
    other = MergedRef("refs/heads/19.0-fix", B, "https://github.com/acme/web")
    lock = Lock(Pin(ODOO, A, "19.0"), (pin(ONE, other),))
    text = write_lock(lock)
    assert json.loads(text)["dependencies"][0] == {
        "branch": "19.0",
        "commit": A,
        "merged_by": "2.39.5",
        "merged_tree": C,
        "merges": [
            {"base": A, "commit": ONE.commit, "ref": "refs/pull/1/head"},
            {"commit": B, "ref": "refs/heads/19.0-fix", "url": "https://github.com/acme/web"},
        ],
        "url": WEB,
    }
    found = read_lock(text)
    assert found == lock
    assert found.dependencies[0].merges[0].base == A
    assert found.dependencies[0].merged_by == "2.39.5"
    assert write_lock(found) == text


@pytest.mark.parametrize(
    "wrong",
    [
        {"merges": [{"ref": "pull/1", "commit": A}]},
        {"merges": [{"ref": "refs/pull/1/head\nx", "commit": A}]},
        {"merges": [{"ref": "refs/pull/1/head", "commit": "abc"}]},
        {"merges": [{"ref": "refs/pull/1/head"}]},
        {"merged_tree": "abc"},
    ],
)
def test_a_lock_with_merges_that_cannot_be(wrong: dict[str, Any]) -> None:
    data = json.loads(write_lock(Lock(Pin(ODOO, A, "19.0"))))
    data["platform"] |= wrong
    with pytest.raises(LockError, match="the lock is not valid"):
        read_lock(json.dumps(data))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, pin(ONE), (f"merges refs/pull/1/head {ONE.commit[:8]}",)),
        (pin(ONE, TWO), pin(TWO), ("no longer merges refs/pull/1/head",)),
        (pin(ONE), pin(replace(ONE, commit=B)), (f"merges refs/pull/1/head {ONE.commit[:8]} -> {B[:8]}",)),
        (pin(ONE, TWO), pin(TWO, ONE), ("merges in another order: refs/pull/2/head, refs/pull/1/head",)),
        (pin(ONE), pin(ONE, tree=B), (f"merged tree {C[:8]} -> {B[:8]}",)),
        (pin(ONE), pin(ONE), ()),
    ],
)
def test_changes_of_merges(old: Pin | None, new: Pin, expected: tuple[str, ...]) -> None:
    assert merge_changes(old, new) == expected


def test_changes_of_a_lock_name_the_merges() -> None:
    old = Lock(Pin(ODOO, A, "19.0"), (pin(ONE),))
    new = Lock(Pin(ODOO, A, "19.0"), (replace(pin(ONE, TWO, tree=B), commit=B),))
    assert lock_changes(old, new) == (
        f"web {A[:8]} -> {B[:8]}",
        f"web merges refs/pull/2/head {TWO.commit[:8]}",
    )
