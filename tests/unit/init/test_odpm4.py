"""`init --from` with a project of odpm 4: which folder it is, and what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from odpm_tasks.converters import odpm4
from odpm_tasks.errors import DescriptionError

FLAT = json.dumps({"odpm_version": "4.0", "odoo_version": "18.0"})


def elder(tmp_path: Path, settings: str = '{"dev_mode": "reload"}') -> Path:
    folder = tmp_path / "elder"
    (folder / ".odpm").mkdir(parents=True)
    (folder / "user_settings.json").write_text(settings, encoding="utf-8")
    (folder / ".odpm/secrets.json").write_text('{"secrets": {"smtp.password": "tiger"}}', encoding="utf-8")
    (folder / ".env").write_text("ODOO_PORT=8169\nODPM_LOCALE=en\nODPM_KANIKO_EXECUTOR_BIN=x\n", encoding="utf-8")
    return folder


def test_the_folder_that_from_names(tmp_path: Path) -> None:
    folder = elder(tmp_path)
    assert odpm4.folder(str(folder)) == folder
    assert odpm4.folder(str(folder / "user_settings.json")) == folder
    assert odpm4.folder("odpm4") == Path()
    assert odpm4.folder("odpm4:/x") == Path("/x")
    for other in ("", str(tmp_path), "doodba", str(tmp_path / "absent")):
        assert odpm4.folder(other) is None


def test_the_own_odpm_json_wins_and_missing_files_are_copied(tmp_path: Path) -> None:
    folder, root = elder(tmp_path), tmp_path / "shop"
    root.mkdir()
    with pytest.raises(DescriptionError, match=r"no odpm\.json"):
        odpm4.read(root, folder)
    (folder / "odpm.json").write_text(FLAT, encoding="utf-8")
    assert (odpm4.read(root, folder).manifest, list(odpm4.read(root, folder).copied)) == (FLAT, [".env"])
    (root / "odpm.json").write_text(f"{FLAT}\n", encoding="utf-8")
    (root / ".env").touch()
    found = odpm4.read(root, folder)
    assert (found.manifest, found.copied) == (f"{FLAT}\n", {})
    lines = "\n".join(found.remarks)
    for text in ("differs from that of", "ODPM_DEV=reload", "smtp.password as SMTP_PASSWORD", "ODPM_DATABASE=NAME"):
        assert text in lines
    assert ".env: ODPM_KANIKO_EXECUTOR_BIN, ODPM_LOCALE: no effect" in lines
    assert "tiger" not in lines


def test_a_settings_file_that_is_no_object_is_refused(tmp_path: Path) -> None:
    folder = elder(tmp_path, "[]")
    (folder / "odpm.json").write_text(FLAT, encoding="utf-8")
    with pytest.raises(DescriptionError, match=r"user_settings\.json is not a JSON object"):
        odpm4.read(folder, folder)
