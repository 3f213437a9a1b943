"""The git host, or our repositories in its place: one question decides."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from urllib.parse import urlsplit

from odpm_tasks.errors import MachineError
from tests.standins.common import Say, line
from tests.standins.gitrepo import PREFIX, rewrite_rule
from tests.standins.oca import REPOSITORIES, ensure_oca
from tests.standins.odoo import ensure_odoo

PATIENCE = 5.0  # seconds the host has to answer; an unknown name answers at once


def answers(url: str, patience: float = PATIENCE) -> bool:
    """Whether git can read this repository from here, without asking anybody for a password."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    words = ["git", "ls-remote", "--heads", "--quiet", url]
    try:
        return subprocess.run(words, env=env, capture_output=True, timeout=patience, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def ensure_git_host(urls: Sequence[str], say: Say) -> str | None:
    """None where the host of these addresses answers; else stand-ins are made and the rewrite rule `FROM=TO` returned.

    One address per host is asked. MachineError where a host is silent and an address has no stand-in.
    """
    hosts = {urlsplit(url).netloc: url for url in reversed(urls)}
    silent = {host for host, url in hosts.items() if not answers(url)}
    if not silent:
        say(line("git", f"{', '.join(sorted(hosts))} answers"))
        return None
    made = {f"{PREFIX}odoo/odoo", *(f"{PREFIX}OCA/{repo.name}" for repo in REPOSITORIES)}
    wanted = {url.removesuffix("/").removesuffix(".git") for url in urls if urlsplit(url).netloc in silent}
    if unknown := sorted(wanted - made):
        raise MachineError(
            f"{', '.join(sorted(silent))} does not answer, and nothing stands in for {len(unknown)} of the repositories",
            details=unknown,
            todo="check the network, or use only " + ", ".join(sorted(url.removeprefix(PREFIX) for url in made)),
        )
    say(line("git", f"{', '.join(sorted(silent))} does not answer: repositories are made from packages"))
    if f"{PREFIX}odoo/odoo" in wanted:
        ensure_odoo(say)
    if wanted - {f"{PREFIX}odoo/odoo"}:
        ensure_oca(say)
    return rewrite_rule()
