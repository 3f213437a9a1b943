"""URLs, mirrors, credentials and ssh commands."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import remote as git_remote

pytestmark = pytest.mark.usefixtures("clean")


def test_credentials_are_passed_by_environment_only() -> None:
    remote = git_remote.remote("https://me:p%40ss%3A@git.example.org/x/web.git")
    token = base64.b64encode(b"me:p@ss:").decode()
    assert remote.url == "https://git.example.org/x/web.git"
    assert remote.env["GIT_CONFIG_COUNT"] == "1"
    assert remote.env["GIT_CONFIG_KEY_0"] == "http.https://git.example.org/x/web.git.extraHeader"
    assert remote.env["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {token}"
    assert set(remote.secrets) == {"p@ss:", token}
    assert "p@ss" not in repr(remote)
    assert token not in repr(remote)


def test_git_configuration_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    env = git_remote.remote("https://me:pw@h/x").env
    assert env["GIT_CONFIG_COUNT"] == "3"
    assert "GIT_CONFIG_KEY_2" in env
    assert "GIT_CONFIG_KEY_0" not in env


@pytest.mark.parametrize("url", ["https://github.com/OCA/web", "ssh://git@h/x", "git@h:x", "file:///srv/x"])
def test_no_header_without_credentials(url: str) -> None:
    remote = git_remote.remote(url)
    assert remote.url == url
    assert "GIT_CONFIG_COUNT" not in remote.env
    assert remote.secrets == ()


def test_user_name_is_for_the_credential_helper_but_a_token_is_a_secret() -> None:
    person = git_remote.remote("https://me@example.org/x")
    assert (person.url, person.secrets) == ("https://example.org/x", ())
    assert "credential.https://example.org/x.username" in person.env.values()
    token = git_remote.remote("https://" + "t" * 40 + "@example.org/x")
    assert "t" * 40 in token.secrets
    assert any(value.startswith("Authorization: Basic") for value in token.env.values())


def test_first_matching_mirror_applies() -> None:
    mirrors = [("https://a/", "https://one/"), ("https://a/b", "https://two/"), ("git@h:", "file:///srv/")]
    assert git_remote.remote("https://a/b/c", mirrors=mirrors).url == "https://one/b/c"
    assert git_remote.remote("git@h:x.git", mirrors=mirrors).url == "file:///srv/x.git"
    assert git_remote.remote("https://other/x", mirrors=mirrors).url == "https://other/x"


def test_a_prefix_without_a_slash_matches_whole_hosts_only() -> None:
    """A dependency on another host would otherwise get the login of the mirror: on mirror.example.evil.org."""
    rules = [("https://git.example", "https://me:hunter2@mirror.example")]
    assert git_remote.remote("https://git.example/x", mirrors=rules).url == "https://mirror.example/x"
    other = git_remote.remote("https://git.example.evil.org/x", mirrors=rules)
    assert (other.url, other.secrets) == ("https://git.example.evil.org/x", ())
    assert git_remote.remote("https://h/a/b.git", mirrors=[("https://h/a/b", "https://m/c")]).url == "https://m/c.git"
    assert git_remote.remote("git@h:a/b", mirrors=[("git@h:a", "git@m:c")]).url == "git@m:c/b"


def test_mirror_matches_a_url_with_credentials() -> None:
    rules = [("https://a.example/", "https://b.example/")]
    assert git_remote.remote("https://me:pw@a.example/x", mirrors=rules).url == "https://b.example/x"


def test_password_in_the_url_of_a_mirror_becomes_a_header() -> None:
    remote = git_remote.remote("https://a/x", mirrors=[("https://a/", "https://me:hunter2@mirror/")])
    assert remote.url == "https://mirror/x"
    assert "hunter2" in remote.secrets


def test_git_does_not_prompt_without_a_terminal() -> None:
    env = git_remote.remote("git@h:x", ssh_key="/home/me/.ssh/id").env
    assert env["GIT_TERMINAL_PROMPT"] == "0"
    assert env["GIT_SSH_COMMAND"].startswith("ssh -i /home/me/.ssh/id -o IdentitiesOnly=yes ")
    assert "-o BatchMode=yes" in env["GIT_SSH_COMMAND"]


def test_configured_ssh_command_is_extended(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ConnectTimeout=7" in git_remote.remote("git@h:x", timeout=7).env["GIT_SSH_COMMAND"]
    (clean / ".gitconfig").write_text("[core]\n\tsshCommand = ssh -F 'my config'\n", encoding="utf-8")
    assert git_remote.remote("git@h:x").env["GIT_SSH_COMMAND"].startswith("ssh -F 'my config' -o ")
    monkeypatch.setenv("GIT_SSH", "plink")
    assert "GIT_SSH_COMMAND" not in git_remote.remote("ssh://h/x").env
    assert git_remote.remote("ssh://h/x", ssh_key="~/id").env["GIT_SSH_COMMAND"] == f"plink -i {clean}/id"
    monkeypatch.setenv("GIT_SSH_COMMAND", "/opt/bin/ssh -v")
    assert git_remote.remote("ssh://h/x").env["GIT_SSH_COMMAND"].startswith("/opt/bin/ssh -v -o ConnectTimeout=30 ")
    assert "GIT_SSH_COMMAND" not in git_remote.remote("https://h/x", ssh_key="/id").env
