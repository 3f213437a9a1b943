"""What `up` and `render` keep of a lock, and what is reported of the changes between two."""

from __future__ import annotations

from dataclasses import replace

from odpm_tasks.core.locking.changes import complete_lock, lock_changes, lock_warnings, python_locks_differ, short_name
from odpm_tasks.core.locking.lockfile import DevelopingState, Lock, Pin

A, B, C = "a" * 40, "b" * 40, "c" * 40
ODOO = Pin("https://github.com/odoo/odoo", A, "19.0")
WEB = Pin("https://github.com/OCA/web", B, "19.0")
FILES = Pin("file:///srv/addons", B, file=True)
PROJECT = Pin("https://github.com/me/project", A, tree=C)


def test_completing_a_lock_keeps_the_commits_that_the_manifest_overrides() -> None:
    old = Lock(ODOO, (WEB,), developing=replace(PROJECT, tree=None))
    new = Lock(
        replace(ODOO, commit=C),
        (replace(WEB, commit=C), Pin("https://github.com/OCA/mail", C)),
        developing=replace(PROJECT, commit=C, tree=None),
    )
    overrides = {ODOO.url: C, WEB.url: C, PROJECT.url: C}
    completed = complete_lock(new, old, overrides)
    assert completed == Lock(ODOO, (WEB, Pin("https://github.com/OCA/mail", C)), developing=old.developing)
    assert complete_lock(new, old, {}) == new
    assert complete_lock(new, None, overrides) == new


def test_completing_a_lock_keeps_the_fingerprints_of_folders_unless_they_are_followed() -> None:
    old, new = Lock(ODOO, (FILES, WEB)), Lock(ODOO, (replace(FILES, commit=C), replace(WEB, commit=C)))
    assert complete_lock(new, old, {}) == Lock(ODOO, (FILES, replace(WEB, commit=C)))
    assert complete_lock(new, old, {WEB.url: C}) == old
    assert complete_lock(new, old, {}, follow_files=True) == new
    assert complete_lock(new, None, {}) == new


def test_completing_a_lock_records_the_developing_checkout_only_where_it_is_missing() -> None:
    own = DevelopingState(replace(PROJECT, commit=B, tree=B))
    assert complete_lock(Lock(ODOO), None, {}, own).developing == own.pin
    assert complete_lock(Lock(ODOO, developing=PROJECT), None, {}, own).developing == PROJECT
    by_odpm_4 = replace(PROJECT, tree=None, extra={"note": "why"})
    recorded = complete_lock(Lock(ODOO, developing=by_odpm_4), None, {}, own).developing
    assert recorded == own.pin
    assert recorded.extra == {"note": "why"}


def test_added_moved_and_dropped_image_digests_are_changes_of_the_lock() -> None:
    one, two = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    old = Lock(ODOO, images={"postgres:16": one, "python:3.12": one, "mailpit:1": one})
    new = Lock(ODOO, images={"postgres:16": two, "python:3.12": one, "redis:7": two})
    assert lock_changes(old, new) == (f"postgres:16 {'2' * 12}", f"redis:7 {'2' * 12}", "drop image mailpit:1")
    assert f"postgres:16 {'1' * 12}" in lock_changes(None, old)


def test_pins_of_the_manifest_that_override_the_lock_are_a_warning_each() -> None:
    lock = Lock(ODOO, (WEB,), venv="one")
    assert lock_warnings(lock, {}, None) == ()
    assert lock_warnings(lock, {WEB.url: B, "https://github.com/OCA/new": C}, "one") == ()
    (warning,) = lock_warnings(lock, {"git@github.com:OCA/web.git": C}, None)
    assert f"pins web at {C[:8]}" in warning
    assert f"({B[:8]})" in warning
    assert len(lock_warnings(lock, {WEB.url: C}, "two")) == 2


def test_python_locks_differ_where_the_manifest_and_the_lock_name_other_ones() -> None:
    lock = Lock(ODOO, venv="one")
    assert python_locks_differ(lock, "two")
    assert not python_locks_differ(lock, "one")
    assert not python_locks_differ(lock, None)
    assert not python_locks_differ(Lock(ODOO), "two")
    assert not python_locks_differ(None, "two")


def test_the_short_name_of_a_folder_is_its_last_part() -> None:
    assert short_name("file:///srv/addons/") == "addons"
    assert short_name(WEB.url) == "web"
