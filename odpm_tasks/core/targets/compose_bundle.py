"""The bundle of a target of kind `compose`: a folder that runs with `docker compose up` on a machine without a checkout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from odpm_tasks.core import templating
from odpm_tasks.core.config.paths import BUILD_FOLDER, COMPOSE_FILE
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.targets import proxy
from odpm_tasks.core.targets.services import GENERATED, ODOO_CONF, ROLES_SQL, roles_sql, services
from odpm_tasks.core.targets.spec import TargetSpec, yaml_file

MAKE_SECRETS = "make-secrets.sh"


@dataclass(frozen=True)
class SecretsSpec:
    """What the script is generated from. `generated`: secrets that it creates; `own`: those that the user must provide."""

    target: str
    generated: Sequence[str]
    own: Sequence[str]


def files(spec: TargetSpec) -> dict[str, bytes]:
    """The files of the bundle by their relative paths. Errors: DescriptionError for what the target cannot have."""
    described = services(spec)
    found = {
        COMPOSE_FILE: yaml_file(spec, described),
        ODOO_CONF: spec.conf.encode(),
        **{f"web/{name}": data for name, data in proxy.files(spec).items()},
        MAKE_SECRETS: _make_secrets(spec, list(described["secrets"])),
    }
    if not spec.target.database.host:
        found[ROLES_SQL] = roles_sql(spec)
    if spec.manifest.backup:
        found |= {path.removeprefix(f"{BUILD_FOLDER}/"): data for path, data in backup_service.scripts().items()}
    return found


def _make_secrets(spec: TargetSpec, names: Sequence[str]) -> bytes:
    given = {*spec.target.secrets, *(["db_password"] if spec.target.database.host else [])}
    generated = [name for name in names if name in GENERATED and name not in given]
    own = [name for name in names if name not in generated]
    text = templating.render(f"{MAKE_SECRETS}.j2", spec=SecretsSpec(spec.target.name, generated, own))
    return text.encode()
