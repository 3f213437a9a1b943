"""The command line of odpm 4.x: its options are refused with the task that replaces them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePath

from odpm_tasks.errors import UsageError

_OPTIONS = {
    "--update-lock": "inv lock --update",
    "--build-image": "ODPM_SCENARIO=ci inv build-image",
    "--image-tag": "ODPM_SCENARIO=ci inv build-image --tag NAME",
    "--image-push": "ODPM_SCENARIO=ci inv build-image --tag NAME --push",
    "--image-builder": "ODPM_SCENARIO=ci inv build-image",
    "--odoo-bin": "inv exec -- odoo ARGUMENTS",
    "--sql-execute": "inv psql",
    "--get-dbs-list": "inv psql -- --list",
    "--db-drop": "inv db.drop NAME",
    "--db-backup": "inv db.backup NAME",
    "--db-restore": "inv db.restore FILE",
    "--set-admin-pass": "inv shell",
    "--start-precommit": "pre-commit run --all-files",
    "--export-po-files": "inv exec -- odoo ARGUMENTS",
    "--secrets-file": "set the variables in .env",
    "--secrets-provider": "set the variables in .env",
    "--security-profile": "ODPM_SCENARIO=developer, server or ci in .env",
    "--accept-database-drift": "inv plan",
    "--plan-no-docker": "inv plan",
    "--plan-show-diff": "inv plan --diff",
    "--plan-format": "inv plan --format json",
    "--plan-strict": "inv plan --strict",
}
# these are options of tasks now; without a task they are options of odpm 4.x
_OPTIONS_WITHOUT_TASK = {
    "--sync-manifest-locks": "inv lock --update --sync-manifest-locks",
    "--plan": "inv plan",
    "--skip-start": "inv up --skip-start",
    "--no-git-update": "inv up --no-git-update",
    "--init": "python -m odpm_tasks init",
    "--test": "inv test",
    "-i": "inv up -i MODULES",
    "-u": "inv up -u MODULES",
}
_COMMANDS = {
    "manifest migrate": "inv migrate",
    "manifest validate": "inv validate",
    "modules diff": "inv lock --diff",
    "modules record-applied": "inv up",
    "database status": "inv status",
    "database ensure-role": "inv up",
}


def reject_legacy_arguments(argv: Sequence[str], tasks: Collection[str]) -> None:
    """Check a command line of invoke. `tasks`: the names of odpm's tasks; arguments of other tasks are not checked.

    Errors: UsageError with the replacement, if the command line has an option of odpm 4.x.
    """
    if not argv or PurePath(argv[0]).name not in {"inv", "invoke", "__main__.py"}:
        return
    words = list(argv[1 : argv.index("--")] if "--" in argv else argv[1:])
    first = words[0] if words else ""
    _refuse(" ".join(words[:2]), _COMMANDS.get(" ".join(words[:2])))
    if first.startswith("-"):
        _refuse(first, _OPTIONS_WITHOUT_TASK.get(first.partition("=")[0]))
    if first.startswith("-") or first in tasks:
        for word in words:
            _refuse(word, _OPTIONS.get(word.partition("=")[0]))


def _refuse(word: str, replacement: str | None) -> None:
    if replacement:
        raise UsageError(f"{word} belongs to the command line of odpm 4", todo=replacement)
