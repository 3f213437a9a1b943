"""The folder of a target of kind `kubernetes`: `base`, the same for all targets of a project, and `overlays/TARGET`.

The overlay has three parts that are applied one after the other: `state` (volumes, PostgreSQL, network policies), `update` (the
Job), and the whole, which contains `state`. `common` is what `update` and the whole share.
"""

from __future__ import annotations

from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.targets.kubernetes import network, secrets, storage, workloads
from odpm_tasks.core.targets.kubernetes.names import (
    CONF,
    ENVIRONMENT,
    Object,
    base_file,
    commented,
    common_labels,
    image,
    kustomization,
    namespace,
    object_of,
)
from odpm_tasks.core.targets.services import ODOO_CONF
from odpm_tasks.core.targets.spec import TargetSpec, yaml_file
from odpm_tasks.errors import DescriptionError

KUSTOMIZATION = "kustomization.yaml"
STANDARD = "restricted"  # of Pod Security

required_secrets = secrets.required_secrets


def files(spec: TargetSpec) -> dict[str, bytes]:
    """The files by their relative paths; those below `base` do not depend on the target.

    Errors: DescriptionError without a domain, for a variable without a secret, and for what the cluster cannot have.
    """
    if spec.target.replicas_of("web") > 1 and not spec.target.storage_class:
        raise DescriptionError(
            "several web pods share a volume with ReadWriteMany",
            where=f"odpm.json: targets.{spec.target.name}.storage_class",
            todo="name a class of the cluster that has such volumes: kubectl get storageclass",
        )
    overlay = f"overlays/{spec.target.name}"
    return {**_base(spec), **{f"{overlay}/{path}": data for path, data in _overlay(spec).items()}}


def _base(spec: TargetSpec) -> dict[str, bytes]:
    deployments = {f"{role}.yaml": workloads.deployment(role, spec.manifest.odoo_version) for role in ROLES}
    policies = commented(network.base_policies())
    return {
        f"base/{KUSTOMIZATION}": base_file(spec, kustomization(resources=[*deployments, "services.yaml"])),
        **{f"base/{path}": base_file(spec, document) for path, document in deployments.items()},
        "base/services.yaml": base_file(spec, *network.services()),
        f"base/network/{KUSTOMIZATION}": base_file(spec, kustomization(resources=["policies.yaml"])),
        "base/network/policies.yaml": _header(base_file(spec)) + policies.encode(),
    }


def _overlay(spec: TargetSpec) -> dict[str, bytes]:
    budgets = network.disruption_budgets(spec)
    patches = [*workloads.patches(spec), *network.service_patches(spec)]
    whole = kustomization(
        resources=["../../base", "state", "ingress.yaml", *(["disruption.yaml"] if budgets else [])],
        components=["common"],
        replicas=[{"name": workloads.name_of(role), "count": spec.target.replicas_of(role)} for role in ROLES],
        patches=[{"path": "patches.yaml"}],
    )
    return {
        KUSTOMIZATION: yaml_file(spec, whole),
        "namespace.yaml": _namespace(spec),
        "ingress.yaml": yaml_file(spec, network.ingress(spec)),
        **({"disruption.yaml": yaml_file(spec, *budgets)} if budgets else {}),
        "patches.yaml": yaml_file(spec, *patches),
        **_common(spec),
        **_state(spec),
        **_update(spec),
    }


def _common(spec: TargetSpec) -> dict[str, bytes]:
    """Image, namespace and configuration. The names of the generated ConfigMaps have the digest of their content."""
    database = spec.target.database
    environment = {
        "PGHOST": storage.host(spec),
        "PGPORT": str(database.port if database.host else network.POSTGRES_PORT),
        "PGUSER": database.user,
        "PGDATABASE": storage.database_name(spec),
        # only the ingress controller reaches Odoo
        "ODPM_PROXY": "on",
    }
    component = kustomization(
        "Component",
        namespace=namespace(spec),
        labels=[common_labels(spec)],
        images=[image(spec.image)],
        configMapGenerator=[
            {"name": CONF, "files": [ODOO_CONF]},
            {"name": ENVIRONMENT, "literals": [f"{name}={value}" for name, value in environment.items()]},
        ],
    )
    return {f"common/{KUSTOMIZATION}": yaml_file(spec, component), f"common/{ODOO_CONF}": spec.conf.encode()}


def _state(spec: TargetSpec) -> dict[str, bytes]:
    own = [] if spec.target.database.host else ["database.yaml"]
    described = kustomization(
        namespace=namespace(spec),
        labels=[common_labels(spec)],
        resources=["../../../base/network", "files.yaml", *own, "policies.yaml"],
    )
    policies = commented(network.database_policies(spec))
    return {
        f"state/{KUSTOMIZATION}": yaml_file(spec, described),
        "state/files.yaml": yaml_file(spec, storage.claim(spec)),
        **{f"state/{name}": yaml_file(spec, storage.database(spec)) for name in own},
        "state/policies.yaml": _header(yaml_file(spec)) + policies.encode(),
    }


def _update(spec: TargetSpec) -> dict[str, bytes]:
    described = kustomization(resources=["job.yaml"], components=["../common"])
    return {
        f"update/{KUSTOMIZATION}": yaml_file(spec, described),
        "update/job.yaml": yaml_file(spec, workloads.update_job(spec)),
    }


def _namespace(spec: TargetSpec) -> bytes:
    """The namespace with its rules. No kustomization contains it: deleting the overlay must not delete every volume in it."""
    rules = {f"pod-security.kubernetes.io/{mode}": STANDARD for mode in ("enforce", "audit", "warn")}
    text = f"Apply this file before the others, then create the Secrets of the namespace {namespace(spec)}:"
    wanted = [f"#   {name}: {', '.join(keys)}" for name, keys in required_secrets(spec).items()]
    document: Object = object_of("v1", "Namespace", namespace(spec), labels=rules)
    header, body = yaml_file(spec, document).split(b"\n", 1)
    return b"\n".join([header, f"# {text}".encode(), *(line.encode() for line in wanted), body])


def _header(text: bytes) -> bytes:
    return text.split(b"\n", 1)[0] + b"\n"


def notes(spec: TargetSpec) -> tuple[str, ...]:
    """What the files of a target do not contain, and what follows from its description, one sentence each."""
    name, manifest = spec.target.name, spec.manifest
    found = []
    if "@" not in spec.image:
        found.append(f"{spec.image} has no digest: each node may run another image")
    if services := [key for key, value in manifest.services.items() if value is not None]:
        found.append(f"services are not rendered for Kubernetes: {', '.join(services)}")
    if manifest.service_patches:
        found.append(f"service_patches are not rendered for Kubernetes: {', '.join(manifest.service_patches)}")
    if manifest.backup:
        found.append("backup is not rendered for Kubernetes: use the backups of CloudNativePG and of the volumes")
    if manifest.web and manifest.web.allow:
        found.append("web.allow has no effect on Kubernetes: the database manager is closed")
    unused = spec.target.secrets.keys() - {*secrets.NAMES, *spec.variables}
    if unused:
        found.append(f"no variable of odoo_conf uses targets.{name}.secrets: {', '.join(sorted(unused))}")
    if not spec.target.storage_class:
        found.append(f"without targets.{name}.storage_class every pod of Odoo runs on one node")
    return tuple(found)
