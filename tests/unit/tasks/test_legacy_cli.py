"""Options of odpm 4.x and the tasks that replace them."""

from __future__ import annotations

import pytest

from odpm_tasks.errors import UsageError
from odpm_tasks.tasks.legacy_cli import reject_legacy_arguments

TASKS = ("lock", "up", "plan", "build-image")


@pytest.mark.parametrize(
    ("line", "replacement"),
    [
        ("inv --update-lock", "inv lock --update"),
        ("inv up --update-lock", "inv lock --update"),
        ("/usr/bin/invoke --build-image", "ODPM_SCENARIO=ci inv build-image"),
        ("inv --build-image --image-tag=x", "ODPM_SCENARIO=ci inv build-image"),
        ("inv manifest migrate --write", "inv migrate"),
        ("inv manifest validate", "inv validate"),
        ("inv modules diff --format json", "inv lock --diff"),
        ("inv database status", "inv status"),
        ("inv --db-drop shop", "inv db.drop NAME"),
        ("inv up --secrets-file=x.json", "set the variables in .env"),
        ("inv --plan-show-diff", "inv plan --diff"),
        ("inv plan --plan-strict", "inv plan --strict"),
        ("inv --skip-start", "inv up --skip-start"),
        ("inv --no-git-update", "inv up --no-git-update"),
        ("inv --sync-manifest-locks", "inv lock --update --sync-manifest-locks"),
        ("inv -u sale", "inv up -u MODULES"),
        ("__main__.py --init https://example.org/x", "python -m odpm_tasks init"),
    ],
)
def test_an_option_of_odpm_4_is_refused_with_its_replacement(line: str, replacement: str) -> None:
    with pytest.raises(UsageError) as error:
        reject_legacy_arguments(line.split(), TASKS)
    assert error.value.todo == replacement
    assert "odpm 4" in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        "inv",
        "inv --list",
        "inv up --skip-start --no-git-update -u sale",
        "inv lock --update --sync-manifest-locks",
        "inv manifest",
        "inv manifest show",
        "inv deploy --build-image",
        "inv up -- --update-lock",
        "pytest --update-lock",
        "",
    ],
)
def test_other_command_lines_are_accepted(line: str) -> None:
    reject_legacy_arguments(line.split(), TASKS)
