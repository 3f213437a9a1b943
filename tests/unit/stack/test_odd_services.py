"""Odd types and values in every key of a service, in `odpm.json` and in that of a dependency: only errors of odpm.

What is used of an untrusted dependency is compared with the contract, whatever the policy is.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.checks import SERVICE_KEYS
from odpm_tasks.core.manifest.compose_schema import specification
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.planning.costs import service_parts
from odpm_tasks.core.stack.compose_errors import schema_problems, undefined_names
from odpm_tasks.core.stack.compose_file import ComposeSpec, compose, compose_text, lockable_images
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.published_ports import published_ports
from odpm_tasks.core.stack.services import summarize
from odpm_tasks.errors import OdpmError
from tests.unit import builders
from tests.unit.builders import resolution
from tests.unit.manifest.test_compose_schema import ODD
from tests.unit.stack.test_service_policy import added

PLACES = ("a:/b", "/a:/b", "./a", "80", "127.0.0.1:81:81", "0.0.0.0:1:1")
TEXTS = st.sampled_from(("a", "db", "odoo", "x-1", "1", "10s", "1m", "a.b", "a=b", "$A", "${A:-b}", "$$A", *PLACES))


def valid(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of the types that the specification names: what passes the first check."""
    schema = specification()["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if depth > 4:
        return TEXTS
    if "oneOf" in schema:
        return st.one_of([valid(part, depth + 1) for part in schema["oneOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    names = schema.get("type", "string")
    return st.one_of([_of_type(name, schema, depth) for name in ([names] if isinstance(names, str) else names)])


def _of_type(name: str, schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if name == "array":
        return st.lists(valid(schema.get("items", {}), depth + 1), max_size=2)
    if name == "object":
        known = {key: valid(part, depth + 1) for key, part in schema.get("properties", {}).items()}
        needed = {key: known.pop(key) for key in schema.get("required", ()) if key in known}
        keyed = [valid(part, depth + 1) for part in schema.get("patternProperties", {}).values()]
        free = st.dictionaries(TEXTS, keyed[0], max_size=2) if keyed and not known and not needed else st.just({})
        return st.one_of(free, st.fixed_dictionaries(needed, optional=dict(list(known.items())[:12])))
    scalars = {"integer": st.integers(-1, 9000), "number": st.floats(0, 9), "boolean": st.booleans(), "null": st.none()}
    return scalars.get(name, TEXTS)


def _keys() -> dict[str, Any]:
    parts = [specification()["$defs"][name] for name in ("container_spec", "workload_spec", "service")]
    return {key: part for each in parts for key, part in each["properties"].items()}


TYPED = {key: valid(part) for key, part in _keys().items()}
OFTEN = ("networks", "volumes", "ports", "environment", "depends_on")
SERVICE = st.sampled_from(sorted(TYPED)).flatmap(
    lambda key: st.fixed_dictionaries(
        {"image": st.just("x"), key: TYPED[key]},
        optional={other: TYPED[other] for other in OFTEN if other != key},
    )
)
ANYTHING = SERVICE | st.dictionaries(st.sampled_from([*sorted(SERVICE_KEYS), "x-a", "odd"]), ODD, max_size=4) | ODD
BLOCK = (
    st.dictionaries(st.sampled_from(["web", "odoo", "redis", "a", "a.b", "\x1b[0m"]), SERVICE | ANYTHING, max_size=3)
    | ODD
)


@given(
    services=BLOCK,
    patches=BLOCK,
    hooks=st.dictionaries(st.sampled_from(["pre_up", "post_up", "odd"]), ODD, max_size=2) | ODD,
    overlay=ODD | st.fixed_dictionaries({"server": st.fixed_dictionaries({"services": BLOCK}) | ODD}),
    trust=st.booleans(),
)
def test_odd_types_in_a_dependency_raise_only_errors_of_ours(
    services: Any, patches: Any, hooks: Any, overlay: Any, trust: bool
) -> None:
    theirs = {"services": services, "service_patches": patches, "hooks": hooks, "scenarios": overlay}
    described, found = added(theirs, trust=["queue"] if trust else [])
    assert all(warning.isprintable() for warning in found.warnings)
    merged = found.merge_into(described)
    _through_everything(merged)
    if not trust:
        data = compose(ComposeSpec("acme", SCENARIOS["server"], merged, "x", ""))
        assert [*undefined_names(data), *schema_problems(data)] == []
        plain = compose(ComposeSpec("acme", SCENARIOS["server"], described, "x", ""))
        joined = data["services"]["odoo"].pop("networks")
        assert {key: joined[key] for key in plain["services"]["odoo"].pop("networks")}
        for name, service in plain["services"].items():
            assert data["services"].pop(name) == service
        for name, service in data["services"].items():
            assert _reaches_nothing(name, service, data), (name, service)


def _reaches_nothing(name: str, service: dict[str, Any], data: dict[str, Any]) -> bool:
    """The contract in the words of a test: independent of how the policy is written."""
    text = json.dumps({key: value for key, value in service.items() if key != "restart"})
    internal = [
        data["networks"][network].get("internal") or network == "published-queue" for network in service["networks"]
    ]
    ports = [port.get("host_ip") if isinstance(port, dict) else port for port in service.get("ports", [])]
    paths = [
        volume["source"] if isinstance(volume, dict) else volume
        for volume in service.get("volumes", [])
        if "source" in volume
    ]
    forbidden = {
        "privileged", "network_mode", "pid", "ipc", "secrets", "configs", "env_file", "build", "extends", "devices", "cap_add",
        "hostname", "domainname", "container_name", "links", "external_links", "extra_hosts", "dns", "volumes_from", "deploy",
        "develop", "provider", "post_start", "pre_start", "pre_stop", "security_opt", "userns_mode", "cgroup", "runtime", "gpus",
    }  # fmt: skip
    return (
        "." not in name
        and name.lower() not in {"db", "odoo"}
        and "$" not in text.replace("$$", "")
        and all(internal)
        and "default" not in service["networks"]
        and all(str(port).startswith(("127.0.0.1", "::1", "[::1]")) for port in ports)
        and not any(str(path).startswith(("/", ".", "~", "db-", "odoo-")) for path in paths)
        and not forbidden & service.keys()
        and service["labels"] == {"traefik.enable": "false"}
    )


@given(
    services=BLOCK, patches=BLOCK, overlay=st.fixed_dictionaries({"server": st.fixed_dictionaries({"services": BLOCK})})
)
def test_odd_types_in_odpm_json_raise_only_errors_of_ours(services: Any, patches: Any, overlay: Any) -> None:
    try:
        described = builders.manifest(scenario="server", services=services, service_patches=patches, scenarios=overlay)
        described = fragments(described, resolution(), SCENARIOS["server"]).merge_into(described)
    except OdpmError:
        return
    _through_everything(described)


def _through_everything(described: Manifest) -> None:
    """The functions that read services before Compose does."""
    spec = ComposeSpec("acme", SCENARIOS["server"], described, "x", "")
    text = compose_text(spec)
    data = yaml.safe_load(text)
    list(undefined_names(data))
    list(schema_problems(data))
    lockable_images(described, SCENARIOS["server"])
    for function in (summarize, published_ports):
        with contextlib.suppress(OdpmError):
            function(text, lambda name: None)
    service_parts(text, lambda name: None, "", {})
