"""A flat project and its migration generate the same files, byte by byte, for every series and scenario."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.migrate import migrate
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.stack.render import Stack, render
from tests.unit.builders import PROGRAMS, Servers

PYTHON = {"11.0": "3.7", "12.0": "3.7", "13.0": "3.7", "14.0": "3.8", "15.0": "3.8", "16.0": "3.10", "17.0": "3.10"}
SERIES = ["11.0", "12.0", "13.0", "14.0", "15.0", "16.0", "17.0", "18.0", "19.0"]


def flat(series: str) -> dict[str, Any]:
    old = float(series) < 16
    return {
        "odpm_version": "3.0" if old else "4.0",
        "odoo_version": series,
        "python_version": PYTHON.get(series, "3.11"),
        **({"debian_version": "11"} if old else {"distro_name": "debian", "distro_version": "bookworm"}),
        "postgres_version": "13" if old else "16",
        "odoo_git_link": f"https://github.com/odoo/odoo.git {series}",
        "odoo_build_date": "20250115" if series == "18.0" else "latest",
        "dependencies": ["https://github.com/OCA/web.git", f"git@github.com:OCA/mail.git {series}"],
        "requirements_txt": ["openpyxl==3.1.2"],
        "database": {"language": "de_DE", "country": "DE"},
        "odoo_conf": {"options": {"limit_time_real": "1200", "smtp_password": "${SMTP_PASSWORD:-none}"}},
    }


def files(text: str, scenario: str) -> dict[str, bytes]:
    manifest = read_manifest(text, lambda name: None).manifest
    resolved = Servers(web=Facts(oca_dependencies="queue\n")).resolve(manifest)
    own = Facts(modules=(Module(path="addons/mine"),))
    stack = Stack(
        "shop", SCENARIOS[scenario], manifest.for_scenario(scenario), resolved, own, (b"lock", b"developer"), PROGRAMS
    )
    return dict(render(stack).files)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
@pytest.mark.parametrize("series", SERIES)
def test_generated_files_are_equal_before_and_after(series: str, scenario: str) -> None:
    before = json.dumps(flat(series))
    after = migrate(before)
    assert not after.unplaced
    assert json.loads(after.new_text)["manifest_schema"] == 2
    assert files(before, scenario) == files(after.new_text, scenario)
