"""The cache of compiled templates."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from odpm_tasks.adapters.template_cache import TemplateCache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "hello.j2").write_text("Hello {{ name }}", encoding="utf-8")
    return tmp_path


def rendered(folder: Path) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), bytecode_cache=TemplateCache(folder), autoescape=False
    )
    return environment.get_template("hello.j2").render(name="you")


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*")) if (folder / "__pycache__").is_dir() else []


def test_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(folder) == "Hello you"
    (one,) = kept(folder)
    assert one.name.endswith(f".{sys.implementation.cache_tag}.pyc")
    before = one.stat().st_ino, one.stat().st_mtime_ns
    monkeypatch.setattr(jinja2.Environment, "_parse", lambda *_: pytest.fail("compiled again"))
    assert rendered(folder) == "Hello you"
    assert (one.stat().st_ino, one.stat().st_mtime_ns) == before  # reading changes the time of access


def test_changed_template_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    (folder / "hello.j2").write_text("Good bye {{ name }}", encoding="utf-8")
    assert rendered(folder) == "Good bye you"
    assert len(kept(folder)) == 1


def test_damaged_cache_is_rebuilt(folder: Path) -> None:
    rendered(folder)
    (one,) = kept(folder)
    whole = one.read_bytes()
    one.write_bytes(b"\0 no code")
    assert rendered(folder) == "Hello you"
    assert one.read_bytes() == whole


def test_no_cache_with_dont_write_bytecode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder) == "Hello you"
    assert kept(folder) == []


def test_folder_that_is_not_writable_is_ignored(folder: Path) -> None:
    (folder / "__pycache__").write_text("in the way")
    assert rendered(folder) == "Hello you"
