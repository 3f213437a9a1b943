"""Access to a git server: its URL, and the environment that passes credentials and timeouts to git."""

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
_PASSWORD_TIMEOUT = 120.0  # seconds for the user to type a password


@dataclass(frozen=True)
class Remote:
    """A server to fetch from: the URL without password, and the environment that passes the credentials.

    `timeout`: seconds without output after which a fetch is ended; `interactive`: whether git may prompt for a password.
    """

    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = TIMEOUT
    interactive: bool = False

    @property
    def first_timeout(self) -> float:
        """Seconds until the first output: git makes three requests before that, and may prompt for a password."""
        return max(3 * self.timeout, _PASSWORD_TIMEOUT if self.interactive else 0)


def remote(
    url: str,
    *,
    mirrors: Sequence[tuple[str, str]] = (),
    ssh_key: str | None = None,
    timeout: float = TIMEOUT,
) -> Remote:
    """The remote for the URL of a link. The first matching mirror prefix applies; user and password become a header."""
    plain = _without_login(url)
    for prefix, target in mirrors:
        if plain.startswith(prefix) and not _ends_in_host(prefix, plain):
            url = target + plain[len(prefix) :]
            break
    interactive = sys.stdin is not None and sys.stdin.isatty()
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
            setting = (f"credential.{url}.username", user)  # git gets the password from the credential helper
        number = int(os.environ.get("GIT_CONFIG_COUNT") or "0")
        env["GIT_CONFIG_COUNT"] = str(number + 1)
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = setting
    return Remote(url, env, secrets, timeout, interactive)


def _ends_in_host(prefix: str, url: str) -> bool:
    """Whether a prefix ends inside the host of a URL: `https://git.example` is no prefix of `https://git.example.org/x`.

    The mirror would be another host, too, and it would get the login of the mirror.
    """
    _, separator, rest = prefix.rpartition("://")
    has_path = "/" in rest or (not separator and ":" in rest)
    return not has_path and url[len(prefix) : len(prefix) + 1] not in {"", "/"}


def ssh_command(key: str | None, timeout: float) -> str:
    """The ssh command as text for a shell, with the options that git gets: the project's key, timeouts, no prompts without a terminal."""
    interactive = sys.stdin is not None and sys.stdin.isatty()
    return _ssh(key, timeout, interactive) or _own_ssh()


def _own_ssh() -> str:
    """The ssh command of the user's git."""
    own = os.environ.get("GIT_SSH_COMMAND")
    if not own and not os.environ.get("GIT_SSH"):
        own = command.run(["git", "config", "--get", "core.sshCommand"], cwd=Path("/"), check=False).text.strip()
    return own or shlex.join(shlex.split(os.environ.get("GIT_SSH") or "ssh"))


def _ssh(key: str | None, timeout: float, interactive: bool) -> str | None:
    """The ssh command for git: the user's, with our options appended; ssh uses the first value it gets for an option.

    None, no change, for a program other than OpenSSH without a key of the project.
    """
    own = _own_ssh()
    options = ["-i", str(Path(key).expanduser())] if key else []
    if Path(shlex.split(own)[0]).name == "ssh":
        options += ["-o", "IdentitiesOnly=yes"] if key else []
        options += ["-o", f"ConnectTimeout={timeout:.0f}", "-o", f"ServerAliveInterval={max(1, timeout // 3):.0f}"]
        options += [] if interactive else ["-o", "BatchMode=yes"]
    elif not key:
        return None
    return f"{own} {shlex.join(options)}"


def _without_login(url: str) -> str:
    """An http(s) URL without user and password; any other URL unchanged."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url


def _is_token(user: str) -> bool:
    """Whether a user name without a password is an access token: tokens have at least 20 characters."""
    return len(user) >= 20
