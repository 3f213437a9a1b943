"""The files of targets of kind `kubernetes`: complete folders, what is refused, and what a description changes in them.

`tests/golden/kubernetes/CASE/odpm.json` is the description, `out/` beside it what has to come out for all its targets. After a
change that is meant: `ODPM_GOLDEN=write pytest tests/unit/targets/test_kubernetes.py`, then read the difference.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import Any

import pytest
import yaml

from odpm_tasks.core.targets import kubernetes
from odpm_tasks.errors import DescriptionError
from tests.unit.targets.kubernetes import (
    CASES,
    DIGEST,
    GOLDEN,
    Object,
    built_of,
    golden_spec,
    of_kind,
    small_spec,
    targets_of,
    write,
)


@pytest.mark.parametrize("case", CASES)
def test_whole_folder(case: str) -> None:
    """All targets of a project in one folder: what they share has the same bytes."""
    files: dict[str, bytes] = {}
    for name in targets_of(case):
        rendered = kubernetes.files(golden_spec(case, name))
        assert {path for path in files.keys() & rendered.keys() if files[path] != rendered[path]} == set()
        assert {path.split("/")[1] for path in rendered if path.startswith("overlays/")} == {name}
        files |= rendered
    folder = GOLDEN / case / "out"
    if os.environ.get("ODPM_GOLDEN") == "write":
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, files)
    known = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == known


def overlay(spec: Any, path: str) -> list[Object]:
    files = kubernetes.files(spec)
    return list(yaml.safe_load_all(files[f"overlays/{spec.target.name}/{path}"]))


def refused(target: Object, **keys: Any) -> str:
    with pytest.raises(DescriptionError) as error:
        kubernetes.files(small_spec(target, **keys))
    assert error.value.where
    assert error.value.todo
    return str(error.value)


def test_a_target_needs_a_domain_without_variables() -> None:
    assert "targets.t.domain" in refused({"domain": None})
    text = refused({"domain": None}, web={"domain": "${DOMAIN}"})
    assert "${DOMAIN}" in text
    assert "targets.t.domain" in text


def test_a_variable_of_odoo_conf_is_a_secret_or_has_a_default() -> None:
    conf = {"options": {"smtp_password": "${SMTP_PASSWORD}", "smtp_user": "${SMTP_USER:-odoo}"}}
    text = refused({}, odoo_conf=conf)
    assert "odoo_conf refers to SMTP_PASSWORD," in text
    assert "targets.t.secrets" in text
    objects = built_of(small_spec({"secrets": {"SMTP_PASSWORD": {"env": "X"}}}, odoo_conf=conf))
    (container,) = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "acme-shop-t", "key": "SMTP_PASSWORD"}}
    assert container["env"] == [{"name": "SMTP_PASSWORD", "valueFrom": reference}]


def test_several_web_pods_need_a_shared_volume() -> None:
    spec = small_spec({"replicas": {"web": 2}, "storage_class": "nfs"})
    (claim,) = overlay(spec, "state/files.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    with pytest.raises(DescriptionError, match="storage_class"):
        kubernetes.files(replace(spec, target=replace(spec.target, storage_class="")))


def test_without_a_shared_volume_every_pod_of_odoo_is_on_one_node() -> None:
    for target, bound in (({}, True), ({"storage_class": "nfs"}, False)):
        for part in ("", "/update"):
            for each in of_kind(built_of(small_spec(target), part), "Deployment", "Job"):
                affinity = each["spec"]["template"]["spec"].get("affinity", {})
                terms = affinity.get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
                assert bool(terms) is bound
                selector = {"matchLabels": {"app.kubernetes.io/name": "odoo"}}
                assert all(term["labelSelector"] == selector for term in terms)


def test_the_password_of_the_database_comes_from_the_operator_or_from_a_secret_that_exists() -> None:
    def password(target: Object) -> tuple[str, str]:
        (deployment, *_) = overlay(small_spec(target), "patches.yaml")
        (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
        secret = volume["projected"]["sources"][0]["secret"]
        assert secret["items"][0]["path"] == "db_password"
        return secret["name"], secret["items"][0]["key"]

    external = {"database": {"host": "db.example"}}
    assert password({}) == ("odoo-db-app", "password")
    assert password({"secrets": {"db_password": {"existing": "own"}}}) == ("own", "password")
    assert password(external) == ("acme-shop-t", "db_password")
    assert password({**external, "secrets": {"db_password": {"existing": "own/pw"}}}) == ("own", "pw")
    assert "has no effect" in refused({"secrets": {"db_password": {"env": "X"}}})
    assert "not the name of a Secret" in refused({"secrets": {"odoo_master_password": {"existing": "A b"}}})
    (cluster,) = overlay(small_spec({"secrets": {"db_password": {"existing": "own"}}}), "state/database.yaml")
    assert cluster["spec"]["bootstrap"]["initdb"]["secret"] == {"name": "own"}


def test_the_namespace_names_the_secrets_that_must_exist() -> None:
    spec = golden_spec("full", "staging")
    assert kubernetes.required_secrets(spec) == {
        "shop-db": ("db_password",),
        "acme-shop-staging": ("odoo_master_password", "admin_password", "SMTP_PASSWORD"),
    }
    text = kubernetes.files(spec)["overlays/staging/namespace.yaml"].decode()
    assert "#   acme-shop-staging: odoo_master_password, admin_password, SMTP_PASSWORD" in text


def test_a_postgresql_older_than_the_images_of_the_operator_is_refused() -> None:
    assert "database.host" in refused({}, postgres="13")
    assert overlay(small_spec({"database": {"host": "db.example"}}, postgres="13"), "ingress.yaml")


@pytest.mark.parametrize(
    ("host", "destination"),
    [
        ("10.0.0.5", [{"ipBlock": {"cidr": "10.0.0.5/32"}}]),
        ("pg.data.svc", [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}]),
        ("db.example", None),
    ],
)
def test_a_policy_names_the_database_as_far_as_it_can(host: str, destination: list[Object] | None) -> None:
    (policy,) = overlay(small_spec({"database": {"host": host, "port": 6432}}), "state/policies.yaml")
    (rule,) = policy["spec"]["egress"]
    assert rule.get("to") == destination
    assert rule["ports"] == [{"protocol": "TCP", "port": 6432}]


@pytest.mark.parametrize(
    ("reference", "described"),
    [
        ("registry.example:5000/a/odoo@" + DIGEST, {"newName": "registry.example:5000/a/odoo", "digest": DIGEST}),
        ("registry.example:5000/a/odoo:19.0", {"newName": "registry.example:5000/a/odoo", "newTag": "19.0"}),
        ("odoo:19.0@" + DIGEST, {"newName": "odoo", "digest": DIGEST}),
        ("odoo", {"newName": "odoo", "newTag": "latest"}),
    ],
)
def test_the_image_is_named_by_its_digest_or_else_its_tag(reference: str, described: Object) -> None:
    (component,) = overlay(small_spec({}, changes={"image": reference}), "common/kustomization.yaml")
    assert component["images"] == [{"name": "odoo", **described}]


def test_tls_off_has_no_certificate() -> None:
    def spec(tls: str) -> Object:
        (ingress,) = overlay(small_spec({"domain": None}, web={"domain": "a.example", "tls": tls}), "ingress.yaml")
        return ingress["spec"]  # type: ignore[no-any-return]

    assert "tls" not in spec("off")
    assert spec("internal")["tls"] == [{"hosts": ["a.example"], "secretName": "odoo-tls"}]


def test_what_is_not_rendered_is_named() -> None:
    spec = small_spec(
        {"secrets": {"SMTP_PASWORD": {"env": "X"}}},
        changes={"image": "odoo:19.0"},
        services={"redis": {"image": "redis:7"}},
        service_patches={"odoo": {"mem_limit": "9g"}},
        backup={"repository": "/srv/backups"},
        web={"domain": "shop.example", "allow": ["10.0.0.0/8"]},
    )
    found = "\n".join(kubernetes.notes(spec))
    for word in (
        "odoo:19.0",
        "redis",
        "service_patches",
        "backup",
        "web.allow",
        "targets.t.secrets: SMTP_PASWORD",
        "targets.t.storage_class",
    ):
        assert word in found
    assert not kubernetes.notes(golden_spec("full", "production"))


def test_a_namespace_is_a_label_of_dns() -> None:
    assert '"namespace": "a-b"' in refused({"namespace": "a.b"})
    assert "name: acme-shop-t\n" in kubernetes.files(small_spec({}))["overlays/t/namespace.yaml"].decode()


def test_the_database_has_one_name_without_variables() -> None:
    for name in ("${DATABASE:-shop}", "a,b"):
        assert "targets.t.database.name" in refused({}, odoo_conf={"options": {"db_name": name}})
    assert kubernetes.files(
        small_spec({"database": {"name": "shop"}}, odoo_conf={"options": {"db_name": "${X:-y}"}}, changes={})
    )
