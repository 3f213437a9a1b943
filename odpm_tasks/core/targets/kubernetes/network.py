"""Who reaches whom: Services, the Ingress, and a NetworkPolicy for each connection that is allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from odpm_tasks.core.manifest.server_model import ROLES, Web
from odpm_tasks.core.stack import hardening
from odpm_tasks.core.targets.kubernetes.names import (
    DATABASE,
    HTTP_PORT,
    INGRESS_LABEL,
    TLS,
    WEBSOCKET_PORT,
    Object,
    labels,
    object_of,
)
from odpm_tasks.core.targets.kubernetes.workloads import name_of
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.errors import DescriptionError

POSTGRES_PORT, POSTGRES_STATUS_PORT = 5432, 8000
OPERATOR_NAMESPACE = "cnpg-system"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
CLUSTER = {"cnpg.io/cluster": DATABASE}
INTERNET_PORTS = (25, 443, 465, 587, 993, 995)  # SMTP, HTTPS, submission, IMAP and POP3 with TLS
# Private networks, addresses of the node's network and of cloud metadata: everything there is inside.
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_PRIVATE6 = ("fc00::/7", "fe80::/10")
_NODE_LOCAL_DNS = "169.254.20.10/32"
Policies = list[tuple[str, Object]]


def services() -> list[Object]:
    """The Services of the base: one for requests, one for websockets."""
    ports = {"web": ("http", HTTP_PORT), "websocket": ("websocket", WEBSOCKET_PORT)}
    return [
        object_of(
            "v1",
            "Service",
            name_of(role),
            labels=labels(role),
            spec={
                "selector": labels(role),
                "ports": [{"name": port, "port": number, "targetPort": port, "protocol": "TCP"}],
            },
        )
        for role, (port, number) in ports.items()
    ]


def service_patches(spec: TargetSpec) -> list[Object]:
    """Without pods for websockets the web pods serve them: with workers on a port of their own."""
    if spec.target.replicas_of("websocket"):
        return []
    target = "websocket" if hardening.processes(spec.manifest).requests else "http"
    port = {"name": "websocket", "port": WEBSOCKET_PORT, "targetPort": target, "protocol": "TCP"}
    return [object_of("v1", "Service", name_of("websocket"), spec={"selector": labels("web"), "ports": [port]})]


def web(spec: TargetSpec) -> Web:
    """The domain and how TLS is done. Errors: DescriptionError without a domain, or with a variable in it."""
    found = spec.web
    if found is None or "$" in found.domain:
        raise DescriptionError(
            f"the domain {found.domain} has a variable, and Kubernetes has no .env" if found
            else "Kubernetes needs a domain: the Ingress answers for it",
            where=f"odpm.json: targets.{spec.target.name}.domain",
            todo='set it, for example "shop.example"',
        )  # fmt: skip
    return found


def ingress(spec: TargetSpec) -> Object:
    """The Ingress: websockets to their pods, everything else to the web pods. The class is the default one of the cluster."""
    described = web(spec)
    routes = (("/websocket", "websocket"), ("/longpolling", "websocket"), ("/", "web"))
    numbers = {"web": HTTP_PORT, "websocket": WEBSOCKET_PORT}
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": name_of(role), "port": {"number": numbers[role]}}},
        }
        for path, role in routes
    ]
    tls = {} if described.tls == "off" else {"tls": [{"hosts": [described.domain], "secretName": TLS}]}
    rules = [{"host": described.domain, "http": {"paths": paths}}]
    return object_of("networking.k8s.io/v1", "Ingress", "odoo", labels=labels(), spec={**tls, "rules": rules})


def disruption_budgets(spec: TargetSpec) -> list[Object]:
    """At most one pod of a role is evicted at a time, where it has several."""
    return [
        object_of(
            "policy/v1",
            "PodDisruptionBudget",
            name_of(role),
            labels=labels(role),
            spec={
                "maxUnavailable": 1,
                "selector": {"matchLabels": labels(role)},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        )
        for role in ROLES
        if spec.target.replicas_of(role) > 1
    ]


# The policies ---------------------------------------------------------------------------------------------------------


def base_policies() -> Policies:
    """The policies that are the same for every target, each with its reason."""
    from_controller = [{"namespaceSelector": {"matchLabels": INGRESS_LABEL}}]
    everywhere = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}},
        {"ipBlock": {"cidr": "::/0", "except": list(_PRIVATE6)}},
    ]
    dns = [
        {
            "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        {"ipBlock": {"cidr": _NODE_LOCAL_DNS}},
    ]
    callers = {
        "matchExpressions": [{"key": "app.kubernetes.io/component", "operator": "In", "values": ["web", "cron"]}]
    }
    return [
        (
            "No pod of the namespace reaches another one or is reached, unless a policy below allows it.",
            _policy("default-deny", {}, ingress=[], egress=[]),
        ),
        (
            "Every pod asks the DNS of the cluster, or its cache on the node.",
            _policy("dns", {}, egress=[{"to": dns, "ports": [_port(53, "UDP"), _port(53)]}]),
        ),
        (
            "The ingress controller reaches the web pods: the label is that of its namespace.",
            _policy(
                "web", _selected("web"), ingress=[{"from": from_controller, "ports": _ports(HTTP_PORT, WEBSOCKET_PORT)}]
            ),
        ),
        (
            "The ingress controller reaches the pods for websockets.",
            _policy("websocket", _selected("websocket"), ingress=[{"from": from_controller, "ports": _ports(WEBSOCKET_PORT)}]),
        ),
        (
            "Requests and scheduled actions use mail servers and HTTPS services outside of private networks.",
            _policy(
                "internet",
                {"matchLabels": labels(), **callers},
                egress=[{"to": everywhere, "ports": _ports(*INTERNET_PORTS)}],
            ),
        ),
    ]  # fmt: skip


def database_policies(spec: TargetSpec) -> Policies:
    """The policies for PostgreSQL: the cluster of CloudNativePG, or one outside of the namespace."""
    database = spec.target.database
    if database.host:
        rule = {**_destination(database.host), "ports": _ports(database.port)}
        return [
            ("Every role of Odoo reaches PostgreSQL.", _policy("postgresql", {"matchLabels": labels()}, egress=[rule]))
        ]
    cluster = {"matchLabels": CLUSTER}
    itself = [{"podSelector": cluster}]
    own_ports = _ports(POSTGRES_PORT, POSTGRES_STATUS_PORT)
    odoo = [{"podSelector": {"matchLabels": labels()}}]
    operator = [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: OPERATOR_NAMESPACE}}}]
    return [
        (
            "Every role of Odoo reaches PostgreSQL.",
            _policy(
                "postgresql", {"matchLabels": labels()}, egress=[{"to": itself, "ports": _ports(POSTGRES_PORT)}]
            ),
        ),
        (
            "Odoo, the other instances of PostgreSQL and the operator reach PostgreSQL.",
            _policy(
                "postgresql-server",
                cluster,
                ingress=[
                    {"from": odoo, "ports": _ports(POSTGRES_PORT)},
                    {"from": [*itself, *operator], "ports": own_ports},
                ],
            ),
        ),
        (
            "PostgreSQL reaches its other instances; its manager reports to the API of Kubernetes, which no selector names.",
            _policy(
                "postgresql-manager", cluster, egress=[{"to": itself, "ports": own_ports}, {"ports": _ports(443, 6443)}]
            ),
        ),
    ]  # fmt: skip


def _destination(host: str) -> Object:
    """Where a host is, as far as a policy can name it: an address, the namespace of a Service, else any destination."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        inside = re.fullmatch(r"[a-z0-9-]+\.([a-z0-9-]+)\.svc(\..*)?", host)
        return {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: inside[1]}}}]} if inside else {}
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}]}


def _selected(role: str) -> Object:
    return {"matchLabels": labels(role)}


def _policy(name: str, selector: Object, **rules: list[Any]) -> Object:
    """A policy for the pods of a selector; `rules`: ingress, egress or both. No rules for a direction: nothing is allowed."""
    types = [kind.capitalize() for kind in rules]
    spec = {"podSelector": selector, "policyTypes": types, **{kind: found for kind, found in rules.items() if found}}
    return object_of("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def _port(number: int, protocol: str = "TCP") -> Object:
    return {"protocol": protocol, "port": number}


def _ports(*numbers: int) -> list[Object]:
    return [_port(number) for number in numbers]
