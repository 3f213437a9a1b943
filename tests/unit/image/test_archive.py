"""The state of the Debian archive: settings, indexes, times of a snapshot service, the state that a build finds."""

from __future__ import annotations

import time

import pytest

from odpm_tasks.core.image.archive import (
    MARKER,
    SNAPSHOT,
    ArchiveState,
    Mirror,
    found_state,
    index_time,
    index_urls,
    mirror_of_setting,
    moved_packages,
    snapshot_service,
    snapshot_times,
    snapshot_url,
    sources_list,
    state_of,
)
from odpm_tasks.errors import DescriptionError

DEB = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
MIRROR = Mirror("https://m.example/debian", "https://m.example/debian-security")
STATE = ArchiveState("bookworm", "2026-07-11T10:16:37Z", "2026-11-25T02:22:30Z")


def index(label: str, date: str) -> str:
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: {label}\nDate: {date}\nSHA256:\n"
    )


# --- settings and sources --------------------------------------------------------------------------------------------------


def test_mirror_setting() -> None:
    assert mirror_of_setting("https://m.example/debian/ https://m.example/debian-security", "") == MIRROR
    assert mirror_of_setting("http://m.example/debian", "") == Mirror("http://m.example/debian")


@pytest.mark.parametrize("setting", ["mirror", "ftp://m/debian", "https://a/x https://b/x https://c/x", "file:///x"])
def test_invalid_mirror_is_refused_without_showing_its_password(setting: str) -> None:
    with pytest.raises(DescriptionError, match="ODPM_APT_MIRROR"):
        mirror_of_setting(setting, "ODPM_APT_MIRROR")
    with pytest.raises(DescriptionError) as caught:
        mirror_of_setting("gopher://me:secret@m/debian", "ODPM_APT_MIRROR")
    assert "secret" not in str(caught.value)


def test_snapshot_setting() -> None:
    assert snapshot_service(None, "") == snapshot_service(" ", "") == SNAPSHOT
    assert snapshot_service("off", "") == ""
    assert snapshot_service("https://s.example/", "") == "https://s.example"
    with pytest.raises(DescriptionError, match=r"ODPM_APT_SNAPSHOT in \.env") as caught:
        snapshot_service("ftp://me:secret@s.example", "ODPM_APT_SNAPSHOT in .env")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("codename", "suite"), [("bookworm", "bookworm-security"), ("buster", "buster/updates")])
def test_sources_of_a_mirror(codename: str, suite: str) -> None:
    assert sources_list(codename, MIRROR) == (
        f"{DEB} https://m.example/debian {codename} main\n"
        f"{DEB} https://m.example/debian {codename}-updates main\n"
        f"{DEB} https://m.example/debian-security {suite} main\n"
    )
    assert sources_list(codename, Mirror(MIRROR.archive)).count("deb ") == 2


def test_the_indexes_of_a_snapshot_may_have_expired() -> None:
    lines = sources_list("bookworm", Mirror("https://s.example/debian", snapshot=True)).splitlines()
    assert [line for line in lines if "check-valid-until=no]" not in line] == []


# --- states ----------------------------------------------------------------------------------------------------------------


def test_state_is_the_latest_time_of_each_archive() -> None:
    dates = ["Sat, 11 Jul 2026 10:16:37 UTC", "Sat, 11 Jul 2026 08:10:59 UTC", "Wed, 25 Nov 2026 02:22:30 UTC"]
    labels = ["Debian", "Debian", "Debian-Security"]
    urls = list(index_urls("bookworm", MIRROR))
    indexes = {url: index(label, date) for url, label, date in zip(urls, labels, dates, strict=True)}
    assert state_of("bookworm", MIRROR, indexes) == STATE
    for missing in urls:
        assert state_of("bookworm", MIRROR, {u: text for u, text in indexes.items() if u != missing}) is None
    assert state_of("bookworm", Mirror(MIRROR.archive), indexes) == ArchiveState("bookworm", STATE.archive)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        index("Debian Backports", "Sat, 11 Jul 2026 10:16:37 UTC"),
        index("Debian", "yesterday"),
        "Label: Debian\n",
    ],
)
def test_what_is_no_index_has_no_time(text: str) -> None:
    assert index_time(text, "archive") is None


@pytest.mark.parametrize("zone", ["UTC", "+0000", "-0000", "GMT"])
def test_time_does_not_depend_on_the_zone_of_this_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert index_time(index("Debian", f"Sat, 11 Jul 2026 10:16:37 {zone}"), "archive") == STATE.archive
    finally:
        monkeypatch.undo()
        time.tzset()


def test_state_as_text_and_data() -> None:
    assert STATE.text == "archive 2026-07-11T10:16:37Z\nsecurity 2026-11-25T02:22:30Z\n"
    assert str(STATE) == "Debian bookworm 2026-07-11T10:16:37Z, security 2026-11-25T02:22:30Z"
    assert ArchiveState("bookworm", STATE.archive, extra={"later": 1}).data == {
        "release": "bookworm",
        "archive": STATE.archive,
        "later": 1,
    }


def test_urls_of_a_snapshot_service() -> None:
    times = snapshot_times(STATE.archive)
    assert times[:2] == ("20260711T101637Z", "20260711T121637Z")
    assert snapshot_url("https://s.example", "archive", times[0]) == "https://s.example/archive/debian/20260711T101637Z"
    assert snapshot_url("https://s.example", "security", "T") == "https://s.example/archive/debian-security/T"


def test_state_that_a_build_found() -> None:
    rows = [f"#9 2.3 {MARKER} {line}" for line in STATE.text.splitlines()]
    assert found_state("bookworm", "\n".join(["#9 1.0 Get:1", *rows, "ERROR: failed"])) == STATE
    assert found_state("bookworm", rows[0]) == ArchiveState("bookworm", STATE.archive)
    assert found_state("bookworm", "#9 ERROR: exit code 100") is None


def test_moved_packages() -> None:
    before = {"tini:amd64": "1", "gone:all": "1", "libc6:amd64": "2"}
    after = {"tini:amd64": "2", "new:all": "1", "libc6:amd64": "2"}
    assert moved_packages(before, after) == ("tini:amd64 1 -> 2",)
