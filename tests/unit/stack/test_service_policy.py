"""Services of dependencies that the project does not trust: what is refused, also with trust, and what is used."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.compose_schema import type_problems
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.stack.compose_file import ComposeSpec, compose
from odpm_tasks.core.stack.dependency_services import Fragments, _slug, fragments
from odpm_tasks.core.stack.reserved import reserved
from odpm_tasks.core.stack.service_policy import needs_trust
from tests.unit import builders
from tests.unit.builders import OCA, resolution, source

IMAGE: dict[str, Any] = {"image": "x"}
BUILT_IN = {"ODPM_COMPOSE_PREFIX": "Live", "POSTGRES_SERVICE_NAME": "data.internal", "ODOO_PORT": "80"}


def added(
    theirs: dict[str, Any], *, scenario: str = "server", first: dict[str, Any] | None = None, **ours: Any
) -> tuple[Manifest, Fragments]:
    """The description of a project `acme` and the fragments of its dependency `queue`; `first`: a dependency before it."""
    described = builders.manifest(f"{OCA}/before", f"{OCA}/queue", scenario=scenario, **ours)
    found = [
        source(f"{OCA}/{name} 19.0", facts=Facts(odpm_json=json.dumps({"manifest_schema": 2, **keys})))
        for name, keys in (("before", first or {}), ("queue", theirs))
    ]
    return described, fragments(described, resolution(*found), SCENARIOS[scenario], reserved("acme", BUILT_IN.get))


def refused(theirs: dict[str, Any], **keys: Any) -> str:
    """Why the only service of `queue` is not used; empty where it is used. What is not used is a warning."""
    _, found = added({"services": theirs}, **keys)
    for fragment in found.items:
        if fragment.source == "queue" and fragment.omitted:
            assert not fragment.services
            assert any(warning.startswith("queue: ") for warning in found.warnings)
            return fragment.omitted[0].why
    return ""


def composed(theirs: dict[str, Any], **keys: Any) -> dict[str, Any]:
    described, found = added({"services": theirs}, **keys)
    return compose(ComposeSpec("acme", SCENARIOS["server"], found.merge_into(described), "x", ""))


NEEDS_TRUST: list[tuple[dict[str, Any], str]] = [
    ({"volumes": ["/:/host"]}, "the path /"),
    ({"volumes": ["./conf:/conf"]}, "the path ./conf"),
    ({"volumes": ["~/.ssh:/x"]}, "the path ~/.ssh"),
    ({"volumes": ["${EVIL:-/}:/host"]}, "the path ${EVIL:-/}"),
    ({"volumes": [{"type": "bind", "source": "x", "target": "/x"}]}, "the path x"),
    ({"volumes": [{"type": "image", "source": "acme:ci", "target": "/x"}]}, "the path acme:ci"),
    ({"volumes": ["db-server:/x"]}, "the volume db-server"),
    ({"volumes": [{"type": "volume", "source": "odoo-ci", "target": "/x"}]}, "the volume odoo-ci"),
    ({"volumes": ["staging_db-server:/x"]}, "the volume staging_db-server"),  # of another project, acme_staging
    ({"volumes": [{"type": "volume", "source": "a", "target": "/x", "volume": {"subpath": "b"}}]}, "`volumes.subpath`"),
    ({"networks": ["staging_default"]}, "the network staging_default"),
    ({"privileged": True}, "`privileged`"),
    ({"build": "."}, "`build`"),
    ({"network_mode": "host"}, "`network_mode`"),
    ({"network_mode": "service:odoo"}, "`network_mode`"),
    ({"pid": "service:odoo"}, "`pid`"),
    ({"ipc": "service:db"}, "`ipc`"),
    ({"volumes_from": ["odoo"]}, "`volumes_from`"),
    ({"secrets": ["postgres_password"]}, "`secrets`"),
    ({"configs": ["a"]}, "`configs`"),
    ({"env_file": ".env"}, "`env_file`"),
    ({"label_file": ".env"}, "`label_file`"),
    ({"extends": {"file": "/x", "service": "y"}}, "`extends`"),
    ({"labels": {"traefik.http.routers.shop.rule": "Host(`shop.example`)"}}, "`labels`"),
    ({"annotations": {"run.oci.handler": "krun"}}, "`annotations`"),
    ({"hostname": "api.stripe.com"}, "`hostname`"),
    ({"domainname": "stripe.com"}, "`domainname`"),
    ({"container_name": "gateway"}, "`container_name`"),
    ({"links": ["redis:smtp"]}, "`links`"),
    ({"external_links": ["other-db-1:db"]}, "`external_links`"),
    ({"extra_hosts": ["host:host-gateway"]}, "`extra_hosts`"),
    ({"dns": "10.0.0.1"}, "`dns`"),
    ({"dns_search": ["corp"]}, "`dns_search`"),
    ({"deploy": {"replicas": 100}}, "`deploy`"),
    ({"develop": {"watch": []}}, "`develop`"),
    ({"provider": {"type": "model"}}, "`provider`"),
    ({"post_start": [{"command": "x", "privileged": True}]}, "`post_start`"),
    ({"use_api_socket": True}, "`use_api_socket`"),
    ({"tomorrow": 1}, "`tomorrow`"),
    ({"networks": ["database"]}, "the network of the database"),
    ({"networks": ["isolated-other"]}, "the network isolated-other"),
    ({"networks": {"default": {"aliases": ["smtp"]}}}, "`networks.default`"),
    ({"networks": ["${NET:-database}"]}, "the network ${NET:-database}"),
    ({"ports": ["8080:80"]}, "a port on an address other than 127.0.0.1"),
    ({"ports": ["80"]}, "a port on an address other than 127.0.0.1"),
    ({"ports": ["127.0.0.10:80:80"]}, "a port on an address other than 127.0.0.1"),
    ({"ports": ["${BIND:-0.0.0.0}:80:80"]}, "a port on an address other than 127.0.0.1"),
    ({"ports": [{"target": 80, "published": "80"}]}, "a port on an address other than 127.0.0.1"),
    ({"ports": ["127.0.0.1:${TOKEN}:80"]}, "a variable in `ports`"),
    ({"ports": ["127.0.0.1:1-65535:1-65535"]}, "`ports: 127.0.0.1:1-65535:1-65535`"),
    ({"environment": {"A": "$TOKEN"}}, "a variable in `A`"),
    ({"environment": ["A=${TOKEN}"]}, "a variable in `environment`"),
    ({"environment": {"A$TOKEN": "1"}}, "a variable in `environment`"),
    ({"environment": ["TOKEN"]}, "the variable TOKEN"),
    ({"environment": {"TOKEN": None}}, "the variable TOKEN"),
    ({"environment": {"VIRTUAL_HOST": "shop.example"}}, "the variable VIRTUAL_HOST"),
    ({"image": "evil.example/${TOKEN}"}, "a variable in `image`"),
    ({"healthcheck": {"test": "echo $TOKEN"}}, "a variable in `test`"),
    ({"command": ["$${A}", "$$$TOKEN"]}, "a variable in `command`"),
    ({"scale": 1000}, "`scale: 1000`"),
    ({"image": "Not/An/Image"}, "`image: Not/An/Image`"),
    ({"scale": "\u0663"}, "`scale: \u0663`"),
    ({"ports": ["127.0.0.1:70000:80"]}, "`ports: 127.0.0.1:70000:80`"),
    ({"stop_grace_period": "9000h"}, "`stop_grace_period: 9000h`"),
    ({"ulimits": {"rtprio": 99}}, "`ulimits.rtprio`"),
]


@pytest.mark.parametrize(("keys", "what"), NEEDS_TRUST)
def test_what_needs_trust(keys: dict[str, Any], what: str) -> None:
    assert needs_trust({"image": "x", **keys}) == what
    if "tomorrow" in keys:
        return
    assert not list(type_problems(keys, ()))
    theirs = {"web": {"image": "x", **keys}}
    assert refused(theirs) == f"it needs {what}, and odpm.json does not trust queue"
    assert refused(theirs, trust=["queue"]) == ""


@pytest.mark.parametrize(
    "service",
    [
        {"image": "acme:ci"},
        {"image": "docker.io/library/acme-site"},
        {"image": "ODPM/environment:19.0-dev-0"},
        {"image": "live-site:latest"},
        {**IMAGE, "volumes": ["files-data:/h"]},
        {**IMAGE, "volumes": [{"type": "volume", "source": "files-data", "target": "/h"}]},
        {**IMAGE, "volumes": ["of-ci:/h"]},
        {**IMAGE, "volumes": ["of-patch:/h"]},
        {**IMAGE, "volumes": ["of-tools:/h"]},
        {**IMAGE, "networks": ["backend"]},
        {**IMAGE, "networks": {"backend": None}},
        {**IMAGE, "ports": ["127.0.0.1:8069:8069"]},
        {**IMAGE, "ports": ["127.0.0.1:80:8069"]},
        {**IMAGE, "ports": [{"target": 1, "published": "9000", "host_ip": "127.0.0.1"}]},
        {**IMAGE, "ports": ["127.0.0.1:9001:1"]},
        {**IMAGE, "depends_on": {"files": {"condition": "service_completed_successfully"}}},
        {**IMAGE, "depends_on": ["odoo"]},
        {**IMAGE, "depends_on": ["web"]},
        {**IMAGE, "depends_on": ["nothing"]},
    ],
)
def test_what_other_services_use_needs_trust(service: dict[str, Any]) -> None:
    ours = {
        "services": {
            "files": {
                **IMAGE,
                "volumes": ["files-data:/d"],
                "networks": ["backend"],
                "ports": ["${A:-9000}:1", "9001:1"],
            }
        },
        "service_patches": {"odoo": {"volumes": ["of-patch:/p"]}},
        "scenarios": {"ci": {"services": {"later": {**IMAGE, "volumes": ["of-ci:/d"]}}}},
    }
    before = {"services": {"tools": {**IMAGE, "volumes": ["of-tools:/d"]}}}
    assert refused({"web": service}, first=before, **ours).endswith("and odpm.json does not trust queue")
    assert refused({"web": service}, first=before, trust=["queue"], **ours) == ""
    assert refused({"web": {**IMAGE, "volumes": ["own:/d"], "networks": ["own"]}}, first=before, **ours) == ""


@pytest.mark.parametrize(
    "name",
    ["smtp.gmail.com", "api.stripe.com", "a.", "x" * 64, "FILES", "gateway", "tasks", "acme-files-1", "live_odoo_2"],
)
def test_names_of_other_hosts_need_trust(name: str) -> None:
    ours = {
        "services": {"files": {**IMAGE, "hostname": "gateway", "networks": {"default": {"aliases": ["tasks"]}}}},
    }
    assert "the name " in refused({name: IMAGE}, **ours)
    assert refused({name: IMAGE}, trust=["queue"], **ours) == ""


@pytest.mark.parametrize(
    "name",
    ["db", "odoo", "Db", "acme-db", "ACME-ODOO", "acme_db", "live-db", "Live-odoo", "data.internal", "Data.Internal.", "localhost"],
)  # fmt: skip
def test_names_of_built_in_services_are_refused_with_trust(name: str) -> None:
    for trust in ([], ["queue"]):
        assert refused({name: IMAGE}, trust=trust) == "the name is built in"
        for keys in (
            {"hostname": name},
            {"container_name": name},
            {"networks": {"default": {"aliases": ["fine", name]}}},
        ):
            assert refused({"web": {**IMAGE, **keys}}, trust=trust) == f"the name {name} is built in"
    _, found = added({"service_patches": {"odoo": {"hostname": name}}}, trust=["queue"])
    assert [part.why for part in found.items[0].omitted] == [f"the name {name} is built in"]


def test_what_needs_no_trust() -> None:
    plain: dict[str, Any] = {
        "image": "ghcr.io/team/redis:7@sha256:" + "0" * 64,
        "command": ["redis-server", "--save", "$$HOME"],
        "entrypoint": None,
        "volumes": ["redis:/data:ro", "/cache", {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}}],
        "environment": {"A": "1", "B": 2, "C": True, "D": "line\nline"},
        "ports": ["127.0.0.1:6379:6379", "[::1]::80/tcp", {"target": 1, "published": "1", "host_ip": "127.0.0.1"}],
        "networks": {"default": None, "queue": {}},
        "depends_on": ["cache"],
        "healthcheck": {"test": ["CMD", "true"], "interval": "1m30s", "retries": 3, "start_interval": "100ms"},
        "scale": 2,
        "init": True,
        "stop_grace_period": "0s",
        "mem_limit": "1g",
        "restart": "on-failure:3",
        "ulimits": {"nofile": {"soft": 1000, "hard": 2000}},
        "tmpfs": "/run:size=1m",
        "profiles": ["debug"],
        "x-note": {"$TOKEN": "$TOKEN"},
    }
    _, found = added({"services": {"redis": plain, "cache": IMAGE}})
    assert found.warnings == ()
    assert "x-note" not in found.items[0].services["redis"]


def test_services_of_an_untrusted_dependency_reach_odoo_and_each_other() -> None:
    """Their networks are internal, Odoo joins one of them; no network of the project, of the database or of other projects."""
    theirs = {"redis": IMAGE, "worker": {**IMAGE, "networks": ["default", "own"], "ports": ["127.0.0.1:9000:1"]}}
    data = composed(theirs, services={"files": IMAGE})
    assert data["services"]["redis"]["networks"] == ["isolated-queue"]
    assert data["services"]["worker"]["networks"] == ["isolated-queue", "own", "published-queue"]
    assert list(data["services"]["odoo"]["networks"]) == ["default", "database", "isolated-queue"]
    assert data["networks"]["isolated-queue"] == data["networks"]["own"] == {"internal": True}
    assert data["networks"]["published-queue"]["driver_opts"] == {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }
    assert "networks" not in data["services"]["files"]
    assert data["services"]["redis"]["cap_drop"] == ["NET_RAW"]
    trusted = composed(theirs, services={"files": IMAGE}, trust=["queue"])
    assert "networks" not in trusted["services"]["redis"]
    assert set(trusted["networks"]) == {"default", "database", "own"}


def test_the_service_of_a_trusted_dependency_comes_before_that_of_an_untrusted_one() -> None:
    mine, theirs = {"image": "theirs", "volumes": ["data:/d"]}, {"services": {"redis": {"image": "evil"}}}
    described, found = added({"services": {"redis": mine}}, first=theirs, trust=["queue"])
    assert found.merge_into(described).services["redis"] == mine
    assert found.warnings == ("before: redis is ignored: queue has another service of this name",)
    _, found = added({"services": {"x": mine}}, first={"services": {"y": mine}}, trust=["queue"])
    assert [fragment.source for fragment in found.items if fragment.services] == ["queue"]


def test_a_service_that_waits_for_one_that_is_left_out_is_left_out() -> None:
    theirs = {
        "root": {**IMAGE, "privileged": True},
        "needs": {**IMAGE, "depends_on": ["root"]},
        "loop": {**IMAGE, "depends_on": ["back"]},
        "back": {**IMAGE, "depends_on": {"loop": {"condition": "service_healthy"}}},
        "rare": {**IMAGE, "profiles": ["debug"]},
        "often": {**IMAGE, "depends_on": ["rare"]},
        "also": {**IMAGE, "depends_on": ["rare"], "profiles": ["debug"]},
        "mail": {**IMAGE, "depends_on": ["files"]},
        "files": IMAGE,
    }
    _, found = added({"services": theirs}, services={"files": IMAGE})
    assert list(found.items[0].services) == ["rare", "also", "mail"]
    whys = {part.what: part.why.partition(",")[0] for part in found.items[0].omitted if not part.decided}
    assert whys == {
        "root": "it needs `privileged`",
        "needs": "it depends on the service root",
        "loop": "it depends on itself",
        "back": "it depends on the service loop",
        "often": "it depends on the service rare",
    }


def test_an_untrusted_dependency_starts_at_most_twenty_containers() -> None:
    many = {f"s{number}": IMAGE for number in range(21)}
    assert refused(many) == "a dependency has at most 20, and odpm.json does not trust queue"
    assert refused(many, trust=["queue"]) == ""
    _, found = added({"service_patches": {name: {} for name in many}})
    assert found.warnings == ("queue: the list of 21 patches is ignored: odpm.json does not trust queue",)


def test_two_dependencies_have_two_networks() -> None:
    names = {_slug(name) for name in ("que-ue", "que~ue", "que ue", "que_ue")}
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names)


def test_what_a_dependency_names_is_short_in_messages() -> None:
    for service in (
        {"image": "x", "k" * 10_000: 1},
        {"image": "$" + "v" * 10_000},
        {"image": "x", "volumes": ["./" + "p" * 9999]},
    ):
        _, found = added({"services": {"w": service, "n\x1b[2J\n" * 1000: IMAGE}})
        assert found.warnings
        assert all(len(warning) < 400 and warning.isprintable() for warning in found.warnings)
