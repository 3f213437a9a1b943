"""The words of the older command line (odpm 4.x), answered with the task that does it now."""

from __future__ import annotations

from collections.abc import Collection as Words
from collections.abc import Sequence
from pathlib import PurePath

from odpm_tasks.errors import UsageError

_ANYWHERE = {
    "--update-lock": "inv lock --update",
    "--build-image": "ODPM_SCENARIO=ci inv build-image",
    "--image-tag": "ODPM_SCENARIO=ci inv build-image --tag NAME",
    "--image-push": "ODPM_SCENARIO=ci inv build-image --tag NAME --push",
    "--plan-no-docker": "inv plan",
    "--plan-show-diff": "inv plan --diff",
    "--plan-format": "inv plan --format json",
    "--plan-strict": "inv plan --strict",
}
# these are options of tasks now, and old where they stand without one
_ALONE = {
    "--sync-manifest-locks": "inv lock --update --sync-manifest-locks",
    "--plan": "inv plan",
    "--skip-start": "inv up --skip-start",
    "--no-git-update": "inv up --no-git-update",
    "--init": "python -m odpm_tasks init",
    "--test": "inv test",
    "-i": "inv up -i MODULES",
    "-u": "inv up -u MODULES",
}
_COMMANDS = {"migrate": "inv migrate", "validate": "inv validate"}


def reject_legacy_arguments(argv: Sequence[str], tasks: Words[str]) -> None:
    """Look at a command line of invoke. Errors: UsageError with today's task, where it is one of odpm 4.x.

    `tasks` are the names of our own: what stands behind a project's own task is that task's business.
    """
    if not argv or PurePath(argv[0]).name not in {"inv", "invoke", "__main__.py"}:
        return
    words = list(argv[1 : argv.index("--")] if "--" in argv else argv[1:])
    first = words[0] if words else ""
    if first == "manifest" and len(words) > 1:
        _tell(" ".join(words[:2]), _COMMANDS.get(words[1]))
    if first.startswith("-"):
        _tell(first, _ALONE.get(first.partition("=")[0]))
    if first.startswith("-") or first in tasks:
        for word in words:
            _tell(word, _ANYWHERE.get(word.partition("=")[0]))


def _tell(word: str, today: str | None) -> None:
    if today:
        raise UsageError(f"{word} is a word of odpm 4", todo=today)
