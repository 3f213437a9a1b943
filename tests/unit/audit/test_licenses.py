"""Licence conflicts between add-ons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.audit.census import Addon
from odpm_tasks.core.audit.licenses import conflicts, spdx, unknown_licenses

MAY = [
    ("LGPL-3", "LGPL-3"),
    ("LGPL-3", "AGPL-3"),
    ("LGPL-3", "GPL-3"),
    ("LGPL-3", "OEEL-1"),
    ("LGPL-3", "Other proprietary"),
    ("AGPL-3", "LGPL-3"),
    ("AGPL-3", "GPL-3"),
    ("AGPL-3", "GPL-2 or any later version"),
    ("GPL-3", "AGPL-3"),
    ("GPL-2", "GPL-2 or any later version"),
    ("GPL-2", "MIT"),
    ("GPL-2 or any later version", "GPL-2"),
    ("GPL-2 or any later version", "LGPL-3"),
    ("GPL-2 or any later version", "AGPL-3"),
    ("OPL-1", "LGPL-3"),
    ("OPL-1", "OEEL-1"),
    ("OPL-1", "MIT"),
    ("OPL-1", "Other OSI approved licence"),
    ("MIT", "AGPL-3"),
    ("MIT", "OEEL-1"),
    ("My own", "AGPL-3"),
    ("AGPL-3", "My own"),
]
MAY_NOT = [
    *((proprietary, copyleft) for proprietary in ("OEEL-1", "OPL-1", "Other proprietary", "Other Proprietary")
      for copyleft in ("GPL-2", "GPL-2 or any later version", "GPL-3", "GPL-3 or any later version", "AGPL-3", "AGPL-3.0-or-later")),
    *((copyleft, proprietary) for proprietary in ("OEEL-1", "OPL-1", "Other proprietary")
      for copyleft in ("GPL-2", "GPL-2 or any later version", "GPL-3", "AGPL-3", "AGPL-3 or any later version")),
    ("GPL-2", "LGPL-3"),
    ("GPL-2", ""),
    ("GPL-2", "GPL-3"),
    ("GPL-2", "AGPL-3"),
    ("GPL-3", "GPL-2"),
    ("AGPL-3", "GPL-2"),
    ("LGPL-3", "GPL-2"),
    ("", "GPL-2"),
]  # fmt: skip


def addon(name: str, license: str, *depends: str, installable: bool = True) -> Addon:
    return Addon(name=name, path=f"/{name}", license=license, depends=depends, installable=installable)


def lines(*addons: Addon) -> list[str]:
    return [str(conflict).partition(":")[0] for conflict in conflicts(addons)]


@pytest.mark.parametrize(("work", "other"), MAY)
def test_may_depend(work: str, other: str) -> None:
    assert conflicts([addon("a", work, "b"), addon("b", other)]) == ()


@pytest.mark.parametrize(("work", "other"), MAY_NOT)
def test_may_not_depend(work: str, other: str) -> None:
    [found] = conflicts([addon("a", work, "b"), addon("b", other)])
    assert found.chain == ("a", "b")
    assert found.why


def test_conflict_is_one_line() -> None:
    [found] = conflicts(
        [addon("shop", "OPL-1", "stock_x"), addon("stock_x", "LGPL-3", "crm_y"), addon("crm_y", "AGPL-3")]
    )
    assert str(found) == (
        "shop (OPL-1) depends on crm_y (AGPL-3) through stock_x: "
        "an add-on that depends on GPL or AGPL code must have such a licence"
    )


def test_missing_licence_means_odoos_default() -> None:
    assert lines(addon("old", "GPL-2", "base"), addon("base", " ")) == [
        "old (GPL-2) depends on base (LGPL-3 by default)"
    ]


def test_shortest_chain_ends_at_the_first_conflict() -> None:
    assert lines(
        addon("a", "OPL-1", "b", "c"),
        addon("b", "LGPL-3", "b2"),
        addon("b2", "LGPL-3", "x"),
        addon("c", "LGPL-3", "x"),
        addon("x", "AGPL-3", "y"),
        addon("y", "AGPL-3"),
    ) == ["a (OPL-1) depends on x (AGPL-3) through c"]


def test_inherited_conflicts_are_listed_with_the_first_one() -> None:
    names = ["a", "b", "c", "d", "e"]
    heirs = [addon(name, "OPL-1", after) for name, after in zip(names, [*names[1:], "theme"], strict=True)]
    [found] = conflicts([*heirs, addon("theme", "OEEL-1", "x"), addon("x", "AGPL-3")])
    assert found.chain == ("theme", "x")
    assert str(found).endswith("; so does what depends on theme: a, b, c and 2 more")


def test_direct_conflict_is_not_inherited() -> None:
    assert lines(
        addon("a", "OPL-1", "theme", "x"), addon("theme", "OEEL-1", "x"), addon("x", "AGPL-3")
    ) == ["a (OPL-1) depends on x (AGPL-3)", "theme (OEEL-1) depends on x (AGPL-3)"]  # fmt: skip


def test_missing_and_not_installable_add_ons_have_no_conflicts() -> None:
    off = {"installable": False}
    assert lines(addon("a", "OPL-1", "b", "gone"), addon("b", "AGPL-3", **off)) == []
    assert lines(addon("a", "OPL-1", "b", **off), addon("b", "AGPL-3")) == []
    assert lines(addon("a", "OPL-1", "b"), addon("b", "LGPL-3", "c", **off), addon("c", "AGPL-3")) == []


def test_first_add_on_of_a_name_is_used() -> None:
    assert lines(addon("a", "OPL-1", "b"), addon("b", "LGPL-3"), addon("b", "AGPL-3")) == []
    assert lines(addon("a", "OPL-1", "b"), addon("b", "AGPL-3"), addon("b", "LGPL-3")) != []


def test_unknown_licences_are_listed_once() -> None:
    found = unknown_licenses(
        [
            *(addon(f"a{number}", "Beerware") for number in range(5)),
            addon("b", "Other OSI approved licence"),
            addon("c", "\x1b[31mred\nalert"),
            addon("d", "LGPL-3"),
            addon("e", ""),
            addon("f", "Nobody's", installable=False),
        ]
    )
    assert found == (
        "licence `?[31mred alert` is not checked; add-ons with it: c",
        "licence `Beerware` is not checked; add-ons with it: a0, a1, a2 and 2 more",
        "licence `Other OSI approved licence` is not checked; add-ons with it: b",
    )


def test_spdx_identifiers() -> None:
    assert {
        word: spdx(word) for word in ("", "lgpl-3", "GPL-2", "AGPL-3", "mit", "OPL-1", "AGPL-3.0-or-later", "x")
    } == {
        "": "LGPL-3.0-only",
        "lgpl-3": "LGPL-3.0-only",
        "GPL-2": "GPL-2.0-only",
        "AGPL-3": "AGPL-3.0-only",
        "mit": "MIT",
        "OPL-1": "",
        "AGPL-3.0-or-later": "AGPL-3.0-or-later",
        "x": "",
    }


names = st.sampled_from("abcdefgh")
graphs = st.lists(
    st.builds(
        addon,
        names,
        st.sampled_from(["LGPL-3", "AGPL-3", "GPL-2", "GPL-3", "OPL-1", "MIT", "", "what"]) | st.text(max_size=3),
        names,
        names | st.text(max_size=3),
        names,
        installable=st.booleans() | st.just(True),
    )
)


@given(graphs)
def test_chains_exist_in_any_graph(addons: list[Addon]) -> None:
    first: dict[str, Addon] = {}
    for one in addons:
        first.setdefault(one.name, one)
    for found in conflicts(addons):
        assert all(b in first[a].depends for a, b in zip(found.chain, found.chain[1:], strict=False))
        assert len(set(found.chain)) == len(found.chain)
        assert "\n" not in str(found)
        for heir in found.also:
            assert any(heir == other.name and other.installable for other in addons)
    assert len(set(unknown_licenses(addons))) == len(unknown_licenses(addons))


@given(graphs)
def test_every_direct_conflict_is_reported(addons: list[Addon]) -> None:
    """Direct conflicts are not merged with inherited ones or hidden by a longer chain."""
    first = {one.name: one for one in reversed(addons)}
    told = {found.chain for found in conflicts(addons)}
    for one in first.values():
        for name in set(one.depends) & first.keys() - {one.name}:
            if conflicts([one, first[name]]) and one.installable:
                assert (one.name, name) in told
