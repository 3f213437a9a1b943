"""Which tests run: test tags, options, add-ons that changed, and what a template database may have beforehand."""

from __future__ import annotations

from typing import Literal

import pytest

from odpm_tasks.core.addons.graph import AddonGraph, AddonPlace
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.testing import tags
from odpm_tasks.core.testing.selection import addons_of_files, changed_addons, template_addons
from odpm_tasks.core.testing.shards import Shard
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.testing.choice import Choice, TestOptions, check_options, require_installable


def module(path: str, *depends: str, **values: object) -> Module:
    return Module.model_validate({"path": path, "depends": depends, "version": "1.0", **values})


def place(name: str, kind: Literal["platform", "dependency"], revision: str, *modules: Module) -> AddonPlace:
    return AddonPlace(name, kind, Facts(modules=modules), f".odpm/src/{name}", f"https://git.example/{name}", revision)


OWN = AddonPlace(
    "this project",
    "developing",
    Facts(
        modules=(
            module("addons/shop", "sale_x"),
            module("addons/shop_web", "shop", "web"),
            module("addons/tool", "base"),
        )
    ),
)
SALE = place("sale-workflow", "dependency", "19.0 1234abcd", module("sale_x", "sale"), module("other", "web"))
LINKED = place("linked", "dependency", "/home/me/linked", module("local", "web"))
PLATFORM = place("odoo", "platform", "19.0 5678abcd", *(module(f"addons/{n}", "base") for n in ("web", "sale", "hr")))
GRAPH = AddonGraph([OWN, SALE, LINKED, PLATFORM])


@pytest.mark.parametrize(
    ("text", "addons", "expected"),
    [
        ("", ("a", "b"), "/a,/b"),
        ("slow", ("a", "b"), "slow/a,slow/b"),
        (":TestX.test_y", ("a",), "/a:TestX.test_y"),
        ("*", ("a",), "*/a"),
        ("-slow", ("a",), "/a,-slow"),
        ("/a:TestX,/b", ("b",), "/b"),
        ("/a:TestX[chrome,1],-/a:TestY", ("a",), "/a:TestX[chrome,1],-/a:TestY"),
        ("/odoo/addons/a/tests/test_x.py:TestX", ("a",), "/odoo/addons/a/tests/test_x.py:TestX"),
        ("/a", (), ""),
    ],
)
def test_tags_select_tests_of_the_chosen_add_ons_only(text: str, addons: tuple[str, ...], expected: str) -> None:
    assert tags.for_addons(tags.parse(text), addons) == expected


@pytest.mark.parametrize("text", ["a b", "/a//b", "sale.TestX:test_y", "--a"])
def test_a_part_that_odoo_would_ignore_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match="no test tag"):
        tags.parse(text)


def test_the_add_ons_that_tags_name() -> None:
    found = tags.parse("slow,/a:TestX,-/b,/x/c/tests/test_c.py,/a")
    assert tags.named_addons(found) == ("a", "c")


def test_a_shard_runs_its_add_ons_and_classes_without_those_of_others() -> None:
    shard = Shard(("a",), (("b", "TestB"),), (("a", "TestLong"),))
    assert Choice(("a", "b")).test_tags(shard) == "/a,/b:TestB,-/a:TestLong"
    assert Choice(("a", "b"), tags.parse("slow")).test_tags(Shard(("a",))) == "slow/a"


@pytest.mark.parametrize(
    ("options", "mounts", "message"),
    [
        (TestOptions(("a",), since="main"), True, "--modules and --since both choose"),
        (TestOptions(since="main", failed=True), True, "--since and --failed both choose"),
        (TestOptions(tags="slow", failed=True), True, "--failed and --tags both choose"),
        (TestOptions(shards=0), True, "--shards=0"),
        (TestOptions(timeout=-1), True, "--timeout=-1"),
        (TestOptions(debug=True, shards=2), True, "--debug cannot be combined with --shards"),
        (TestOptions(debug=True, coverage=True), True, "--debug cannot be combined with --coverage"),
        (TestOptions(debug=True), False, "--debug is available in developer only"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: TestOptions, mounts: bool, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(options, developer=mounts)


def test_options_that_fit_are_accepted() -> None:
    check_options(TestOptions(("a",), "slow", shards=2, coverage=True, keep=True, timeout=0), developer=False)
    check_options(TestOptions(since="main", tags="slow", debug=True), developer=True)


@pytest.mark.parametrize(
    ("tested", "expected"),
    [
        (["shop"], ("sale", "sale_x")),
        (["shop", "shop_web"], ("sale", "sale_x", "web")),
        (["shop_web"], ("sale", "sale_x", "web")),  # shop may change
        (["local"], ("web",)),
        (["sale_x"], ("sale",)),
        (["sale", "shop"], ()),  # sale_x needs a tested one
        (["tool"], ()),
        (["base"], None),
    ],
)
def test_a_template_has_what_tested_add_ons_need_and_nobody_edits(
    tested: list[str], expected: tuple[str, ...] | None
) -> None:
    assert template_addons(GRAPH, tested) == expected


def test_a_repetition_has_the_template_of_the_run_before() -> None:
    assert template_addons(GRAPH, ["shop"], ("sale", "sale_x", "web")) == ("sale", "sale_x", "web")
    assert template_addons(GRAPH, ["shop_web"], ("sale",)) == template_addons(GRAPH, ["shop_web"])
    assert template_addons(GRAPH, ["shop"], ("gone", "local", "shop")) == ("sale", "sale_x", "web")


def test_an_add_on_of_a_linked_source_is_in_no_template() -> None:
    shop = AddonPlace("this project", "developing", Facts(modules=(module("addons/shop", "local"),)))
    assert template_addons(AddonGraph([shop, LINKED, PLATFORM]), ["shop"]) == ("web",)


def test_files_belong_to_the_add_on_of_their_folder() -> None:
    paths = ["addons/shop/models/x.py", "addons/shop_web/__manifest__.py", "README.md", "toolbox/x.py", "addons/sho/x"]
    assert addons_of_files(GRAPH, paths) == ("shop", "shop_web")


@pytest.mark.parametrize(
    ("changed", "tested", "platform"),
    [
        (["shop"], ("shop", "shop_web"), ()),
        (["sale_x"], ("sale_x", "shop", "shop_web"), ()),
        (["sale"], ("sale_x", "shop", "shop_web"), ("sale",)),
        (["hr", "other"], (), ()),  # the project uses neither
        (["gone"], (), ()),
    ],
)
def test_changed_add_ons_are_tested_with_their_dependents_that_the_project_uses(
    changed: list[str], tested: tuple[str, ...], platform: tuple[str, ...]
) -> None:
    found = changed_addons(GRAPH, changed)
    assert (found.test, found.platform) == (tested, platform)


def test_a_change_of_the_framework_tests_every_add_on_of_the_project() -> None:
    assert changed_addons(GRAPH, ["sale_x"], everything=True).test == ("sale_x", "shop", "shop_web", "tool")


def test_what_a_tested_add_on_needs_is_in_a_source() -> None:
    own = AddonPlace("this project", "developing", Facts(modules=(module("a", "b"), module("b", "gone", "base"))))
    with pytest.raises(DescriptionError, match="1 add-on is needed and in no source") as caught:
        require_installable(AddonGraph([own, PLATFORM]), ["a"])
    assert caught.value.details == ("gone (required by b)",)
    require_installable(GRAPH, ["shop", "shop_web", "base"])
