"""The files that are watched, by their names in the project, and their bytes before an edit."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.core.edits.values import EditContext, WatchedAddon
from odpm_tasks.edits.watched import Contents, WatchedFolders, read


def test_names_of_files_below_links_and_in_single_folders(tmp_path: Path) -> None:
    folders = WatchedFolders(
        {tmp_path / "elsewhere/shop": ".odpm/src/sales/shop"}, {tmp_path: "", tmp_path / ".odpm": ".odpm"}
    )
    assert folders.name_of(tmp_path / "elsewhere/shop/models/x.py") == ".odpm/src/sales/shop/models/x.py"
    assert folders.name_of(tmp_path / "odpm.json") == "odpm.json"
    assert folders.name_of(tmp_path / ".odpm/state.toml") == ".odpm/state.toml"
    assert folders.name_of(tmp_path / "docs/index.md") == ""


def test_the_bytes_before_an_edit_are_those_of_the_last_action(tmp_path: Path) -> None:
    for name in (
        "shop/models/x.py",
        "shop/static/lib.py",
        "shop/README.rst",
        "idle/x.py",
        ".odpm/src/odoo/addons/web/x.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"before")
    places = {"shop": True, ".odpm/src/web/idle": False, ".odpm/src/odoo/addons/web": True}
    context = EditContext({folder: WatchedAddon(folder, folder, is_in) for folder, is_in in places.items()})
    contents = Contents(tmp_path, context)
    assert contents.before("shop/models/x.py") == (b"before", True)
    assert contents.before("shop/models/new.py") == (None, True)
    assert contents.before("shop/README.rst") == (None, False)
    assert contents.before(".odpm/src/odoo/addons/web/x.py") == (None, False)
    assert contents.below("shop/models") == ["shop/models/x.py"]
    (tmp_path / "shop/models/x.py").write_bytes(b"after")
    assert contents.differing() == {"shop/models/x.py"}
    contents.record("shop/models/x.py", read(tmp_path / "shop/models/x.py"))
    assert contents.differing() == set()
    (tmp_path / "shop/models/x.py").unlink()
    assert contents.differing() == {"shop/models/x.py"}
