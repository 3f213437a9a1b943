"""`mod.*` and `sources.tree` on the demo project with real repositories, without Docker."""

from __future__ import annotations

import json

from tests.e2e.harness import Bench


def test_the_add_ons_and_repositories_of_a_locked_project(project: Bench) -> None:
    before = project.inv("mod.list")
    assert before.code == 3
    assert "next:  inv lock" in before.err
    project.ok("lock")
    own = json.loads(project.ok("mod.list", "--format", "json").out)["addons"]
    assert next(addon for addon in own if addon["kind"] == "developing")["name"] == "stack_info"
    assert not [addon for addon in own if addon["kind"] == "platform"]
    assert len(json.loads(project.ok("mod.list", "--all", "--format", "json").out)["addons"]) > 100
    explained = project.ok("mod.explain", "base_setup").out
    assert "why         stack_info -> partner_firstname -> base_setup" in explained
    near = project.inv("mod.explain", "stack_inf")
    assert near.code == 4
    assert "the nearest is stack_info" in near.err
    assert "partner_firstname" in project.ok("mod.graph").out
    assert project.ok("mod.missing").out == ""
    made = project.ok("mod.scaffold", "shop_limit", "--depends", "stack_info,web")
    assert made.out == "addons/shop_limit\n"
    assert "shop_limit" in project.ok("mod.graph", "shop_limit").out
    assert project.inv("mod.scaffold", "shop_limit").code == 4
    assert project.ok("sources.tree").out.splitlines()[0] == "odpm.json"
    assert project.ok("sources.tree", "web").out.splitlines()[1].startswith("└── partner-contact")
