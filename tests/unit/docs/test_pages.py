"""The documentation is true: links, files, tasks, options, examples, settings, messages and exit codes exist as written."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.tasks import Task

import odpm_tasks
from odpm_tasks import collection, errors
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.locking.lockfile import read_lock
from odpm_tasks.core.manifest.reader import problems, schema_v1, schema_v2
from odpm_tasks.core.planning import document
from odpm_tasks.core.planning.step_text import LineStyle
from odpm_tasks.core.planning.steps import ORDER
from odpm_tasks.core.planning.text import plan_lines
from odpm_tasks.core.report_models import schemas
from odpm_tasks.core.stack import status
from odpm_tasks.errors import UsageError
from odpm_tasks.tasks import doodba
from odpm_tasks.tasks.namespace import TASKS
from tests.unit.docs.pages import BLOCKS, DOCS, PAGES, ROOT, Block, Page, rows

README, TASKS_PAGE = PAGES["README.md"], PAGES["docs/tasks.md"]
# tasks of this repository and of the examples
OWN_TASKS = {"fresh", "licences", "demo", "lint"}
FOREIGN_OPTIONS = {  # options of other programs that the pages name
    "--abort", "--break-system-packages", "--cap-drop", "--depth", "--detach", "--read-only", "--require-hashes", "--strict",
    "--test-tags", "--tmpfs", "--update-lock", "--username", "--password-stdin", "--print-completion-script", "--global",
    "--list", "--help", "--version", "--pairs", "--runs", "--up", "--fast", "--long", "--no-deps",
    "--tlog-upload", "--insecure-ignore-tlog",
}  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
INTERNAL = {
    "ODPM_TASK",
    "ODPM_TEST",
    "ODPM_COMPLETION",
}  # set by the library in a container, and by its scripts for shells
MINIMAL = {
    "manifest_schema": 2,
    "requires_odpm": "5.0.0",
    "platform": {"git": "https://github.com/odoo/odoo.git 19.0"},
    "python": "3.11",
    "distro": {"name": "debian", "version": "12"},
    "postgres": "15",
}


def named(items: list[Block]) -> list[object]:
    return [pytest.param(item, id=f"{item.page}-{number}") for number, item in enumerate(items)]


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


# --- links and files


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: Page) -> None:
    for link in page.links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_file() or page.name == "README.md", (
            f"{page.name}: {link} is a folder, which a site cannot show"
        )
        if anchor:
            assert anchor in Page(target).anchors, f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_files_of_this_repository_that_a_page_names_exist(page: Page) -> None:
    words = [word for text in (*page.inline, *(block.text for block in page.blocks)) for word in text.split()]
    for word in words:
        name = word.strip("`,;:()'\"")
        if re.match(r"(docs|tests|odpm_tasks)/[\w./-]+$", name):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_page_of_docs_can_be_reached_from_its_index() -> None:
    reached, todo = set(), [PAGES["docs/index.md"]]
    while todo:
        page = todo.pop()
        reached.add(page.name)
        for link in page.links:
            target = (page.path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_relative_to(DOCS):
                name = target.relative_to(ROOT).as_posix()
                todo += [PAGES[name]] if name not in reached else []
    assert reached == {name for name in PAGES if name.startswith("docs/")}


# --- tasks and options


def sections() -> dict[str, str]:
    parts = re.split(r"^### ", TASKS_PAGE.text.partition("\n## Your own tasks\n")[0], flags=re.MULTILINE)
    return {part.split()[0].strip("`"): re.split(r"^## ", part, flags=re.MULTILINE)[0] for part in parts[1:]}


def options_of(name: str) -> set[str]:
    return arguments_of(TASKS[name])


def arguments_of(task: Task[Any]) -> set[str]:
    found = set()
    for argument in task.get_arguments():
        for word in argument.names:
            found.add(f"-{word}" if len(word) == 1 else f"--{word.replace('_', '-')}")
    return found


def test_the_readme_lists_every_task_and_no_other() -> None:
    assert {row[0].strip("`") for row in rows(README.section("## The tasks"))} == set(TASKS)


def test_docs_describe_every_task_and_no_other() -> None:
    assert set(sections()) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_docs_describe_every_option_of_a_task_and_no_other(name: str) -> None:
    cells = [row[0] for row in rows(sections()[name])]
    written = {option.partition("=")[0] for cell in cells for option in re.findall(r"`(-[^`]+)`", cell)}
    assert written == options_of(name)


def commands() -> Iterator[tuple[str, str]]:
    """Every `inv …` that a page shows, with its page: lines of blocks and inline code."""
    for page in PAGES.values():
        lines = [line for block in page.blocks if block.language != "python" for line in block.text.splitlines()]
        for line in [*lines, *page.inline]:
            # the shell's own syntax: several commands in a line, comments, redirections
            for part in re.split(r"&&|;| \| |\s#|>", line):
                match = re.match(r"(?:[$-] )?\s*(?:[A-Z_]+=\S+ )*inv (?!--)(.+)", part.strip())
                if match:
                    yield page.name, match[1].strip()


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser(contexts=collection().to_contexts())


@pytest.mark.parametrize(("command", "page"), sorted({command: page for page, command in commands()}.items()))
def test_a_command_on_a_page_is_understood(parser: Parser, page: str, command: str) -> None:
    words = shlex.split(command.replace("…", "x").replace("[", "").replace("]", ""))
    if words[0] in OWN_TASKS or words[0] in {"NAME", "TASK"}:
        return
    own = words[: words.index("--")] if "--" in words else words
    try:
        parser.parse_argv(own)
    except (ParseError, UsageError) as error:
        if "needs a value" not in str(error):  # prose names an option without its value
            pytest.fail(f"{page}: inv {command}: {error}")


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_an_option_on_a_page_exists(page: Page) -> None:
    known = {option for name in TASKS for option in options_of(name)} | FOREIGN_OPTIONS
    lines = [line for block in page.blocks for line in block.text.splitlines() if re.search(r"\binv\b", line)]
    inline = page.inline
    if page.name == "docs/coming-from.md":  # the first cells are command lines of doodba
        contexts = collection(words="doodba").to_contexts()
        known |= {flag for context in contexts for flag in (*context.flags, *context.inverse_flags)}
    if page.name == "docs/odpm4.md":  # the first cells are of odpm 4
        inline = re.findall(r"`([^`\n]+)`", re.sub(r"^\| .*? \|", "|", page.prose, flags=re.MULTILINE))
    for text in [*inline, *lines]:
        if not re.search(
            r"\b(git|pip|docker|uv|apt-get|zensical|pytest|tmux|npm|cp|pre-commit)\b", text.replace("--no-git", "")
        ):
            for option in OPTION.findall(text):
                assert option in known, f"{page.name}: {option} in {text}"


@pytest.mark.parametrize("page", [page for page in PAGES.values() if "Not there yet" in page.text])
def test_what_a_page_calls_missing_does_not_exist(page: Page) -> None:
    heading = re.search(r"^#+ Not there yet$", page.text, re.MULTILINE)
    assert heading is not None
    words = re.findall(r"`([^`]+)`", page.section(heading[0]))
    assert not {word.removeprefix("inv ") for word in words} & set(TASKS)


# --- the codes of doctor


def test_the_page_lists_every_code_of_doctor_and_no_other() -> None:
    found: set[str] = set()
    for path in (ROOT / "odpm_tasks/diagnosis").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values: list[ast.expr | None] = []
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"Finding", "of_error"}
            ):
                values = [node.args[0]]
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.IfExp)
                and "code" in ast.dump(node.targets[0])
            ):
                values = [node.value.body, node.value.orelse]
            elif isinstance(node, ast.Dict):  # a check by its code, that of an error which ends it
                values = list(node.keys)
            found |= {
                str(value.value) for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    table = next(part for part in sections()["doctor"].split("\n\n") if part.startswith("| code |"))
    assert {code for row in rows(table) for code in re.findall(r"`([a-z-]+)`", row[0])} == found


# --- the words of doodba


def doodba_rows() -> list[list[str]]:
    """The table of doodba's command lines, and what each is here."""
    return rows(PAGES["docs/coming-from.md"].section("### Its tasks"))


