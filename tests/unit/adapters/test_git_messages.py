"""Parsing of git output: lines as git 2.39, curl and OpenSSH 9 print them."""

from __future__ import annotations

import pytest

from odpm_tasks.adapters.git.messages import Progress, error_lines, failure_kind, is_timeout, is_transient, progress


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "Receiving objects:  45% (450/1000), 12.34 MiB | 3.21 MiB/s",
            Progress("Receiving objects", 45, "12.34 MiB", "3.21 MiB/s"),
        ),
        ("Receiving objects:   0% (0/12)", Progress("Receiving objects", 0)),
        (
            "Receiving objects: 100% (3/3), 287 bytes | 287.00 KiB/s, done.",
            Progress("Receiving objects", 100, "287 bytes", "287.00 KiB/s", local=True),
        ),
        ("Receiving objects: 100% (3/3), 1.02 GiB", Progress("Receiving objects", 100, "1.02 GiB")),
        ("remote: Enumerating objects: 5, done.        ", Progress("Enumerating objects")),
        ("remote: Counting objects:  20% (1/5)        ", Progress("Counting objects", 20)),
        ("remote: Compressing objects: 100% (4/4), done.", Progress("Compressing objects", 100)),
        ("Resolving deltas:   7% (1/14)", Progress("Resolving deltas", 7, local=True)),
        ("Updating files: 100% (9/9), done.", Progress("Updating files", 100, local=True)),
        ("remote: Total 3 (delta 0), reused 0 (delta 0), pack-reused 0", None),
        ("fatal: couldn't find remote ref refs/heads/none", None),
        ("remote: Receiving hours: 9 to 5", None),
        ("From http://127.0.0.1:1/w", None),
        ("", None),
    ],
)
def test_progress(line: str, expected: Progress | None) -> None:
    assert progress(line) == expected


ACCESS = "fatal: unable to access 'http://h/a.git/': "
UNREADABLE = (
    "fatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists.\n"
)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{ACCESS}The requested URL returned error: {status}" for status in (500, 502, 503, 504, 429, 408)),
        f"{ACCESS}Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
        f"{ACCESS}Recv failure: Connection reset by peer",
        f"{ACCESS}Empty reply from server",
        "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfetch-pack: unexpected disconnect while"
        " reading sideband packet\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
        "error: 2431 bytes of body are still expected\nfatal: early EOF",
        "fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused\n",
        f"ssh: connect to host 127.0.0.1 port 1: Connection refused\n{UNREADABLE}",
        f"kex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 22\n{UNREADABLE}",
        "fatal: the remote end hung up unexpectedly",
    ],
)
def test_transient_failures(text: str) -> None:
    assert is_transient(text)
    assert failure_kind(text) is None
    assert not is_timeout(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("fatal: could not read Username for 'http://h': terminal prompts disabled", "login"),
        ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/a.git/'", "login"),
        (f"{ACCESS}The requested URL returned error: 403", "login"),
        ("fatal: repository 'http://h/a.git/' not found", "repository"),
        ("remote: Repository not found.\nfatal: repository 'https://h/a/' not found", "repository"),
        (f"{ACCESS}The requested URL returned error: 410", "repository"),
        (f"fatal: '/nothing' does not appear to be a git repository\n{UNREADABLE}", "repository"),
        ("fatal: couldn't find remote ref refs/heads/none\nfatal: the remote end hung up unexpectedly", "branch"),
        (
            f"fatal: remote error: upload-pack: not our ref {'a' * 40}\nfatal: the remote end hung up unexpectedly",
            "commit",
        ),
        (f"error: Server does not allow request for unadvertised object {'a' * 40}", "commit ids"),
        (f"fatal: remote error: want {'a' * 40} not valid", "commit ids"),
        ("fatal: remote error: filter 'tree' not supported\nfatal: the remote end hung up unexpectedly", "filter"),
        ("fatal: no commits selected for shallow requests\nfatal: the remote end hung up unexpectedly", "quiet"),
        (f"me@h: Permission denied (publickey).\n{UNREADABLE}", "ssh key"),
        (f"Host key verification failed.\n{UNREADABLE}", "host key"),
        (f"{ACCESS}Could not resolve host: nowhere.invalid", "host"),
        (f"ssh: Could not resolve hostname nowhere.invalid: Name or service not known\n{UNREADABLE}", "host"),
        (
            "fatal: write error: No space left on device\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output",
            "disk",
        ),
    ],
)
def test_permanent_failures(text: str, kind: str) -> None:
    assert failure_kind(text) == kind
    assert not is_transient(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{ACCESS}Operation too slow. Less than 1 bytes/sec transferred the last 30 seconds",
        "error: RPC failed; curl 28 Operation too slow. Less than 1 bytes/sec transferred the last 30 seconds\n"
        "fatal: early EOF",
        f"Connection timed out during banner exchange\nConnection to 127.0.0.1 port 22 timed out\n{UNREADABLE}",
        f"Timeout, server 10.0.0.1 not responding.\n{UNREADABLE}",
    ],
)
def test_timeouts(text: str) -> None:
    assert is_timeout(text)
    assert not is_transient(text)


def test_lines_with_a_known_cause_come_first() -> None:
    text = f"remote: Counting objects: 100% (3/3)\rwarning: odd\n{UNREADABLE}me@h: Permission denied (publickey).\n"
    assert error_lines(text) == (
        "me@h: Permission denied (publickey).",
        "warning: odd",
        "fatal: Could not read from remote repository.",
    )


def test_unknown_text() -> None:
    assert not is_transient("fatal: bad object HEAD")
    assert failure_kind("fatal: bad object HEAD") is None
