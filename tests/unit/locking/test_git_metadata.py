"""Metadata of packages in repositories: what files state, and what only running code tells."""

from __future__ import annotations

import pytest

from odpm_tasks.core.locking.git_metadata import git_metadata, version_from_tags

SCM = '[build-system]\nrequires = ["setuptools_scm[toml]>=8"]\n'
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def read(**texts: str) -> tuple[str, str, tuple[str, ...] | None, bool]:
    found = git_metadata({name.replace("_", "."): text.encode() for name, text in texts.items()})
    return (
        found.name,
        found.version,
        found.stated.requires if found.stated else None,
        found.from_tags and not found.version,
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject_toml": '[project]\nname = "a"\nversion = "1.0.0"\ndependencies = ["six"]\n'}, ("a", "1.0.0", ("six",), False)),
        ({"pyproject_toml": '[project]\nname = "a"\ndynamic = ["version"]\n' + SCM}, ("a", "", (), True)),
        ({"pyproject_toml": '[project]\nname = "a"\ndynamic = ["version"]\n'}, ("a", "", (), False)),
        ({"pyproject_toml": f'[project]\nname = "a"\ndynamic = ["version"]\n{SCM}[tool.setuptools.dynamic]\nversion = {{attr = "a.v"}}\n'},
         ("a", "", (), False)),
        ({"pyproject_toml": '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n'}, ("a", "1", None, False)),
        ({"setup_cfg": "[metadata]\nname = a\nversion = 1.2\n[options]\ninstall_requires =\n  six\n"}, ("a", "1.2", ("six",), False)),
        ({"setup_cfg": "[metadata]\nname = a\nversion = attr: a.__version__\n"}, ("a", "", (), False)),
        ({"setup_py": "from setuptools import setup\nsetup(name='a', version='2', install_requires=['six'])\n"},
         ("a", "2", ("six",), False)),
        ({"setup_py": "from setuptools import setup\nsetup(name='a', use_scm_version=True)\n"}, ("a", "", (), True)),
        ({"setup_py": "from setuptools import setup\nsetup(name='a', version=v())\n"}, ("a", "", (), False)),
        # plugins of setuptools compute requirements
        ({"setup_py": "import setuptools\nsetuptools.setup(setup_requires=['setuptools-odoo'], odoo_addon=True)\n"}, ("", "", None, False)),
        ({"setup_py": "import setuptools\nsetuptools.setup(setup_requires=['pbr'], pbr=True)\n"}, ("", "", None, True)),
        ({"pyproject_toml": '[tool.poetry]\nname = "a"\nversion = "1"\n'}, ("", "", None, False)),
        ({"pyproject_toml": "not toml ["}, ("", "", None, False)),
    ],
)  # fmt: skip
def test_what_files_state(files: dict[str, str], expected: tuple[str, str, tuple[str, ...] | None, bool]) -> None:
    assert read(**files) == expected


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("v1.2.3-0-g0123456", "1.2.3"),
        ("1.2-4-g0123456", "1.3.dev4+g012345678"),
        ("release-1.2.3-4-g0123456", "1.2.4.dev4+g012345678"),
        ("1.0rc1-2-g0123456", "1.0rc2.dev2+g012345678"),
        ("nightly2-2-g0123456", "0.1.dev7+g012345678"),
        ("", "0.1.dev7+g012345678"),
    ],
)
def test_the_version_of_the_last_tag_is_that_of_setuptools_scm(described: str, version: str) -> None:
    assert version_from_tags(described, 7, COMMIT) == version
