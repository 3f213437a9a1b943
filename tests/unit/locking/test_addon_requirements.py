"""Requirements of add-ons: which add-ons a project needs, and modules that no package index has."""

from __future__ import annotations

import pytest

from odpm_tasks.core.locking.addon_requirements import needed_addons, only_optional, with_need, without_system_modules
from odpm_tasks.core.locking.python_lock import python_lock_header, recorded_inputs, recorded_left_out
from odpm_tasks.core.locking.python_requirements import RequirementLine, external_dependency
from tests.unit.builders import module


def test_needed_add_ons_are_those_of_the_project_and_what_they_depend_on() -> None:
    own = [module("addons/mine", depends=("a", "base")), module("off", depends=("never",), installable=False)]
    others = [
        module("web/a", depends=("b",)),
        module("web/b", depends=("a",)),  # a circle ends
        module("sale/c", depends=("d",)),
        module("sale/d"),
        module("mine", depends=("not-ours",)),  # an add-on of the project hides another one of that name
    ]
    assert needed_addons(own, others) == {"mine", "a", "b", "base"}
    assert needed_addons(own, others, ["c"]) == {"mine", "a", "b", "base", "c", "d"}
    assert needed_addons([], others) == set()


def test_a_line_is_optional_if_only_an_add_on_that_is_not_needed_has_it() -> None:
    lines = with_need(
        [
            RequirementLine("x", "web: a", addon="a"),
            RequirementLine("x", "web: b", addon="b"),
            RequirementLine("x", "web"),
        ],
        {"a"},
    )
    assert [line.optional for line in lines] == [False, True, False]
    assert only_optional(lines[1:2])
    assert not only_optional(lines[1:])
    assert not only_optional([])


def test_modules_of_debian_packages_alone_are_kept_apart() -> None:
    lines = [RequirementLine(name, "web: a", addon="a") for name in ("lasso", "dbus", "zeep")]
    lines.append(RequirementLine("lasso", "web: requirements.txt"))  # a distribution of that name
    kept, alone = without_system_modules(lines, ["python3-dbus=1.3"])
    assert [line.line for line in kept] == ["zeep", "lasso"]
    assert [line.line for line in alone] == ["lasso"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("dns", "dnspython"),
        ("MySQLdb", "mysqlclient"),
        ("u2flib_server", "python-u2flib-server"),
        ("Crypto.Cipher.DES3", "pycryptodome"),
        ("csv", ""),
        ("fitz", "PyMuPDF"),
        ("smb", "pysmb"),
        ("git", "GitPython"),
    ],
)
def test_names_at_which_graphs_of_oca_ended(name: str, line: str) -> None:
    found = external_dependency(name, "web: a", addon="a")
    assert (found.line if found else "") == line


def test_a_lock_records_what_it_leaves_out() -> None:
    header = python_lock_header("ab" * 16, ["smb", "csv2"])
    assert recorded_left_out(f"{header}lxml==5\n") == {"smb", "csv2"}
    assert recorded_inputs(header) == "ab" * 16
    assert recorded_left_out(python_lock_header("ab" * 16)) == frozenset()
