"""The command line of every task: one optional word, lists, arguments after `--`, the nearest name for an unknown one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.parser import Parser
from invoke.tasks import task as invoke_task

from odpm_tasks import collection
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.tasks.base import task
from odpm_tasks.tasks.namespace import TASKS

WORDS = {
    "restart": "service",
    "logs": "service",
    "exec": "service",
    "shell": "database",
    "psql": "database",
    "test": "modules",
}
PASSED_ON = ("exec", "shell", "psql", "test", "deploy.exec")


def parse(line: str, extra: Collection | None = None) -> dict[str, dict[str, Any]]:
    """The arguments of each task of a command line."""
    root = collection()
    if extra:
        root.add_collection(extra)
    contexts = Parser(contexts=root.to_contexts()).parse_argv(line.split())
    return {str(context.name): context.as_kwargs for context in contexts}


def refusal(line: str, monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    if monkeypatch:
        monkeypatch.setattr(sys, "argv", ["inv", *line.split()])
    with pytest.raises(UsageError) as refused:
        parse(line)
    return str(refused.value)


@pytest.mark.parametrize(("name", "parameter"), WORDS.items())
def test_what_names_a_thing_is_a_word_or_an_option(name: str, parameter: str) -> None:
    given = parse(f"{name} mail")[name][parameter]
    assert given == parse(f"{name} --{parameter} mail")[name][parameter]
    assert given in ("mail", ["mail"])


def test_a_word_that_is_the_name_of_a_task_is_that_task() -> None:
    assert list(parse("restart status")) == ["restart", "status"]
    assert parse("restart mail status --format json")["restart"]["service"] == ["mail"]


def test_a_word_comes_before_or_after_options() -> None:
    for line in ("logs -f mail", "logs mail -f", "logs --tail 3 -f mail"):
        given = parse(line)["logs"]
        assert (given["service"], given["follow"]) == (["mail"], True)


def test_two_words_are_refused_with_the_way_to_give_several() -> None:
    assert "commas" in refusal("restart db odoo")


def test_a_task_without_a_word_names_what_it_does_not_know() -> None:
    assert "there is no task 'statsu'; the nearest is status" in refusal("up statsu")
    assert "there is no task 'statsu'; the nearest is status" in refusal("statsu")
    assert "sources.unshallow needs a name" in refusal("sources.unshallow")


# tasks that need words, and words for them
NEEDED = {
    "sources.unshallow": "web",
    "mod.explain": "web",
    "mod.scaffold": "web",
    "db.copy": "a b",
    "db.rename": "a b",
    "db.restore": "a",
    "db.pull": "ssh://host/path",
}


@pytest.mark.parametrize("name", TASKS)
def test_an_unknown_option_gets_the_nearest_one(name: str) -> None:
    option = next(f"--{argument.names[0]}" for argument in TASKS[name].get_arguments() if len(argument.names[0]) > 2)
    misspelt = f"{option[:-1]}{option[-1] * 2}"
    line = f"{name} {NEEDED[name]} {misspelt}" if name in NEEDED else f"{name} {misspelt}"
    assert f"{name} has no option {misspelt}; the nearest is {option}" in refusal(line)


@pytest.mark.parametrize("name", TASKS)
def test_what_follows_two_dashes_reaches_a_program_or_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{name} {NEEDED[name]} -- psql" if name in NEEDED else f"{name} -- psql"
    if name in PASSED_ON:
        monkeypatch.setattr(sys, "argv", ["inv", *line.split()])
        assert parse(line)
    else:
        assert f"{name} takes nothing after --: -- psql" in refusal(line, monkeypatch)


def test_the_short_flag_of_a_service_is_the_same_everywhere() -> None:
    for name, declared in TASKS.items():
        for argument in declared.get_arguments():
            if argument.names[0].startswith("service"):
                assert argument.names == ("service", "s"), name


def test_tasks_of_a_project_are_parsed_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(c: Context, name: str) -> None: ...

    own = Collection("own", invoke_task(body, name="greet", positional=["name"]))
    monkeypatch.setattr(sys, "argv", ["inv", "own.greet", "x", "--", "more"])
    assert parse("own.greet status -- more", own) == {"own.greet": {"name": "status"}}


@pytest.mark.parametrize("line", ["-m a,b -m c", "--modules a --modules b,c", "--modules=a,b,c"])
def test_a_list_takes_commas_and_repetition(line: str) -> None:
    seen: list[Sequence[str]] = []

    @task(lists=["modules"], repeated=["link"], short={"modules": "m"}, help={"modules": "m", "link": "l"})
    def listing(c: Context, modules: Sequence[str] = (), link: Sequence[str] = ()) -> None:
        seen.extend((modules, link))

    root = Collection(listing)
    (given,) = Parser(contexts=root.to_contexts()).parse_argv(["listing", *line.split(), "--link", "a,b"])
    listing(Context(), **given.as_kwargs)
    assert seen == [("a", "b", "c"), ("a,b",)]
    listing(Context(), ["a", "b,c"])
    assert seen[2:] == [("a", "b", "c"), ()]


LISTS = {
    ("db.drop-snapshot", "name"),
    ("db.reset", "install"),
    ("lock", "only"),
    ("up", "install"),
    ("up", "update"),
    ("plan", "install"),
    ("plan", "update"),
    ("test", "modules"),
    ("restart", "service"),
    ("logs", "service"),
    ("parity", "image"),
    ("parity", "platform"),
    ("build-image", "tag"),
    ("build-image", "platform"),
    ("build-image", "cache-from"),
    ("build-image", "cache-to"),
    ("init", "dependency"),
    ("mod.graph", "name"),
    ("mod.scaffold", "depends"),
    ("mod.install", "modules"),
    ("mod.pot", "modules"),
    ("mod.update", "modules"),
    ("mod.uninstall", "modules"),
}


def test_every_list_is_one_on_the_command_line() -> None:
    found = {
        (name, argument.names[0])
        for name, declared in TASKS.items()
        for argument in declared.get_arguments()
        if argument.kind is list
    }
    assert found == LISTS


@pytest.mark.parametrize("name", TASKS)
def test_the_help_of_a_task_fits_a_terminal_of_80_columns(name: str) -> None:
    """invoke wraps the help of options, and prints the description as it is, indented by two."""
    lines = (TASKS[name].__doc__ or "").strip().splitlines()
    assert lines
    assert [line for line in lines if len(line.strip()) > 78] == []
    assert lines[0].endswith(".")


def test_the_help_shows_that_a_list_takes_values() -> None:
    (context,) = (found for found in collection().to_contexts() if found.name == "restart")
    assert context.help_for("--service")[0] == "-s STRING, --service=STRING"


def test_outside_a_project_every_task_says_that_there_is_no_odpm_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m odpm_tasks` needs no tasks.py; invoke alone ends with its own message where there is none."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in TASKS if name not in {"init", "projects", "doctor", "completion"}]:
        words = ["--", "true"] if name in {"exec", "deploy.exec"} else [NEEDED.get(name, "")]
        monkeypatch.setattr(sys, "argv", ["inv", name, *words])
        context = parse(" ".join([name, *words]))[name]
        with pytest.raises(DescriptionError) as refused:
            TASKS[name](Context(), **context)
        assert (refused.value.what, refused.value.exit_code) == ("there is no odpm.json", 4), name
    program = [sys.executable, "-m", "odpm_tasks", "down"]
    ran = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 4
    assert "there is no odpm.json" in ran.stderr
