"""Checks of the add-ons of a stack: missing, duplicate, hidden and badly named ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from odpm_tasks.core.odoo.addon_checks import (
    AddonFindings,
    AddonSource,
    MissingAddon,
    check_addons,
    repository_lines,
    require_addons,
    require_known,
    require_requested,
)
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import module

ODOO = AddonSource("odoo", Facts(modules=(module("addons/web"), module("addons/sale"))), platform=True)


def addons(name: str, *modules: str, own: bool = False, hidden: tuple[str, ...] = (), off: str = "") -> AddonSource:
    """A repository; each module is `PATH` or `PATH: depends …`. `off`: the path of the one that is not installable."""
    parts = [text.partition(":") for text in modules]
    made = tuple(module(path, depends=tuple(depends.split()), installable=path != off) for path, _, depends in parts)
    return AddonSource(name, Facts(modules=made), own=own, hidden=hidden)


def own(*modules: str, hidden: tuple[str, ...] = ()) -> AddonSource:
    return addons("this project", *modules, own=True, hidden=hidden)


def test_nothing_to_report() -> None:
    stack = [own("mine: base web web_x test_mail"), addons("web", "web_x: sale"), ODOO]
    assert check_addons(stack) == AddonFindings()
    assert check_addons([]) == AddonFindings(own=False)


def test_a_repository_that_is_itself_an_add_on() -> None:
    root = Facts(root=module("", depends=("sale",)))
    found = check_addons([own("a: acme"), AddonSource("acme", root.in_folder("acme")), ODOO])
    assert found == AddonFindings()
    project, source, platform = (AddonSource(name, root) for name in ("this project", "acme-print", "odoo"))
    warnings = check_addons([replace(project, own=True), source, replace(platform, platform=True)]).warnings
    assert [warning[:60] for warning in warnings] == [
        "this project is itself an add-on, with a manifest in its roo",
        "acme-print is itself an add-on, with a manifest in its root,",
    ]


def test_missing_add_ons_are_found_through_dependencies_with_a_shortest_chain() -> None:
    stack = [
        own("b: web_y", "a: web_x contract"),
        addons("web", "web_x: sale queue_job", "web_y: web_x", "unused: nowhere"),
        ODOO,
    ]
    assert check_addons(stack).missing == (
        MissingAddon("contract", ("a",)),
        MissingAddon("queue_job", ("a", "web_x")),
    )


def test_what_a_command_names_is_refused_where_something_is_missing_and_the_project_leaves_it_out() -> None:
    stack = [own("a: web_x", "b: a", "c: web"), addons("web", "web_x: queue_job", "other: nowhere"), ODOO]
    findings = check_addons(
        stack, lambda name: "https://github.com/OCA/queue" if name == "queue_job" else "", ("other", "c")
    )
    assert findings.requested == (MissingAddon("nowhere", ("other",)),)
    assert findings.left_out == ("a", "b")
    assert (
        "queue_job (required by a -> web_x; https://github.com/OCA/queue); a, b cannot be installed"
        in findings.texts(strict=False)[0]
    )
    with pytest.raises(DescriptionError) as caught:
        require_requested(findings)
    assert caught.value.details == ("nowhere (required by other)",)
    assert "--ask-index" in caught.value.todo
    known = check_addons(stack, lambda name: "https://github.com/OCA/queue", ("b",))
    with pytest.raises(DescriptionError) as caught:
        require_requested(known)
    assert caught.value.details == ("queue_job (required by b -> a -> web_x; https://github.com/OCA/queue)",)
    assert caught.value.todo == "add the repositories to the dependencies"
    require_requested(check_addons(stack, requested=("c", "base", "all")))


def test_an_add_on_that_cannot_be_used_is_missing() -> None:
    stack = [
        own("a: web_x deep deeper", hidden=("x/y/z/deeper",)),
        addons("web", "web_x", "sub/deep", off="web_x"),
        ODOO,
    ]
    findings = check_addons(stack)
    assert [str(addon) for addon in findings.missing] == [
        "web_x (required by a; not installable in web)",
        "deep (required by a; in web/sub/deep, where Odoo does not look)",
        "deeper (required by a; in this project/x/y/z/deeper, where Odoo does not look)",
    ]


def test_add_ons_that_are_not_installable_need_nothing() -> None:
    stack = [addons("this project", "a: nowhere", "b", own=True, off="a"), ODOO]
    assert check_addons(stack).missing == ()


def test_the_first_add_on_of_a_name_counts() -> None:
    stack = [own("a: x"), addons("one", "x"), addons("two", "x: nowhere"), ODOO]
    assert check_addons(stack) == AddonFindings(warnings=("1 add-on is in one and two; one is used: x",))


def test_a_platform_without_known_modules_is_not_compared() -> None:
    assert check_addons([own("a: web"), AddonSource("odoo", Facts(), platform=True)]).missing == ()


def test_warnings() -> None:
    stack = [
        own("acme/My-Mod", "acme/sale", hidden=("deep/er/addons/x", "acme/sale/tests/data/y")),
        addons("web", "a", "b", "c", "extra/d", "a/tests"),
        addons("more", "one/a", "one/b", "two/b", "old", off="old"),
        addons("gone", "a", "c", off="c"),
        addons("odd", "first/z", "second/z"),
        ODOO,
    ]
    assert check_addons(stack).warnings == (
        "1 add-on is in this project and odoo; this project is used: sale",
        "1 add-on is in web and gone; web is used: a",
        "1 add-on is in odd/first and odd/second; odd/first is used: z",
        "this project: 1 add-on is where Odoo does not look: deep/er/addons/x; Odoo finds the add-ons of this repository "
        "one folder below the root",
        "web: 1 add-on is where Odoo does not look: extra/d; Odoo finds the add-ons of this repository in the root only",
        "more: 3 add-ons are where Odoo does not look: one/a, one/b, two/b; Odoo finds the add-ons of this repository in "
        "the root only",
        "Odoo refuses names of add-ons with other characters than letters, digits and _: this project/acme/My-Mod",
    )


@pytest.mark.parametrize("name", ["my_mod", "My_Mod", "l10n_es", "_x", "3rd", "é"])
def test_names_that_odoo_accepts(name: str) -> None:
    assert check_addons([own(name), ODOO]).warnings == ()


@pytest.mark.parametrize("name", ["my-mod", "my.mod", "my mod", "x" * 257])
def test_names_that_odoo_refuses(name: str) -> None:
    [warning] = check_addons([own(name), ODOO]).warnings
    assert warning == (
        f"Odoo refuses names of add-ons with other characters than letters, digits and _: this project/{name}"
    )


def many(count: int) -> AddonFindings:
    return check_addons([own("a: " + " ".join(f"m{number:02}" for number in range(count))), ODOO])


def test_missing_add_ons_are_an_error_in_strict_scenarios_and_a_warning_in_developer() -> None:
    findings = many(2)
    assert findings.texts(strict=False) == (
        "2 add-ons are needed and in no source: m00 (required by a), m01 (required by a); a cannot be installed; "
        "in server and ci this is an error",
    )
    assert findings.texts(strict=True) == ()
    with pytest.raises(DescriptionError) as error:
        require_addons(findings)
    assert error.value.render() == (
        "odpm: 2 add-ons are needed and in no source\n"
        "  where: odpm.json: dependencies\n"
        "  m00 (required by a)\n"
        "  m01 (required by a)\n"
        "  next:  add the repositories to the dependencies; inv validate --ask-index looks them up"
    )
    assert error.value.exit_code == 4


def test_many_missing_add_ons_are_cut_after_ten_and_the_error_names_all() -> None:
    [warning] = many(12).texts(strict=False)
    assert warning.endswith(
        "m08 (required by a), m09 (required by a) and 2 more; a cannot be installed; in server and ci this is an error"
    )
    with pytest.raises(DescriptionError) as error:
        require_addons(many(12))
    assert error.value.details[9:] == ("m09 (required by a)", "and 2 more: m10, m11")


def test_a_project_without_add_ons_checks_its_dependencies_and_only_warns() -> None:
    findings = check_addons([own(), addons("contract", "contract: product_x", "other: contract"), ODOO])
    assert (
        findings.texts(strict=True)
        == findings.texts(strict=False)
        == (
            "1 add-on is in no source, so add-ons of dependencies cannot be installed: product_x (required by contract)",
        )
    )
    require_addons(findings)


def test_known_repositories_are_named() -> None:
    urls = {"contract": "https://github.com/OCA/contract", "contract_sale": "https://github.com/OCA/contract"}
    findings = check_addons([own("a: contract_sale contract x"), ODOO], lambda name: urls.get(name, ""))
    assert str(findings.missing[1]) == "contract (required by a; https://github.com/OCA/contract)"
    assert repository_lines(findings) == [
        "https://github.com/OCA/contract has contract, contract_sale",
        "no repository is known for x",
    ]


def test_an_add_on_that_no_source_has_is_refused_with_the_nearest_ones() -> None:
    require_known(["sale", "all"], {"sale", "stock", "base"}, "-i")
    with pytest.raises(DescriptionError) as refused:
        require_known(["sale", "sael", "stok", "nosuch_at_all"], {"sale", "stock", "base"}, "-i")
    assert "there is no add-on 'sael' in the sources; the nearest is sale" in str(refused.value)
    assert "nor 'stok'; the nearest is stock" in str(refused.value)
    assert "nor 'nosuch_at_all'\n" in str(refused.value)
