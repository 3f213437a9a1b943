"""How git gets to a server: the address, and by environment what it must know to get in and how long to wait."""

from __future__ import annotations

import base64
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from odpm_tasks.adapters import command

TIMEOUT = 30.0  # seconds
_PASSWORD_TIMEOUT = 120.0  # seconds that a person has for a password


@dataclass(frozen=True)
class Remote:
    """Where to fetch from: the address without password, and what git must know to get in (by environment only).

    `silence`: how many seconds the server may say nothing; `asks`: whether somebody sits there to be asked a password.
    """

    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = TIMEOUT
    interactive: bool = False

    @property
    def first_timeout(self) -> float:
        """The same until git says its first word: it has asked three times by then, and a password may have to be typed."""
        return max(3 * self.timeout, _PASSWORD_TIMEOUT if self.interactive else 0)


def remote(
    url: str,
    *,
    mirrors: Sequence[tuple[str, str]] = (),
    ssh_key: str | None = None,
    timeout: float = TIMEOUT,
) -> Remote:
    """The remote for a link's address: the first fitting mirror prefix applied, user and password moved to a header."""
    plain = _without_login(url)
    for prefix, target in mirrors:
        if plain.startswith(prefix):
            url = target + plain[len(prefix) :]
            break
    interactive = sys.stdin.isatty()
    env = {
        "LC_ALL": "C",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": f"{timeout:.0f}",
    }
    if not interactive:
        env["GIT_TERMINAL_PROMPT"] = "0"
    secrets: tuple[str, ...] = ()
    parts = urlsplit(url)
    if parts.scheme in {"", "ssh"} and (ssh := _ssh(ssh_key, timeout, interactive)):
        env["GIT_SSH_COMMAND"] = ssh
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        user, _, password = unquote(parts.netloc.rpartition("@")[0]).partition(":")
        url = _without_login(url)
        if password or _is_token(user):
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            secrets = tuple(word for word in (password or user, token) if word)
            setting = (f"http.{url}.extraHeader", f"Authorization: Basic {token}")
        else:
            setting = (f"credential.{url}.username", user)  # the password is the credential helper's business
        number = int(os.environ.get("GIT_CONFIG_COUNT") or "0")
        env["GIT_CONFIG_COUNT"] = str(number + 1)
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = setting
    return Remote(url, env, secrets, timeout, interactive)


def _ssh(key: str | None, timeout: float, interactive: bool) -> str | None:
    """How git is to start ssh: as the user set it up for git, and what we want of it; what the user says counts first.

    None: a program that we do not know is left as it is.
    """
    own = os.environ.get("GIT_SSH_COMMAND")
    if not own and not os.environ.get("GIT_SSH"):
        own = command.run(["git", "config", "--get", "core.sshCommand"], cwd=Path("/"), check=False).text.strip()
    words = shlex.split(own or os.environ.get("GIT_SSH") or "ssh")
    options = ["-i", str(Path(key).expanduser())] if key else []
    if Path(words[0]).name == "ssh":
        options += ["-o", "IdentitiesOnly=yes"] if key else []
        options += ["-o", f"ConnectTimeout={timeout:.0f}", "-o", f"ServerAliveInterval={max(1, timeout // 3):.0f}"]
        options += [] if interactive else ["-o", "BatchMode=yes"]
    elif not key:
        return None
    return f"{own or shlex.join(words)} {shlex.join(options)}"


def _without_login(url: str) -> str:
    """An http(s) address without user and password; any other as it is."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url


def _is_token(user: str) -> bool:
    """Whether a user name without a password is an access token (they are long; people's names are not)."""
    return len(user) >= 20
