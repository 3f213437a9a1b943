"""The git host if it responds; otherwise stand-in repositories with a mirror rule."""

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

TIMEOUT = 5.0  # seconds for a response; an unknown host name fails at once


def answers(url: str, timeout: float = TIMEOUT) -> bool:
    """Whether git can read this repository without a password prompt."""
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    words = ["git", "ls-remote", "--heads", "--quiet", url]
    try:
        return subprocess.run(words, env=env, capture_output=True, timeout=timeout, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def ensure_git_host(urls: Sequence[str], say: Say) -> str | None:
    """None if the hosts of these URLs respond; otherwise stand-ins are created and the mirror rule `FROM=TO` returned.

    Tests one URL per host. Errors: MachineError if a host does not respond and a URL has no stand-in.
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
            f"{', '.join(sorted(silent))} does not respond, and {len(unknown)} of the repositories have no stand-in",
            details=unknown,
            todo="check the network, or use only " + ", ".join(sorted(url.removeprefix(PREFIX) for url in made)),
        )
    say(line("git", f"{', '.join(sorted(silent))} does not respond: repositories are created from packages"))
    if f"{PREFIX}odoo/odoo" in wanted:
        ensure_odoo(say)
    if wanted - {f"{PREFIX}odoo/odoo"}:
        ensure_oca(say)
    return rewrite_rule()
