"""The JSON of the tasks with `--format json`: one shape, an object with `schema_version` and `odpm` in front."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.text import printable_json


def report(data: Mapping[str, Any]) -> str:
    """A document with its version and that of odpm."""
    return printable_json(json.dumps({"schema_version": 1, "odpm": VERSION, **data}, indent=2, ensure_ascii=False))
