"""The smallest action for each kind of edit, and its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from odpm_tasks.core.edits.rules import decide, is_description, is_ignored
from odpm_tasks.core.edits.values import EditContext, FileEdit, WatchedAddon

SHOP = "addons/shop"
MANIFEST = b"""{
    "name": "Shop", "version": "19.0.1.0.0", "depends": ["base"],
    "data": ["views/order.xml", "data/tags.csv", "data/cron.xml"], "demo": ["demo/orders.xml"],
    "assets": {"web.assets_backend": ["shop/static/src/**/*"]},
}"""
MODEL = b"""\
from odoo import api, fields, models


class Order(models.Model):
    _name = "shop.order"

    total = fields.Float(compute="_compute_total")

    def _compute_total(self):
        self.total = 1
"""
VIEW = b"""<odoo><record id="form" model="ir.ui.view"><field name="name">order</field>
<field name="arch" type="xml"><form/></field></record><template id="page"><p/></template></odoo>"""
PO = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

#. module: shop
#: {place}
msgid "Order"
msgstr "{text}"
"""
RECORD, CODE = "model:ir.model,name:shop.model_shop_order", "code:addons/shop/models/order.py:0"
CONTEXT = EditContext(
    addons={
        SHOP: WatchedAddon("shop", SHOP),
        "addons/idle": WatchedAddon("idle", "addons/idle", installed=False),
        ".odpm/src/web/web_tree": WatchedAddon("web_tree", ".odpm/src/web/web_tree"),
        ".odpm/src/odoo/odoo/addons/base": WatchedAddon("base", ".odpm/src/odoo/odoo/addons/base"),
    },
    languages=frozenset({"de_CH"}),
    known=frozenset({"shop", "idle", "web_tree", "base", "stock"}),
)


def po(text: str, place: str = RECORD) -> bytes:
    return PO.format(text=text, place=place).encode()


def decided(
    path: str,
    before: bytes | None,
    after: bytes | None,
    context: EditContext = CONTEXT,
    *,
    known: bool = True,
    manifest: bytes = MANIFEST,
) -> tuple[str, str]:
    found = decide(FileEdit(path, before, after, known, manifest), context)
    return found.label, found.reason


def changed(manifest: bytes, old: bytes, new: bytes) -> bytes:
    assert old in manifest
    return manifest.replace(old, new)


def test_python_of_the_project_a_dependency_and_the_platform_is_loaded_again() -> None:
    edited = changed(MODEL, b"= 1", b"= 2")
    for path in (f"{SHOP}/models/order.py", ".odpm/src/web/web_tree/models/tree.py"):
        assert decided(path, MODEL, edited) == ("reload", "code is loaded when Odoo starts")
    for path in (".odpm/src/odoo/odoo/http.py", ".odpm/src/odoo/odoo/addons/base/models/res_users.py"):
        assert decided(path, None, edited, known=False) == ("reload", "code is loaded when Odoo starts")


def test_comments_and_layout_need_nothing_but_under_the_debugger_lines_count() -> None:
    edited = changed(MODEL, b"\n\n    total", b"\n\n    # the sum\n    total")
    assert decided(f"{SHOP}/models/order.py", MODEL, edited)[0] == "nothing"
    assert decided(f"{SHOP}/models/order.py", MODEL, edited, replace(CONTEXT, debug=True))[0] == "reload"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"total = fields.Float(", b'total = fields.Float("Sum", ', "total of Order is changed"),
        (b"    def", b"    paid = fields.Boolean()\n\n    def", "paid of Order is new"),
        (b'    total = fields.Float(compute="_compute_total")\n', b"", "total of Order is removed"),
        (b'_name = "shop.order"', b'_name = "shop.order"\n    _order = "id"', "_order of Order is new"),
        (b"    def", b"    _one = models.Constraint('UNIQUE(total)')\n\n    def", "_one of Order is new"),
        (b"    def", b"    def init(self):\n        pass\n\n    def", "init() of Order is new"),
        (b'compute="_compute_total"', b"", "total of Order is changed"),
        (b"class Order", b"class Sale", "_name of Order is removed and 3 more"),
    ],
)
def test_a_changed_definition_of_a_model_is_applied_to_the_database(old: bytes, new: bytes, reason: str) -> None:
    assert decided(f"{SHOP}/models/order.py", MODEL, changed(MODEL, old, new)) == ("-u shop, reload", reason)


@pytest.mark.parametrize("old", [b'compute="_compute_total"', b"self.total = 1"])
def test_another_method_of_a_field_is_code(old: bytes) -> None:
    assert (
        decided(f"{SHOP}/models/order.py", MODEL, changed(MODEL, old, old[:-2] + b'2"'[: 1 + (b'"' in old)]))[0]
        == "reload"
    )


