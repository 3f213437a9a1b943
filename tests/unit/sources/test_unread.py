"""What the project's folder contains and no task reads."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.sources.unread import deep_addons, unread_warnings


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}", encoding="utf-8")


def test_add_ons_in_deep_folders_are_found_outside_of_other_add_ons(tmp_path: Path) -> None:
    put(
        tmp_path,
        "mine/__manifest__.py",
        "mine/tests/data/inner/__manifest__.py",
        "addons/other/__manifest__.py",
        "odoo/external-src/web/web_x/__manifest__.py",
        "a/b/c/__openerp__.py",
        "a/b/c/d/__manifest__.py",
        "1/2/3/4/5/__manifest__.py",
        "1/2/3/4/5/6/__manifest__.py",
        "node_modules/a/b/__manifest__.py",
        ".odpm/src/web/web_x/__manifest__.py",
    )
    put(tmp_path, "OCA/sale/.git", "OCA/sale/sale_x/__manifest__.py")  # a submodule
    (tmp_path / "link").symlink_to("odoo/external-src")
    assert deep_addons(tmp_path) == ("1/2/3/4/5", "a/b/c", "odoo/external-src/web/web_x")


def test_submodules_and_lists_of_dependencies_are_reported(tmp_path: Path) -> None:
    (tmp_path / ".gitmodules").write_text('[submodule "w"]\n\tpath = src/web\n\turl = https://x\n', encoding="utf-8")
    own = Facts(requirements="odpm_tasks>=5\n# x\nZeep==4.0\nlxml\n-r other.txt\n", oca_dependencies="web\n")
    assert list(unread_warnings(tmp_path, own, ["lxml"])) == [
        "git submodules of the project are not sources of the stack: src/web; "
        "name their repositories in the dependencies of odpm.json",
        "requirements.txt of the project is not read: -r other.txt, zeep; name these packages in the requirements of odpm.json",
        "oca_dependencies.txt of the project is not read; name its repositories in the dependencies of odpm.json",
    ]


def test_a_requirements_file_with_locked_packages_and_tools_is_not_reported(tmp_path: Path) -> None:
    own = Facts(requirements="invoke\nodpm-tasks\nZeep\n", oca_dependencies="\n")
    assert list(unread_warnings(tmp_path, own, ["zeep"])) == []


def test_a_submodule_whose_repository_is_a_source_is_not_reported(tmp_path: Path) -> None:
    modules = (
        '[submodule "w"]\n\tpath = src/web\n\turl = ../web.git\n[submodule "s"]\n\tpath = s\n\turl = git@x.y:a/Sale\n'
    )
    (tmp_path / ".gitmodules").write_text(modules, encoding="utf-8")
    found = list(unread_warnings(tmp_path, Facts(), (), ["https://github.com/OCA/web"]))
    assert len(found) == 1
    assert "of the stack: s;" in found[0]
    assert list(unread_warnings(tmp_path, Facts(), (), ["https://github.com/OCA/web", "https://x.y/a/sale"])) == []
