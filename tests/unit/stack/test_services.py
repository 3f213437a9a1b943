"""Reading services: which are started, which exit, the names they use; patches in map and list form."""

from __future__ import annotations

from typing import Any

import pytest

from odpm_tasks.core.stack.services import (
    active,
    apply_patch,
    build_folders,
    named_networks,
    names_in,
    one_shots,
    short_source,
    summarize,
)


@pytest.mark.parametrize(
    ("key", "base", "patch", "result"),
    [
        ("environment", {"A": "1"}, ["B=2=3", "C"], {"A": "1", "B": "2=3", "C": None}),
        ("environment", ["A=1"], {"A": "2"}, {"A": "2"}),
        ("networks", {"database": {"aliases": ["x"]}}, ["front"], {"database": {"aliases": ["x"]}, "front": None}),
        ("depends_on", ["db"], {"db": {"condition": "service_healthy"}}, {"db": {"condition": "service_healthy"}}),
        ("depends_on", {}, ["db"], {"db": {"condition": "service_started"}}),
        ("labels", ["a=1"], ["b=2"], ["a=1", "b=2"]),
        ("extra_hosts", {"a": "1"}, ["b:::1"], {"a": "1", "b": "::1"}),
        ("command", ["a"], "b", "b"),
        ("ulimits", {"nofile": 1}, ["x"], ["x"]),
    ],
)
def test_a_patch_in_the_other_form(key: str, base: Any, patch: Any, result: Any) -> None:
    assert apply_patch({key: base}, {key: patch}) == {key: result}


def test_active_services_by_profile() -> None:
    services = {"a": {}, "b": {"profiles": ["x"]}, "c": {"profiles": ["x", "y"]}}
    for profiles, names in (
        (None, ["a"]),
        ("", ["a"]),
        ("y", ["a", "c"]),
        ("z, x", ["a", "b", "c"]),
        ("*", ["a", "b", "c"]),
    ):
        assert active(services, profiles) == names


def test_one_shot_services() -> None:
    services: dict[str, Any] = {
        "a": {"restart": "no"},
        "b": {"restart": "on-failure:3"},
        "c": {},
        "d": {"depends_on": {"c": {"condition": "service_completed_successfully"}, "gone": {"condition": "x"}}},
        "e": {"depends_on": ["d"], "restart": "always"},
        "f": {"restart": False},
    }
    assert one_shots(services) == {"a", "b", "c", "f"}


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ("/a", ""),
        ("a:/b", "a"),
        ("./a:/b:ro", "./a"),
        ("${A:-./b:c}/d:/e", "${A:-./b:c}/d"),
        ("${A:-${B:-x}}:/e", "${A:-${B:-x}}"),
    ],
)
def test_the_source_of_a_short_volume(entry: str, source: str) -> None:
    assert short_source(entry) == source


def test_networks_and_folders() -> None:
    services: dict[str, Any] = {
        "a": {"networks": ["x", "y"], "build": "./a"},
        "b": {"networks": {"y": None, "z": {}}, "build": {"dockerfile": "X"}},
        "c": {"networks": None, "build": "https://h/x.git"},
        "d": {"build": {"context": "git@h:x"}},
    }
    assert named_networks(services) == ["x", "y", "z"]
    assert build_folders(services) == {"a": "./a", "b": "."}


def test_summary_of_a_compose_file() -> None:
    text = """
services:
  web: {build: "${FOLDER:-./web}"}
  job: {image: x, restart: "no"}
  debug: {build: ./debug, profiles: [debug]}
"""
    found = summarize(text, {"FOLDER": "./here"}.get)
    assert (found.active, set(found.ending), dict(found.folders), found.builds) == (
        ("web", "job"),
        {"job"},
        {"web": "./here"},
        True,
    )
    assert dict(summarize(text, {"COMPOSE_PROFILES": "debug"}.get).folders) == {"web": "./web", "debug": "./debug"}


def test_names_of_the_long_and_the_short_form() -> None:
    assert names_in({"secrets": [{"source": "a", "target": "b"}, "c"]}, "secrets") == ["a", "c"]
    assert names_in({"networks": {"front": None, "back": {}}}, "networks") == ["front", "back"]
    assert names_in({"networks": "front"}, "networks") == names_in({}, "networks") == []


def test_profiles_are_separated_by_commas() -> None:
    services = {name: {"profiles": [name]} for name in ("a", "b", "c")}
    assert active(services, "a, c") == ["a", "c"]
    assert active(services, "") == active(services, None) == active(services, ",") == []