def test_a_new_file_with_a_model_and_its_import_are_updates() -> None:
    assert decided(f"{SHOP}/models/order.py", None, MODEL)[0] == "-u shop, reload"
    assert decided(f"{SHOP}/models/__init__.py", b"", b"from . import order\n") == (
        "-u shop, reload",
        "it imports other modules, which may define models",
    )
    assert decided(f"{SHOP}/models/__init__.py", b"", b"X = 1\n")[0] == "reload"


def test_a_syntax_error_is_named_with_its_line() -> None:
    found = decide(FileEdit(f"{SHOP}/models/order.py", MODEL, MODEL + b"def x(:\n"), CONTEXT)
    assert (found.action, found.line, found.addon) == ("error", MODEL.count(b"\n") + 1, "shop")
    newer = replace(CONTEXT, python=(99, 0))  # this Python may not know its syntax
    assert decided(f"{SHOP}/models/order.py", MODEL, MODEL + b"def x(:\n", newer)[0] == "reload"


def test_odoo_may_reload_itself_for_add_ons_only() -> None:
    own = replace(CONTEXT, dev=frozenset({"reload"}))
    assert "--dev=reload" in decided(f"{SHOP}/models/order.py", b"X = 1", b"X = 2", own)[1]
    assert "--dev=reload" not in decided(".odpm/src/odoo/odoo/http.py", b"X = 1", b"X = 2", own)[1]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{SHOP}/tests/test_order.py", "loaded by inv test"),
        (f"{SHOP}/migrations/19.0.1.1.0/pre.py", "run by an update that raises the version"),
        (f"{SHOP}/README.rst", "Odoo does not load it"),
        (f"{SHOP}/static/description/icon.png", "shown in the list of add-ons"),
        (f"{SHOP}/views/other.xml", "__manifest__.py does not name it"),
        (f"{SHOP}/demo/orders.xml", "__manifest__.py does not name it"),
        (f"{SHOP}/i18n/shop.pot", "a template: no language is read from it"),
        (f"{SHOP}/i18n/fr.po", "its language is not active in the database"),
        ("addons/idle/models/x.py", "idle is not installed"),
        ("tasks.py", "read by each inv"),
        ("docs/index.md", "not in an add-on"),
    ],
)
def test_what_odoo_does_not_load_needs_nothing(path: str, reason: str) -> None:
    assert decided(path, b"", b"") == ("nothing", reason)


def test_views_and_data_are_loaded_by_an_update() -> None:
    edited = changed(VIEW, b"<form/>", b"<form><p/></form>")
    assert decided(f"{SHOP}/views/order.xml", VIEW, edited) == ("-u shop", "stored in the database")
    assert decided(f"{SHOP}/data/tags.csv", b"id\n", b"id\na\n") == ("-u shop", "loaded into the database")
    kept = b'<odoo noupdate="1"><record id="cron" model="ir.cron"/></odoo>'
    assert decided(f"{SHOP}/data/cron.xml", None, kept)[1].endswith("with noupdate, existing records stay")
    with_demo = replace(CONTEXT, addons={SHOP: WatchedAddon("shop", SHOP, demo=True)})
    assert decided(f"{SHOP}/demo/orders.xml", None, b"<odoo/>", with_demo)[0] == "-u shop"


def test_with_dev_xml_the_content_of_views_is_read_from_the_file() -> None:
    dev = replace(CONTEXT, dev=frozenset({"xml"}))
    path = f"{SHOP}/views/order.xml"
    for old, new in ((b"<form/>", b"<form><p/></form>"), (b"<p/>", b"<b/>")):
        assert decided(path, VIEW, changed(VIEW, old, new), dev)[0] == "reload the page"
    for old, new in (
        (b'id="page"', b'id="other"'),
        (b">order<", b">Order<"),
        (b"</odoo>", b'<template id="x"/></odoo>'),
    ):
        assert decided(path, VIEW, changed(VIEW, old, new), dev)[0] == "-u shop"
    assert decided(path, None, VIEW, dev, known=False)[0] == "-u shop"


@pytest.mark.parametrize("path", [f"{SHOP}/views/order.xml", f"{SHOP}/static/src/templates.xml"])
def test_a_file_that_is_not_well_formed_is_an_error(path: str) -> None:
    found = decide(FileEdit(path, VIEW, b"<odoo>\n<p>\n</odoo>", True, MANIFEST), CONTEXT)
    assert (found.action, found.reason, found.line) == ("error", "mismatched tag", 3)


def test_a_data_file_that_is_gone_is_an_error() -> None:
    assert decided(f"{SHOP}/views/order.xml", VIEW, None) == (
        "error",
        "__manifest__.py names it, and it does not exist",
    )


