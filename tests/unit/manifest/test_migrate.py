"""The migration from the flat format to the nested one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.manifest.migrate import Migration, migrate, smallest_odpm, unified
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.errors import DescriptionError, LockError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
SMALL: dict[str, Any] = {"odpm_version": "4.0", "odoo_version": "19.0"}
ENVIRONMENT = {"HERE": "/srv", "HOST": "git.example.org"}


def moved(raw: dict[str, Any], user_settings: object = None, lock: object = None) -> tuple[dict[str, Any], Migration]:
    texts = [json.dumps(value) if value is not None else None for value in (user_settings, lock)]
    migration = migrate(json.dumps(raw), user_settings=texts[0], lock_text=texts[1])
    return json.loads(migration.new_text), migration


def manifest(text: str) -> Manifest:
    return replace(read_manifest(text, ENVIRONMENT.get).manifest, format=0, requires_odpm="")


PINS_NOTE = (
    "the pins of .odpm/deps.lock.json are copied into locks.git and override that file from now on; "
    "inv migrate --no-locks leaves them out"
)


def test_whole_file() -> None:
    old = """{
  "odpm_version": "4.0",
  "python_version": "3.12",
  "distro_name": "debian",
  "distro_version": 12,
  "postgres_version": "16",
  "odoo_version": "19.0",
  "odoo_git_link": "https://${HOST:-github.com}/odoo/odoo.git 19.0",
  "odoo_build_date": "20251223",
  "dependencies": ["https://github.com/OCA/web.git 19.0", "file://${HERE}/addons"],
  "requirements_txt": ["requests==2.31.0"],
  "odoo_conf": {"options": {"workers": "2"}}
}
"""
    lock = {
        "schema_version": 1,
        "generated_at": "x",
        "platform": {"url": "https://github.com/odoo/odoo.git", "branch": "19.0", "commit": COMMIT},
        "dependencies": [
            {"url": "git@github.com:OCA/web.git", "commit": OTHER},
            {"url": "file:///srv/addons", "commit": OTHER, "kind": "file"},
        ],
        "developing": {"url": "https://github.com/me/project", "commit": OTHER},
        "venv": "abc",
    }
    settings = {
        "developing_project": "https://me:hunter2@github.com/me/project.git main",
        "db_creation_data": {"db_lang": "de_DE", "db_country_code": "DE", "create_demo": True},
    }
    migration = migrate(old, user_settings=json.dumps(settings), lock_text=json.dumps(lock))
    assert migration == Migration(
        """{
  "manifest_schema": 2,
  "requires_odpm": "4.4.0",
  "odoo_version": "19.0",
  "platform": {
    "git": "https://${HOST:-github.com}/odoo/odoo.git 19.0",
    "build_date": "20251223"
  },
  "python": "3.12",
  "distro": {
    "name": "debian",
    "version": "12"
  },
  "postgres": "16",
  "developing": {
    "git": "https://github.com/me/project.git main"
  },
  "dependencies": [
    "https://github.com/OCA/web.git 19.0",
    "file://${HERE}/addons"
  ],
  "requirements": [
    "requests==2.31.0"
  ],
  "database": {
    "language": "de_DE",
    "country": "DE"
  },
  "odoo_conf": {
    "options": {
      "workers": "2"
    }
  },
  "locks": {
    "git": {
      "https://github.com/OCA/web": "ffffffffffffffffffffffffffffffffffffffff",
      "https://github.com/odoo/odoo": "0123456789abcdef0123456789abcdef01234567"
    },
    "venv": "abc"
  }
}
""",
        notes=(
            "file:///srv/addons has no commit to pin: only .odpm/deps.lock.json records it",
            PINS_NOTE,
            "user_settings.json: db_creation_data.create_demo: inv up --demo",
        ),
    )


@pytest.mark.parametrize("written", ["latest", "20251223", "2025-12-23", 20251223])
def test_the_build_date_is_copied_as_it_is_written(written: object) -> None:
    new, _ = moved({**SMALL, "python_version": "3.11", "odoo_build_date": written})
    assert new["platform"]["build_date"] == str(written)
    assert problems(json.dumps(new), lambda name: None)[0] == ()


def test_a_second_migration_changes_nothing() -> None:
    first = migrate(json.dumps(SMALL))
    second = migrate(first.new_text, user_settings='{"developing_project": "https://h/x"}')
    assert second == Migration(first.new_text, notes=("odpm.json is already in the nested format",), already_v2=True)


def test_defaults_are_written_out() -> None:
    new, migration = moved(SMALL)
    assert new["platform"] == {"git": "https://github.com/odoo/odoo.git"}
    assert (new["python"], new["distro"], new["postgres"]) == ("3.7", {"name": "debian", "version": "11"}, "13")
    assert migration.unplaced == migration.notes == ()


def test_values_without_a_key_are_reported() -> None:
    new, migration = moved(
        {
            **SMALL,
            "create_module_links": True,
            "python": "3.12",
            "database": {"language": "de_DE", "demo": True},
            "odoo_conf": {"options": {"db_host": "x", "workers": 1}},
            "requirements_txt": ["-r a.txt", "ok", *["-e ."] * 10],
            "services": {"db": {"image": "x"}, "m": {"image": "m"}},
            "scenarios": {"developer": {"requirements": ["ipython"], "hooks": {"pre_up": [["make"]]}}, "prod": {}},
        }
    )
    assert migration.unplaced == (
        "create_module_links",
        "python",
        "database.demo",
        "odoo_conf.options.db_host",
        "requirements_txt[0]",
        *[f"requirements_txt[{index}]" for index in range(2, 12)],
        "scenarios.developer.requirements",
        "scenarios.prod",
        "services.db",
    )
    assert new["database"] == {"language": "de_DE"}
    assert new["odoo_conf"] == {"options": {"workers": 1}}
    assert new["requirements"] == ["ok"]
    assert new["services"] == {"m": {"image": "m"}}
    assert new["scenarios"] == {"developer": {"hooks": {"pre_up": [["make"]]}}}
    read_manifest(migration.new_text, ENVIRONMENT.get)


def test_existing_blocks_are_kept() -> None:
    blocks = {
        "services": {"m": {"image": "${IMAGE}"}},
        "service_patches": {"odoo": {"ports": ["1"]}},
        "hooks": {"post_up": [["a"]]},
        "trust": ["queue"],
        "scenarios": {"ci": {"service_patches": {"m": {"ports": ["1"]}}}},
        "locks": {"git": {"https://h/x": COMMIT}},
    }
    new, migration = moved({**SMALL, **blocks})
    assert {key: new[key] for key in blocks} == blocks
    assert new["requires_odpm"] == "5.0.0"
    assert migration.unplaced == ()


@pytest.mark.parametrize(
    ("flat", "settings", "database"),
    [
        ({}, {}, None),
        ({}, {"db_lang": "de_DE", "db_country_code": ""}, {"language": "de_DE"}),
        ({"language": "fr_FR"}, {"db_lang": "de_DE", "db_country_code": "DE"}, {"language": "fr_FR", "country": "DE"}),
        ({"country": False}, {"db_lang": 1, "db_country_code": "DE"}, {"country": False}),
        ({}, {"db_lang": "German"}, None),
    ],
)
def test_database(flat: dict[str, Any], settings: dict[str, Any], database: dict[str, Any] | None) -> None:
    new, migration = moved({**SMALL, "database": flat}, {"db_creation_data": settings})
    assert new.get("database") == database
    assert bool(migration.notes) == (settings.get("db_lang") == "German")


@pytest.mark.parametrize(
    ("flat", "personal", "git"),
    [
        ("", "", None),
        ("https://h/me/x 19.0", "https://h/other", "https://h/me/x 19.0"),
        (None, "git@h:me/x.git", "git@h:me/x.git"),
        (None, "file://${HERE}", "file://${HERE}"),
        (None, "../x", None),
        (None, 7, None),
    ],
)
def test_developing(flat: object, personal: object, git: str | None) -> None:
    new, _ = moved({**SMALL, "developing_project": flat}, {"developing_project": personal})
    assert new.get("developing", {}).get("git") == git


@pytest.mark.parametrize(
    ("text", "settings", "lock", "error"),
    [
        ("[]", None, None, DescriptionError),
        ('{"odoo_version": 1.5e9}', None, None, DescriptionError),
        ('{"manifest_schema": 3}', None, None, DescriptionError),
        (json.dumps(SMALL), "[", None, DescriptionError),
        (json.dumps(SMALL), "[]", None, DescriptionError),
        (json.dumps({**SMALL, "services": {"m": {}}}), None, None, DescriptionError),
        (json.dumps(SMALL), None, "{", DescriptionError),
        (json.dumps(SMALL), None, '{"schema_version": 2}', LockError),
        (json.dumps(SMALL), None, '{"schema_version": 1, "platform": {"url": "https://h/x"}}', LockError),
    ],
)
def test_refused(text: str, settings: str | None, lock: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        migrate(text, user_settings=settings, lock_text=lock)


@pytest.mark.parametrize(
    ("raw", "version"),
    [
        ({}, "4.4.0"),
        ({"services": {"m": {"image": "x"}}}, "4.4.0"),
        ({"scenarios": {"ci": {}}}, "4.7.0"),
        ({"system_packages": ["curl"]}, "5.0.0"),
        ({"trust": ["queue"]}, "5.0.0"),
        ({"requirements_ignore": ["csv"]}, "5.0.0"),
        ({"services": {"m": None}}, "4.4.0"),
        ({"services": {"m": {"build": "."}}}, "5.0.0"),
        ({"scenarios": {"ci": {"hooks": {"post_up": []}}}}, "5.0.0"),
    ],
)
def test_smallest_odpm(raw: dict[str, Any], version: str) -> None:
    assert smallest_odpm(raw) == version


def test_names_to_leave_out_are_carried_over() -> None:
    migration = migrate(json.dumps({**SMALL, "requirements_ignore": ["MySQLdb"]}))
    new = json.loads(migration.new_text)
    assert new["requirements_ignore"] == ["MySQLdb"]
    assert new["requires_odpm"] == "5.0.0"
    assert not migration.unplaced


def test_unified() -> None:
    assert unified("a\n", "a\n", "odpm.json") == ""
    assert unified("a\nb", "a\nc\n", "odpm.json") == (
        "--- a/odpm.json\n+++ b/odpm.json\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n"
    )


links = st.sampled_from(
    [
        "https://github.com/OCA/web.git 19.0",
        "git@${HOST}:a/b",
        "file://${HERE}/x",
        f"https://${{NO:-h}}/a/b main {COMMIT}",
    ]
)
flat_files = st.fixed_dictionaries(
    {"odoo_version": st.sampled_from(["19.0", 18.0, 17, "saas-17.4", "master"])},
    optional={
        "odpm_version": st.sampled_from(["3.0", "4.0", 4.0]),
        "python_version": st.sampled_from(["3.7", "3.10", "3.11.4", "", None]),
        "distro_name": st.sampled_from(["debian", None]),
        "distro_version": st.sampled_from(["11", 12, "trixie", None]),
        "debian_version": st.sampled_from(["10", 9, None]),
        "postgres_version": st.sampled_from(["13", 15, 9.6]),
        "dependencies": st.lists(links, max_size=3) | st.none(),
        "requirements_txt": st.lists(st.sampled_from(["a==1", "", "# b", "c # d", "x @ git+https://h/x"]), max_size=4),
        "odoo_git_link": links,
        "odoo_build_date": st.sampled_from(["latest", "20251223", 20251223, "2025-12-23", ""]),
        "platform_name": st.sampled_from(["odoo", "openerp", ""]),
        "arch": st.sampled_from(["amd64", None]),
        "database": st.fixed_dictionaries(
            {},
            optional={
                "language": st.sampled_from(["de_DE", "", None]),
                "country": st.sampled_from(["de", False, None]),
            },
        ),
        "odoo_conf": st.fixed_dictionaries(
            {},
            optional={
                "options": st.dictionaries(
                    st.sampled_from(["workers", "db_name", "dbfilter"]), st.integers() | st.booleans()
                )
            },
        ),
        "developing_project": links | st.just(""),
    },
)


@given(flat_files)
def test_the_migrated_file_is_the_same_manifest(raw: dict[str, Any]) -> None:
    text = json.dumps(raw)
    migration = migrate(text)
    assert migration.unplaced == ()
    assert manifest(migration.new_text) == manifest(text)
    assert migrate(migration.new_text).already_v2


def test_the_platform_name_and_the_architecture_are_kept() -> None:
    new, _ = moved({**SMALL, "platform_name": "openerp", "arch": "arm64"})
    assert (new["platform_name"], new["arch"]) == ("openerp", "arm64")
    assert not {"platform_name", "arch", "odoo_version"} & set(moved({"odoo_git_link": "https://h/odoo 19.0"})[0])


def test_a_folder_as_the_developing_project_of_the_user_settings_is_noted() -> None:
    new, migration = moved(SMALL, {"developing_project": "file:///srv/me"})
    assert new["developing"] == {"git": "file:///srv/me"}
    assert len(migration.notes) == 1
    assert "user_settings.json" in migration.notes[0]


def test_variables_of_the_user_settings_stay_as_written() -> None:
    new, _ = moved(SMALL, {"developing_project": "https://${LOGIN}@h/me/x 19.0"})
    assert new["developing"] == {"git": "https://${LOGIN}@h/me/x 19.0"}


def test_folders_of_the_lock_are_not_pinned_in_the_manifest() -> None:
    entries = [{"url": "file:///srv/a", "commit": COMMIT}, {"url": "https://h/b", "commit": COMMIT, "kind": "file"}]
    lock = {"schema_version": 1, "platform": {"url": "https://h/odoo", "commit": OTHER}, "dependencies": entries}
    new, migration = moved(SMALL, lock=lock)
    assert new["locks"] == {"git": {"https://h/odoo": OTHER}}
    assert len(migration.notes) == 3


@pytest.mark.parametrize("changes", [{"schema_version": 2}, {"dependencies": {"a": 1}}, {"dependencies": ["x"]}])
def test_a_lock_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    lock = {"schema_version": 1, "platform": {"url": "https://h/odoo", "commit": COMMIT}, "dependencies": []}
    assert moved(SMALL, lock=lock)[0]["locks"]["git"]
    with pytest.raises(LockError) as caught:
        moved(SMALL, lock=lock | changes)
    assert caught.value.exit_code == 3
