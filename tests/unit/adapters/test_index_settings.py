"""Settings for package indexes: the order of the user, names and logins of indexes, pip's settings where uv has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odpm_tasks.adapters import index_settings


@pytest.fixture(autouse=True)
def _no_settings(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    empty = clean / "pip.conf"
    empty.write_text("[global]\nindex-url =\nextra-index-url =\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(empty))


def test_named_indexes_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv uses the first index that knows a name: an entry that got lost would let a public package replace a private one."""
    entries = "corp=http://private.example/simple http://public.example/simple/ file:///opt/wheels"
    monkeypatch.setenv("UV_INDEX", entries)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://default.example/simple")
    found = index_settings.index()
    assert found.variables["UV_INDEX"] == "corp=http://private.example/simple http://public.example/simple/"
    assert index_settings.index_urls(found) == [
        "http://private.example/simple",
        "http://public.example/simple/",
        "https://default.example/simple",
    ]


def test_the_login_of_a_named_index_is_in_its_address_for_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", "my-corp=https://private.example/simple?a=b")
    monkeypatch.setenv("UV_INDEX_MY_CORP_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_MY_CORP_PASSWORD", "p@ss/word")
    found = index_settings.index()
    assert found.variables["PIP_EXTRA_INDEX_URL"] == "https://me:p%40ss%2Fword@private.example/simple?a=b"


def test_settings_of_pip_apply_where_uv_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert index_settings.index().variables["UV_DEFAULT_INDEX"] == "https://pip.example/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert index_settings.index().variables["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


def test_without_a_setting_the_public_index_is_asked() -> None:
    found = index_settings.index()
    assert found.variables == {}
    assert len(index_settings.index_urls(found)) == 1
