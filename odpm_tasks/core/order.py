"""The steps of a run by their ids, in the order in which they are done, and the files that locks are in."""

from __future__ import annotations

ORDER = (
    "git.lock_load", "git.resolve", "git.materialize", "hooks.post_clone", "git.checkout", "git.lock_verify",
    "python.lock", "template.dockerfile", "template.odoo_conf", "compose.fragments", "compose.generate",
    "compose.validate", "ide.files", "hooks.post_prepare",
    "image.build", "hooks.pre_up", "compose.up", "db.create", "hooks.post_up",
)  # fmt: skip
LOCKING = ORDER[: ORDER.index("template.dockerfile")]
PREPARING = ORDER[: ORDER.index("image.build")]

LOCK_FILE = ".odpm/deps.lock.json"
PYTHON_LOCKS = (".odpm/requirements.lock", ".odpm/requirements.developer.lock")
