"""Edits that are made at once: one update, one reload; errors stop what they affect."""

from __future__ import annotations

from odpm_tasks.core.edits.batch import MOST_LINES, actions_text, edit_lines, todo, waiting_text
from odpm_tasks.core.edits.values import Action, Decision


def one(
    action: Action, path: str = "addons/shop/x.py", addon: str = "shop", kind: str = "Python", *, reload: bool = False
) -> Decision:
    return Decision(path, kind, action, "because", addon, reload=reload)


VIEW = one("update", "addons/shop/views/x.xml", kind="view")
CODE = one("reload")


def test_one_update_of_all_add_ons_and_one_reload() -> None:
    stock = one("update", "addons/stock/models/x.py", "stock", reload=True)
    found = todo([CODE, VIEW, stock, VIEW, one("assets"), one("nothing")])
    assert (found.update, found.reload, found.assets) == (("shop", "stock"), True, True)
    assert len(found.done) == 6
    assert actions_text(found) == "-u shop,stock, reload"
    assert actions_text(todo([CODE]), "restart") == "restart"
    assert actions_text(todo([one("assets")])) == "clear assets"
    assert not todo([one("nothing"), one("page")]).acts


def test_an_error_in_python_stops_updates_and_reloads_but_not_assets() -> None:
    error = one("error", "addons/stock/models/x.py", "stock")
    found = todo([CODE, VIEW, one("assets", kind="style sheet"), error])
    assert (found.update, found.reload, found.assets) == ((), False, True)
    assert found.waiting == (CODE, VIEW)
    assert found.errors == (error,)
    assert waiting_text(found, up_is_new=False) == "waiting:  2 edits until the error is corrected"


def test_an_error_in_a_data_file_stops_the_update_of_its_add_on() -> None:
    stock = one("update", "addons/stock/views/x.xml", "stock", "view")
    found = todo([VIEW, stock, CODE, one("error", "addons/shop/data/x.xml", "shop", "data")])
    assert (found.update, found.reload, found.waiting) == (("stock",), True, (VIEW,))


def test_what_needs_inv_up_lets_the_rest_wait_once() -> None:
    up = one("up", "odpm.json", "", "description")
    found = todo([up, VIEW, CODE], up_is_new=True)
    assert not found.acts
    assert found.waiting == (VIEW, CODE)
    text = waiting_text(found, up_is_new=True)
    assert " ".join(text.split()) == "next: inv up -u changed; 2 other edits wait until the next one"
    assert todo([up, VIEW, CODE]).waiting == ()
    assert waiting_text(todo([up], up_is_new=True), up_is_new=True).split() == ["next:", "inv", "up"]


def test_odoo_reloads_itself_for_python_files_alone() -> None:
    assert todo([CODE], reloads_itself=True).by_odoo
    assert not todo([CODE, one("reload", "addons/shop/i18n/de.po")], reloads_itself=True).by_odoo
    assert not todo([CODE, VIEW], reloads_itself=True).by_odoo
    assert not todo([CODE]).by_odoo


def test_a_line_for_each_edit_with_the_line_of_an_error() -> None:
    error = Decision("addons/shop/x.py", "Python", "error", "invalid syntax\x1b[2J", "shop", line=7)
    assert edit_lines([VIEW, error]) == [
        "addons/shop/x.py:7       error    Python: invalid syntax [2J",
        "addons/shop/views/x.xml  -u shop  view: because",
    ]


def test_many_edits_are_a_line_for_each_action_and_reason() -> None:
    many = [one("reload", f"addons/shop/m{number:02}.py") for number in range(MOST_LINES)]
    lines = edit_lines([*many, VIEW, one("error", "addons/a.py")])
    assert [line.split("  ")[0] for line in lines] == [
        "addons/a.py",
        "addons/shop/views/x.xml",
        f"{MOST_LINES} files as addons/shop/m00.py",
    ]
    assert len(edit_lines(many)) == MOST_LINES
