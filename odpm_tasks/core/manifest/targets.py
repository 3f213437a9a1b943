"""The field `targets` of the nested format: other machines that run the image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.backup import BackupBlock
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.server_model import DEFAULT_SIZE, ROLES, Filestore, Target, TargetDatabase, TargetSecret
from odpm_tasks.core.manifest.web import domain_problem
from odpm_tasks.core.text import nearest

TARGET_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# keys that only some kinds use
_ONLY = {
    "host": ("compose", "swarm"),
    "context": ("compose", "swarm"),
    "backup": ("compose", "swarm"),
    "namespace": ("kubernetes",),
    "storage_class": ("kubernetes",),
}
_DATABASE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
_IMAGE = r"[a-z0-9]+([._-][a-z0-9]+)*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"


def _checked(problem: Callable[[str], str]) -> AfterValidator:
    """A validator that refuses the values for which `problem` is not empty. Variables are not expanded in a target."""

    def check(text: str) -> str:
        if reason := problem(text):
            raise ValueError(reason)
        return text

    return AfterValidator(check)


def _text(pattern: str, meaning: str) -> AfterValidator:
    return _checked(lambda text: "" if re.fullmatch(pattern, text, re.ASCII) else f"{text!r} is not {meaning}")


_Count = Annotated[int, Field(ge=0, le=1000)]
_Size = Annotated[f.Text, _text(r"[1-9]\d{0,5}(Mi|Gi|Ti)", "a size like 20Gi")]
_Host = Annotated[f.Text, _text(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", "the name or address of a host")]
_Ssh = Annotated[
    f.Text,
    _text(
        r"ssh://([A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?",
        "an address like ssh://deploy@shop.example",
    ),
]
_Label = Annotated[
    f.Text, _text(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", "a name of Kubernetes: lower case letters, digits and -")
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseBlock(_Strict):
    """The PostgreSQL of a target. Without `host` the target runs PostgreSQL itself."""

    name: Annotated[f.Text, _text(_DATABASE_NAME, "the name of a database")] | None = Field(
        None, description="The database; default: the name of the project"
    )
    host: _Host | None = Field(None, description="A PostgreSQL that exists already")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(5432, description="Its port")
    user: Annotated[f.Text, _text(r"[A-Za-z_][\w.-]{0,62}", "the name of a role")] = Field(
        "odoo", description="Its role for Odoo, which owns the database"
    )
    storage_class: _Label | None = Field(None, description="Kubernetes: the class of PostgreSQL's volume")
    size: _Size = Field(DEFAULT_SIZE, description="Kubernetes: the size of PostgreSQL's volume")


class FilestoreBlock(_Strict):
    """The volume of Odoo's files."""

    driver: Annotated[f.Text, _text(r"[A-Za-z0-9][\w./:-]*", "the name of a volume driver")] | None = Field(
        None, description="Swarm: the driver of a volume that every node reaches"
    )
    options: dict[f.Text, f.Text] = Field(default_factory=dict, description="Swarm: the options of the driver")
    size: _Size = Field(DEFAULT_SIZE, description="Kubernetes: the size of the volume")


class SecretBlock(_Strict):
    """Where the value of a secret comes from: exactly one of these."""

    file: f.Text | None = Field(None, description="A file of this machine, relative to the project's root")
    env: Annotated[f.Text, _text(r"[A-Za-z_]\w*", "the name of a variable")] | None = Field(
        None, description="A variable of this machine, or of .env"
    )
    existing: f.Text | None = Field(None, description="The name of a secret that exists on the target")