def test_the_page_lists_every_word_of_doodba_with_its_options_and_no_other() -> None:
    words = {task.name.replace("_", "-"): arguments_of(task) for task in doodba.WORDS}
    parser, found = Parser(contexts=collection(words="doodba").to_contexts()), set()
    named: dict[str, set[str]] = {name: set() for name in words}
    for cell, *others in doodba_rows():
        word = ""
        for line in re.findall(r"`([^`]+)`", cell):
            word = word if line.startswith("--") else line.split()[0]
            found.add(word)
            named[word] |= {option.replace("--no-", "--") for option in OPTION.findall(line)}
            if not line.startswith("--"):
                parser.parse_argv(shlex.split(line))
        named[word] |= {option.replace("--no-", "--") for option in OPTION.findall(others[0])}
    assert found == set(words)
    for name, options in words.items():
        assert {option for option in options if option.startswith("--")} <= named[name], name


# --- examples


@pytest.mark.parametrize("block", named(of("json")))
def test_a_json_example_is_valid(block: Block) -> None:
    data = json.loads(block.text)
    if "schema_version" in data:
        read_lock(block.text.replace("<40 hex digits>", "0" * 40).replace("<40 hex>", "0" * 40))
        return
    if "odpm_version" not in data:
        data = {**MINIMAL, **data}
    assert problems(json.dumps(data), lambda name: None) == ((), ())


@pytest.mark.parametrize("block", named([block for block in of("python") if "Project.find" not in block.text]))
def test_a_python_example_runs(block: Block) -> None:
    if block.text.lstrip().startswith("{"):  # the manifest of an add-on
        assert eval(block.text)["license"]
        return
    if block.text.startswith("@task"):  # a part of an example that is complete in its folder
        assert block.text in (DOCS / "examples/own-task/tasks.py").read_text(encoding="utf-8")
        return
    names: dict[str, object] = {}
    exec(block.text, names)
    assert isinstance(names["ns"], Collection)


