"""Addresses of databases that are pulled, and what the other machine answers."""

from __future__ import annotations

import shlex

import pytest

from odpm_tasks.core.databases import pulling
from odpm_tasks.core.databases.pulling import DatabaseManager, RemoteCheckout, parse_source
from odpm_tasks.errors import DescriptionError, ProgramError

SHOP = RemoteCheckout("shop.example", "/srv/shop", "odoo", "2222")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("ssh://shop.example/srv/shop", RemoteCheckout("shop.example", "/srv/shop")),
        ("ssh://odoo@shop.example:2222/srv/shop", SHOP),
        ("ssh://shop/~/shop", RemoteCheckout("shop", "shop")),
        ("ssh://shop/srv/my%20shop", RemoteCheckout("shop", "/srv/my shop")),
        ("ssh://[::1]:22/srv/my shop", RemoteCheckout("::1", "/srv/my shop", "", "22")),
        ("https://shop.example/", DatabaseManager("https://shop.example")),
        ("http://127.0.0.1:8069", DatabaseManager("http://127.0.0.1:8069")),
        ("http://[::1]:8069/odoo/", DatabaseManager("http://[::1]:8069/odoo")),
    ],
)
def test_addresses(text: str, source: RemoteCheckout | DatabaseManager) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("odoo@shop.example:srv/shop", "another kind of address"),
        ("shop.zip", "another kind of address"),
        ("ftp://shop.example/x", "another kind of address"),
        ("ssh://shop.example", "no path"),
        ("ssh://shop.example/", "no path"),
        ("ssh://-oProxyCommand=touch/x", "not valid"),
        ("ssh://-l@shop.example/x", "the user in the address"),
        ("ssh://shop.example:x/srv", "not valid"),
        ("ssh://shop.example/srv/%1b[31m", "no path"),
        ("ssh://odoo:secret@shop.example/srv", "a password in the address"),
        ("https://admin:secret@shop.example", "a password in the address"),
        ("https://admin@shop.example", "has no users"),
        ("https://shop.example?db=x", "not valid"),
        ("http://shop.example", "others read"),
        ("http://127.0.0.1.shop.example", "others read"),
        ("http://localhost.shop.example", "others read"),
        ("https://", "not valid"),
    ],
)
def test_addresses_that_are_refused(text: str, what: str) -> None:
    with pytest.raises(DescriptionError, match=what) as caught:
        parse_source(text)
    assert "secret" not in str(caught.value)
    assert caught.value.todo


def test_the_remote_command_is_one_line_with_quoted_words() -> None:
    checkout = RemoteCheckout("shop.example", "/srv/it's; touch /tmp/acme")
    command = pulling.remote_command(checkout, "shop $(x)")
    assert "\n" not in command
    *_, mark, path, option, database = shlex.split(command)
    assert (mark, path, option, database) == (pulling.MARK, checkout.path, "--database", "shop $(x)")
    assert shlex.split(pulling.remote_command(checkout, ""))[-1] == checkout.path
    assert SHOP.words == ("-p", "2222", "--", "odoo@shop.example")


def test_what_the_remote_shell_finds() -> None:
    pulling.check_mark(f"{pulling.MARK} archive", SHOP)
    for found, what in (
        ("folder", "no such folder"),
        ("checkout", "lacks odpm.json"),
        ("program", "no inv"),
        ("\x1b[31m", "something unknown"),
        ("", "something unknown"),
    ):
        with pytest.raises(ProgramError, match=what) as caught:
            pulling.check_mark(f"{pulling.MARK} {found}".strip(), SHOP)
        assert caught.value.todo


def test_the_message_of_the_remote_task_is_shown() -> None:
    lines = ["Welcome", "odpm: there is no database 'shpo'", "  where: -d", "  next:  inv db.list shows them"]
    error = pulling.remote_failure("shop.example", lines)
    assert str(error) == (
        "odpm: on shop.example: there is no database 'shpo'\n  where: -d\n  there: inv db.list shows them\n"
        "  next:  correct it on shop.example, then run the same command again"
    )
    error = pulling.remote_failure("shop.example", ["Traceback", "ModuleNotFoundError: No module named 'odpm_tasks'"])
    assert "No module named 'odpm_tasks'" in str(error)


PAGE = '<div class="alert alert-danger" >Database backup error: {} &amp; <b>more</b></div><p>rest</p></div>'


def test_the_pages_of_a_database_manager() -> None:
    manager = DatabaseManager("https://shop.example")
    problem = pulling.manager_problem(PAGE.format("Access Denied"))
    assert problem == "Database backup error: Access Denied & more"
    assert pulling.manager_problem("<html>a portal of a hotel</html>") == ""
    assert "refuses the master password" in str(pulling.manager_failure(manager, "shop", problem))
    unknown = pulling.manager_problem(PAGE.format("Database 'shpo' is not known"))
    assert "has no database shpo" in str(pulling.manager_failure(manager, "shpo", unknown))
    assert "in place of an archive" in str(pulling.manager_failure(manager, "shop", ""))
    assert pulling.only_database(manager, ["shop"]) == "shop"
    for names, text in (([], "does not list"), (["a", "b"], "it has a, b")):
        with pytest.raises(DescriptionError, match=text):
            pulling.only_database(manager, names)