@pytest.mark.parametrize("name", ["order.js", "order.scss", "order.css", "order.xml", "order.less"])
def test_bundled_files_need_the_cache_of_bundles_dropped(name: str) -> None:
    path = f"{SHOP}/static/src/{name}"
    assert decided(path, None, b"<templates/>")[0] == "clear assets"
    assert decided(path, None, b"<templates/>", replace(CONTEXT, dev=frozenset({"all"})))[0] == "reload the page"


def test_other_static_files_are_served_from_disk() -> None:
    assert decided(f"{SHOP}/static/img/logo.png", None, b"\x89PNG")[0] == "reload the page"


def test_translations_are_stored_or_kept_in_memory() -> None:
    path = f"{SHOP}/i18n/de.po"
    assert decided(path, po("Auftrag"), po("Bestellung")) == (
        "-u shop, reload",
        "stored in the database; replaces what was translated there",
    )
    assert decide(FileEdit(path, po("Auftrag"), po("Bestellung")), CONTEXT).overwrite
    assert decided(path, po("Auftrag", CODE), po("Bestellung", CODE))[0] == "reload"
    assert decided(path, po("Auftrag", CODE), po("Bestellung", CODE), replace(CONTEXT, release=(15, 0)))[0] == "-u shop"
    assert decided(path, po("Auftrag"), po("Auftrag") + b"\n")[0] == "nothing"
    found = decide(FileEdit(path, po("Auftrag"), po("Auftrag") + b'msgid "a"b"\n'), CONTEXT)
    assert (found.action, found.reason, found.line) == ("error", "not in the format of gettext", 8)


@pytest.mark.parametrize(
    ("old", "new", "label", "reason"),
    [
        (b"1.0.0", b"1.1.0", "-u shop", "version differs"),
        (b'"views/order.xml", ', b"", "-u shop", "data differs"),
        (b'["base"]', b'["base", "stock"]', "-u shop, reload", "depends differs"),
        (b"**/*", b"**/*.js", "reload", "assets: kept in memory by Odoo"),
        (b'"name": "Shop"', b'"name": "Shop 2"', "nothing", "name: shown after the next update"),
        (b'"name"', b'"external_dependencies": {"python": ["six"]}, "name"', "inv up",
         "external_dependencies: other packages in the image"),
        (b'["base"]', b'["nowhere"]', "error", "depends on nowhere, which no source has"),
        (b'["base"]', b"[base]", "error", "a manifest contains literals only"),
        (b'"depends"', b'depends"', "error", "unterminated string literal (detected at line 2)"),
        (b"{\n", b"{  # the shop\n", "nothing", "the values are the same"),
    ],
)  # fmt: skip
def test_a_manifest_needs_what_its_keys_need(old: bytes, new: bytes, label: str, reason: str) -> None:
    assert decided(f"{SHOP}/__manifest__.py", MANIFEST, changed(MANIFEST, old, new)) == (label, reason)


def test_add_ons_that_come_and_go() -> None:
    assert decided("addons/idle/__manifest__.py", None, b"{}") == (
        "nothing",
        "a new add-on; to install it: inv up -i idle",
    )
    assert decided(f"{SHOP}/__manifest__.py", MANIFEST, None)[0] == "inv up"
    assert decided(f"{SHOP}/__manifest__.py", None, MANIFEST, known=False)[0] == "-u shop, reload"


@pytest.mark.parametrize(
    "path",
    ["odpm.json", ".env", ".odpm/src/web/oca_dependencies.txt", ".odpm/deps.lock.json", ".odpm/requirements.lock",
     ".odpm/templates/Dockerfile.j2", ".odpm/src/web/requirements.txt", ".odpm/src/web/odpm.json"],
)  # fmt: skip
def test_what_describes_the_stack_is_decided_by_the_plan(path: str) -> None:
    assert is_description(path)
    assert not is_ignored(path)


def test_requirements_of_the_project_itself_are_not_read() -> None:
    for name in ("requirements.txt", "oca_dependencies.txt"):
        assert not is_description(name)
        assert decided(name, None, b"six")[0] == "nothing"


def test_files_of_editors_git_and_caches_are_no_edits() -> None:
    for name in (
        ".order.py.swp",
        "order.py~",
        "order.py.tmp",
        "4913",
        ".#order.py",
        "#order.py#",
        "x.pyc",
        ".order.py.a1b2c3d4",
        ".order.py.k2Xa8f",
    ):
        assert is_ignored(f"{SHOP}/models/{name}")
    assert is_ignored("addons/.git/index")
    assert is_ignored(f"{SHOP}/__pycache__/x.py")
    assert not is_description("addons/shop/requirements.txt")
    assert not is_ignored(f"{SHOP}/models/order.py")
