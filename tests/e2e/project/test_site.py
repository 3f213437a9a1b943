"""The documentation as a site: built strictly, complete, searchable, and without requests to other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import REPOSITORY

CONFIG = "zensical.toml"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zensical")
    return subprocess.run(
        [program, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / CONFIG, root)
    shutil.copytree(REPOSITORY / "docs", root / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def site(copied: Path) -> Path:
    done = build(copied)
    assert done.returncode == 0, done.stdout + done.stderr
    return copied / str(config()["site_dir"])


def config() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((REPOSITORY / CONFIG).read_text(encoding="utf-8"))["project"]
    return project


def navigation(entries: Any) -> set[str]:
    if isinstance(entries, str):
        return {entries}
    values = entries.values() if isinstance(entries, dict) else entries
    return {page for entry in values for page in navigation(entry)}


def test_the_navigation_has_every_page_and_no_other() -> None:
    docs = REPOSITORY / "docs"
    assert navigation(config()["nav"]) == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


def test_every_page_is_built_and_can_be_searched(site: Path) -> None:
    search = (site / "search.json").read_text(encoding="utf-8")
    for page in navigation(config()["nav"]):
        target = page.replace("README.md", "index.md").removesuffix(".md") + ".html"
        assert (site / target).is_file(), target
        assert target.removesuffix("index.html") in search, target
    assert "contradicted" in search


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?([^\" >]+)", text)
        loaded += re.findall(r"<link(?![^>]+rel=\"?canonical)[^>]+href=\"?([^\" >]+)", text)
        assert loaded
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], path.name
        assert 'class="mermaid"' not in text, "diagrams are drawn by a script of another host"


# a missing picture passes; tests/unit/docs finds it
@pytest.mark.parametrize("text", ["[gone](gone.md)", "[gone](tasks.md#gone)"], ids=["page", "heading"])
def test_a_broken_link_fails_the_build(copied: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(copied, tmp_path / "site", ignore=shutil.ignore_patterns(".odpm", ".cache"))
    page = tmp_path / "site/docs/ci.md"
    page.write_text(page.read_text(encoding="utf-8") + f"\n{text}\n", encoding="utf-8")
    assert build(tmp_path / "site").returncode != 0
