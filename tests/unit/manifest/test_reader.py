"""`odpm.json` in both formats: the manifests, the problems and the warnings."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.manifest import json_document
from odpm_tasks.core.manifest.model import DependencyManifest, Manifest, ManifestResult, debian_codename
from odpm_tasks.core.manifest.reader import problems, read_dependency_manifest, read_manifest, schema_v1, schema_v2
from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import DescriptionError, OdpmError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ODOO = Link("https://github.com/odoo/odoo.git")
SMALL_V1 = {"odpm_version": "4.0", "odoo_version": "19.0"}
SMALL_V2: dict[str, Any] = {
    "manifest_schema": 2,
    "requires_odpm": "4.6.0",
    "platform": {"git": "https://github.com/odoo/odoo.git 19.0"},
    "python": "3.11",
    "distro": {"name": "debian", "version": "12"},
    "postgres": "15",
}


def nothing(name: str) -> str | None:
    return None


def read(raw: object, **values: str) -> ManifestResult:
    return read_manifest(json.dumps(raw), values.get)


def faults(raw: object) -> list[str]:
    """The errors without their line."""
    errors, _ = problems(json.dumps(raw), nothing)
    return [error.partition(": ")[2] for error in errors]


def v1(**keys: object) -> dict[str, Any]:
    return {**SMALL_V1, **keys}


def v2(**keys: object) -> dict[str, Any]:
    return {**SMALL_V2, **keys}


def test_v1_defaults_are_those_of_odpm_4() -> None:
    assert read(SMALL_V1) == ManifestResult(
        Manifest(
            format=1,
            requires_odpm="4.0",
            odoo_version="19.0",
            platform=ODOO,
            python="3.7",
            distro_name="debian",
            distro_version="11",
            postgres="13",
        )
    )


def test_v1_with_every_key() -> None:
    result = read(
        v1(
            odpm_version="3.0",
            python_version="3.10",
            distro_name="debian",
            distro_version="bookworm",
            postgres_version="15",
            dependencies=["https://github.com/OCA/web.git 19.0", "file://${HERE}/addons"],
            requirements_txt=["requests==2.31.0", "", "# why"],
            odoo_git_link="https://${HOST:-github.com}/odoo/odoo 19.0",
            odoo_build_date="20251223",
            platform_name="openerp",
            arch="amd64",
            database={"language": "de_DE", "country": "de"},
            odoo_conf={"options": {"workers": 2, "proxy_mode": True, "dbfilter": "^${DB}$"}},
            developing_project="git@github.com:me/project.git",
        ),
        HERE="/srv",
    )
    assert result == ManifestResult(
        Manifest(
            format=1,
            requires_odpm="3.0",
            odoo_version="19.0",
            platform=Link("https://github.com/odoo/odoo", "19.0"),
            build_date="2025-12-23",
            platform_name="openerp",
            arch="amd64",
            python="3.10",
            distro_version="bookworm",
            postgres="15",
            dependencies=(Link("https://github.com/OCA/web.git", "19.0"), Link("file:///srv/addons")),
            requirements=("requests==2.31.0",),
            developing=Link("git@github.com:me/project.git"),
            language="de_DE",
            country="DE",
            odoo_conf={"options": {"workers": "2", "proxy_mode": "True", "dbfilter": "^${DB}$"}},
        )
    )


@pytest.mark.parametrize(
    ("keys", "changes"),
    [
        ({"debian_version": "10"}, {"distro_version": "10"}),
        ({"debian_version": "10", "distro_version": "10"}, {"distro_version": "10"}),
        ({"distro_version": 12, "postgres_version": 15}, {"distro_version": "12", "postgres": "15"}),
        ({"postgres_version": 9.6}, {"postgres": "9.6"}),
        ({"odoo_version": 16}, {"odoo_version": "16.0"}),
        ({"odoo_version": 16.0, "odpm_version": 4}, {"odoo_version": "16.0"}),
        ({"odoo_build_date": 20251223}, {"build_date": "2025-12-23"}),
        ({"odoo_build_date": ""}, {}),
        ({"dependencies": None, "arch": None, "database": None, "developing_project": ""}, {}),
        ({"database": {"language": "en_US", "country": False}}, {"language": "en_US"}),
        ({"odoo_version": None, "odoo_git_link": "https://h/odoo 18.0"}, {"odoo_version": "18.0"}),
    ],
)
def test_v1_spellings(keys: dict[str, Any], changes: dict[str, Any]) -> None:
    result = read(v1(**keys))
    assert replace(result.manifest, platform=ODOO) == replace(read(SMALL_V1).manifest, **changes)
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("raw", "warnings"),
    [
        ({"odoo_version": "19.0"}, ['odpm_version is missing, 3.0 is assumed: write "odpm_version": "4.0"']),
        (v1(foo=1, bar=2), ["unknown keys are ignored: foo, bar"]),
        (v1(database={"demo": True}), ["unknown key is ignored: database.demo"]),
        (
            v1(services={"mail": {"image": "m"}}, system_packages=["git"]),
            ["services, system_packages have no effect: they are keys of the nested format: inv migrate --write"],
        ),
        (v1(hooks={}), ["hooks has no effect: it is a key of the nested format: inv migrate --write"]),
        (v1(odpm_version="2.0"), ["line 1: odpm_version: is older than the supported versions"]),
        (
            v1(distro_version="12", debian_version="11"),
            ["line 1: debian_version: has no effect: distro_version is 12"],
        ),
        (v1(odoo_conf={"options": {"db_host": "x"}}), ["line 1: odoo_conf.options.db_host: cannot be set"]),
        (v1(requirements_txt=["-r more.txt"]), ["line 1: requirements_txt[0]: a pip option"]),
    ],
)
def test_v1_warnings(raw: dict[str, Any], warnings: list[str]) -> None:
    found = read(raw).warnings
    assert len(found) == len(warnings)
    assert all(text.startswith(start) for text, start in zip(found, warnings, strict=True))


def test_validate_refuses_a_requirement_of_the_flat_format_that_lock_refuses() -> None:
    text = json.dumps(v1(python_version="3.11", requirements_txt=["lxml", "git+https://h/x#egg=x", "git+https://h/y"]))
    errors, warnings = problems(text, nothing)
    assert errors == ("line 1: requirements_txt[2]: an address needs the name of its package in front: NAME @ git+URL",)
    assert not warnings


def test_v1_reads_an_odpm_version_between_the_supported_ones_with_a_warning() -> None:
    assert read(v1(odpm_version="3.5")).warnings == read(v1(odpm_version="2.0")).warnings


def test_v1_names_the_field_of_a_broken_link() -> None:
    raw = v1(odoo_git_link="ext::a", dependencies=["https://h/x", "ext::b"], developing_project="ext::c")
    assert [fault.partition(":")[0] for fault in faults(raw)] == [
        "odoo_git_link",
        "dependencies[1]",
        "developing_project",
    ]


def test_v1_ignores_options_that_odpm_sets() -> None:
    conf = read(v1(odoo_conf={"options": {"db_host": "x", "workers": "1"}})).manifest.odoo_conf
    assert conf == {"options": {"workers": "1"}}


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"odoo_version": "nineteen"}, "odoo_version: 'nineteen' is not an Odoo version like 19.0"),
        ({"odoo_version": None}, "odoo_version: is required: the branch of odoo_git_link is not an Odoo version"),
        ({"python_version": 3.10}, "python_version: must be a string: put it in quotes"),
        (
            {"odpm_version": "9.0"},
            "odpm_version: is not a supported version of the flat format; supported: 3.0 and 4.0",
        ),
        (
            {"odpm_version": "four"},
            "odpm_version: is not a supported version of the flat format; supported: 3.0 and 4.0",
        ),
        ({"odoo_build_date": "20251301"}, "odoo_build_date: '20251301' is not a valid date"),
        ({"odoo_build_date": "soon"}, "odoo_build_date: 'soon' is not `latest`, YYYY-MM-DD or YYYYMMDD"),
        ({"distro_name": "ubuntu"}, "distro_name: 'ubuntu' is not a supported distribution; the only one is `debian`"),
        ({"dependencies": "https://h/x"}, "dependencies: must be a list"),
        ({"dependencies": [1]}, "dependencies[0]: must be a string: put it in quotes"),
        ({"requirements_txt": ["a\nb"]}, "requirements_txt[0]: contains a line break or control character"),
        (
            {"odoo_conf": {"options": {"a": "1\nb = 2"}}},
            "odoo_conf.options.a: contains a line break or control character",
        ),
        ({"odoo_conf": {"options": ["x"]}}, "odoo_conf.options: must be an object"),
        ({"arch": "amd64 x"}, "arch: 'amd64 x' is not an architecture like amd64"),
    ],
)
def test_v1_errors(keys: dict[str, Any], error: str) -> None:
    assert faults(v1(**keys)) == [error]


def test_v2_with_required_keys_only() -> None:
    assert read(SMALL_V2) == ManifestResult(
        Manifest(
            format=2,
            requires_odpm="4.6.0",
            odoo_version="19.0",
            platform=Link("https://github.com/odoo/odoo.git", "19.0"),
            python="3.11",
            distro_version="12",
            postgres="15",
        )
    )


def test_v2_with_every_key() -> None:
    manifest = read(
        v2(
            requires_odpm="5.0.0",
            odoo_version="19.0",
            platform={"git": "https://h/odoo main", "build_date": "2025-12-23"},
            platform_name="odoo",
            arch="arm64",
            dependencies=["https://${TOKEN}@h/me/web.git"],
            requirements=["requests", "x @ git+https://h/x", "y @ git+https://h/y"],
            requirements_ignore=["MySQLdb", "Crypto.Cipher.DES3", "pywin32"],
            system_packages=["libmagic1", "g++"],
            developing={"git": "https://h/me/project"},
            database={"language": "sr@latin", "country": "RS"},
            odoo_conf={"options": {"db_name": "prod", "workers": 2}, "queue_job": {"channels": "root:2"}},
            services={"mailpit": {"image": "axllent/mailpit", "x-note": 1, "deploy": {}}},
            service_patches={"odoo": {"environment": {"A": "${A}"}}, "mailpit": {"ports": ["8025"]}},
            hooks={"post_clone": [["make"]], "pre_up": "tools.hooks:run", "post_up": [["a", "b"], "tools:x"]},
            locks={"git": {"git@h:me/web.git": COMMIT.upper()}, "venv": "abc"},
            trust=["web"],
            scenarios={"ci": {"hooks": {"pre_up": []}}, "server": {"odoo_conf": {"options": {"workers": 4}}}},
        ),
        TOKEN="secret",
    ).manifest
    assert manifest == Manifest(
        format=2,
        requires_odpm="5.0.0",
        odoo_version="19.0",
        platform=Link("https://h/odoo", "main"),
        build_date="2025-12-23",
        arch="arm64",
        python="3.11",
        distro_version="12",
        postgres="15",
        dependencies=(Link("https://secret@h/me/web.git"),),
        requirements=("requests", "x @ git+https://h/x", "y @ git+https://h/y"),
        requirements_ignore=("MySQLdb", "Crypto.Cipher.DES3", "pywin32"),
        system_packages=("libmagic1", "g++"),
        developing=Link("https://h/me/project"),
        language="sr@latin",
        country="RS",
        odoo_conf={"options": {"db_name": "prod", "workers": "2"}, "queue_job": {"channels": "root:2"}},
        services={"mailpit": {"image": "axllent/mailpit", "x-note": 1, "deploy": {}}},
        service_patches={"odoo": {"environment": {"A": "${A}"}}, "mailpit": {"ports": ["8025"]}},
        hooks={"post_clone": (("make",),), "pre_up": ("tools.hooks:run",), "post_up": (("a", "b"), "tools:x")},
        locks_git={"https://h/me/web": COMMIT},
        locks_venv="abc",
        trust=("web",),
        scenarios={"ci": {"hooks": {"pre_up": ()}}, "server": {"odoo_conf": {"options": {"workers": "4"}}}},
    )
    assert manifest.codename == "bookworm"
    assert manifest.for_scenario("developer") == manifest
    assert manifest.for_scenario("server").odoo_conf["options"] == {"db_name": "prod", "workers": "4"}
    ci = manifest.for_scenario("ci")
    assert ci.odoo_conf["options"] == {"workers": "2"}
    assert ci.hooks == {**manifest.hooks, "pre_up": ()}


def test_an_overlay_merges_maps_and_replaces_other_values() -> None:
    manifest = read(
        v2(
            services={"m": {"image": "a", "ports": ["1"], "environment": {"A": "1", "B": "2"}}},
            scenarios={"server": {"services": {"m": {"image": "b", "ports": ["2"], "environment": {"B": "3"}}}}},
        )
    ).manifest
    merged = {"m": {"image": "b", "ports": ["2"], "environment": {"A": "1", "B": "3"}}}
    assert manifest.for_scenario("server").services == merged
    assert manifest.for_scenario("ci").services == manifest.services


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (
            {"manifest_schema": 3},
            "manifest_schema: is 3, but this odpm 5.0.0 reads schema 2; install a newer odpm",
        ),
        ({"manifest_schema": "2"}, "manifest_schema: must be the integer 2; the flat format has no such key"),
        ({"manifest_schema": True}, "manifest_schema: must be the integer 2; the flat format has no such key"),
        ({"requires_odpm": "5.0.1", "x": 1}, "requires_odpm: the file requires odpm 5.0.1 or later, this is 5.0.0"),
        ({"requires_odpm": "new"}, "requires_odpm: 'new' is not a version like 5.0.0"),
        ({"platfrom": {}}, "platfrom: unknown key; the nearest is `platform`"),
        ({"python_version": "3.11"}, "python_version: unknown key; the nearest is `python`"),
        ({"odoo_git_link": "x"}, "odoo_git_link: unknown key; the nearest is `platform.git`"),
        (
            {"distro": {"name": "debian", "vresion": "12", "version": "12"}},
            "distro.vresion: unknown key; the nearest is `version`",
        ),
        ({"distro": {"name": "debian"}}, "distro.version: is required"),
        ({"distro": {"name": "debian", "version": 12}}, "distro.version: must be a string: put it in quotes"),
        (
            {"distro": {"name": "debian", "version": "sarge"}},
            "distro.version: 'sarge' is not a supported Debian release",
        ),
        ({"postgres": 15}, "postgres: must be a string: put it in quotes"),
        ({"postgres": None}, "postgres: must be a string"),
        ({"python": ""}, "python: '' is not a Python version like 3.11"),
        ({"platform": []}, "platform: must be an object"),
        (
            {"platform": {"git": "https://h/odoo main"}},
            "odoo_version: is required: the branch of platform.git is not an Odoo version",
        ),
        ({"platform": {"git": "../odoo 19.0"}}, "platform.git: link `../odoo 19.0` is refused: it is a path"),
        ({"dependencies": ["https://me:pw@h"]}, "dependencies[0]: link `https://***@h` is refused"),
        ({"requirements": ["-e ."]}, "requirements[0]: a pip option is not a requirement"),
        ({"requirements": ["a b"]}, "requirements[0]: 'a b' is not a requirement like `name==1.2`"),
        (
            {"requirements_ignore": ["lxml==1"]},
            "requirements_ignore[0]: 'lxml==1' is not the name of a Python distribution or module",
        ),
        ({"backup": {}}, "backup.repository: is required"),
        (
            {"backup": {"repository": "sftp:host:shop"}},
            "backup.repository: is not `sftp:USER@HOST:PATH` or `sftp://USER@HOST:PORT/PATH`",
        ),
        ({"backup": {"repository": "sftp:backup@-oProxyCommand=x:shop"}}, "backup.repository: is not `sftp:USER@HOST"),
        (
            {"backup": {"repository": "sftp://backup:word@host/shop"}},
            "backup.repository: contains a password: the keys are in a file, BACKUP_SSH_KEY_FILE",
        ),
        ({"backup": {"repository": "gs:shop"}}, "backup.repository: is neither a folder nor `s3:…` nor `sftp:…`"),
        (
            {"backup": {"repository": "s3:https://key:word@s3.example/shop"}},
            "backup.repository: contains a password: the keys are in a file, BACKUP_CREDENTIALS_FILE",
        ),
        ({"backup": {"repository": "./.odpm/b"}}, "backup.repository: is in .odpm, which can be removed at any time"),
        (
            {"backup": {"repository": "/b", "schedule": "2:30"}},
            "backup.schedule: '2:30' is not a time of day like 02:30",
        ),
        (
            {"backup": {"repository": "/b", "keep": {"daily": 0, "weekly": 0, "monthly": 0}}},
            "backup.keep: keeps no backup at all",
        ),
        (
            {"backup": {"repository": "/b"}, "services": {"Backup": {"image": "x"}}},
            "services.Backup: is added by `backup`: change it with service_patches",
        ),
        ({"system_packages": ["curl; rm"]}, "system_packages[0]: 'curl; rm' is not the name of a Debian package"),
        ({"database": {"country": "Germany"}}, "database.country: 'Germany' is not a country code like DE"),
        (
            {"odoo_conf": {"options": {"addons_path": "/x"}}},
            "odoo_conf.options.addons_path: cannot be set: odpm generates it",
        ),
        ({"odoo_conf": {"options": {"data_dir": "/x"}}}, "odoo_conf.options.data_dir: cannot be set"),
        (
            {"odoo_conf": {"options": {"admin_passwd": "x"}}},
            "odoo_conf.options.admin_passwd: cannot be set: it is a secret",
        ),
        ({"odoo_conf": {"options": {"http_port": 1}}}, "odoo_conf.options.http_port: cannot be set"),
        ({"odoo_conf": {"options": {"DB_Password": "x"}}}, "odoo_conf.options.DB_Password: cannot be set"),
        ({"odoo_conf": {"options": {"a": None}}}, "odoo_conf.options.a: must be a string, a number, true or false"),
        ({"odoo_conf": {"options": {"a = b": "1"}}}, 'odoo_conf.options["a = b"]: is not a valid option name'),
        ({"odoo_conf": {"a]": {}}}, 'odoo_conf["a]"]: is not a valid section name'),
        ({"services": {"db": {"image": "x"}}}, "services.db: is built in: change it with service_patches"),
        ({"services": {"m": {"ports": []}}}, "services.m: needs `image` or `build`"),
        (
            {"services": {"m": {"image": "x", "enviroment": {}}}},
            "services.m.enviroment: unknown key; the nearest is `environment`",
        ),
        ({"services": {"a b": {"image": "x"}}}, 'services["a b"]: is not a valid service name'),
        ({"services": {"m": "x"}}, "services.m: must be an object"),
        ({"service_patches": {"ode": {}}}, "service_patches.ode: unknown key; the nearest is `odoo`"),
        ({"service_patches": {"db": None}}, "service_patches.db: must be an object"),
        ({"trusts": ["queue"]}, "trusts: unknown key; the nearest is `trust`"),
        ({"trust": "queue"}, "trust: must be a list"),
        ({"scenarios": {"ci": {"trust": []}}}, "scenarios.ci.trust: unknown key"),
        ({"service_patches": {"db": {"port": []}}}, "service_patches.db.port: unknown key; the nearest is `ports`"),
        ({"hooks": {"pre_up": [[]]}}, "hooks.pre_up[0]: write a list of argument lists"),
        ({"hooks": {"pre_up": "make"}}, "hooks.pre_up: write a list of argument lists"),
        ({"hooks": {"pre_up": [["make", 1]]}}, "hooks.pre_up[0]: write a list of argument lists"),
        ({"hooks": {"pre_up": [["make", "a\0b"]]}}, "hooks.pre_up[0]: write a list of argument lists"),
        ({"hooks": {"pre_up": {"a": 1}}}, "hooks.pre_up: write a list of argument lists"),
        ({"hooks": {"pre_upp": []}}, "hooks.pre_upp: unknown key; the nearest is `pre_up`"),
        (
            {"locks": {"git": {"https://h/x": "abc"}}},
            "locks.git[\"https://h/x\"]: 'abc' is not a commit of 40 hex digits",
        ),
        (
            {"locks": {"git": {"https://h/x 19.0": COMMIT}}},
            'locks.git["https://h/x 19.0"]: `https://h/x 19.0` must be an address without',
        ),
        (
            {"locks": {"git": {"file:///srv/x": COMMIT}}},
            'locks.git["file:///srv/x"]: `file:///srv/x` must be an address without',
        ),
        ({"locks": {"git": {"x": COMMIT}}}, "locks.git.x: link `x` is refused"),
        ({"locks": {"git": {"https://h/x": COMMIT, "git@h:x": "f" * 40}}}, 'locks.git["git@h:x"]: the same repository'),
        ({"developing": {"git": "ext::x"}}, "developing.git: link `ext::x` is refused"),
        ({"postgres": "1\x7f"}, "postgres: contains a line break or control character"),
        ({"database": {"langage": "de_DE"}}, "database.langage: unknown key; the nearest is `language`"),
        (
            {"scenarios": {"ci": {"service_patches": {"ode": {}}}}},
            "scenarios.ci.service_patches.ode: unknown key; the nearest is `odoo`",
        ),
        (
            {"scenarios": {"ci": {"service_patches": {"db": {"port": []}}}}},
            "scenarios.ci.service_patches.db.port: unknown key; the nearest is `ports`",
        ),
        ({"scenarios": {"prod": {}}}, "scenarios.prod: unknown key; known keys: developer, server, ci"),
        ({"scenarios": {"ci": {"dependencies": []}}}, "scenarios.ci.dependencies: a field of odpm 4"),
        (
            {"scenarios": {"ci": {"odoo_conf": {"options": {"db_name": "x"}}}}},
            "scenarios.ci.odoo_conf.options.db_name: cannot be set",
        ),
        (
            {"scenarios": {"ci": {"services": {"m": {"ports": []}}}}},
            "scenarios.ci.services.m: needs `image` or `build`",
        ),
        (
            {"scenarios": {"ci": {"hooks": {"pre_up": [1]}}}},
            "scenarios.ci.hooks.pre_up[0]: write a list of argument lists",
        ),
    ],
)
def test_v2_errors(keys: dict[str, Any], error: str) -> None:
    found = faults(v2(**keys))
    assert len(found) == 1, found
    assert found[0].startswith(error)


def test_all_problems_are_listed_in_the_order_of_the_file() -> None:
    text = """{
  "manifest_schema": 2,
  "requires_odpm": "4.6.0",
  "platform": {
    "git": "ext::sh",
    "build_date": "soon"
  },
  "python": 3.11,
  "distro": {"name": "debian", "version": "12"},
  "hooks": {"pre_up": [["ok"], "no"]},
  "sevices": {}
}"""
    with pytest.raises(DescriptionError) as caught:
        read_manifest(text, nothing, "sub/odpm.json")
    assert caught.value.what == "sub/odpm.json has 6 problems"
    assert [detail.partition(": ")[0] for detail in caught.value.details] == [
        "line 1",
        "line 5",
        "line 6",
        "line 8",
        "line 10",
        "line 11",
    ]
    assert "line 5: platform.git: link `ext::sh` is refused: it would make git run a program" in str(caught.value)
    assert "line 1: postgres: is required" in str(caught.value)


def test_a_service_of_a_scenario_may_be_patched() -> None:
    overlays = {"ci": {"services": {"queue": {"image": "x"}}}, "server": {"service_patches": {"queue": {}}}}
    assert faults(v2(scenarios=overlays, service_patches={"queue": {}})) == []


@pytest.mark.parametrize("keys", [{"dependencies": ["https://h/x"]}, {"developing": {"git": "https://h/x"}}])
def test_a_patched_service_may_come_from_a_repository(keys: dict[str, Any]) -> None:
    patches = {"service_patches": {"queue": {}}, "scenarios": {"ci": {"service_patches": {"cache": {}}}}}
    assert len(faults(v2(**patches))) == 2
    assert faults(v2(**patches, **keys)) == []


def test_a_service_may_extend_another() -> None:
    assert faults(v2(services={"queue": {"extends": {"service": "odoo"}}})) == []


def test_a_problem_of_one_entry_hides_none_of_the_next() -> None:
    assert len(faults(v2(hooks={"pre_upp": [], "post_up": [1]}))) == 2
    assert len(faults(v2(locks={"git": {"x": COMMIT, "y": COMMIT}}))) == 2
    _, warnings = problems(json.dumps(v2(dependencies=["https://h/${A}", "https://h/${B}"])), nothing)
    assert len(warnings) == 2


def test_an_unset_variable_in_a_list_is_named_with_its_index() -> None:
    _, warnings = problems(json.dumps(v2(services={"m": {"image": "x", "command": ["a", "${B}"]}})), nothing)
    assert warnings == ("line 1: services.m.command[1]: the variable B is not set and has no default",)


def test_a_link_records_the_variables_that_were_expanded_in_it() -> None:
    raw = v2(dependencies=["https://${LOGIN}@h/x", "https://h/${UNSET:-y}", "https://h/z"])
    found = [link.variables for link in read(raw, LOGIN="me").manifest.dependencies]
    assert found == [{"LOGIN"}, frozenset(), frozenset()]


def test_a_refused_link_shows_no_value_of_a_variable() -> None:
    with pytest.raises(DescriptionError) as caught:
        read(v2(dependencies=["https://h/x ${TOKEN} a b"]), TOKEN="hunter2")
    assert "${TOKEN}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_package_of_another_platform_is_kept() -> None:
    assert read(v2(platform_name="openerp")).manifest.platform_name == "openerp"


def test_a_single_problem_is_in_the_first_line() -> None:
    with pytest.raises(DescriptionError) as caught:
        read(v2(postgres=15))
    assert str(caught.value).splitlines() == [
        "odpm: odpm.json, line 1: postgres: must be a string: put it in quotes",
        "  where: odpm.json",
        "  next:  fix odpm.json, then: inv validate",
    ]


@pytest.mark.parametrize("key", ["requirements_ignore", "system_packages", "trust"])
def test_new_keys_need_odpm_5(key: str) -> None:
    assert read(v2(**{key: ["curl"]})).warnings == (f"line 1: {key}: needs odpm 5.0.0, but requires_odpm is 4.6.0",)
    assert read(v2(**{key: ["curl"]}, requires_odpm="5.0.0")).warnings == ()


def test_the_flat_format_has_names_to_leave_out() -> None:
    found = read({"odpm_version": "4.0", "odoo_version": "12.0", "requirements_ignore": ["MySQLdb"]})
    assert found.manifest.requirements_ignore == ("MySQLdb",)
    assert found.warnings == ()


def test_an_unset_variable_is_an_error_on_reading_and_a_warning_in_validate() -> None:
    raw = v2(
        dependencies=["file://${HERE}"],
        services={"m": {"image": "${IMAGE}", "environment": {"A": "${B:-x}", "C": "$${D}"}}},
        scenarios={"ci": {"odoo_conf": {"options": {"dbfilter": "^${F}$"}}}},
    )
    with pytest.raises(DescriptionError, match=r"dependencies\[0\]: the variable HERE is not set"):
        read(raw)
    errors, warnings = problems(json.dumps(raw), nothing)
    assert errors == ()
    assert warnings == (
        "line 1: dependencies[0]: the variable HERE is not set and has no default",
        "line 1: services.m.image: the variable IMAGE is not set and has no default",
        "line 1: scenarios.ci.odoo_conf.options.dbfilter: the variable F is not set and has no default",
    )
    assert read(raw, HERE="/srv").manifest.dependencies == (Link("file:///srv"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1, column 1"),
        ('{\n  "a": 1,\n}', "line 3, column 1: a comma before the closing bracket"),
        ('{"a": 1 // x\n}', "line 1, column 9: JSON has no comments"),
        ('{\n"a": 1,\n"b": 2, "a": 3}', 'line 3, column 9: the key "a" occurs twice in one object'),
        ('{"a": NaN}', "line 1, column 7: NaN is not a JSON number"),
        ('{"a": 1e999}', "1e999 is not a JSON number"),
        ("\ufeff{}", "byte order mark"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ('{"a": "\\ud800"}', "an unpaired surrogate"),
        ("[]", "is not a JSON object"),
        ("null", "is not a JSON object"),
    ],
)
def test_broken_json(text: str, reason: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        read_manifest(text, nothing)
    assert reason in caught.value.what
    assert "odpm.json" in caught.value.what
    assert problems(text, nothing)[0] == (caught.value.what,)


def test_a_dependency_manifest_has_only_the_keys_of_the_graph() -> None:
    flat = {"dependencies": ["https://h/x"], "requirements_txt": ["a", "# b"], "foo": {}, "odoo_version": "18.0"}
    assert read_dependency_manifest(json.dumps(flat), nothing, "x") == DependencyManifest(
        (Link("https://h/x"),), ("a",), "18.0", None
    )
    nested = {"manifest_schema": 7, "dependencies": [], "requirements": ["b"], "python": "3.11", "sevices": 1}
    assert read_dependency_manifest(json.dumps(nested), nothing, "x") == DependencyManifest((), ("b",), None, "3.11")


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"dependencies": "x"},
        {"dependencies": ["ext::x"]},
        {"dependencies": ["${X}"]},
        {"requirements_txt": ["a\nb"]},
    ],
)
def test_an_invalid_dependency_manifest_is_refused(raw: object) -> None:
    with pytest.raises(DescriptionError, match=r"web/odpm\.json"):
        read_dependency_manifest(json.dumps(raw), nothing, "web/odpm.json")


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("9", "stretch"),
        ("10", "buster"),
        ("11", "bullseye"),
        ("12.5", "bookworm"),
        ("Trixie", "trixie"),
        ("14", "forky"),
    ],
)
def test_debian_codename(version: str, name: str) -> None:
    assert debian_codename(version) == name


@pytest.mark.parametrize("version", ["", "8", "sid", "bookworm-slim", "²"])
def test_unknown_debian(version: str) -> None:
    with pytest.raises(ValueError, match="not a supported Debian release"):
        debian_codename(version)


def test_schemas() -> None:
    assert set(SMALL_V2) == set(schema_v2()["required"])
    assert schema_v2()["additionalProperties"] is False
    assert schema_v1()["additionalProperties"] is True
    assert schema_v1()["properties"]["postgres_version"]["default"] == "13"


def test_with_value_keeps_every_other_byte() -> None:
    text = '{\n  "b" :  [1,2],\n\t"locks": { "git": {} }  ,\n  "a": 1 }'
    assert json_document.with_value(text, "f", "locks", {}) == text.replace('{ "git": {} }', "{}")
    assert json_document.with_value('{\n  "a": 1\n}\n', "f", "b", [2]) == '{\n  "a": 1,\n  "b": [\n    2\n  ]\n}\n'
    assert json_document.with_value("{}", "f", "b", 1) == '{\n    "b": 1\n}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from([*schema_v1()["properties"], *schema_v2()["properties"]]), json_values),
    st.booleans(),
)
def test_any_object_is_read_or_refused(raw: dict[str, Any], nested: bool) -> None:
    text = json.dumps({**raw, "manifest_schema": 2} if nested else raw)
    with suppress(OdpmError):
        read_manifest(text, nothing)
    problems(text, nothing)


@given(st.dictionaries(st.sampled_from([*list(SMALL_V2)[1:], "hooks", "services", "scenarios", "locks"]), json_values))
def test_any_change_of_v2_is_read_or_refused(raw: dict[str, Any]) -> None:
    with suppress(OdpmError):
        read(v2(**raw))


@given(json_values, st.sampled_from([None, 1, "\t"]))
def test_parse_agrees_with_json(value: Any, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    document = json_document.parse(text, "f")
    assert document.value == value
    for path, (begin, end) in document.spans.items():
        here = value
        for part in path:
            here = here[part]
        assert json.loads(text[begin:end]) == here


def test_an_unset_variable_of_every_block_is_a_warning_of_validate() -> None:
    blocks: dict[str, Any] = {
        "odoo_conf": {"options": {"dbfilter": "${A}"}},
        "service_patches": {"db": {"command": "${B}"}},
        "hooks": {"pre_up": [["make", "${C}"]]},
    }
    found = problems(json.dumps(v2(**blocks)), nothing)[1]
    assert [warning.split(":")[1].strip() for warning in found] == [
        "odoo_conf.options.dbfilter",
        "service_patches.db.command",
        "hooks.pre_up[0][1]",
    ]
    flat = v1(odoo_conf={"options": {"dbfilter": "${A}"}}, services={"m": {"image": "${B}"}})
    warnings = problems(json.dumps(flat), nothing)[1]
    assert any("variable A" in warning for warning in warnings)
    assert not any("variable B" in warning for warning in warnings)


def test_an_older_schema_than_the_nested_one_is_refused() -> None:
    assert faults(v2(manifest_schema=1)) == ["manifest_schema: must be the integer 2; the flat format has no such key"]


@pytest.mark.parametrize("raw", [v1(python_version=3.7, odoo_git_link="ext::x"), v2(python=3, dependencies=["ext::x"])])
def test_a_wrong_type_does_not_hide_a_broken_link(raw: dict[str, Any]) -> None:
    assert len(faults(raw)) == 2


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"odpm_version": "4.0", "dependencies": {"a": "https://h/x"}}, "dependencies: must be a list"),
        ({"odpm_version": "4.0", "dependencies": "https://h/x"}, "dependencies: must be a list"),
        ({"odpm_version": "4.0", "dependencies": ["https://h/x", "ext::y"]}, "dependencies[1]: link"),
        ({"odpm_version": "4.0", "requirements_txt": ["lxml", "a\nb"]}, "requirements_txt[1]: contains a line break"),
    ],
)
def test_the_manifest_of_a_dependency_names_the_field_that_is_wrong(raw: dict[str, Any], named: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        read_dependency_manifest(json.dumps(raw), nothing, "web: odpm.json")
    assert named in str(caught.value)


def test_versions_of_a_dependency_may_be_numbers() -> None:
    found = read_dependency_manifest('{"odoo_version": 19.0, "python_version": 3.12}', nothing, "web: odpm.json")
    assert (found.odoo_version, found.python) == ("19.0", "3.12")
    other = read_dependency_manifest('{"odoo_version": true, "python_version": ""}', nothing, "web: odpm.json")
    assert (other.odoo_version, other.python) == (None, None)


def test_setting_a_key_keeps_windows_line_ends() -> None:
    text = '{\r\n  "a": 1\r\n}\r\n'
    assert json_document.with_value(text, "f", "locks", {"é": 1}) == (
        '{\r\n  "a": 1,\r\n  "locks": {\r\n    "é": 1\r\n  }\r\n}\r\n'
    )


def test_a_key_is_set_in_an_object_only() -> None:
    with pytest.raises(DescriptionError, match="not an object"):
        json_document.with_value("[]", "f", "locks", {})


@pytest.mark.parametrize(("database", "text"), [({"language": "xx_XX"}, "'xx_XX'"), ({"country": "UK"}, "GB")])
def test_a_language_or_country_that_odoo_does_not_have_is_refused(database: dict[str, str], text: str) -> None:
    for raw in (v1(database=database), {**SMALL_V2, "database": database}):
        with pytest.raises(DescriptionError, match=f"database.{next(iter(database))}") as caught:
            read(raw)
        assert text in str(caught.value)


def test_validate_names_a_python_that_is_too_old_for_the_series() -> None:
    for raw, path in (
        (v1(), "odoo_version"),
        (v1(python_version="3.9"), "python_version"),
        ({**SMALL_V2, "python": "3.9"}, "python"),
    ):
        errors, _ = problems(json.dumps(raw), nothing)
        assert len(errors) == 1
        assert f": {path}: Odoo 19.0 needs Python 3.10 or newer" in errors[0]
