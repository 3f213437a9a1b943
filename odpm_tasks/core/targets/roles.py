"""The services of a target in terms of Compose: PostgreSQL, a service per role of Odoo, the reverse proxy, the backups.

The bundle of a single machine is this; the stack of a Swarm is made from it.
"""

from __future__ import annotations

import copy

PROXY, UPDATE = "proxy", "update"
ODOO_CONF, ROLES_SQL = "odoo.conf", "roles.sql"
ADMIN_PASSWORD = "admin_password"  # noqa: S105 - a name
# Sources are in the image; everything else is as in `server`.
_SCENARIO = copy.replace if False else None
