"""`.env` files: values are read as written; invalid lines give an error with file and line."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odpm_tasks.adapters.dotenv import read_env
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project import Project
from odpm_tasks.project_files import env_file

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
odd = st.text("AB=:'\"\\$${}-# \t\r\n\0exportн")
ends = st.sampled_from(["\n", "\r\n", "\r"])


def single(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def double(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


# Round trips


@given(st.dictionaries(names, texts, max_size=4), ends)
@example({"A": "${HOME} $HOME $$"}, "\n")
@example({"A": 'it\'s 100% "#1"\nand\\more '}, "\r\n")
def test_single_quotes_hold_any_value(values: dict[str, str], end: str) -> None:
    text = "".join(f"{name}={single(value)}{end}" for name, value in values.items())
    assert read_env(text, ".env", {"HOME": "/x"}) == values


@given(names, texts.filter(lambda text: "${" not in text), st.sampled_from(["", "export ", "  export\t"]))
def test_double_quotes_hold_any_value_without_references(name: str, value: str, before: str) -> None:
    assert read_env(f"{before}{name} = {double(value)}  # why\n", ".env", {}) == {name: value}


@given(names, st.text("abя%$=:/@#.,;!?*&()[]{}<>\\|~^+-_'\"", min_size=1))
def test_unquoted_value_is_unchanged(name: str, value: str) -> None:
    if value[0] in "'\"" or "${" in value:
        return
    assert read_env(f"{name}={value}\n", ".env", {}) == {name: value}


@given(names, names, texts)
def test_reference_prefers_the_process_environment(name: str, other: str, value: str) -> None:
    text = f"{other}=of the file\n{name}=<${{{other}}}>\n"
    inside = "of the file"
    if name != other:
        assert read_env(text, ".env", {})[name] == f"<{inside}>"
    assert read_env(text, ".env", {other: value})[name] == f"<{value}>"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=${NO}", ""),
        ("A=${NO:-default}", "default"),
        ('A="${B}"', "above"),
        ("A='${B}'", "${B}"),
        ("export A = '${B}' # ${B}", "${B}"),
        ("A=\"'${B}'\"", "'above'"),
        ("A=$B", "$B"),
        ("A=first\nA=${A} second", "first second"),
    ],
)
def test_references(line: str, value: str) -> None:
    assert read_env(f"B=above\n{line}\n", ".env", {})["A"] == value


# Invalid files


def outcome(read: Callable[[], dict[str, str]]) -> dict[str, str] | DescriptionError:
    try:
        return read()
    except DescriptionError as error:
        return error


def sound(values: dict[str, str]) -> bool:
    """Whether a program can be started with these variables."""
    return all(name and "=" not in name and "\0" not in name + value for name, value in values.items())


@given(st.text() | odd)
@example("A=a\0b")
@example("'A=B'=c")
@example("A='open\n\0")
def test_any_text_gives_values_or_an_error_with_the_line(text: str) -> None:
    found = outcome(lambda: read_env(text, "x/.env", {}))
    if isinstance(found, dict):
        assert sound(found)
        return
    path, _, line = found.where.rpartition(":")
    assert path == "x/.env"
    assert 1 <= int(line) <= 1 + text.count("\n") + text.count("\r")
    assert found.exit_code == 4
    assert found.todo
    assert len(str(found).splitlines()) <= 5


@given(st.lists(st.sampled_from(["A=1", "", "  ", "# note", "B='two\nlines'", "export C=3"])), ends)
def test_error_has_the_right_line_number(before: list[str], end: str) -> None:
    text = "".join(line.replace("\n", end) + end for line in before)
    above = len(before) + sum(line.count("\n") for line in before)
    with pytest.raises(DescriptionError) as caught:
        read_env(f"{text}no setting{end}D=4{end}", ".env", {})
    assert caught.value.where == f".env:{above + 1}"


@given(st.binary())
@example(b"\xef\xbb\xbfA=1\r\n")
@example("A=1".encode("utf-16"))
def test_any_bytes_give_values_or_a_description_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.env"
    path.write_bytes(data)
    found = outcome(lambda: env_file(path))
    assert sound(found) if isinstance(found, dict) else str(path) in found.where


def nothing_of_text(path: Path) -> None:
    path.write_bytes(b"A=1\nB=\xe9\n")


def nul(path: Path) -> None:
    path.write_bytes(b"A=1\nB=x\0y\n")


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path)


def closed(path: Path) -> None:
    path.write_text("A=1\n", encoding="utf-8")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (nothing_of_text, "not UTF-8"), (nul, "NUL byte"), (folder, "a folder exists"), (loop, "cannot read"),
        (closed, "cannot read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["project", "home"])
def test_unreadable_env_file_gives_an_error(
    clean: Path, tmp_path: Path, make: Callable[[Path], None], what: str, place: str
) -> None:
    (clean / ".odpm").mkdir()
    path = (tmp_path if place == "project" else clean / ".odpm") / ".env"
    make(path)
    with pytest.raises(DescriptionError, match=what) as caught:
        Project.at(tmp_path)
    assert caught.value.exit_code == 4
    assert str(path) in caught.value.where
    assert caught.value.todo
    assert len(str(caught.value).splitlines()) <= 5


def test_dangling_link_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "gone")
    assert env_file(tmp_path / ".env") == {}


# Layers


def layered(clean: Path, root: Path, project: str, home: str) -> Project:
    (clean / ".odpm").mkdir()
    (clean / ".odpm/.env").write_text(home, encoding="utf-8")
    (root / ".env").write_text(project, encoding="utf-8")
    return Project.at(root)


@pytest.mark.parametrize(
    ("process", "project", "home", "scenario"),
    [
        (None, "", "", "developer"),
        (None, "", "ODPM_SCENARIO=ci", "ci"),
        (None, "ODPM_SCENARIO=server", "ODPM_SCENARIO=ci", "server"),
        (None, "export ODPM_SCENARIO=server", "ODPM_SCENARIO=ci", "server"),
        ("ci", "ODPM_SCENARIO=server", "ODPM_SCENARIO=developer", "ci"),
        ("ci", "export ODPM_SCENARIO='server'", "export ODPM_SCENARIO=developer", "ci"),
        ("ci", "", "", "ci"),
    ],
)
def test_priority_of_the_scenario_settings(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    process: str | None, project: str, home: str, scenario: str,
) -> None:  # fmt: skip
    if process:
        monkeypatch.setenv("ODPM_SCENARIO", process)
    assert layered(clean, tmp_path, project, home).scenario.name == scenario


def test_reference_uses_the_exported_value(clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "exported")
    settings = layered(clean, tmp_path, "SHOP=written\nURL=https://${SHOP}\nRAW='${SHOP}'\n", "").paths.settings
    assert [settings.get(name) for name in ("SHOP", "URL", "RAW")] == ["exported", "https://exported", "${SHOP}"]
