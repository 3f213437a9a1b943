"""Services, patches and hooks of dependencies: what is used, what is ignored and why, relative paths."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.locking.lockfile import PythonLocks
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.hooks import fragment_steps, hook_steps, late_hook_steps
from odpm_tasks.core.planning.observed import Checkout, ResolvedState
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.core.sources.trust import is_trusted
from odpm_tasks.core.stack.dependency_services import Fragments, fragments
from odpm_tasks.core.stack.relative_paths import rebased
from odpm_tasks.errors import DescriptionError
from tests.unit import builders
from tests.unit.builders import OCA, resolution, source

IMAGE = {"image": "x"}


def manifest(*dependencies: str, **keys: Any) -> Manifest:
    """A description that names the dependency `queue`, beside others."""
    return builders.manifest(f"{OCA}/queue", *dependencies, **keys)


def fragments_of(described: Manifest, scenario: str = "developer", **texts: Any) -> Fragments:
    """The fragments of dependencies of OCA by name; each value is the keys of its odpm.json, or its whole text."""
    found = [
        source(
            f"{OCA}/{name} 19.0",
            facts=Facts(odpm_json=keys if isinstance(keys, str) else json.dumps({"manifest_schema": 2, **keys})),
        )
        for name, keys in texts.items()
    ]
    platform = source("https://github.com/odoo/odoo 19.0", "platform", facts=Facts(odpm_json='{"manifest_schema": 2}'))
    return fragments(described, resolution(platform, *found), SCENARIOS[scenario])


def left(found: Fragments) -> dict[str, str]:
    return {f"{each.source}: {out.what}": out.why for each in found.items for out in each.omitted}


def test_the_first_dependency_with_a_service_wins() -> None:
    found = fragments_of(
        manifest(),
        queue={"services": {"redis": {"image": "redis:7"}, "worker": IMAGE}},
        cache={"services": {"redis": {"image": "redis:6"}, "worker": IMAGE, "more": IMAGE}},
    )
    merged = found.merge_into(manifest()).services
    assert {name: service["image"] for name, service in merged.items()} == {
        "redis": "redis:7",
        "worker": "x",
        "more": "x",
    }
    assert found.warnings == ("cache: redis is ignored: queue has another service of this name",)
    assert left(found)["cache: worker"] == "queue has the same service"
    assert (found.source_of("redis"), found.source_of("more"), found.source_of("db")) == ("queue", "cache", "")


def test_the_projects_service_wins_and_null_disables_one() -> None:
    ours = manifest(services={"redis": {"image": "ours"}, "worker": None})
    found = fragments_of(ours, queue={"services": {"redis": IMAGE, "worker": IMAGE}})
    assert found.merge_into(ours).services == {"redis": {"image": "ours"}}
    assert found.warnings == ()
    assert left(found) == {"queue: redis": "the project has its own", "queue: worker": "odpm.json disables it"}


def test_null_in_a_scenario_disables_only_there() -> None:
    keys: dict[str, Any] = {
        "scenarios": {"ci": {"services": {"redis": None, "mail": None}}},
        "services": {"mail": IMAGE},
    }
    for scenario, names in (("ci", []), ("server", ["mail", "redis"])):
        ours = manifest(scenario=scenario, **keys)
        assert (
            list(fragments_of(ours, scenario, queue={"services": {"redis": IMAGE}}).merge_into(ours).services) == names
        )


def test_the_overlay_of_a_dependency_applies_in_its_scenario() -> None:
    theirs = {
        "services": {"redis": IMAGE},
        "scenarios": {"server": {"services": {"redis": {"scale": 2}, "more": IMAGE}}},
    }
    assert fragments_of(manifest(), "developer", queue=theirs).items[0].services == {"redis": IMAGE}
    assert fragments_of(manifest(), "server", queue=theirs).items[0].services == {
        "redis": {**IMAGE, "scale": 2},
        "more": IMAGE,
    }


@pytest.mark.parametrize(
    ("name", "service", "why"),
    [
        ("db", IMAGE, "the name is built in"),
        ("odoo", IMAGE, "the name is built in"),
        ("a b", IMAGE, "is not a valid service name"),
        ("web", {"command": "x"}, "needs `image` or `build`"),
        ("web", {"image": "x", "imag": "y"}, "imag: unknown key; the nearest is `image`"),
        ("web", ["x"], "must be an object"),
        ("web", {"image": "x", "profiles": 3}, "profiles: must be a list"),
        ("web", {"image": "x", "develop": {"watch": True}}, "develop.watch: must be a list"),
        ("DB", IMAGE, "the name is built in"),
    ],
)
def test_an_invalid_service_is_ignored(name: str, service: Any, why: str) -> None:
    found = fragments_of(manifest(trust=["queue"]), queue={"services": {name: service, "good": IMAGE}})
    assert left(found) == {f"queue: {name}": why}
    assert found.warnings == (f"queue: {name} is ignored: {why}",)
    assert list(found.items[0].services) == ["good"]


def test_patches_need_trust_and_the_projects_come_last() -> None:
    theirs = {
        "services": {"redis": IMAGE},
        "service_patches": {"odoo": {"environment": {"A": "1", "B": "1"}}, "no": {}},
    }
    ours = manifest("https://h/x 1", service_patches={"odoo": {"environment": {"B": "2"}}, "redis": {"scale": 2}})
    assert "patch of odoo" in str(fragments_of(ours, queue=theirs).warnings)
    joined: dict[str, Any] = {"networks": {"isolated-queue": {}}}
    merged = fragments_of(ours, queue=theirs).merge_into(ours).service_patches
    assert merged == {**ours.service_patches, "odoo": {**joined, "environment": {"B": "2"}}}
    trusting = manifest("https://h/x 1", trust=["queue"], service_patches=ours.service_patches)
    found = fragments_of(trusting, queue=theirs)
    assert found.merge_into(trusting).service_patches["odoo"] == {"environment": {"A": "1", "B": "2"}}
    assert left(found) == {"queue: patch of no": "there is no such service"}


def test_a_patch_of_an_unknown_service_is_an_error() -> None:
    ours = manifest("https://h/x 1", service_patches={"redsi": {"scale": 2}})
    with pytest.raises(DescriptionError, match="the nearest is `redis`") as caught:
        fragments_of(ours, queue={"services": {"redis": IMAGE}}).merge_into(ours)
    assert caught.value.where == "odpm.json: service_patches.redsi"


@pytest.mark.parametrize("entry", ["queue", f"{OCA}/queue", "git@github.com:OCA/queue.git"])
def test_trust_by_name_or_address(entry: str) -> None:
    found = fragments_of(manifest(trust=[entry]), queue={"services": {"web": {"build": "."}}})
    assert (found.items[0].trusted, found.warnings) == (True, ())


def test_a_name_trusts_only_what_odpm_json_itself_names() -> None:
    """A dependency chooses the addresses of its own dependencies, and with them their names."""
    described = builders.manifest(trust=["queue"])
    found = fragments_of(described, queue={"services": {"web": {"build": "."}}})
    assert not found.items[0].trusted
    assert "only its address can be trusted: https://github.com/OCA/queue" in found.warnings[-1]
    assert (
        fragments_of(replace(described, trust=(f"{OCA}/queue",)), queue={"hooks": {}, "services": {"w": IMAGE}})
        .items[0]
        .trusted
    )


def test_an_address_trusts_no_commit_that_a_dependency_chooses() -> None:
    """A forge provides the commits of forks and pull requests under the address of the repository."""
    chosen = source(
        f"{OCA}/queue 19.0 {'a' * 40}", facts=Facts(odpm_json='{"manifest_schema": 2, "hooks": {"pre_build": "x:y"}}')
    )
    ours = builders.manifest(trust=[f"{OCA}/queue"])
    found = fragments(
        ours, resolution(source("https://github.com/odoo/odoo 19.0", "platform"), chosen), SCENARIOS["developer"]
    )
    assert not any(fragment.trusted for fragment in found.items)
    assert "a dependency chooses its commit" in found.warnings[-1]
    assert is_trusted(ours.trust, chosen.link, [chosen.link])


def test_an_address_trusts_no_unencrypted_form_that_a_dependency_chooses() -> None:
    plain, secure = parse_link("http://h/team/queue"), parse_link("https://h/team/queue")
    assert not is_trusted([secure.url], plain, [])
    assert is_trusted([secure.url], plain, [plain])
    assert is_trusted([plain.url], plain, [])
    assert is_trusted([secure.url], parse_link("git@h:team/queue"), [])


def test_an_entry_that_fits_two_repositories_trusts_none() -> None:
    links = [
        parse_link("https://h/acme/queue"),
        parse_link("https://h/evil/acme-queue"),
        parse_link("https://h/oca/queue"),
    ]
    assert not any(is_trusted(["acme-queue"], link, links) for link in links)
    assert [is_trusted(["oca-queue"], link, links) for link in links] == [False, False, True]
    assert not any(is_trusted(["queue"], link, links) for link in links)


def test_unknown_trust_is_a_warning() -> None:
    found = fragments_of(manifest(trust=["queu"]), queue={"services": {"web": {"build": "."}}})
    assert not found.items[0].trusted
    assert found.warnings[-1] == "odpm.json: trust: queu is not a dependency of this stack; the nearest is `queue`"


def test_platform_flat_format_and_invalid_files_have_no_fragment() -> None:
    for text in (
        '{"odoo_version": "19.0", "services": {"a": {"image": "x"}}}',
        '{"manifest_schema": 2, "services": []}',
    ):
        assert fragments_of(manifest(), queue=text).items == ()


def test_in_ci_services_with_files_are_ignored() -> None:
    theirs = {
        "services": {"web": {"build": "./web"}, "redis": IMAGE},
        "service_patches": {"odoo": {"volumes": ["./a:/a"]}, "db": {"shm_size": "1gb"}},
    }
    ours = manifest(trust=["queue"], scenario="ci")
    found = fragments_of(ours, "ci", queue=theirs)
    assert (list(found.items[0].services), list(found.items[0].patches)) == (["redis"], ["db"])
    assert set(left(found).values()) == {"it needs files of its checkout, and ci has no checkouts"}


def test_paths_begin_at_the_checkout() -> None:
    service = {
        "build": {
            "context": ".",
            "dockerfile": "docker/Dockerfile",
            "additional_contexts": ["a=./a", "b=docker-image://x", "c=https://h/x"],
        },
        "volumes": ["./a:/a:ro", "../b:/b", "named:/c", "/abs:/d", "~/e:/e", "${F:-./x:y}/f:/f", "/anonymous"],
        "env_file": [".env", {"path": "more.env"}],
        "extends": {"file": "other.yml", "service": "x"},
        "develop": {"watch": [{"path": "src", "action": "sync"}]},
    }
    before = json.dumps(service)
    found = rebased(service, ".odpm/src/q")
    assert json.dumps(service) == before
    assert found["build"]["context"] == "./.odpm/src/q"
    assert found["build"]["dockerfile"] == "docker/Dockerfile"
    assert found["build"]["additional_contexts"] == {
        "a": "./.odpm/src/q/a",
        "b": "docker-image://x",
        "c": "https://h/x",
    }
    assert found["volumes"] == [
        "./.odpm/src/q/a:/a:ro", "./.odpm/src/b:/b", "named:/c", "/abs:/d", "~/e:/e", "${F:-./x:y}/f:/f", "/anonymous",
    ]  # fmt: skip
    assert found["env_file"] == ["./.odpm/src/q/.env", {"path": "./.odpm/src/q/more.env"}]
    assert found["extends"]["file"] == "./.odpm/src/q/other.yml"
    assert found["develop"]["watch"][0]["path"] == "./.odpm/src/q/src"
    for build in ("https://h/x.git", "git@h:x"):
        assert rebased({"build": build}, "q")["build"] == build


HOOKS = {"hooks": {"post_prepare": [["make", "css"], "tools:warm"], "pre_up": [["x"]]}, "services": {"redis": IMAGE}}


def observed(ours: Manifest, scenario: str = "developer", **changes: Any) -> ResolvedState:
    here = {"queue": Checkout("ours", "0" * 40)}
    found = fragments_of(ours, scenario, queue=HOOKS)
    return ResolvedState(
        **{
            "resolution": resolution(),
            "python": PythonLocks("wanted", None, None),
            "scenario": SCENARIOS[scenario],
            "manifest": ours,
            "lock": None,
            "fragments": found,
            "checkouts": here,
            **changes,
        }
    )


def test_hooks_of_a_trusted_dependency_run_before_the_projects() -> None:
    ours = manifest(trust=["queue"], hooks={"post_prepare": [["ours"]]})
    assert hook_steps("hooks.post_prepare", observed(ours)) == [
        Step("hooks.post_prepare", "run", "queue: make css"),
        Step("hooks.post_prepare", "run", "queue: tools:warm"),
        Step("hooks.post_prepare", "run", "ours"),
    ]


def test_hooks_of_an_untrusted_dependency_are_skipped() -> None:
    why = 'not run: odpm.json does not trust queue ("trust": ["queue"])'
    assert hook_steps("hooks.pre_up", observed(manifest())) == [Step("hooks.pre_up", "skip", "queue: x", why)]
    assert hook_steps("hooks.post_up", observed(manifest())) == [Step("hooks.post_up", "skip", "", "no hooks")]


def test_hooks_of_a_dependency_need_its_checkout() -> None:
    ours = manifest(trust=["queue"])
    fresh = {"queue": Checkout("absent")}
    made = hook_steps("hooks.pre_up", observed(ours, checkouts=fresh))  # git.checkout comes before
    kept = hook_steps("hooks.pre_up", observed(ours, checkouts=fresh, touch_git=False))
    baked = hook_steps("hooks.pre_up", observed(ours, "ci"))
    assert [(step.action, step.detail) for step in (*made, *kept, *baked)] == [
        ("run", ""),
        ("skip", "not run: it is not checked out"),
        ("skip", "not run: ci has no checkouts"),
    ]


def test_the_hook_for_a_fresh_clone_comes_after_its_checkout() -> None:
    ours = manifest(trust=["queue"], hooks={"post_clone": [["ours"]]})
    brought = fragments_of(ours, queue={"hooks": {"post_clone": [["theirs"]]}})
    theirs = Step("hooks.post_clone", "run", "queue: theirs")
    fresh = observed(ours, fragments=brought, checkouts={"queue": Checkout("absent")})
    assert hook_steps("hooks.post_clone", fresh) == [Step("hooks.post_clone", "run", "ours")]
    assert late_hook_steps(fresh) == [theirs]
    there = observed(ours, fragments=brought)
    assert hook_steps("hooks.post_clone", there) == [theirs, Step("hooks.post_clone", "run", "ours")]
    assert late_hook_steps(there) == []


def test_an_invalid_hook_of_a_trusted_dependency_is_reported() -> None:
    theirs = {"hooks": {"pre_up": [[]], "post_up": [["fine"]]}}
    assert fragments_of(manifest(), queue=theirs).warnings == ()
    found = fragments_of(manifest(trust=["queue"]), queue=theirs)
    assert "hooks.pre_up[0]" in found.warnings[0]
    assert found.items[0].hooks == {}


def test_the_plan_shows_services_by_dependency() -> None:
    ours = manifest(services={"mail": IMAGE, "off": None})
    assert fragment_steps("compose.fragments", observed(ours)) == [
        Step("compose.fragments", "keep", "", "services of the project: mail"),
        Step("compose.fragments", "keep", "queue: redis"),
    ]
    refused = fragments_of(ours, queue={"services": {"web": {"build": "."}}, "service_patches": {"odoo": {}}})
    said = fragment_steps("compose.fragments", observed(ours, fragments=refused))[1:]
    assert [(step.action, step.target) for step in said] == [("skip", "queue: web"), ("skip", "queue: patch of odoo")]
    assert all(step.refused for step in said)


def test_a_service_that_a_dependency_sets_to_null_hides_none_of_its_others() -> None:
    found = fragments_of(manifest(), queue={"services": {"redis": None, "worker": IMAGE}})
    assert list(found.merge_into(manifest()).services) == ["worker"]
    assert left(found) == {}


def test_a_patch_of_a_service_that_the_project_sets_to_null_is_dropped() -> None:
    ours = manifest(services={"redis": None}, service_patches={"redis": {"restart": "always"}}, dependencies=[OCA])
    found = fragments_of(ours, queue={"services": {"redis": IMAGE}}).merge_into(ours)
    assert (found.services, found.service_patches) == ({}, {})
