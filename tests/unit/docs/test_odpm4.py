"""docs/odpm4.md: it has every command, option and personal setting of odpm 4.7."""

from __future__ import annotations

import pytest

from odpm_tasks.core.manifest import odpm4
from odpm_tasks.tasks import legacy_cli
from tests.unit.docs.pages import PAGES, rows

PAGE = PAGES["docs/odpm4.md"]
# the command line of odpm 4.7.0, from its help
OPTIONS = (
    "--accept-database-drift", "--branch", "--build-image", "--db-backup", "--db-drop", "--db-restore", "--diff-base",
    "--distro-name", "--distro-version", "--dry-run", "--export-po-files", "--get-dbs-list", "--image-builder", "--image-push",
    "--image-tag", "--init", "--no-git-update", "--odoo-bin", "--odoo-build-date", "--odoo-git-link", "--odoo-version", "--plan",
    "--plan-format", "--plan-no-docker", "--plan-show-diff", "--plan-strict", "--platform-name", "--postgres-version",
    "--python-version", "--requirements-txt", "--screencasts", "--secrets-file", "--secrets-provider", "--security-profile",
    "--set-admin-pass", "--skip-start", "--sql-execute", "--start-precommit", "--sync-manifest-locks", "--test", "--translate",
    "--update-lock", "--version",
)  # fmt: skip
COMMANDS = (
    "odpm plan", "manifest validate", "manifest migrate", "modules diff", "modules record-applied", "database status",
    "database ensure-role", "run RECIPE", "scaffold",
)  # fmt: skip
SETTINGS = (
    "init_modules", "update_modules", "db_creation_data", "update_git_repos", "clean_git_repos", "check_system",
    "db_manager_password", "dev_mode", "pre_commit_map_files", "sql_queries", "use_oca_dependencies", "create_module_links",
    "sidecars",
)  # fmt: skip


def first_cells(heading: str) -> str:
    return " ".join(row[0] for row in rows(PAGE.section(heading)))


@pytest.mark.parametrize("word", [*OPTIONS, *COMMANDS])
def test_the_page_has_every_option_and_command(word: str) -> None:
    assert f"`{word}" in first_cells("## Commands and options"), word


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_page_has_every_personal_setting(setting: str) -> None:
    assert f"`{setting}`" in first_cells("## Files and settings")
    found = list(odpm4.settings_notes({setting: ["x"]}, "s"))
    assert not any("no effect" in line for line in found)


def test_every_option_that_is_refused_is_on_the_page() -> None:
    cells = first_cells("## Commands and options")
    for word in (*legacy_cli._OPTIONS, *legacy_cli._COMMANDS):
        assert f"`{word}" in cells, word