@pytest.mark.parametrize("folder", sorted(DOCS.glob("examples/*")), ids=lambda folder: folder.name)
def test_an_example_imports_and_its_description_is_valid(folder: Path) -> None:
    module = ModuleType(f"tasks_of_{folder.name}")
    exec(compile((folder / "tasks.py").read_text(encoding="utf-8"), folder / "tasks.py", "exec"), module.__dict__)
    assert isinstance(module.ns, Collection)
    assert problems((folder / "odpm.json").read_text(encoding="utf-8"), lambda name: None) == ((), ())


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("odpm.v1.json", schema_v1()),
        ("odpm.v2.json", schema_v2()),
        ("plan.v1.json", document.schema()),
        ("status.v1.json", status.schema()),
        *((f"{name}.v1.json", schemas.schema(name)) for name in schemas.REPORTS),
    ],
)
def test_a_json_schema_is_the_one_of_the_models(name: str, schema: object) -> None:
    written = (DOCS / "schema" / name).read_text(encoding="utf-8")
    assert written == json.dumps(schema, indent=2, ensure_ascii=False) + "\n", (
        "write it again: docs/develop.md says how"
    )


# --- settings, messages, exit codes, versions


SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "odpm_tasks").rglob("*"))
    if path.suffix in {".py", ".j2"}
)


def test_the_table_of_settings_names_the_variables_that_the_code_reads() -> None:
    table = PAGES["docs/manifest.md"].section("## `.env`")
    written = {name for row in rows(table) for name in re.findall(r"`([A-Z][A-Z_]+)`", row[0])}
    read = set(re.findall(r"[\"{(]((?:ODPM|ODOO|GEVENT|POSTGRES|DEBUGGER|COMPOSE|PATH_TO)_[A-Z_]+)\b", SOURCES))
    for name in written:
        assert re.search(rf"\b{name}\b", SOURCES), f"docs/manifest.md: {name} is not read"
    prefixes = ("ODPM_", "PATH_TO_", "COMPOSE_PROFILES")
    documented = {name for page in PAGES.values() for name in re.findall(r"\b[A-Z][A-Z_]{3,}\b", page.text)}
    assert {name for name in read if name.startswith(prefixes)} <= documented | INTERNAL


@cache
def strings() -> str:
    """Every string of the code, one a line; `…` stands for a value that is put in."""
    found = []
    for path in (ROOT / "odpm_tasks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def quoted() -> list[str]:
    """The messages of the troubleshooting page: first cells of tables with two columns; `A`, `B` in one cell are two."""
    cells = [row[0] for row in rows(PAGES["docs/troubleshooting.md"].prose) if len(row) == 2]
    return [
        message for cell in cells if not re.search(r"\(from \w+\)", cell) for message in re.findall(r"`([^`]+)`", cell)
    ]


@pytest.mark.parametrize("message", quoted())
def test_a_message_of_the_troubleshooting_page_is_one_of_the_code(message: str) -> None:
    text = strings()
    for part in message.split("…"):
        assert part.strip() in text, f"docs/troubleshooting.md: {part.strip()!r}"


def test_the_steps_of_the_docs_are_the_steps_of_a_run_in_order() -> None:
    section = PAGES["docs/layout.md"].section("## Steps")
    assert tuple(re.findall(r"`([a-z]+\.[a-z_]+)`", section)) == ORDER


def exit_codes() -> set[int]:
    todo, found = [errors.OdpmError], set()
    while todo:
        kind = todo.pop()
        found.add(kind.exit_code)
        todo += kind.__subclasses__()
    return found


def test_the_documented_exit_codes_are_those_of_the_errors() -> None:
    listed = {int(row[0]) for row in rows(TASKS_PAGE.section("## Exit codes"))}
    assert listed == exit_codes() | {0, 130}
    headings = {int(code) for code in re.findall(r"^## (\d+) ", PAGES["docs/troubleshooting.md"].text, re.MULTILINE)}
    assert headings == (exit_codes() - {1}) | {130}


def test_the_version_is_the_same_everywhere() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = PAGES["CHANGELOG.md"].text
    assert odpm_tasks.__version__ == VERSION
    assert package["dynamic"] == ["version"]  # pyproject.toml reads VERSION
    newest = re.search(r"^## (\d+\.\d+\.\d+) \((unreleased|\d{4}-\d\d-\d\d)\)$", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION


def test_the_plan_of_the_quick_start_is_the_one_that_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGES["docs/quickstart.md"]
    (tmp_path / "shop").mkdir()
    for block in page.blocks:
        if block.language == "json":
            (tmp_path / "shop/odpm.json").write_text(block.text, encoding="utf-8")
    monkeypatch.setenv("ODPM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ODPM_SCENARIO", raising=False)
    plan = odpm_tasks.Project.find(tmp_path / "shop").plan()
    console = next(block.text for block in page.blocks if "$ inv plan\n" in block.text)
    shown = console.partition("$ inv plan\n")[2].partition("$ ")[0]
    assert "\n".join(plan_lines(plan, LineStyle())).strip() == shown.strip()
