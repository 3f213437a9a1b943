"""The fixture `clean`: an empty home folder and none of the user's settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def clean(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder; git and odpm read no settings of this machine. Returns the home folder."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[core]\n\tfsync = none\n[gc]\n\tauto = 0\n", encoding="utf-8")
    for name in os.environ:
        if name.startswith(("ODPM_", "GIT_", "SSH_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home
