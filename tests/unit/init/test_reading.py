"""Reading the files of other tools: what is refused, with the exit code of an invalid description."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from odpm_tasks.converters import reading
from odpm_tasks.errors import DescriptionError


def test_a_file_and_a_link_inside_are_read_and_a_missing_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    (tmp_path / "b.txt").symlink_to("a.txt")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    names = ("a.txt", "b.txt", "broken", "folder", "missing")
    assert reading.texts(tmp_path, names) == {"a.txt": "text", "b.txt": "text"}


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a.txt").symlink_to("../secret")
    with pytest.raises(DescriptionError, match="leads out of the project"):
        reading.text(tmp_path / "project", "a.txt")


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(reading.MAX_SIZE + 1)
    with pytest.raises(DescriptionError, match="at most 1,000,000 are read"):
        reading.text(tmp_path, "a.txt")


@pytest.mark.parametrize("name", ["null\0byte", "x" * 5000])
def test_a_name_that_the_system_refuses(name: str, tmp_path: Path) -> None:
    with suppress(DescriptionError):
        assert reading.text(tmp_path, name) is None


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with suppress(DescriptionError):
        assert reading.text(tmp_path, "loop") is None