class TargetBlock(_Strict):
    """A target: where the image runs, and what differs there."""

    kind: Literal["compose", "swarm", "kubernetes"]
    host: _Ssh | None = Field(None, description="The machine: ssh://[USER@]HOST[:PORT]")
    context: Annotated[f.Text, _text(r"[A-Za-z0-9][\w.+-]*", "the name of a Docker context")] | None = Field(
        None, description="A context of Docker, in place of host"
    )
    scenario: Annotated[
        f.Text, _checked(lambda text: "" if text in SCENARIOS else f"{text!r} is no scenario{nearest(text, SCENARIOS)}")
    ] = Field("server", description="The scenario whose overlay is used")
    image: (
        Annotated[f.Text, _text(_IMAGE, "a reference like registry.example/team/odoo:19.0, in lower case")] | None
    ) = Field(None, description="The image; default: the one that was pushed or built last")
    replicas: dict[f.Text, _Count] = Field(
        default_factory=dict, description="Containers of each role: web, websocket, cron"
    )
    domain: Annotated[f.Text, _checked(domain_problem)] | None = Field(None, description="The name of the server there")
    database: DatabaseBlock = DatabaseBlock()
    filestore: FilestoreBlock = FilestoreBlock()
    storage_class: _Label | None = Field(
        None, description="Kubernetes: a class with ReadWriteMany volumes, for Odoo's files"
    )
    namespace: _Label | None = Field(None, description="Kubernetes: the namespace; default: PROJECT-TARGET")
    secrets: dict[f.Text, SecretBlock] = Field(default_factory=dict, description="Where values of secrets come from")
    backup: BackupBlock | None = Field(None, description="The backups there, in place of those of the description")

    def value(self, name: str) -> Target:
        """The block as a value of a `Manifest`."""
        database = self.database
        return Target(
            name=name,
            kind=self.kind,
            host=self.host or "",
            context=self.context or "",
            scenario=self.scenario,
            image=self.image or "",
            backup=self.backup.value() if self.backup else None,
            replicas=self.replicas,
            domain=self.domain or "",
            database=TargetDatabase(
                database.name or "",
                database.host or "",
                database.port,
                database.user,
                database.storage_class or "",
                database.size,
            ),
            filestore=Filestore(self.filestore.driver or "", self.filestore.options, self.filestore.size),
            storage_class=self.storage_class or "",
            namespace=self.namespace or "",
            secrets={key: secret for key, block in self.secrets.items() if (secret := _secret(block))},
        )


def _secret(block: SecretBlock) -> TargetSecret | None:
    given: dict[str, str] = block.model_dump(exclude_none=True)
    return next((TargetSecret(source, value) for source, value in given.items()), None)  # type: ignore[arg-type]


def target_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems in `targets` that concern several keys: names, keys that a kind does not use, secrets without one source."""
    targets = raw.get("targets")
    for name, block in targets.items() if isinstance(targets, Mapping) else ():
        here: Path = ("targets", name)
        if not TARGET_NAME.fullmatch(name):
            yield Problem(here, f"{name!r} is not a name of lower case letters, digits and -, at most 40")
        if isinstance(block, Mapping):
            yield from _block_problems(block, here)


def _block_problems(block: Mapping[str, Any], here: Path) -> Iterator[Problem]:
    kind = block.get("kind")
    for key, kinds in _ONLY.items():
        if block.get(key) is not None and kind not in kinds and kind in {"compose", "swarm", "kubernetes"}:
            yield Problem((*here, key), f"has no effect on a target of kind {kind}: it is for {' and '.join(kinds)}")
    if block.get("host") and block.get("context"):
        yield Problem((*here, "context"), "cannot be combined with host: each names the machine")
    replicas = block.get("replicas")
    for role, count in replicas.items() if isinstance(replicas, Mapping) else ():
        if role not in ROLES:
            yield Problem((*here, "replicas", role), f"{role!r} is no role{nearest(role, ROLES)}")
        elif role == "web" and count == 0:
            yield Problem((*here, "replicas", role), "must be at least 1")
    secrets = block.get("secrets")
    for name, secret in secrets.items() if isinstance(secrets, Mapping) else ():
        if not re.fullmatch(r"[A-Za-z_]\w{0,60}", name, re.ASCII):
            yield Problem((*here, "secrets", name), f"{name!r} is not a name of letters, digits and _")
        if isinstance(secret, Mapping) and len(secret.keys() & {"file", "env", "existing"}) != 1:
            yield Problem((*here, "secrets", name), "needs exactly one of file, env, existing")
        elif kind == "compose" and isinstance(secret, Mapping) and "existing" in secret:
            yield Problem((*here, "secrets", name, "existing"), "is for swarm and kubernetes: Compose has files only")
    if kind == "kubernetes" and isinstance(replicas, Mapping):
        web = replicas.get("web", 1)
        if isinstance(web, int) and web > 1 and not block.get("storage_class"):
            yield Problem(
                (*here, "storage_class"), "is required for several web pods: they share a volume with ReadWriteMany"
            )
