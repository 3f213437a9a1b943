"""The pods of Odoo: a Deployment per role, and the Job that updates add-ons.

The base has what is the same for every target, the overlay what follows from its configuration: resources, secrets, nodes.
"""

from __future__ import annotations

from typing import Any

from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.stack import hardening
from odpm_tasks.core.targets.kubernetes import secrets
from odpm_tasks.core.targets.kubernetes.names import (
    CONF,
    CONTAINER,
    ENVIRONMENT,
    FILES,
    HTTP_PORT,
    IMAGE,
    UPDATE,
    WEBSOCKET_PORT,
    Object,
    labels,
    object_of,
)
from odpm_tasks.core.targets.services import initial_environment
from odpm_tasks.core.targets.spec import CONF_PATH, DATA_PATH, GID, UID, TargetSpec

HOST = "kubernetes.io/hostname"
MIB = 1 << 20
TEMPORARY = 512  # MiB of /tmp, in memory
PROCESS_REQUEST = 256  # MiB of an Odoo process that does little
# An ingress controller sends requests to a pod until it has heard that the pod ends.
DRAIN = 10  # seconds
FINISHED = 24 * 3600  # seconds until the Job and its log are deleted
DATABASE_WAIT = 600  # seconds: PostgreSQL may be created at the same time as the Job
# The database manager stays closed: an Ingress cannot show it to some addresses only.
_ARGUMENTS = {"web": ["--no-database-list"], "websocket": ["--no-database-list"], "cron": [], UPDATE: ["--update=all"]}


def deployment(role: str, odoo_version: str) -> Object:
    """The Deployment of a role in the base."""
    drained = {"lifecycle": {"preStop": {"sleep": {"seconds": DRAIN}}}} if role in {"web", "websocket"} else {}
    spread = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(role)},
    }
    pod = _pod(role, **_probes(role, series(odoo_version).health_path), **drained)
    return object_of(
        "apps/v1",
        "Deployment",
        name_of(role),
        labels=labels(role),
        spec={
            "replicas": 1,
            "selector": {"matchLabels": labels(role)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels(role)},
                "spec": {**pod, "topologySpreadConstraints": [spread]},
            },
        },
    )


def name_of(role: str) -> str:
    return f"odoo-{role}"


def _pod(role: str, **container: Any) -> Object:
    """A pod of Odoo as Pod Security `restricted` asks for it: no root, no capabilities, no token, nothing to write but volumes."""
    ports = {"web": {"http": HTTP_PORT, "websocket": WEBSOCKET_PORT}, "websocket": {"websocket": WEBSOCKET_PORT}}
    mounts = [
        {"name": "conf", "mountPath": CONF_PATH, "subPath": "odoo.conf", "readOnly": True},
        {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True},
        {"name": "files", "mountPath": DATA_PATH},
        {"name": "run", "mountPath": "/run/odoo"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
    ]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": GID,
            "fsGroup": GID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": [role, *_ARGUMENTS[role]],
                "envFrom": [{"configMapRef": {"name": ENVIRONMENT}}],
                **(
                    {"ports": [{"name": name, "containerPort": port} for name, port in ports[role].items()]}
                    if role in ports
                    else {}
                ),
                **container,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": [
            {"name": "conf", "configMap": {"name": CONF}},
            {"name": "files", "persistentVolumeClaim": {"claimName": FILES}},
            # the configuration with the passwords in it
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": f"{TEMPORARY}Mi"}},
        ],
    }


def _probes(role: str, health_path: str) -> Object:
    """A start may take five minutes. A web server that waits for PostgreSQL is not restarted, so its probes do not ask for it.

    A series without a health route is probed by a connection. `cron` serves nothing: its probe asks for the database, and after
    ten minutes without one a new start is the remedy.
    """
    if role == "cron":
        check: Object = {"exec": {"command": ["odoo-run", "health", "cron"]}}
        return {
            "startupProbe": {**check, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 30},
            "readinessProbe": {**check, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 2},
            "livenessProbe": {**check, "periodSeconds": 60, "timeoutSeconds": 10, "failureThreshold": 10},
        }
    port = "http" if role == "web" else "websocket"
    check = (
        {"httpGet": {"path": health_path, "port": port}}
        if role == "web" and health_path
        else {"tcpSocket": {"port": port}}
    )
    return {
        "startupProbe": {**check, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 150},
        # long requests may occupy all workers: without another pod, a request waits rather than fails
        "readinessProbe": {**check, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 12},
        "livenessProbe": {**check, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 20},
    }


