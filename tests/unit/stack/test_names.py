"""The names that completion offers, read from the folders of a project."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.stack.names import names


def add_ons(root: Path, typed: str) -> list[str]:
    return sorted(names(root, "add-ons", typed))


def test_add_ons_until_a_letter_is_typed(tmp_path: Path) -> None:
    """Those of the project, else of its dependencies; then all, of which the caller chooses."""
    for path in (".odpm/src/odoo/addons/sale", ".odpm/src/web/web_responsive", "addons/shop"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "__manifest__.py").touch()
    (tmp_path / ".odpm/src/odoo/odoo-bin").touch()
    assert add_ons(tmp_path, "") == ["shop"]
    assert add_ons(tmp_path, "s") == ["sale", "shop", "web_responsive"]
    (tmp_path / "addons/shop/__manifest__.py").unlink()
    assert add_ons(tmp_path, "") == ["web_responsive"]
    assert sorted(names(tmp_path, "sources", "")) == ["odoo", "web"]
