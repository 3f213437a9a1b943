"""The graph of add-ons: which one of a name is used, what depends on what, why Odoo installs it; and its output."""

from __future__ import annotations

import json

import pytest
from jsonschema import validate

from odpm_tasks.core.addons import text
from odpm_tasks.core.addons.graph import AddonGraph, AddonPlace
from odpm_tasks.core.addons.text import InstalledAddon
from odpm_tasks.core.odoo.addons import Facts, Module, read_module
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.reports import report
from odpm_tasks.errors import DescriptionError


def module(path: str, *depends: str, **values: object) -> Module:
    return Module.model_validate({"path": path, "depends": depends, "version": "1.0", **values})


OWN = AddonPlace(
    "this project",
    "developing",
    Facts(modules=(module("addons/shop", "sale_x", "base"), module("addons/off", "stock", installable=False))),
)
SALE = AddonPlace(
    "sale-workflow",
    "dependency",
    Facts(
        modules=(
            module("sale_x", "sale", "gone"),
            module("sale_stock_x", "sale_x", "stock", auto_install=("sale_x", "stock")),
            module("sale_web_x", "sale_x", auto_install=("sale_x", "base")),
            module("web", "base"),
        )
    ),
    ".odpm/src/sale-workflow",
    "https://github.com/OCA/sale-workflow",
    "19.0 1234abcd",
)
PLATFORM = AddonPlace(
    "odoo",
    "platform",
    Facts(
        modules=(
            module("addons/web", "base", auto_install=("base",)),
            module("addons/sale", "account"),
            module("addons/account", "web"),
            module("addons/stock", "web"),
        )
    ),
    ".odpm/src/odoo",
)
GRAPH = AddonGraph([OWN, SALE, PLATFORM])
INSTALLED = {
    "shop": InstalledAddon("installed", "19.0.0.9"),
    "sale": InstalledAddon("installed", "19.0.1.0"),
    "stock": InstalledAddon("uninstalled"),
}


def test_the_first_of_a_name_is_used() -> None:
    assert GRAPH.addons["web"].place is SALE
    assert GRAPH.addons["web"].elsewhere == ("odoo",)
    assert GRAPH.addons["web"].path == ".odpm/src/sale-workflow/web"
    assert GRAPH.addons["shop"].path == "addons/shop"


def test_what_depends_on_what() -> None:
    assert GRAPH.depends("shop") == ("sale_x",)
    assert GRAPH.dependents["sale_x"] == ("sale_stock_x", "sale_web_x", "shop")
    assert GRAPH.all_dependents(["account"]) == {"account", "sale", "sale_x", "shop", "sale_stock_x", "sale_web_x"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("shop", "an add-on of this project"),
        ("account", "shop -> sale_x -> sale -> account"),
        ("sale_web_x", "installs itself where base and sale_x are installed (auto_install)"),
    ],
)
def test_why_it_is_installed(name: str, reason: str) -> None:
    assert str(GRAPH.reasons[name]) == reason


def test_what_the_project_does_not_need_has_no_reason() -> None:
    """`stock` is needed by an add-on that is not installable only, so `sale_stock_x` does not install itself."""
    assert not {"stock", "sale_stock_x", "off"} & set(GRAPH.reasons)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(DescriptionError, match="the nearest is stock"):
        GRAPH.require("stok")


@pytest.mark.parametrize(
    ("manifest", "triggers"),
    [
        (b"{'depends': ['a', 'b'], 'auto_install': True}", ("a", "b")),
        (b"{'depends': ['a', 'b'], 'auto_install': ['b']}", ("b",)),
        (b"{'auto_install': True}", ("base",)),
        (b"{'depends': ['a']}", ()),
        (b"{'depends': ['a'], 'auto_install': False}", ()),
    ],
)
def test_auto_install_of_a_manifest(manifest: bytes, triggers: tuple[str, ...]) -> None:
    read = read_module("x", manifest)
    assert read is not None
    assert read.auto_install == triggers


# --- output ---------------------------------------------------------------------------------------------------------


def test_list_has_versions_of_disk_and_database() -> None:
    rows = [
        line.split("  ") for line in text.list_text(text.listed(GRAPH, installed=INSTALLED), INSTALLED).splitlines()
    ]
    table = {row[1 if len(row) > 1 else 0]: [cell.strip() for cell in row if cell.strip()] for row in rows}
    lines = {cells[1]: cells for cells in table.values()}
    assert lines["shop"] == ["this project", "shop", "1.0", "19.0.0.9", "installed, another version on disk"]
    assert lines["off"] == ["this project", "off", "not installable", "-", "not in the database"]
    assert lines["sale"] == ["odoo", "sale", "1.0", "19.0.1.0", "installed"]
    assert "stock" not in lines


def test_list_without_a_database_has_no_columns_for_it() -> None:
    shown = text.list_text(text.listed(GRAPH, all_platform=True), None)
    assert "installed" not in shown.splitlines()[0]
    assert "account" in shown
    validate(json.loads(text.list_json(text.listed(GRAPH), None)), schema("mod.list"))
    data = {a["name"]: a for a in json.loads(text.list_json(text.listed(GRAPH), None))["addons"]}
    assert data["web"] == {
        "name": "web", "repository": "sale-workflow", "kind": "dependency", "path": ".odpm/src/sale-workflow/web",
        "version": "1.0", "installable": True, "installed": None, "state": None, "elsewhere": ["odoo"],
    }  # fmt: skip


def test_explain() -> None:
    shown = text.explanation_text(text.explanation(GRAPH, "sale_x", INSTALLED))
    assert shown.splitlines() == [
        "sale_x 1.0",
        "  folder      .odpm/src/sale-workflow/sale_x",
        "  repository  sale-workflow https://github.com/OCA/sale-workflow 19.0 1234abcd",
        "  depends on  sale, gone",
        "  missing     gone: in no source",
        "  needed by   sale_stock_x, sale_web_x, shop",
        "  why         shop -> sale_x",
    ]
    assert "database    installed 19.0.0.9" in text.explanation_text(text.explanation(GRAPH, "shop", INSTALLED))
    assert "nothing of this project needs it" in text.explanation_text(text.explanation(GRAPH, "stock", None))
    assert "sale; 5 with those that depend on them" in text.explanation_text(text.explanation(GRAPH, "account", None))


def test_the_graph_ends_at_the_platform() -> None:
    assert text.graph_text(GRAPH, ["shop"]) == (
        """\
shop 1.0 (this project)
└── sale_x 1.0 (sale-workflow)
    ├── sale 1.0 (odoo)
    └── gone (in no source)"""
    )
    assert "account 1.0 (odoo)" in text.graph_text(GRAPH, ["shop"], below_platform=True)
    assert text.graph_text(GRAPH, ["shop", "stock"]).startswith("the add-ons of this project\n├── shop")


def test_the_graph_as_data() -> None:
    validate(json.loads(text.graph_json(GRAPH, ["shop"])), schema("mod.graph"))
    data = {a["name"]: a for a in json.loads(text.graph_json(GRAPH, ["shop"]))["addons"]}
    assert data["shop"]["depends"] == ["sale_x"]
    assert data["gone"] == {"name": "gone", "repository": None, "version": None, "depends": []}
    assert "the add-ons" not in text.graph_mermaid(GRAPH, ["shop"])
    assert text.graph_mermaid(GRAPH, ["shop"]).count("-->") == 3


@pytest.mark.parametrize("name", ["shop", "web"])
def test_an_explanation_fits_its_schema(name: str) -> None:
    validate(json.loads(report(text.explanation(GRAPH, name, None))), schema("mod.explain"))
