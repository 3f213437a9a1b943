"""Completion in real shells: what the Tab key offers in a project, also where names in it would be dangerous to a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker

HOSTILE = ("$(touch evaluated)", "`touch evaluated`", "a b;touch evaluated", "'quoted")
# What readline does when Tab is typed after `inv WORDS`, and what would be inserted for one candidate.
BASH = """
source <(inv completion bash)
COMP_WORDS=(inv "$@")
COMP_CWORD=$#
_odpm_inv inv "${COMP_WORDS[COMP_CWORD]}"
(( ${#COMPREPLY[@]} )) && printf '%s\\n' "${COMPREPLY[@]}"
true
"""
# A shell of its own on a terminal of zsh's: every candidate is listed after Tab.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; autoload -U compinit; compinit -u -D; source <(inv completion zsh); print REA""DY'
zpty -r shell text '*READY*'
zpty -w -n shell "$1"$'\\t'
sleep 2
zpty -w shell $'\\025print EN""D'
zpty -r shell text '*END*'
print -r -- $text
zpty -d shell
"""


@pytest.fixture(scope="module")
def hostile(developer: Bench) -> Iterator[Bench]:
    """The running project with an add-on, a source, a service and a database of each hostile name."""
    folders = [developer.root / parent / name for name in HOSTILE for parent in ("addons", ".odpm/src")]
    compose = developer.root / "docker-compose.yml"
    text = compose.read_text(encoding="utf-8")
    for folder in folders:
        folder.mkdir()
        (folder / "__manifest__.py").write_text("{}", encoding="utf-8")
    compose.write_text(text.replace("services:\n", "services:\n  $(touch evaluated): {}\n"), encoding="utf-8")
    for name in HOSTILE:
        developer.sql(f'CREATE DATABASE "{name}"')
    yield developer
    for name in HOSTILE:
        developer.sql(f'DROP DATABASE "{name}"')
    compose.write_text(text, encoding="utf-8")
    for folder in folders:
        shutil.rmtree(folder)


def environment(bench: Bench) -> dict[str, str]:
    return {**bench.environment(), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def typed(bench: Bench, *words: str, script: str = BASH) -> list[str]:
    """What bash offers for the last word."""
    argv = ["bash", "--norc", "-c", script, "bash", *words]
    done = subprocess.run(
        argv, cwd=bench.root, env=environment(bench), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_names_of_the_project_are_offered_and_none_is_evaluated(hostile: Bench) -> None:
    assert typed(hostile, "up", "-u", "stack") == ["stack_info"]
    assert typed(hostile, "up", "-u", "stack_info,partner_first") == ["stack_info,partner_firstname"]
    assert typed(hostile, "up", "--update", "=", "stack") == ["stack_info"]
    assert {"base", "base_setup", "base_import"} <= {*typed(hostile, "mod.update", "base")}
    assert typed(hostile, "mod.update", "") == ["stack_info"]  # the platform has hundreds
    assert typed(hostile, "up", "-u", "") == ["changed", "stack_info"]
    assert typed(hostile, "up", "-d", "") == ["project"]
    assert typed(hostile, "psql", "pro") == ["project"]
    assert typed(hostile, "db.copy", "") == ["project"]
    assert typed(hostile, "db.copy", "project", "") == []
    assert typed(hostile, "logs", "-s", "") == ["db", "mail", "odoo"]
    assert {"odoo", "mail", "partner-contact"} <= {*typed(hostile, "lock", "--only", "")}
    assert typed(hostile, "up", "--skip") == ["--skip-start"]
    assert typed(hostile, "res") == ["restart"]
    for words in (
        ("up", "-u", "$"),
        ("up", "-d", "`"),
        ("lock", "--only", "a b"),
        ("restart", "$("),
        ("up", "-i", "'"),
    ):
        assert typed(hostile, *words) == []
    assert not [*hostile.root.rglob("evaluated")]


def test_the_script_of_invoke_offers_them_too(hostile: Bench) -> None:
    script = BASH.replace("completion bash", "--print-completion-script bash").replace(
        "_odpm_inv inv", "_complete_invoke inv"
    )
    assert "stack_info" in typed(hostile, "up", "-u", "", script=script)
    assert "--skip-start" in typed(hostile, "up", "-", script=script)
    assert "restart" in typed(hostile, "r", script=script)
    assert not [*hostile.root.rglob("evaluated")]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_offers_them(hostile: Bench) -> None:
    for text, expected in (
        ("inv up -u partner_first", "partner_firstname"),
        ("inv up --update=stack_", "--update=stack_info"),
    ):
        done = subprocess.run(
            ["zsh", "-f", "-c", ZSH, "zsh", text],
            cwd=hostile.root, env=environment(hostile), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert expected in done.stdout
    assert not [*hostile.root.rglob("evaluated")]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers_them(hostile: Bench) -> None:
    script = (
        "inv completion fish | source; complete --do-complete 'inv up -u stack'; complete --do-complete 'inv res'; "
    )
    script += "complete --do-complete 'inv up -d '"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=hostile.root, env=environment(hostile), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["stack_info", "restart", "project"], "")
    assert not [*hostile.root.rglob("evaluated")]
