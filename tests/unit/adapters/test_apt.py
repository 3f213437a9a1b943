"""Settings of the machine for image builds."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from odpm_tasks.adapters import apt, index_settings
from odpm_tasks.image.build_secrets import on_loopback


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:3128", True),
        ("http://user:secret@localhost:8080/simple/", True),
        ("https://[::1]/simple", True),
        ("https://index.example/simple", False),
        ("https://127.example/simple", False),
        ("", False),
        ("not a url", False),
    ],
)
def test_on_loopback(address: str, expected: bool) -> None:
    assert on_loopback(address) is expected


@pytest.mark.skipif(
    not shutil.which("apt-get") or platform.freedesktop_os_release()["ID"] != "debian", reason="no Debian"
)
def test_mirrors_of_a_debian_machine_are_used_if_it_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, sources = tmp_path / "apt.conf", tmp_path / "sources.list"
    settings.write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n', encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(settings))
    archive = "deb http://m.example/debian trixie main\n"
    sources.write_text(archive, encoding="utf-8")
    assert apt.machine_mirrors() == ("", "")
    sources.write_text(f"{archive}deb http://s.example/debian-security trixie-security main\n", encoding="utf-8")
    assert apt.machine_mirrors() == ("http://m.example/debian", "http://s.example/debian-security")


def test_export_lines_are_quoted() -> None:
    assert index_settings.export_lines({"B": "it's $HOME", "A": "1"}) == "export A=1\nexport B='it'\"'\"'s $HOME'\n"
