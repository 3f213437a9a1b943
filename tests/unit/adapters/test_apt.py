"""Settings of the machine for image builds."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from odpm_tasks.adapters import apt, index_settings
from odpm_tasks.errors import DescriptionError
from odpm_tasks.image.build_secrets import on_loopback

DEB = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"


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


def test_mirror_setting_is_used_for_the_release_and_its_updates() -> None:
    assert apt.sources("bookworm", "https://m.example/debian") == (
        f"{DEB} https://m.example/debian bookworm main\n{DEB} https://m.example/debian bookworm-updates main\n"
    )


@pytest.mark.parametrize(("codename", "suite"), [("bookworm", "bookworm-security"), ("buster", "buster/updates")])
def test_security_mirror_setting(codename: str, suite: str) -> None:
    text = apt.sources(codename, "https://m.example/debian https://m.example/debian-security")
    assert text.splitlines()[2] == f"{DEB} https://m.example/debian-security {suite} main"


@pytest.mark.parametrize("setting", ["mirror", "ftp://m/debian", "https://a/x https://b/x https://c/x", "file:///x"])
def test_invalid_mirror_is_refused_without_showing_its_password(setting: str) -> None:
    with pytest.raises(DescriptionError, match="ODPM_APT_MIRROR"):
        apt.sources("bookworm", setting)
    with pytest.raises(DescriptionError) as caught:
        apt.sources("bookworm", "gopher://me:secret@m/debian")
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(
    not shutil.which("apt-get") or platform.freedesktop_os_release()["ID"] != "debian", reason="no Debian"
)
def test_mirrors_of_a_debian_machine_are_used_if_it_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, sources = tmp_path / "apt.conf", tmp_path / "sources.list"
    settings.write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n', encoding="utf-8")
    monkeypatch.setenv("APT_CONFIG", str(settings))
    archive = "deb http://m.example/debian trixie main\n"
    sources.write_text(archive, encoding="utf-8")
    assert apt.sources("bookworm", None) == ""
    sources.write_text(f"{archive}deb http://s.example/debian-security trixie-security main\n", encoding="utf-8")
    assert apt.sources("bookworm", None) == apt.sources(
        "bookworm", "http://m.example/debian http://s.example/debian-security"
    )


def test_export_lines_are_quoted() -> None:
    assert index_settings.export_lines({"B": "it's $HOME", "A": "1"}) == "export A=1\nexport B='it'\"'\"'s $HOME'\n"
