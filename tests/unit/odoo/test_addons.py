"""Facts about a repository: its add-ons, their folders and their external dependencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.odoo.addons import (
    MAX_FILE_SIZE,
    MAX_MANIFESTS_SIZE,
    Facts,
    Module,
    SelectedFiles,
    facts,
    read_module,
    select_files,
    split_by_size,
    within_total,
)

GOOD = b'{"name": "X"}'


@pytest.mark.parametrize(
    ("text", "module"),
    [
        (b"{}", Module(path="x")),
        (b'{"name": "X", "version": "19.1", "installable": False}', Module(path="x", version="19.1", installable=False, summary="X")),
        (b"\xef\xbb\xbf{'installable': True}", Module(path="x")),
        (b"# Copyright \xc2\xa9 me\n# License LGPL\n\n{'version': '1'}\n\n", Module(path="x", version="1")),
        (b"{'summary': '''a\nb''', 'version': '1' '.0'}", Module(path="x", version="1.0", summary="a\nb")),
        (
            b"{'external_dependencies': {'python': ['zeep', 'lxml'], 'bin': ('wkhtmltopdf',), 'deb': ['libmagic1']}}",
            Module(path="x", python=("zeep", "lxml"), bin=("wkhtmltopdf",), deb=("libmagic1",)),
        ),
        (b"{'depends': ['base', 'web']}", Module(path="x", depends=("base", "web"))),
        (b"{'depends': 'base'}", Module(path="x")),
        (b"{'external_dependencies': []}", Module(path="x")),
        (b"{'external_dependencies': {'python': 'zeep', 'bin': None}}", Module(path="x")),
        (b"{'installable': 0}", Module(path="x", installable=False)),
        (b"{'version': 1.0}", Module(path="x", version="1.0")),
        (b"  {'version': '1'}", Module(path="x", version="1")),
    ],
)  # fmt: skip
def test_read_module(text: bytes, module: Module) -> None:
    assert read_module("x", text) == module


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# nothing",
        b"{",
        b"[]",
        b"'text'",
        b"{'name': _('X')}",
        b"import os\n{'name': 'X'}",
        b"{'name': __import__('os').system('touch /tmp/owned')}",
        b"{\x00}",
        b"{'name': '\xff'}",
        b"{[]: 1}",
        b"(" * 5000 + b")" * 5000,
        # members that all have the same hash: a set of 40,000 takes 12 seconds
        f"{{'x': {{{','.join(str(number * (2**61 - 1)) for number in range(101))}}}}}".encode(),
        f"{{'x': {{{','.join(f'{-1000003 * number}+{number}j: 1' for number in range(101))}}}}}".encode(),
        b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n",
    ],
)
def test_a_broken_manifest_gives_none(text: bytes) -> None:
    assert read_module("x", text) is None


def test_values_that_cannot_be_printed_or_encoded() -> None:
    long = f"0x{'f' * 5000}"
    found = read_module(
        "x", f"{{'version': {long}, 'external_dependencies': {{'python': [{long}, '\\ud800']}}}}".encode()
    )
    assert found == Module(path="x", version="", python=("", "?"))
    assert Facts.model_validate_json(Facts(modules=(found,)).model_dump_json()).modules == (found,)
    assert read_module("x", f"{{'version': '{'1' * 200}'}}".encode()) == Module(path="x", version="1" * 100)


def test_lists_of_dependencies_that_are_too_long_are_not_read() -> None:
    text = "{{'external_dependencies': {{'bin': [{}]}}}}"
    assert read_module("x", text.format("'a'," * 500).encode()) is not None
    assert read_module("x", text.format("'a'," * 501).encode()) is None


def test_manifests_are_read_up_to_a_total_size() -> None:
    part = b"x" * (MAX_MANIFESTS_SIZE // 2)
    assert set(within_total({"c": b"", "a": part, "b": part})) == {"a", "b", "c"}
    assert set(within_total({"c": part, "a": part, "b": b"1"})) == {"a", "b"}


@given(st.binary(max_size=60) | st.text("{}'\":,[]()x1 \n", max_size=40).map(str.encode))
def test_any_bytes_give_a_module_or_none(data: bytes) -> None:
    assert read_module("x", data) is None or data.strip()


def test_modules_are_found_at_depth_one_and_two() -> None:
    names = [
        "__manifest__.py",
        "web_x/__manifest__.py",
        "addons/sale/__manifest__.py",
        "odoo/addons/base/__manifest__.py",
        "old/__openerp__.py",
        "web_x/models/__init__.py",
        "oca_dependencies.txt",
        "docs/oca_dependencies.txt",
        "odpm.json",
        "requirements.txt",
        "test-requirements.txt",
    ]
    assert select_files(names) == SelectedFiles(
        ("__manifest__.py", "addons/sale/__manifest__.py", "old/__openerp__.py", "web_x/__manifest__.py"),
        ("oca_dependencies.txt", "odpm.json", "requirements.txt"),
    )


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        ((), ()),
        (("web_x/__manifest__.py",), ("",)),
        (("addons/a/__manifest__.py", "addons/b/__manifest__.py"), ("addons",)),
        (("two/b/__manifest__.py", "one/a/__manifest__.py"), ("one", "two")),
        (("web_x/__manifest__.py", "extra/a/__manifest__.py"), ("",)),
        (("old/__openerp__.py",), ("",)),
    ],
)
def test_folders_of_the_addons_path(names: tuple[str, ...], folders: tuple[str, ...]) -> None:
    assert facts(names, dict.fromkeys(names, GOOD)).addons == folders


@pytest.mark.parametrize(
    ("more", "folders", "modules"),
    [
        ((), ("",), {"acme": ""}),
        (("extra/__manifest__.py",), ("", "acme"), {"acme": "", "acme/extra": "extra"}),
        (("deep/extra/__manifest__.py",), ("", "acme/deep"), {"acme": "", "acme/deep/extra": "deep/extra"}),
        (("acme/__manifest__.py",), ("", "acme"), {"acme": "", "acme/acme": "acme"}),
    ],
)
def test_a_repository_that_is_itself_an_add_on(
    more: tuple[str, ...], folders: tuple[str, ...], modules: dict[str, str]
) -> None:
    """Its files are in a folder with its name; without a valid name, its root is not found."""
    names = ("__manifest__.py", *more)
    plain = facts(names, dict.fromkeys(names, b"{'depends': ['sale']}"))
    assert plain.in_folder("acme-print") is plain
    assert plain.addons == facts(more, dict.fromkeys(more, GOOD)).addons
    found = plain.in_folder("acme")
    assert {module.path: found.path_in_repository(module) for module in found.modules} == modules
    assert found.addons == folders
    assert (found.modules[0].name, found.modules[0].depends) == ("acme", ("sale",))
    assert facts(more, {}).in_folder("acme") == facts(more, {})
    on_disk = {"": "src", "acme": "src/acme", "acme/deep": "src/acme/deep"}
    assert found.addons_below("src/acme") == tuple(on_disk[folder] for folder in folders)
    assert found.addons_below("src/team-acme") == tuple(
        on_disk[folder].replace("acme", "team-acme") for folder in folders if folder
    )
    assert plain.addons_below("src/x") == tuple(f"src/x/{folder}".rstrip("/") for folder in plain.addons)


def test_a_folder_with_only_a_broken_module_is_no_addons_folder() -> None:
    found = facts(["web_x/__manifest__.py"], {"web_x/__manifest__.py": b"{"})
    assert (found.modules, found.broken, found.addons) == ((), ("web_x/__manifest__.py",), ())


def test_facts_of_a_repository() -> None:
    contents = {
        "b/__manifest__.py": b"{'version': '2'}",
        "a/__manifest__.py": b"{'version': '1'}",
        "c/__manifest__.py": b"oops(",
        "both/__manifest__.py": b"{'version': 'new'}",
        "both/__openerp__.py": b"{'version': 'old'}",
        "oca_dependencies.txt": b"queue\n",
        "odpm.json": b"{}",
        "requirements.txt": b"zeep\xff\n",
    }
    assert facts(contents, contents) == Facts(
        modules=(
            Module(path="a", version="1"),
            Module(path="b", version="2"),
            Module(path="both", version="new"),
        ),
        oca_dependencies="queue\n",
        odpm_json="{}",
        requirements="zeep\ufffd\n",
        broken=("c/__manifest__.py",),
    )


def test_a_manifest_without_content_gives_a_module_with_a_name_only() -> None:
    found = facts(["addons/sale/__manifest__.py"], {})
    assert found == Facts(modules=(Module(path="addons/sale"),))
    assert found.modules[0].name == "sale"


def test_facts_as_json_and_back() -> None:
    found = facts(["a/__manifest__.py", "odpm.json"], {"a/__manifest__.py": GOOD, "odpm.json": b"{}"})
    assert Facts.model_validate_json(found.model_dump_json()) == found


def test_byte_order_mark_is_removed() -> None:
    found = facts(["odpm.json"], {"odpm.json": b"\xef\xbb\xbf{}"})
    assert found.odpm_json == "{}"


def test_files_that_are_too_large_are_not_read() -> None:
    sizes = {
        "sale/__manifest__.py": MAX_FILE_SIZE,
        "crm/__manifest__.py": MAX_FILE_SIZE + 1,
        "requirements.txt": MAX_FILE_SIZE + 1,
        "odpm.json": 1,
        "README.md": 1,
    }
    assert split_by_size(sizes) == (("sale/__manifest__.py", "odpm.json"), ("crm/__manifest__.py", "requirements.txt"))
    assert split_by_size(sizes, skip_manifests=True) == (("odpm.json",), ("requirements.txt",))


def test_a_module_with_a_manifest_that_is_too_large_is_broken_and_a_file_is_reported() -> None:
    names = ("crm/__manifest__.py", "requirements.txt")
    found = facts(names, {}, too_large=names)
    assert (found.modules, found.broken) == ((), ("crm/__manifest__.py",))
    assert (found.requirements, found.too_large) == (None, ("requirements.txt",))


@pytest.mark.parametrize("folder", ["a,b", "a\nb", "a\udcff"])
def test_a_module_in_a_folder_that_cannot_be_on_the_addons_path_is_broken(folder: str) -> None:
    found = facts((f"{folder}/__manifest__.py",), {f"{folder}/__manifest__.py": b"{}"})
    assert found.modules == ()
    assert len(found.broken) == 1
