"""What a distribution states about its requirements, read from its files: each case is the files of an archive."""

from __future__ import annotations

import pytest

from odpm_tasks.core.locking.sdist import StaticMetadata, metadata_files, requires_txt, static_metadata

SETUP = "from setuptools import setup\nsetup(name='x', version='1'"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # a wheel
        ({"x-1.dist-info/METADATA": "Name: x\nRequires-Dist: six>=1\nRequires-Python: >=3\n"}, (("six>=1",), ">=3")),
        # PEP 643: the file of the source distribution is final, unless it says that a field is not
        ({"x-1/PKG-INFO": "Metadata-Version: 2.2\nRequires-Dist: six\n"}, (("six",), "")),
        ({"x-1/PKG-INFO": "Metadata-Version: 2.2\nDynamic: Requires-Dist\nRequires-Dist: six\n"}, None),
        # before that, what setuptools wrote beside it counts
        (
            {
                "x-1/PKG-INFO": "Metadata-Version: 1.1\n",
                "x-1/x.egg-info/PKG-INFO": "",
                "x-1/x.egg-info/requires.txt": "six\n",
            },
            (("six",), ""),
        ),
        ({"x-1/src/x.egg-info/PKG-INFO": "Requires-Python: >=3.6\n"}, ((), ">=3.6")),
        # PEP 621
        ({"x-1/pyproject.toml": '[project]\nname = "x"\ndependencies = ["six"]\n'}, (("six",), "")),
        ({"x-1/pyproject.toml": '[project]\nname = "x"\ndynamic = ["dependencies"]\n'}, None),
        # literals of a setup.py; of setup.cfg what that does not name
        ({"x-1/setup.py": f"{SETUP}, install_requires=['six', 'pytz>1'])\n"}, (("six", "pytz>1"), "")),
        ({"x-1/setup.py": f"{SETUP}, install_requires='six\\npytz')\n"}, (("six", "pytz"), "")),
        ({"x-1/setup.py": f"{SETUP})\n", "x-1/setup.cfg": "[options]\ninstall_requires =\n  six\n"}, (("six",), "")),
        ({"x-1/setup.py": f"{SETUP}, extras_require={{'A b': ['six']}})\n"}, (('six ; extra == "a-b"',), "")),
        # distutils has no requirements
        ({"x-1/setup.py": "from distutils.core import setup\nsetup(**values)\n"}, ((), "")),
        # only running it would tell
        ({"x-1/setup.py": f"{SETUP}, install_requires=read('requirements.txt'))\n"}, None),
        ({"x-1/setup.py": f"{SETUP}, **values)\n"}, None),
        ({"x-1/setup.py": "import setuptools\nprint 'Python 2'\n"}, None),
        (
            {"x-1/setup.py": f"{SETUP})\n", "x-1/setup.cfg": "[options]\ninstall_requires = file: requirements.txt\n"},
            None,
        ),
        ({}, None),
        # a direct reference leads around the index; what is no requirement is none
        ({"x-1.dist-info/METADATA": "Requires-Dist: evil @ git+file:///evil\n"}, None),
        ({"x-1.dist-info/METADATA": "Requires-Dist: -r /etc/passwd\n"}, None),
        ({"x-1.dist-info/METADATA": "Requires-Python: not a version\n"}, None),
        # made to confuse: types, nesting, numbers, a string with a line end, members with one hash
        ({"x-1/pyproject.toml": f"a = {'1' * 6000}"}, None),
        ({"x-1/pyproject.toml": "[project]\ndynamic = 5"}, None),
        ({"x-1/pyproject.toml": "[project]\ndynamic = [{a = 1}]"}, None),
        ({"x-1/PKG-INFO": f"Metadata-Version: {'2' * 6000}.2"}, None),
        (
            {"x-1/PKG-INFO": f"Metadata-Version: 2.2\nRequires-Dist: a; {'(' * 5000}python_version>'3'{')' * 5000}"},
            None,
        ),
        ({"x-1/setup.py": f"import setuptools\nx = {'-' * 200_000}1"}, None),
        (
            {"x-1/setup.py": f"{SETUP}, install_requires=['a; os_name > \"\\nRequires-Dist: b @ https://e/b.whl\"'])"},
            None,
        ),
        (
            {
                "x-1/setup.py": f"{SETUP}, extras_require={{{','.join(f'{n * (2**61 - 1)}: []' for n in range(30_000))}}})"
            },
            None,
        ),
    ],
)
def test_static_metadata(files: dict[str, str], expected: tuple[tuple[str, ...], str] | None) -> None:
    found = static_metadata({name: text.encode() for name, text in files.items()})
    assert found == (None if expected is None else StaticMetadata(*expected))


def test_two_calls_of_setup_count_if_they_state_the_same() -> None:
    same = f"{SETUP}, install_requires=['six'])\n"
    assert static_metadata({"x-1/setup.py": (same + same).encode()}) == StaticMetadata(("six",))
    other = f"{SETUP}, install_requires=['pytz'])\n"
    assert static_metadata({"x-1/setup.py": (same + other).encode()}) is None


def test_sections_of_requires_txt_become_markers() -> None:
    text = 'six\n\n[dev]\npytest\n\n[:python_version < "3"]\nfutures\n\n[Web_UI:sys_platform == "linux"]\nuvloop\n'
    assert requires_txt(text) == [
        "six",
        'pytest ; extra == "dev"',
        'futures ; (python_version < "3")',
        'uvloop ; (sys_platform == "linux") and extra == "web-ui"',
    ]


def test_the_extras_of_metadata() -> None:
    assert StaticMetadata(('a ; extra == "x"', "b ; extra == 'y'", "c")).extras == ("x", "y")


def test_only_files_that_state_metadata_are_read() -> None:
    names = [
        "x-1/setup.py",
        "x-1/x/setup.py",
        "x-1/PKG-INFO",
        "x-1/x.egg-info/requires.txt",
        "x-1/a/b/c.egg-info/PKG-INFO",
    ]
    assert metadata_files([*names, "x-1.dist-info/METADATA", "/etc/passwd", "x-1/../setup.py"]) == (
        "x-1/setup.py",
        "x-1/PKG-INFO",
        "x-1/x.egg-info/requires.txt",
        "x-1.dist-info/METADATA",
    )