def patches(spec: TargetSpec) -> list[Object]:
    """What the overlay changes in the Deployments of the base."""
    found = []
    for role in ROLES:
        template = {"metadata": {"labels": _version(spec)}, "spec": _particulars(spec, role)}
        metadata: Object = {
            "labels": _version(spec),
            **({"annotations": {"odpm.lock": spec.lock}} if spec.lock else {}),
        }
        found.append(object_of("apps/v1", "Deployment", name_of(role), **metadata, spec={"template": template}))
    return found


def _version(spec: TargetSpec) -> dict[str, str]:
    return {"app.kubernetes.io/version": spec.release}


def _particulars(spec: TargetSpec, role: str) -> Object:
    """The part of a pod that follows from the target: time to end, nodes, environment, resources, secrets."""
    grace = int(hardening.odoo(spec.manifest, role)["stop_grace_period"].removesuffix("s"))
    environment = secrets.variables(spec)
    return {
        # the sleep before the end counts, too
        "terminationGracePeriodSeconds": grace + DRAIN,
        **({} if spec.target.storage_class else {"affinity": _one_node()}),
        "containers": [
            {
                "name": CONTAINER,
                **({"env": environment} if environment else {}),
                "resources": _resources(spec, role),
            }
        ],
        "volumes": [secrets.volume(spec, role)],
    }


def _one_node() -> Object:
    """A volume with ReadWriteOnce is mounted on one node: all pods of Odoo run there."""
    term = {"labelSelector": {"matchLabels": labels()}, "topologyKey": HOST}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _resources(spec: TargetSpec, role: str) -> Object:
    """Limits from the number of processes: a process of Odoo uses one CPU at most. Files in memory count as memory."""
    found = hardening.processes(spec.manifest)
    count = hardening.role_processes(found, role)
    memory = (hardening.BASE_MEMORY + count * found.memory) // MIB + TEMPORARY
    return {
        "requests": {
            "cpu": f"{100 * count}m",
            "memory": f"{min(PROCESS_REQUEST * count, memory)}Mi",
            "ephemeral-storage": "64Mi",
        },
        "limits": {"cpu": str(count), "memory": f"{memory}Mi", "ephemeral-storage": "1Gi"},
    }


def update_job(spec: TargetSpec) -> Object:
    """The Job of a release, without a second try: it installs Odoo in an empty database, then updates all add-ons."""
    pod, extra = _pod(UPDATE), _particulars(spec, UPDATE)
    (container,), (more,) = pod["containers"], extra["containers"]
    merged = {**container, **more}
    waiting = [{"name": "ODOO_DB_WAIT", "value": str(DATABASE_WAIT)}]
    initial = [{"name": name, "value": value} for name, value in initial_environment(spec).items()]
    given = merged.pop("env", [])
    first = {**merged, "name": "initialise", "args": [UPDATE], "env": [*waiting, *initial, *given]}
    second = {**merged, "env": [*waiting, *given]}
    labelled = {**labels(UPDATE), **_version(spec)}
    return object_of(
        "batch/v1",
        "Job",
        f"{name_of(UPDATE)}-{spec.release}",
        labels=labelled,
        spec={
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": FINISHED,
            "template": {
                "metadata": {"labels": labelled},
                "spec": {
                    "restartPolicy": "Never",
                    **{key: value for key, value in pod.items() if key not in {"containers", "volumes"}},
                    **{key: value for key, value in extra.items() if key not in {"containers", "volumes"}},
                    "initContainers": [first],
                    "containers": [second],
                    "volumes": [*pod["volumes"], *extra["volumes"]],
                },
            },
        },
    )
