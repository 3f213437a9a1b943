"""`sources.tree`: who asks for which repository."""

from __future__ import annotations

import json

import pytest
from jsonschema import validate

from odpm_tasks.core.locking.tree import SourceTree
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.errors import UsageError
from tests.unit.builders import OCA, Servers, manifest
from tests.unit.locking.test_resolve import flat, oca


def tree() -> SourceTree:
    description = manifest(f"{OCA}/web 19.0", f"{OCA}/sale 19.0-fix", "file:///srv/own")
    servers = Servers(web=oca("tools"), sale=flat(f"{OCA}/tools 19.0", f"{OCA}/web 19.0"), tools=oca("web"))
    return SourceTree(description, servers.resolve(description))


def test_text_shows_every_edge() -> None:
    lines = [line.split(" 19.0 ")[0] for line in tree().as_text().splitlines()]
    assert lines[:5] == ["odpm.json", "├── odoo", "├── web", "│   └── tools", "│       └── web"]
    text = tree().as_text()
    assert "(platform)" in text
    assert "├── sale 19.0-fix " in text
    assert "└── own file " in text
    assert text.splitlines()[-1] == "(*) its branch is shown above"


def test_of_one_source_who_asks_for_it() -> None:
    lines = tree().as_text_to("tools").splitlines()
    assert [line.split()[-3] for line in lines[:1]] == ["tools"]
    assert any("web" in line for line in lines)
    assert any("sale" in line for line in lines)
    assert any("odpm.json" in line for line in lines)
    with pytest.raises(UsageError, match="the nearest is tools"):
        tree().as_text_to("tool")


def test_json_has_both_directions() -> None:
    data = json.loads(tree().as_json())
    validate(data, schema("sources.tree"))
    found = {source["name"]: source for source in data["sources"]}
    assert found["tools"]["required_by"] == ["web", "sale"]
    assert found["tools"]["requires"] == ["web"]
    assert found["web"]["required_by"] == ["odpm.json", "sale", "tools"]
    assert found["odoo"]["required_by"] == ["odpm.json"]
    assert found["own"]["branch"] is None
    assert found["sale"]["branch"] == "19.0-fix"
    assert set(found["web"]) == {"name", "kind", "url", "branch", "commit", "merges", "requires", "required_by"}


def test_mermaid() -> None:
    text = tree().as_mermaid()
    assert text.startswith("flowchart LR\n")
    assert text.count("-->") == 8
