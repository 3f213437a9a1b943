"""What a target keeps: the volume of Odoo's files, and PostgreSQL as a cluster of CloudNativePG."""

from __future__ import annotations

import re

from odpm_tasks.core.odoo.conf import extensions_sql
from odpm_tasks.core.stack import hardening
from odpm_tasks.core.stack.compose_file import postgres_major
from odpm_tasks.core.targets.kubernetes import secrets
from odpm_tasks.core.targets.kubernetes.names import DATABASE, FILES, Object, labels, object_of
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.errors import DescriptionError

OLDEST_POSTGRES = 14  # of the operator's images
POSTGRES_IMAGE = "ghcr.io/cloudnative-pg/postgresql:{major}-standard-bookworm"
MIB = 1 << 20


def claim(spec: TargetSpec) -> Object:
    """The volume of Odoo's files: for every node with a class that can do that, else for the pods of one node."""
    shared = spec.target.storage_class
    described: Object = {
        "accessModes": ["ReadWriteMany" if shared else "ReadWriteOnce"],
        **({"storageClassName": shared} if shared else {}),
        "resources": {"requests": {"storage": spec.target.filestore.size}},
    }
    return object_of("v1", "PersistentVolumeClaim", FILES, labels=labels(), spec=described)


def host(spec: TargetSpec) -> str:
    """The host of PostgreSQL for Odoo: that of the description, else the service for the primary of the cluster."""
    return spec.target.database.host or f"{DATABASE}-rw"


def database_name(spec: TargetSpec) -> str:
    """The name of the database. Errors: DescriptionError for one with a variable, which nothing on a cluster expands."""
    if not re.fullmatch(r"\w[\w.-]{0,62}", spec.database, re.ASCII):
        raise DescriptionError(
            f"{spec.database!r} is not the name of one database",
            where=f"odpm.json: targets.{spec.target.name}.database.name",
            todo=f'set it, for example "{spec.project}"',
        )
    return spec.database


def database(spec: TargetSpec) -> Object:
    """The cluster of CloudNativePG with one instance. Errors: DescriptionError for a PostgreSQL older than its images."""
    described = spec.target.database
    major = postgres_major(spec.manifest.postgres)
    if major < OLDEST_POSTGRES:
        raise DescriptionError(
            f"CloudNativePG has no image of PostgreSQL {spec.manifest.postgres}: {OLDEST_POSTGRES} is the oldest",
            where="odpm.json: postgres",
            todo=f"use a newer one, or a server of your own: targets.{spec.target.name}.database.host",
        )
    own = spec.target.secrets.get(secrets.DB_PASSWORD)
    found = hardening.processes(spec.manifest)
    memory = _mebibytes(hardening.database(spec.manifest)["mem_limit"])
    storage = {"size": described.size, **({"storageClass": described.storage_class} if described.storage_class else {})}
    return object_of(
        "postgresql.cnpg.io/v1",
        "Cluster",
        DATABASE,
        spec={
            "instances": 1,
            # with one instance a budget would keep its node from being drained
            "enablePDB": False,
            "imageName": POSTGRES_IMAGE.format(major=major),
            "bootstrap": {
                "initdb": {
                    "database": database_name(spec),
                    "owner": described.user,
                    **({"secret": {"name": secrets.secret_key(spec, secrets.DB_PASSWORD).secret}} if own else {}),
                    # the order that Odoo's own databases have; letters of all languages have their case
                    "encoding": "UTF8",
                    "localeCollate": "C",
                    "localeCType": "C.UTF-8",
                    "postInitApplicationSQL": extensions_sql(spec.manifest.odoo_conf).split("; "),
                }
            },
            "postgresql": {"parameters": {"shared_buffers": f"{memory // 4}MB"}},
            "storage": storage,
            "resources": {
                "requests": {"cpu": "500m", "memory": f"{memory}Mi"},
                "limits": {"cpu": str(max(2, found.count)), "memory": f"{memory}Mi"},
            },
        },
    )


def _mebibytes(size: str) -> int:
    """`2048m` in MiB."""
    return int(size.removesuffix("m"))
