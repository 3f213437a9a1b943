"""The values of `web`, `backup` and `targets`: what servers have beside Odoo, and other machines that run the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["compose", "swarm", "kubernetes"]
SecretSource = Literal["file", "env", "existing"]
ROLES = ("web", "websocket", "cron")  # those with any number of containers; `update` runs once
DEFAULT_SIZE = "20Gi"


@dataclass(frozen=True, slots=True)
class Backup:
    """The backups of the scenario `server`. `repository`: a folder, or `s3:…` or `sftp:…` as restic names a server.

    `schedule`: `HH:MM` of each day. `keep`: how many backups of which period are kept, as pairs `("daily", 7)`. Variables in
    `repository` are not expanded.
    """

    repository: str
    schedule: str
    keep: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The reverse proxy of the scenario `server`. Variables in its values are not expanded.

    `tls` files: `certificate` and `key` are paths. `allow`: addresses and networks that may use the database manager.
    """

    domain: str
    tls: Literal["auto", "internal", "off", "files"] = "auto"
    certificate: str = ""
    key: str = ""
    email: str = ""
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetDatabase:
    """The PostgreSQL of a target. `name`: the database; empty: the project's name. `host` empty: the target runs PostgreSQL itself.

    `storage_class` and `size` (a quantity of Kubernetes) are those of its volume; of Kubernetes alone.
    """

    name: str = ""
    host: str = ""
    port: int = 5432
    user: str = "odoo"
    storage_class: str = ""
    size: str = DEFAULT_SIZE


@dataclass(frozen=True, slots=True)
class Filestore:
    """The volume of Odoo's files. `driver` and `options`: those of a volume that all nodes of a Swarm reach; `size`: of Kubernetes."""

    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    size: str = DEFAULT_SIZE


@dataclass(frozen=True, slots=True)
class TargetSecret:
    """Where the value of a secret comes from: a file or a variable of this machine, or a secret that exists on the target."""

    source: SecretSource
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the image runs, and what differs there; see `Manifest.for_target`.

    `host`: `ssh://[USER@]HOST[:PORT]`; `context`: of Docker; neither: the engine of this machine. `scenario`: the overlay.
    `image`: a reference; empty: the image that was pushed or built last. `replicas`: role -> containers.
    """

    name: str
    kind: Kind
    host: str = ""
    context: str = ""
    scenario: str = "server"
    image: str = ""
    backup: Backup | None = None
    replicas: Mapping[str, int] = field(default_factory=dict)
    domain: str = ""
    database: TargetDatabase = TargetDatabase()
    filestore: Filestore = Filestore()
    storage_class: str = ""
    namespace: str = ""
    secrets: Mapping[str, TargetSecret] = field(default_factory=dict)

    def replicas_of(self, role: str) -> int:
        """How many containers a role has; one, unless the description says otherwise."""
        return self.replicas.get(role, 1)
