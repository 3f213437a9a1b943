"""`.odpm/deps.lock.json`: what is read, what is written, what survives, which pins count."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock, write_lock
from odpm_tasks.core.locking.pins import conflicting_pins, display_names, effective_pins, match_file_pins, matching_keys
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import LockError

A, B, C = "a" * 40, "b" * 40, "c" * 40
ODOO = Pin("https://github.com/odoo/odoo", A, "19.0")
WEB = Pin("https://github.com/OCA/web", B, "19.0")
FILES = Pin("file:///srv/addons", C, file=True)


def entry(**changes: Any) -> dict[str, Any]:
    return {"url": "https://github.com/odoo/odoo", "branch": "19.0", "commit": A, **changes}


def text(**changes: Any) -> str:
    return json.dumps({"schema_version": 1, "platform": entry(), **changes})


def test_the_sample_of_the_contract() -> None:
    sample = """{
  "schema_version": 1,
  "platform":     {"url": "https://github.com/odoo/odoo", "branch": "19.0", "commit": "<40 hex>"},
  "dependencies": [{"url": "https://github.com/OCA/web", "branch": "19.0", "commit": "<40 hex>"},
                   {"url": "file:///srv/addons", "commit": "<40 hex fingerprint>", "kind": "file"}]
}"""
    for place, commit in (("<40 hex>", A), ("<40 hex>", B), ("<40 hex fingerprint>", C)):
        sample = sample.replace(place, commit, 1)
    assert read_lock(sample) == Lock(ODOO, (WEB, FILES))


def test_whole_file() -> None:
    lock = Lock(
        ODOO,
        (WEB, FILES, Pin("https://github.com/OCA/account", C)),
        developing=Pin("https://github.com/me/project", B, extra={"tree": C}),
        images={"postgres:16": f"sha256:{'2' * 64}", "mailpit:1": f"sha256:{'1' * 64}"},
        venv="0123",
        extra={"zebra": [1, 2], "antilope": {"é": None}},
    )
    assert write_lock(lock) == (
        """{
  "antilope": {
    "é": null
  },
  "dependencies": [
    {
      "commit": "cccccccccccccccccccccccccccccccccccccccc",
      "kind": "file",
      "url": "file:///srv/addons"
    },
    {
      "commit": "cccccccccccccccccccccccccccccccccccccccc",
      "url": "https://github.com/OCA/account"
    },
    {
      "branch": "19.0",
      "commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "url": "https://github.com/OCA/web"
    }
  ],
  "developing": {
    "commit": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "tree": "cccccccccccccccccccccccccccccccccccccccc",
    "url": "https://github.com/me/project"
  },
  "images": {
    "mailpit:1": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "postgres:16": "sha256:2222222222222222222222222222222222222222222222222222222222222222"
  },
  "platform": {
    "branch": "19.0",
    "commit": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "url": "https://github.com/odoo/odoo"
  },
  "schema_version": 1,
  "venv": "0123",
  "zebra": [
    1,
    2
  ]
}
"""
    )


def test_the_smallest_lock_has_the_three_keys_of_schema_1() -> None:
    assert json.loads(write_lock(Lock(ODOO))) == {"schema_version": 1, "platform": entry(), "dependencies": []}


def test_unknown_keys_survive_a_rewrite() -> None:
    data = {
        "schema_version": 1,
        "generated_by": {"tool": "odpm 6"},
        "platform": entry(depth=[1]),
        "dependencies": [entry(url="https://github.com/OCA/web", commit=B, note="why")],
        "developing": {"url": "https://github.com/me/project", "commit": C, "tree": A},
        "images": {"postgres:16": f"sha256:{'1' * 64}"},
        "venv": "0123",
    }
    assert json.loads(write_lock(read_lock(json.dumps(data)))) == data


def test_urls_become_canonical_and_file_addresses_stay() -> None:
    lock = read_lock(
        text(
            platform=entry(url="git@GitHub.com:odoo/odoo.git", kind="git"),
            dependencies=[
                {"url": "https://me:pw@github.com/OCA/web.git/", "commit": B},
                {"url": "file:///srv/my%20addons/", "commit": C, "kind": "file"},
                {"url": "file:///srv/other", "commit": C},
            ],
        )
    )
    assert lock.pins == {
        "https://github.com/odoo/odoo": ODOO,
        "https://github.com/OCA/web": Pin("https://github.com/OCA/web", B),
        "file:///srv/my%20addons/": Pin("file:///srv/my%20addons/", C, file=True),
        "file:///srv/other": Pin("file:///srv/other", C, file=True),
    }
    assert "pw" not in write_lock(lock)
    assert '"git"' not in write_lock(lock)


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("", ":1:1"),
        ("{", ":1:2"),
        ('{\n  "schema_version": 1,\n  oops\n}', ":3:3"),
        ('{"schema_version": 1}}', ":1:22"),
    ],
)
def test_invalid_json_is_reported_with_line_and_column(broken: str, place: str) -> None:
    with pytest.raises(LockError) as caught:
        read_lock(broken)
    assert caught.value.where == f".odpm/deps.lock.json{place}"
    assert caught.value.exit_code == 3
    assert caught.value.todo


def test_merge_conflicts_are_recognised() -> None:
    conflict = write_lock(Lock(ODOO)).replace(
        f'"commit": "{A}"', f'<<<<<<< HEAD\n"commit": "{A}"\n=======\n"commit": "{B}"\n>>>>>>> theirs'
    )
    with pytest.raises(LockError, match="merge conflicts") as caught:
        read_lock(conflict)
    assert "inv lock" in caught.value.todo


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("[]", "the file"),
        ("{}", "schema_version"),
        ('{"schema_version": 1}', "platform"),
        (text(schema_version="1"), "schema_version"),
        (text(platform=[]), "platform"),
        (text(platform=entry(commit="a" * 39)), "platform.commit"),
        (text(platform=entry(commit="A" * 40)), "platform.commit"),
        (text(platform=entry(commit=A + "\n")), "platform.commit"),
        (text(platform=entry(url="")), "platform.url"),
        (text(platform=entry(branch=19)), "platform.branch"),
        (text(dependencies={}), "dependencies"),
        (text(dependencies=[entry(), entry(kind="svn")]), "dependencies.1.kind"),
        (text(dependencies=[{"url": "https://h/x"}]), "dependencies.0.commit"),
        (text(developing="x"), "developing"),
        (text(images={"x": 1}), "images.x"),
        (text(venv=1), "venv"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_an_invalid_field_is_named(wrong: str, named: str) -> None:
    with pytest.raises(LockError) as caught:
        read_lock(wrong, "here.json")
    assert named in str(caught.value)
    assert caught.value.where.startswith("here.json")
    assert caught.value.exit_code == 3


hexes = st.text("0123456789abcdef", min_size=40, max_size=40)
words = st.text("abcdefgXYZ0123456789-_", min_size=1, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=3), below, max_size=2),
    max_leaves=4,
)
extras = st.dictionaries(words.map(lambda word: f"x_{word}"), values, max_size=2)
pins = st.one_of(
    st.builds(
        Pin,
        url=st.builds("https://h.org/{}/{}".format, words, words),
        commit=hexes,
        branch=st.none() | words,
        extra=extras,
    ),
    st.builds(Pin, url=st.builds("file:///{}/{}".format, words, words), commit=hexes, file=st.just(True)),
)
locks = st.builds(
    Lock,
    platform=pins,
    dependencies=st.lists(pins, max_size=4, unique_by=lambda pin: pin.url).map(tuple),
    developing=st.none() | pins,
    images=st.dictionaries(words, st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), max_size=2),
    venv=st.none() | words,
    extra=extras,
)


@settings(max_examples=2 * settings().max_examples // 5)
@given(locks)
def test_round_trip(lock: Lock) -> None:
    written = write_lock(lock)
    read = read_lock(written)
    assert write_lock(read) == written
    assert (read.platform, read.developing, read.images, read.venv) == (
        lock.platform,
        lock.developing,
        lock.images,
        lock.venv,
    )
    assert read.extra == lock.extra
    assert [dict(pin.extra) for pin in read.dependencies] == [
        dict(pin.extra) for pin in sorted(lock.dependencies, key=lambda pin: pin.url)
    ]
    assert read.pins == lock.pins
    assert written.endswith("}\n")


@settings(max_examples=2 * settings().max_examples // 5)
@given(locks)
def test_the_order_of_dependencies_does_not_matter(lock: Lock) -> None:
    turned = replace(lock, dependencies=lock.dependencies[::-1])
    assert write_lock(turned) == write_lock(lock)


@given(st.text() | st.text('{}[]":,1 '))
def test_any_text_is_a_lock_or_a_lock_error(any_text: str) -> None:
    with pytest.raises(LockError):
        read_lock(any_text)


@pytest.mark.parametrize(
    ("branch", "link", "fits"),
    [
        ("19.0", "https://h/web 19.0", True),
        ("19.0", "https://h/web 18.0", False),
        ("19.0", "https://h/web", True),
        ("18.0", "https://h/web", False),
        (None, "https://h/web", True),
        (None, "https://h/web 19.0", True),
        (None, "https://h/web 18.0", False),
        ("19.0", f"https://h/web 19.0 {A}", True),
        ("19.0", f"https://h/web 19.0 {B}", False),
    ],
)
def test_whether_a_pin_fits_a_link(branch: str | None, link: str, fits: bool) -> None:
    assert Pin("https://h/web", A, branch).fits(parse_link(link), "19.0") is fits


def test_pins_of_the_manifest_override_those_of_the_lock() -> None:
    lock = Lock(ODOO, (WEB, FILES))
    pins = effective_pins(
        lock,
        {"git@github.com:OCA/web.git": C, "https://github.com/OCA/mail": A, "https://github.com/OCA/pos": B},
        "19.0",
    )
    assert pins == {
        ODOO.key: ODOO,
        WEB.key: Pin(WEB.url, C, "19.0"),
        FILES.key: FILES,
        "https://github.com/OCA/mail": Pin("https://github.com/OCA/mail", A),
        "https://github.com/OCA/pos": Pin("https://github.com/OCA/pos", B),
    }


@pytest.mark.parametrize("branch", ["", " 18.0", " 19.0"])
def test_a_pin_of_the_manifest_fits_every_branch(branch: str) -> None:
    lock = Lock(ODOO, (Pin(WEB.url, B, "18.0"),))
    pin = effective_pins(lock, {WEB.url: C}, "19.0")[WEB.key]
    assert pin.commit == C
    assert pin.fits(parse_link(WEB.url + branch), "19.0")


@pytest.mark.parametrize("lock", [None, Lock(ODOO, (WEB,))])
def test_without_pins_in_the_manifest_the_lock_is_used(lock: Lock | None) -> None:
    assert effective_pins(lock, {}, "19.0") == (lock.pins if lock else {})


def test_a_pin_without_a_branch_is_valid_for_its_odoo_version_only() -> None:
    lock = Lock(ODOO, (Pin(WEB.url, B),), odoo_version="18.0")
    assert WEB.key in effective_pins(lock, {}, "18.0")
    assert WEB.key not in effective_pins(lock, {}, "19.0")
    assert ODOO.key in effective_pins(lock, {}, "19.0")


def test_a_file_source_is_matched_by_url_then_content_then_name_then_order() -> None:
    def folder(path: str, commit: str) -> Pin:
        return Pin(f"file://{path}", commit, file=True)

    old = [folder("/srv/a", A), folder("/srv/b", B)]
    assert match_file_pins([folder("/home/x", B), folder("/home/a", C)], old) == {
        "file:///home/x": old[1],
        "file:///home/a": old[0],
    }
    # the same name is stronger than the order
    assert match_file_pins([folder("/home/b", C), folder("/home/a", C)], old) == {
        "file:///home/b": old[1],
        "file:///home/a": old[0],
    }
    # the same URL is stronger than the same fingerprint, and that is stronger than the same name
    assert match_file_pins([folder("/home/c", A), folder("/srv/a", B)], old) == {
        "file:///srv/a": old[0],
        "file:///home/c": old[1],
    }
    assert match_file_pins([folder("/home/a", B), folder("/home/b", A)], old) == {
        "file:///home/a": old[1],
        "file:///home/b": old[0],
    }
    assert match_file_pins([folder("/home/q", C)], old) == {"file:///home/q": old[0]}
    assert match_file_pins([ODOO], old) == {}


def test_a_folder_whose_path_and_content_changed_is_known_by_its_name() -> None:
    """The order alone would pair each with the other."""
    old = [Pin("file:///srv/addons/a", A, file=True), Pin("file:///srv/addons/b", B, file=True)]
    new = [Pin("file:///home/me/b", C, file=True), Pin("file:///home/me/a", C, file=True)]
    assert match_file_pins(new, old) == {"file:///home/me/b": old[1], "file:///home/me/a": old[0]}


def test_a_folder_at_the_same_path_is_the_same_whatever_it_holds() -> None:
    old = [Pin("file:///srv/a", A, file=True), Pin("file:///srv/b", B, file=True)]
    new = [Pin("file:///srv/a", B, file=True), Pin("file:///srv/b", A, file=True)]
    assert match_file_pins(new, old) == {"file:///srv/a": old[0], "file:///srv/b": old[1]}


def test_the_odoo_version_of_pins_without_a_branch_survives_a_rewrite() -> None:
    lock = Lock(ODOO, (Pin(WEB.url, B),), odoo_version="19.0")
    assert read_lock(write_lock(lock)) == lock


def test_a_pin_of_the_manifest_that_the_file_lacks_has_the_commit_of_the_manifest() -> None:
    assert effective_pins(None, {"git@github.com:OCA/web.git": C}, "19.0") == {WEB.key: Pin(WEB.key, C)}
    assert Pin("git@github.com:OCA/web.git", C).key == WEB.key


def test_a_folder_is_named_by_the_last_part_of_its_path() -> None:
    assert matching_keys(["file:///srv/addons/", WEB.key], ["addons"]) == {"file:///srv/addons/"}


def test_repositories_are_named_by_folder_or_by_the_last_part_of_the_address() -> None:
    ours, theirs, mail = "https://github.com/acme/web", "https://github.com/OCA/web", "https://github.com/OCA/mail"
    keys = [ours, theirs, mail]
    assert display_names(keys) == {ours: "acme-web", theirs: "OCA-web", mail: "mail"}
    assert matching_keys(keys, ["acme-web"]) == {ours}
    assert matching_keys(keys, ["Web"]) == {ours, theirs}
    assert matching_keys(keys, ["oca-web", "MAIL"]) == {theirs, mail}
    assert matching_keys(keys, ["we", ""]) == frozenset()


def test_conflicting_pins() -> None:
    lock = Lock(ODOO, (WEB,))
    manifest = {"git@github.com:OCA/web.git": C, ODOO.url: A, "https://github.com/OCA/new": C}
    assert conflicting_pins(lock, manifest) == ((WEB.key, C, B),)
    own = Pin("https://github.com/me/project", C, tree=A)
    assert conflicting_pins(Lock(WEB, developing=own), {own.key: B}) == ()
    assert conflicting_pins(Lock(WEB, developing=replace(own, tree=None)), {own.key: B}) == ((own.key, B, C),)
    assert conflicting_pins(None, manifest) == ()
    assert conflicting_pins(lock, {}) == ()


def test_a_pin_fits_the_branch_of_another_pin_of_the_same_repository() -> None:
    pin = Pin(WEB.url, B, "19.0")
    assert pin.fits_branch(Pin("git@github.com:OCA/web.git", C, "19.0"))
    assert not pin.fits_branch(Pin(WEB.url, B, "18.0"))
    assert not pin.fits_branch(Pin("https://github.com/me/web", B, "19.0"))


def test_a_lock_of_a_later_schema_is_never_thrown_away() -> None:
    with pytest.raises(LockError, match="this odpm is too old for the lock: it has schema version 2") as caught:
        read_lock('{"schema_version": 2, "sources": []}')
    assert caught.value.todo == "install the odpm that wrote it, or a newer one"


def test_a_key_that_an_entry_has_twice_is_an_error() -> None:
    """A wrong resolution of a merge conflict keeps both sides; json would use the last one."""
    merged = text().replace(f'"commit": "{A}"', f'"commit": "{A}", "commit": "{B}"')
    with pytest.raises(LockError, match="the lock has the key 'commit' twice in one entry"):
        read_lock(merged)
