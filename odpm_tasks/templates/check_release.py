"""Check that the code of a release fits a database: a script for `odoo shell`, which has `env`.

Prints one line, `odpm-check: {"missing": [[MODEL, COLUMN, ADD-ON]], "status": HTTP STATUS OF THE LOGIN PAGE}`. It loads the
add-ons of the database, compares their fields with the columns, and renders the login page in this process: nothing is
published, and no scheduled action runs.
"""

import json
import sys

import odoo
from werkzeug.test import Client

env.cr.execute(  # noqa: F821
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
)
columns = {}
for table, column in env.cr.fetchall():  # noqa: F821
    columns.setdefault(table, set()).add(column)
missing = []
for name, model in sorted(env.registry.models.items()):  # noqa: F821
    if model._abstract or not model._auto or not getattr(model, "_table", ""):
        continue
    there = columns.get(model._table)
    if there is None:
        missing.append([name, "", getattr(model, "_original_module", None) or ""])
        continue
    for field_name, field in sorted(model._fields.items()):
        if field.store and field.column_type and field_name not in there:
            missing.append([name, field_name, getattr(field, "_module", None) or ""])
env.cr.rollback()  # noqa: F821
status = Client(odoo.http.root).get("/web/login").status_code
sys.stdout.write("odpm-check: " + json.dumps({"missing": missing, "status": status}) + "\n")
sys.stdout.flush()
