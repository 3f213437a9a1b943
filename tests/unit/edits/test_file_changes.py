"""Changes of files are reported from the first moment on."""

from __future__ import annotations

from pathlib import Path

import pytest

from odpm_tasks.adapters.file_changes import watching


@pytest.mark.parametrize("recursive", [True, False])
def test_a_change_right_after_the_begin_is_reported(tmp_path: Path, recursive: bool) -> None:
    folder = tmp_path / "below" if recursive else tmp_path
    folder.mkdir(exist_ok=True)
    for number in range(3):
        file = folder / f"{number}.py"
        with watching([tmp_path], []) if recursive else watching([], [tmp_path]) as changes:
            file.write_text("x = 1\n", encoding="utf-8")
            assert file in changes.next(lambda _: False, 5)
