"""The field `targets` of the nested format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.core.manifest.server_model import Filestore, Target, TargetDatabase, TargetSecret
from tests.unit.builders import MINIMAL

FULL: dict[str, Any] = {
    "kind": "swarm",
    "host": "ssh://deploy@shop.example:2222",
    "scenario": "ci",
    "image": "registry.example:5000/team/odoo:19.0",
    "replicas": {"web": 3, "cron": 2, "websocket": 0},
    "domain": "shop.example",
    "database": {"name": "shop", "host": "db.example", "port": 6432, "user": "shop"},
    "filestore": {"driver": "local", "options": {"type": "nfs"}},
    "secrets": {"db_password": {"env": "DB_PASSWORD"}, "SMTP_PASSWORD": {"file": "smtp"}},
}


def found(target: Any, name: str = "production") -> list[str]:
    return list(problems(json.dumps(MINIMAL | {"targets": {name: target}}), lambda _: None)[0])


def test_every_key_reaches_the_target() -> None:
    target = read_manifest(json.dumps(MINIMAL | {"targets": {"production": FULL}}), lambda _: None).manifest.targets[
        "production"
    ]
    assert target == Target(
        name="production",
        kind="swarm",
        host="ssh://deploy@shop.example:2222",
        scenario="ci",
        image="registry.example:5000/team/odoo:19.0",
        replicas={"web": 3, "cron": 2, "websocket": 0},
        domain="shop.example",
        database=TargetDatabase("shop", "db.example", 6432, "shop"),
        filestore=Filestore("local", {"type": "nfs"}),
        secrets={"db_password": TargetSecret("env", "DB_PASSWORD"), "SMTP_PASSWORD": TargetSecret("file", "smtp")},
    )
    assert [target.replicas_of(role) for role in ("web", "websocket", "cron")] == [3, 0, 2]


def test_a_target_changes_domain_and_backups() -> None:
    target = {"kind": "compose", "domain": "test.example", "backup": {"repository": "/b"}}
    text = MINIMAL | {
        "targets": {"test": target, "plain": {"kind": "compose"}},
        "web": {"domain": "shop.example", "tls": "internal"},
    }
    manifest = read_manifest(json.dumps(text), lambda _: None).manifest
    described = manifest.for_target(manifest.targets["test"])
    assert described.web
    assert (described.web.domain, described.web.tls) == ("test.example", "internal")
    assert described.backup
    assert described.backup.repository == "/b"
    assert manifest.for_target(manifest.targets["plain"]).web == manifest.web


@pytest.mark.parametrize(
    ("change", "path", "text"),
    [
        ({"kind": "nomad"}, "targets.production.kind", "compose"),
        ({"hosts": "x"}, "targets.production.hosts", "the nearest is `host`"),
        ({"host": "deploy@shop.example"}, "targets.production.host", "ssh://"),
        ({"host": "ssh://-oProxyCommand=x"}, "targets.production.host", "ssh://"),
        ({"context": "remote"}, "targets.production.context", "cannot be combined with host"),
        ({"scenario": "servre"}, "targets.production.scenario", "the nearest is server"),
        ({"image": "Registry/Odoo"}, "targets.production.image", "lower case"),
        ({"image": "--privileged"}, "targets.production.image", "reference"),
        ({"replicas": {"webs": 2}}, "targets.production.replicas.webs", "the nearest is web"),
        ({"replicas": {"web": 0}}, "targets.production.replicas.web", "at least 1"),
        ({"replicas": {"web": -1}}, "targets.production.replicas.web", "greater than or equal to 0"),
        ({"domain": "https://shop.example"}, "targets.production.domain", "not a domain"),
        ({"domain": "${DOMAIN}"}, "targets.production.domain", "not a domain"),
        ({"database": {"host": "a b"}}, "targets.production.database.host", "name or address"),
        ({"database": {"name": "../x"}}, "targets.production.database.name", "name of a database"),
        ({"database": {"port": 0}}, "targets.production.database.port", "greater than or equal to 1"),
        ({"secrets": {"a-b": {"env": "A"}}}, "targets.production.secrets.a-b", "letters, digits and _"),
        ({"secrets": {"a": {}}}, "targets.production.secrets.a", "exactly one"),
        ({"secrets": {"a": {"env": "A", "file": "b"}}}, "targets.production.secrets.a", "exactly one"),
        ({"kind": "compose", "secrets": {"a": {"existing": "b"}}}, "targets.production.secrets.a.existing", "swarm"),
        ({"namespace": "shop"}, "targets.production.namespace", "no effect on a target of kind swarm"),
        ({"storage_class": "nfs"}, "targets.production.storage_class", "it is for kubernetes"),
        (
            {"kind": "kubernetes", "host": None, "backup": {"repository": "/b"}},
            "targets.production.backup",
            "it is for compose",
        ),
    ],
)
def test_an_invalid_target_is_refused_at_its_path(change: dict[str, Any], path: str, text: str) -> None:
    assert not found(FULL)
    assert [line for line in found(FULL | change) if f" {path}: " in line and text in line], found(FULL | change)


@pytest.mark.parametrize("name", ["Production", "a_b", "-a", "a" * 41, "a-"])
def test_a_name_is_a_label_of_dns(name: str) -> None:
    assert any("is not a name of lower case letters" in line for line in found({"kind": "compose"}, name))


def test_several_web_pods_need_a_shared_volume() -> None:
    target = {"kind": "kubernetes", "replicas": {"web": 2}, "domain": "shop.example"}
    assert any("ReadWriteMany" in line for line in found(target))
    assert not found(target | {"storage_class": "nfs"})
    assert not found(target | {"replicas": {"web": 1}})
