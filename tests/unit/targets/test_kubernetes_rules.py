"""Rules for every golden target as kustomize builds it: valid for four versions, Pod Security `restricted`, our own rules."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import latest_version, major_minor

from tests.unit.targets.kubernetes import (
    CLUSTER,
    DIGEST,
    PARTS,
    TARGETS,
    VERSIONS,
    Object,
    built,
    built_of,
    everything,
    golden_spec,
    of_kind,
    pods,
)

LONG_RUNNING = "Deployment"
each_target = pytest.mark.parametrize(("case", "name"), TARGETS)


def invalid(each: Object, version: str) -> str:
    """Why Kubernetes refuses an object; empty if it does not."""
    try:
        assert kubernetes_validate.validate(each, version, strict=True) == version
    except kubernetes_validate.ValidationError as error:
        return f"{each['metadata']['name']}: {error.message}"
    return ""


@pytest.mark.parametrize("version", VERSIONS)
@each_target
def test_every_object_is_valid_strictly(case: str, name: str, version: str) -> None:
    for each in everything(case, name):
        if f"{each['apiVersion']} {each['kind']}" != CLUSTER:
            assert invalid(each, version) == ""


def test_the_versions_are_the_newest_and_the_three_before() -> None:
    assert major_minor(latest_version()) == VERSIONS[0]
    minors = [int(version.split(".")[1]) for version in VERSIONS]
    assert minors == [minors[0] - back for back in range(4)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "change",
    [
        lambda each: each["spec"].update(replica=1),
        lambda each: each["spec"]["template"]["spec"]["containers"][0].update(image=1),
        lambda each: each["spec"].pop("selector"),
        lambda each: each["spec"]["template"]["spec"]["containers"][0]["readinessProbe"].update(httpget={}),
    ],
    ids=["unknown-key", "wrong-type", "missing-key", "misspelt-probe"],
)
def test_a_broken_manifest_is_refused(change: Any, version: str) -> None:
    broken = copy.deepcopy(of_kind(built("full", "production"), "Deployment")[0])
    change(broken)
    assert invalid(broken, version)


@each_target
def test_a_cluster_of_postgresql_has_its_required_fields(case: str, name: str) -> None:
    clusters = of_kind(built(case, name), "Cluster")
    spec = golden_spec(case, name)
    assert bool(clusters) is not bool(spec.target.database.host)
    for cluster in clusters:
        described = cluster["spec"]
        assert described["instances"] >= 1
        assert re.fullmatch(r"ghcr\.io/cloudnative-pg/postgresql:(1[4-8])-standard-bookworm", described["imageName"])
        assert described["storage"]["size"] == spec.target.database.size
        initdb = described["bootstrap"]["initdb"]
        assert (initdb["database"], initdb["owner"]) == (spec.database, "odoo")
        assert initdb["postInitApplicationSQL"][0] == "CREATE EXTENSION IF NOT EXISTS pg_trgm"
        assert ("unaccent" in str(initdb)) is (case == "full")
        assert set(described["resources"]) == {"requests", "limits"}
    for each in of_kind(built(case, name), "ConfigMap"):
        if "PGHOST" in each["data"]:
            assert each["data"]["PGHOST"] == (spec.target.database.host or f"{clusters[0]['metadata']['name']}-rw")


# Pod Security ---------------------------------------------------------------------------------------------------------


RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(pod: Object) -> Iterator[str]:
    """What the standard `restricted` (with `baseline`) forbids, in the order of its table."""
    own = pod.get("securityContext", {})
    for key in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        if pod.get(key):
            yield key
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= RESTRICTED_VOLUMES:
            yield f"volume {volume['name']}"
    for container in [*pod["containers"], *pod.get("initContainers", []), *pod.get("ephemeralContainers", [])]:
        context = {**own, **container.get("securityContext", {})}
        capabilities = context.get("capabilities", {})
        checks = {
            "privileged": context.get("privileged", False) is False,
            "added capabilities": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "capabilities": "ALL" in capabilities.get("drop", []),
            "host ports": not [port for port in container.get("ports", []) if port.get("hostPort")],
            "probes and hooks with a host": "'host'" not in str(container.get("lifecycle", {}))
            and not [key for key in container if key.endswith("Probe") and "'host'" in str(container[key])],
            "procMount": context.get("procMount", "Default") == "Default",
            "seccomp": context.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "sysctls": not own.get("sysctls"),
            "seLinuxOptions": not context.get("seLinuxOptions"),
            "appArmorProfile": context.get("appArmorProfile", {}).get("type", "RuntimeDefault") != "Unconfined",
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser") != 0,
        }
        yield from (f"{container['name']}: {name}" for name, holds in checks.items() if not holds)


@each_target
def test_pods_are_restricted(case: str, name: str) -> None:
    objects = everything(case, name)
    found = dict(pods(objects))
    assert len(found) == 4
    assert {owner: list(violations(template["spec"])) for owner, template in found.items()} == {
        key: [] for key in found
    }
    (space,) = of_kind(objects, "Namespace")
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (lambda pod: pod.pop("securityContext"), "runAsNonRoot"),
        (lambda pod: pod["containers"][0].pop("securityContext"), "allowPrivilegeEscalation"),
        (lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "volume x"),
        (lambda pod: pod.update(hostNetwork=True), "hostNetwork"),
    ],
)
def test_a_pod_with_too_many_rights_violates_the_standard(change: Any, violation: str) -> None:
    pod = copy.deepcopy(dict(pods(built("small", "cluster")))["odoo-web"]["spec"])
    change(pod)
    assert [found for found in violations(pod) if violation in found]


# Our own rules --------------------------------------------------------------------------------------------------------


@each_target
def test_a_pod_runs_the_image_by_digest_with_limits_and_writes_to_volumes_alone(case: str, name: str) -> None:
    for owner, template in pods(everything(case, name)):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["terminationGracePeriodSeconds"] >= 70
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["image"] == f"registry.example:5000/acme/odoo@{DIGEST}"
            assert container["args"][0] == owner.split("-")[1]
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


@each_target
def test_a_container_that_runs_has_every_probe_and_ends_slowly(case: str, name: str) -> None:
    for each in of_kind(built(case, name), LONG_RUNNING):
        pod = each["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        role = each["metadata"]["labels"]["app.kubernetes.io/component"]
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            described = container[probe]
            target = described.get("httpGet") or described.get("tcpSocket")
            assert target["port"] in ports if target else described["exec"]["command"][-1] == role
        if role != "cron":
            pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pod["terminationGracePeriodSeconds"] >= 60 + pause


@each_target
def test_no_object_has_a_value_of_a_secret(case: str, name: str) -> None:
    objects = everything(case, name)
    assert of_kind(objects, "Secret") == []
    for _, template in pods(objects):
        containers = [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]
        for variable in [variable for container in containers for variable in container.get("env", [])]:
            assert "PASSWORD" not in variable["name"] or set(variable["valueFrom"]) == {"secretKeyRef"}
    for each in of_kind(objects, "ConfigMap"):
        assert not [key for key in each["data"] if "PASSWORD" in key]


@each_target
def test_every_selector_finds_its_pods_and_every_reference_its_object(case: str, name: str) -> None:
    objects = everything(case, name)
    templates = dict(pods(objects))

    def selected(selector: dict[str, str]) -> list[str]:
        return [owner for owner, each in templates.items() if selector.items() <= each["metadata"]["labels"].items()]

    for each in of_kind(objects, "Deployment"):
        owner = each["metadata"]["name"]
        assert selected(each["spec"]["selector"]["matchLabels"]) == [owner]
        (spread,) = each["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert selected(spread["labelSelector"]["matchLabels"]) == [owner]
    counts = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(objects, "Deployment")}
    for each in of_kind(objects, "Service"):
        (owner,) = selected(each["spec"]["selector"])
        assert counts[owner] > 0
        ports = {port["name"] for port in templates[owner]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
    budgets = {each["metadata"]["name"]: each for each in of_kind(objects, "PodDisruptionBudget")}
    assert set(budgets) == {owner for owner, count in counts.items() if count > 1}
    for owner, each in budgets.items():
        assert selected(each["spec"]["selector"]["matchLabels"]) == [owner]
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for template in templates.values():
        for volume in template["spec"]["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
        (source,) = template["spec"]["containers"][0]["envFrom"]
        assert ("ConfigMap", source["configMapRef"]["name"]) in names


@each_target
def test_the_ingress_leads_to_services(case: str, name: str) -> None:
    objects = built(case, name)
    (ingress,) = of_kind(objects, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == (golden_spec(case, name).target.domain or "shop.example")
    services = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]}
        for each in of_kind(objects, "Service")
    }
    found = {path["path"]: path["backend"]["service"] for path in rule["http"]["paths"]}
    assert {path: service["name"] for path, service in found.items()} == {
        "/websocket": "odoo-websocket", "/longpolling": "odoo-websocket", "/": "odoo-web",
    }  # fmt: skip
    assert all(service["port"]["number"] in services[service["name"]] for service in found.values())


@each_target
def test_nothing_reaches_a_pod_without_a_policy_that_says_so(case: str, name: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(built(case, name), "NetworkPolicy")}
    # every pod is selected, also those of objects that someone adds to the namespace
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports: dict[str, set[int]] = {}
    for policy in policies.values():
        for rule in policy.get("ingress", []):
            assert rule["from"]
            assert rule["ports"]
            component = policy["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/component", "postgresql")
            ports.setdefault(component, set()).update(port["port"] for port in rule["ports"])
        for rule in policy.get("egress", []):
            assert rule["ports"]
    external = bool(golden_spec(case, name).target.database.host)
    expected = {"web": {8069, 8072}, "websocket": {8072}, "postgresql": {5432, 8000}}
    assert ports == {key: value for key, value in expected.items() if not (external and key == "postgresql")}
    blocks = [to["ipBlock"] for rule in policies["internet"]["egress"] for to in rule["to"]]
    assert "169.254.0.0/16" in blocks[0]["except"]  # the metadata of a cloud


@each_target
def test_the_parts_fit_together(case: str, name: str) -> None:
    """`state` is in the whole, unchanged; the Job and the Deployments have the same configuration; all is in one namespace."""
    whole, state, update = (built(case, name, part) for part in PARTS)
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in whole}
    assert [each for each in state if by_name[each["kind"], each["metadata"]["name"]] != each] == []
    assert {each["kind"] for each in state} >= {"NetworkPolicy", "PersistentVolumeClaim"}
    assert not of_kind(whole, "Job")
    configs = of_kind(update, "ConfigMap")
    assert len(configs) == 2
    assert configs == of_kind(whole, "ConfigMap")
    spec = golden_spec(case, name)
    (job,) = of_kind(update, "Job")
    assert job["metadata"]["name"] == f"odoo-update-{spec.release}"
    assert job["spec"]["backoffLimit"] == 0
    pod = job["spec"]["template"]["spec"]
    assert [each["args"] for each in (*pod["initContainers"], *pod["containers"])] == [
        ["update"],
        ["update", "--update=all"],
    ]
    (space,) = {each["metadata"]["namespace"] for each in (*whole, *update)}
    assert space == (spec.target.namespace or f"acme-shop-{name}")
    assert not of_kind(whole, "Namespace")


def test_a_change_of_the_configuration_rolls_the_pods() -> None:
    spec = golden_spec("small", "cluster")
    before, after = (
        {owner: yaml.safe_dump(each) for owner, each in pods(built_of(changed))}
        for changed in (spec, replace(spec, conf="[options]\nlist_db = False\nworkers = 3\n"))
    )
    assert before.keys() == after.keys()
    assert all(before[owner] != after[owner] for owner in before)
