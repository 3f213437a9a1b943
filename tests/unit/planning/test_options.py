"""The one table of options: which task has which, how they are typed, which act as settings, which a plan saves."""

from __future__ import annotations

from odpm_tasks.core.planning.options import DEFAULTS, UNSAVED, RunOptions, options_of


def test_plan_and_up_have_the_same_options_but_those_that_choose_ports() -> None:
    names = {task: [option.name for option in options_of(task)] for task in ("plan", "up", "lock")}
    assert names["plan"] == [name for name in names["up"] if name not in UNSAVED]
    assert "free_ports" in names["up"]
    assert names["lock"] == []


def test_every_option_has_a_help_text() -> None:
    assert all(option.metadata["help"].endswith(".") for option in options_of("up"))
    short = {option.name: option.metadata["short"] for option in options_of("up") if option.metadata["short"]}
    assert short == {"database": "d", "install": "i", "update": "u"}


def test_given_options_are_named_as_they_are_typed() -> None:
    assert DEFAULTS.given() == ()
    options = RunOptions(database="x", no_git_update=True, install=("sale",))
    assert options.given() == ("--database", "--install", "--no-git-update")


def test_dev_and_debug_are_settings() -> None:
    assert DEFAULTS.settings == {}
    assert RunOptions(dev="all").settings == {"ODPM_DEV": "all"}
    assert RunOptions(debug="on", database="x").settings == {"ODPM_DEBUG": "1"}
    assert RunOptions(debug="wait").settings == {"ODPM_DEBUG": "wait"}
    assert RunOptions(dev="none", no_debug=True).settings == {"ODPM_DEV": "", "ODPM_DEBUG": ""}
