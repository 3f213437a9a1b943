"""The census program, and the problems of an image."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from odpm_tasks.core.audit.census import Census, problems

PROGRAM = Path(__file__).parents[3] / "odpm_tasks" / "templates" / "census.py"


@pytest.fixture
def census() -> ModuleType:
    """The program as a separate module, so that a test can change its paths."""
    spec = importlib.util.spec_from_file_location("census_of_a_test", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- problems --------------------------------------------------------------------------------------------------------


def test_environment_without_sources_has_no_problems() -> None:
    assert problems(Census(python="3.11.2")) == ()


def test_image_with_sources_that_starts_has_no_problems() -> None:
    assert problems(Census(odoo="Odoo Server 19.0", addons_path=("/opt/odoo/src/web",))) == ()


def test_all_problems_are_listed() -> None:
    contents = Census(
        odoo_error="ModuleNotFoundError: No module named 'lxml'",
        addons_path=("/src/web", "/src/gone"),
        missing=("/src/gone",),
        unimportable={"python-ldap": "import ldap: ImportError: libldap.so", "lxml": "import lxml: ImportError: no"},
    )
    assert problems(contents) == (
        "odoo --version fails: ModuleNotFoundError: No module named 'lxml'",
        "lxml: import lxml: ImportError: no",
        "python-ldap: import ldap: ImportError: libldap.so",
        "/src/gone is on the addons path and contains no add-on",
    )


def test_addons_path_without_odoo_is_a_problem() -> None:
    (found,) = problems(Census(addons_path=("/src/web",)))
    assert found.startswith("odoo --version fails: the program or the sources do not exist")


# --- the program -----------------------------------------------------------------------------------------------------


def test_census_runs_outside_of_an_image(
    census: ModuleType, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(census, "files_below", lambda root: [])  # the file system of the machine is large
    census.main([])
    told = json.loads(capsysbinary.readouterr().out)
    assert set(told) == set(Census.model_fields) - {"environment"}
    contents = Census.model_validate(told)
    assert contents.python == ".".join(map(str, sys.version_info[:3]))
    assert "pytest" in {package.name for package in contents.packages}
    assert (contents.odoo, contents.odoo_error, contents.addons) == ("", "", ())


def test_npm_packages(census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = {
        "rtlcss": '{"name": "rtlcss", "version": "4.3.0", "license": "MIT"}',
        "rtlcss/node_modules/postcss": '{"name": "postcss", "version": "8.0.0", "license": {"type": "MIT"}}',
        "@scope/tool": '{"name": "@scope/tool", "version": "1.0.0"}',
        "rtlcss/lib": '{"name": "part", "version": "1"}',
        "rtlcss/node_modules/odd": "[]",
        "nothing": "",
    }
    for folder, text in packages.items():
        (tmp_path / "node_modules" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "node_modules" / folder / "package.json").write_text(text, encoding="utf-8")
    monkeypatch.setattr(census, "NODE", (str(tmp_path), "/not-there"))
    assert [(each["name"], each["version"], each["licenses"]) for each in census.node_packages()] == [
        ("@scope/tool", "1.0.0", []),
        ("postcss", "8.0.0", []),
        ("rtlcss", "4.3.0", ["MIT"]),
    ]


def test_set_uid_files_and_fonts(census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mode in (("plain", 0o755), ("deep/user", 0o4755), ("group", 0o2755), ("deep/fonts.dir", 0o644)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to("deep/user")
    found = {path for path, mode in census.files_below(str(tmp_path)) if mode & 0o6000}
    assert found == {f"{tmp_path}/deep/user", f"{tmp_path}/group"}
    monkeypatch.setattr(census, "FONTS", (str(tmp_path / "deep"), "/not-there"))
    assert census.fonts() == {f"{tmp_path}/deep/user": hashlib.sha256(b"x").hexdigest()}


def test_addons_path_add_ons_and_missing_entries(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    sources = tmp_path / "src"
    manifests = {
        "web/web_x": "{'name': 'X', 'version': '19.0.1.0.0', 'license': 'AGPL-3', 'depends': ['web', 'mail']}",
        "web/off": "{'name': 'Off', 'installable': False}",
        "web/broken": "{'name': ",
        "odoo/odoo/addons/base": "{'name': 'Base'}",
    }
    for folder, text in manifests.items():
        (sources / folder).mkdir(parents=True)
        (sources / folder / "__manifest__.py").write_text(text, encoding="utf-8")
    (sources / "web/no_addon").mkdir()
    conf = tmp_path / "odoo.conf"
    conf.write_text(f"[options]\naddons_path = {sources}/web, /gone/$$1\nprice = 5 %\n", encoding="utf-8")
    monkeypatch.setattr(census, "SOURCES", sources)
    monkeypatch.setattr(census, "CONFIGURATION", str(conf))
    monkeypatch.setattr(census, "files_below", lambda root: [])
    monkeypatch.setenv("ODOO_BIN", str(sources / "odoo/odoo-bin"))
    census.main([])
    told = Census.model_validate_json(capsysbinary.readouterr().out)
    assert told.addons_path == (f"{sources}/web", "/gone/$1")
    assert told.missing == ("/gone/$1",)
    assert told.configuration["options"]["price"] == "5 %"
    assert [(each.name, each.source, each.installable) for each in told.addons] == [
        ("broken", "web", False),
        ("off", "web", False),
        ("web_x", "web", True),
        ("base", "odoo", True),
    ]
    known = told.addons[2]
    assert (known.version, known.license, known.depends) == ("19.0.1.0.0", "AGPL-3", ("web", "mail"))


def test_unreadable_configuration_gives_one_line(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "odoo.conf"
    conf.write_text("no section\n", encoding="utf-8")
    monkeypatch.setattr(census, "CONFIGURATION", str(conf))
    with pytest.raises(SystemExit) as caught:
        census.main([])
    assert str(caught.value).startswith(f"{conf}: File contains no section headers.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Format: https://x\n\nFiles: *\nLicense: GPL-2+\n Text.\n\nLicense:  MIT  or X\n", ["GPL-2+", "MIT or X"]),
        ("On Debian systems see /usr/share/common-licenses/GPL-3.\nAnd /usr/share/common-licenses/LGPL-2.1,", None),
        ("Free for all.", []),
    ],
)
def test_licences_of_a_debian_package(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, names: list[str] | None
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/copyright").write_text(text, encoding="utf-8")
    monkeypatch.setattr(census, "DOCUMENTS", tmp_path)
    assert census.copyright_names("x") == (["GPL-3", "LGPL-2.1"] if names is None else names)
    assert census.copyright_names("not-there") == []


def distribution(site: Path, name: str, headers: str = "", record: str = "") -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{headers}\nA text.\n", encoding="utf-8")
    (folder / "RECORD").write_text(record, encoding="utf-8")


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ("License-Expression: MIT OR X\nLicense: other\n", ["MIT OR X"]),
        ("Classifier: License :: OSI Approved :: BSD License\nClassifier: License :: OSI Approved\n", ["BSD License"]),
        ("License: LGPL-3\nClassifier: Topic :: Text\n", ["LGPL-3"]),
        ("License: The whole text\n of a licence\n", []),
        ("License: UNKNOWN\n", []),
    ],
)
def test_licences_of_a_python_distribution(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: str, names: list[str]
) -> None:
    distribution(tmp_path, "thing", headers)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    told = census.python_packages(census.metadata())
    assert told == [{"name": "thing", "version": "1.0", "licenses": names}]


def test_importable_names_of_a_distribution(census: ModuleType, tmp_path: Path) -> None:
    files = (
        "one/__init__.py", "one/templates/project/__init__.py", "space/inner/__init__.py", "tests/__init__.py",
        "_private.py", "setup.py", "single.py", "fast.cpython-311-x86_64-linux-gnu.so", "thing-1.0.dist-info/METADATA",
        "../../../bin/thing", "docs/conf.py", "not-a-name.py", "sasstests.py", "one/_fast.abi3.so", "one/tests/slow.so",
        "thing.libs/libx-1.so",
    )  # fmt: skip
    distribution(tmp_path, "thing", record="".join(f"{name},,\n" for name in files))
    assert census.modules(tmp_path / "thing-1.0.dist-info") == ["fast", "one", "single", "space.inner"]
    assert census.extensions(tmp_path / "thing-1.0.dist-info") == ["one._fast"]


def test_failed_import_does_not_affect_others(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {
        "fine": "print('noise')",
        "raises": "raise ImportError('libx.so: no such\\n  file')",
        "ends": "import sys; sys.exit(0)",
        "killed": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "pending": "import sys; sys.stderr.write('noise')",
    }
    for name, code in codes.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        distribution(tmp_path, name, record=f"{name}.py,,\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert census.unimportable(census.metadata()) == {
        "ends": "import ends: SystemExit: 0",
        "killed": "import killed: Python ends",
        "raises": "import raises: ImportError: libx.so: no such file",
    }
    assert not (tmp_path / "__pycache__").exists()


def test_compiled_module_must_find_its_libraries(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invalid library is an error, as one with a missing dependency; a missing Python module is not."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for name in ("sound", "spoilt"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        distribution(tmp_path, name, record=f"{name}/__init__.py,,\n{name}/_c{suffix},,\n")
    (tmp_path / "spoilt" / f"_c{suffix}").write_text("no library", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = census.unimportable(census.metadata())
    assert list(found) == ["spoilt"]
    assert found["spoilt"].startswith("import spoilt._c: ImportError: ")
