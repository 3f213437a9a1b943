"""The progress display on terminals of several sizes and without a terminal."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from unittest.mock import Mock

import pytest

from odpm_tasks.adapters import terminal

SCRIPT = """
import time
from odpm_tasks.adapters import terminal

with terminal.activity() as show:
    for number in range({many}):
        show.note(f"repository-with-a-long-name-{{number}}", "receiving", 45, "12.34 MiB", "3.21 MiB/s")
    show.retrying("web", "connection reset", "again in 0.5 s, 2 of 3")
    show.note("there already", "counting", 100)
    show.done("there already", "fetched there already")
    time.sleep(0.3)
    for number in range({many}):
        show.done(f"repository-with-a-long-name-{{number}}", f"fetched {{number}}")
"""


def on_a_terminal(columns: int, lines: int, many: int, **env: str) -> str:
    """All output to a terminal of that size, with escape sequences."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    words = [sys.executable, "-c", SCRIPT.format(many=many)]
    shown = bytearray()
    with subprocess.Popen(words, stderr=theirs, env={**clean, "TERM": "xterm-256color", **env}) as process:
        os.close(theirs)
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # on Linux: the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()


def frames(shown: str) -> list[list[str]]:
    """The lines of each redraw of the screen."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-JL-Za-z]", "", shown).replace("\r\n", "\n")
    return [[line for line in re.split(r"[\r\n]", frame) if line.strip()] for frame in plain.split("\x1b[2K")]


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs a pseudo terminal")
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colour", "no colour"])
@pytest.mark.parametrize(("columns", "lines", "many"), [(80, 24, 3), (80, 8, 30), (40, 8, 30), (20, 4, 9)])
def test_rows_fit_the_terminal(columns: int, lines: int, many: int, env: dict[str, str]) -> None:
    shown = on_a_terminal(columns, lines, many, **env)
    text = [line for frame in frames(shown) for line in frame]
    assert max(map(len, text)) <= columns
    assert any("45%" in line for line in text)
    assert ("12.34 MiB" in shown and "3.21 MiB/s" in shown) == (columns == 80)
    assert ("more" in shown) == (many + 2 > lines)
    assert max(len(frame) for frame in frames(shown)) <= lines
    assert "fetched" not in shown
    assert (re.search(r"\x1b\[(?:\d+;)*3\dm", shown) is None) or not env


def test_without_a_terminal_one_line_per_transfer() -> None:
    words = [sys.executable, "-c", SCRIPT.format(many=2)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == (
        "web: connection reset; again in 0.5 s, 2 of 3\nfetched 0  12.34 MiB\nfetched 1  12.34 MiB\n"
    )


def test_the_text_of_a_server_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """git prints the body of an HTTP error as it is."""
    terminal.Activity().retrying("web", "remote: \x1b]0;pwn\x07\x1b[2J", "again in 0.5 s")
    progress = Mock()
    terminal.Activity(progress).retrying("web", "remote: \x1b]0;pwn\x07\x1b[2J", "again in 0.5 s")
    shown = capsys.readouterr().err + progress.update.call_args.kwargs["text"]
    assert "\x1b" not in shown
    assert shown.count("]0;pwn") == 2
