"""Invalid input in the manifest, settings, links and locks: each ends with its exit code and one message, and no data is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import (
    HOST,
    LOCKS,
    MINIMAL,
    SALE,
    WEB,
    Env,
    Workspace,
    failure,
    file_digests,
    publish,
    run_shell,
    suggested_command,
)
from tests.e2e.harness import git

pytest_plugins = ["tests.e2e.workspaces"]

TASKS = (("plan",), ("lock",), ("render",), ("up",), ("validate",), ("status",))


# --- odpm.json ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", TASKS, ids=" ".join)
def test_without_odpm_json(workspace: Workspace, words: tuple[str, ...]) -> None:
    (workspace.root / "odpm.json").unlink()
    before = file_digests(workspace.root)
    failure(workspace.bench.inv(*words), 4, "there is no odpm.json", str(workspace.root))
    assert file_digests(workspace.root) == before


BROKEN = {
    "empty": ("", ":1:1"),
    "no colon": ('{\n  "python": "3.11",\n  "postgres" "15"\n}\n', ":3:14"),
    "comma at the end": ('{\n  "python": "3.11",\n}\n', ":3:1"),
    "comment": ('{\n  // which\n  "python": "3.11"\n}\n', ":2:3"),
    "key twice": ('{\n  "python": "3.11",\n  "python": "3.12"\n}\n', ":3:3"),
    "half a string": ('{\n  "python": "3.1', ":2:13"),
    "not a number": ('{\n  "python": NaN\n}\n', ":2:13"),
}


@pytest.mark.parametrize(("text", "spot"), BROKEN.values(), ids=BROKEN)
def test_invalid_json_is_reported_with_line_and_column(workspace: Workspace, text: str, spot: str) -> None:
    path = workspace.root / "odpm.json"
    path.write_text(text, encoding="utf-8")
    line, column = spot[1:].split(":")
    message = failure(workspace.bench.inv("plan"), 4, "odpm.json")
    assert f"odpm.json{spot}" in message or f"line {line}, column {column}" in message, message
    assert path.read_text(encoding="utf-8") == text


def test_validate_reports_the_same_as_a_run(workspace: Workspace) -> None:
    (workspace.root / "odpm.json").write_text(BROKEN["no colon"][0], encoding="utf-8")
    failure(workspace.bench.inv("validate"), 4, "odpm.json", "line 3, column 14")
    workspace.describe(dependancies=[])
    failure(workspace.bench.inv("validate"), 4, "dependancies", "`dependencies`")
    workspace.describe(dependancies=[], postgres=None)
    failure(workspace.bench.inv("validate"), 4, "dependancies", "`dependencies`", "postgres")


@pytest.mark.parametrize(
    "data", [b"[]", b'"text"', b"null", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"[" * 5000], ids=lambda data: str(data[:6])
)
def test_a_file_that_is_no_json_object_is_refused(workspace: Workspace, data: bytes) -> None:
    (workspace.root / "odpm.json").write_bytes(data)
    failure(workspace.bench.inv("plan"), 4, "odpm.json")


def test_a_folder_named_odpm_json(workspace: Workspace) -> None:
    (workspace.root / "odpm.json").unlink()
    (workspace.root / "odpm.json").mkdir()
    failure(workspace.bench.inv("plan"), 4, "odpm.json")


UNKNOWN: dict[str, tuple[dict[str, Any], str, str]] = {
    "at the top": ({"dependancies": []}, "dependancies", "dependencies"),
    "nested": ({"platform": {**MINIMAL["platform"], "build_dtae": "latest"}}, "platform.build_dtae", "build_date"),
    "service": ({"services": {"mail": {"image": "x", "prots": []}}}, "services.mail.prots", "ports"),
    "hook": ({"hooks": {"post_cloned": []}}, "hooks.post_cloned", "post_clone"),
    "scenario": ({"scenarios": {"sever": {}}}, "scenarios.sever", "server"),
    "patch": ({"service_patches": {"odo": {"init": True}}}, "service_patches.odo", "odoo"),
}


@pytest.mark.parametrize(("keys", "path", "nearest"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_key_is_reported_with_its_path_and_the_nearest_key(
    workspace: Workspace, keys: dict[str, Any], path: str, nearest: str
) -> None:
    workspace.describe(**keys)
    failure(workspace.bench.inv("render"), 4, f" {path}", f"`{nearest}`")


def test_all_problems_are_listed(workspace: Workspace) -> None:
    workspace.describe(
        python=3.11, postgres=None, dependencies=["../web"], colour="red", services={"db": {"image": "x"}}
    )
    message = failure(workspace.bench.inv("render"), 4, "5 problems", most=8)
    for path in ("python", "postgres", "dependencies[0]", "colour", "services.db"):
        assert f" {path}: " in message, message


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"manifest_schema": 3}, "install a newer odpm"),
        ({"requires_odpm": "99.0.0"}, "99.0.0"),
        ({"odoo_conf": {"options": {"admin_passwd": "x"}}}, "admin_passwd"),
        ({"postgres": "${PG}"}, "postgres"),
    ],
    ids=["schema", "requires_odpm", "refused option", "substitution"],
)
def test_an_unsupported_manifest(workspace: Workspace, keys: dict[str, Any], message: str) -> None:
    workspace.describe(**keys)
    failure(workspace.bench.inv("render"), 4, message)


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [*TASKS, ("down",), ("build-image",)], ids=" ".join)
def test_an_unknown_scenario_lists_the_valid_ones(workspace: Workspace, words: tuple[str, ...]) -> None:
    ran = workspace.bench.inv(*words, ODPM_SCENARIO="production")
    failure(ran, 4, "'production'", "developer, server, ci", "the process environment")


def test_an_unknown_scenario_is_reported_with_its_layer(workspace: Workspace) -> None:
    home = workspace.folder / "home/.odpm"
    home.mkdir()
    (home / ".env").write_text("ODPM_SCENARIO=mine\n", encoding="utf-8")
    failure(workspace.bench.inv("plan"), 4, "'mine'", "developer, server, ci", "~/.odpm/.env")
    (workspace.root / ".env").write_text("ODPM_SCENARIO=Developer\n", encoding="utf-8")
    failure(workspace.bench.inv("plan"), 4, "'Developer'", "developer, server, ci", "in .env")
    workspace.bench.ok("plan", ODPM_SCENARIO="developer")


def test_an_invalid_line_of_env_is_reported_with_its_number(workspace: Workspace) -> None:
    (workspace.root / ".env").write_text("ODOO_PORT=8069\nthis is no assignment\n", encoding="utf-8")
    failure(workspace.bench.inv("plan"), 4, ".env:2")
    (workspace.root / ".env").write_bytes(b"ODOO_PORT=8069\nNAME=\xff\n")
    failure(workspace.bench.inv("plan"), 4, ".env")
    (workspace.root / ".env").write_text("ODOO_PORT=8069\nA=100%\nB=%(x)s\nC='$5'\n", encoding="utf-8")
    workspace.bench.ok("plan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ODOO_PORT", "web"),
        ("GEVENT_PORT", "0"),
        ("POSTGRES_PORT", "65536"),
        ("DEBUGGER_PORT", "-1"),
        ("ODOO_PORT", "٣"),
    ],
)
def test_an_invalid_port_is_reported_with_its_name(workspace: Workspace, no_docker: Env, name: str, value: str) -> None:
    (workspace.root / ".env").write_text(f"{name}={value}\n", encoding="utf-8")
    failure(workspace.bench.inv("up", **no_docker), 4, name, value, ".env")


@pytest.mark.parametrize("name", ["ODPM_JOBS", "ODPM_GIT_MIRROR", "ODPM_GIT_TIMEOUT"])
def test_an_invalid_setting_is_reported_with_its_name(workspace: Workspace, name: str) -> None:
    setting: Env = {name: "many"}
    failure(workspace.bench.inv("render", **setting), 4, name, "'many'", "the process environment")


UNSET: dict[str, tuple[dict[str, Any], str]] = {
    "platform": ({"platform": {"git": "https://${GIT_SITE}/odoo.git 19.0"}, "odoo_version": "19.0"}, "platform.git"),
    "dependency": ({"dependencies": ["https://git.test/team/web.git ${GIT_SITE}"]}, "dependencies[0]"),
    "service": ({"services": {"mail": {"image": "mail", "ports": ["1:1", "${GIT_SITE}:2"]}}}, "services.mail.ports[1]"),
    "patch": ({"service_patches": {"odoo": {"environment": {"A": "${GIT_SITE}"}}}}, "service_patches.odoo.environment.A"),
    "odoo_conf": ({"odoo_conf": {"options": {"smtp_server": "${GIT_SITE}"}}}, "odoo_conf.options.smtp_server"),
    "hook": ({"hooks": {"post_prepare": [["echo", "${GIT_SITE}"]]}}, "hooks.post_prepare"),
}  # fmt: skip


@pytest.mark.parametrize(("keys", "path"), UNSET.values(), ids=UNSET)
def test_an_unset_variable_is_reported_with_field_and_name(
    workspace_locked: Workspace, keys: dict[str, Any], path: str
) -> None:
    workspace_locked.describe(**keys)
    failure(workspace_locked.bench.inv("render"), 4, path, "GIT_SITE", "not set")
    checked = workspace_locked.bench.ok("validate")
    assert f"{path}" in checked.err
    assert "GIT_SITE" in checked.err
    assert "warning" in checked.err


# --- links -------------------------------------------------------------------------------------------------------

HOSTILE = {
    "a helper": "ext::sh -c touch% {spoil}",
    "an option": "--upload-pack=touch {spoil}",
    "an option as branch": "https://git.test/team/web.git --upload-pack=touch",
    "an option as host": "ssh://-oProxyCommand=touch/x",
    "an option as path": "git@git.test:-oProxyCommand",
    "a path": "../../etc",
    "a bare absolute path": "/etc",
    "a control character": "https://git.test/team/web.git\u0007 19.0",
    "a line break": "https://git.test/team/web.git\n19.0\u0000",
    "text that runs backwards": "https://git.test/team/\u202eweb.git 19.0",
    "another scheme": "fd::17/web",
    "file with a host": "file://server/share",
    "steps upward": "https://git.test/../../web.git",
}


def test_hostile_links_are_refused_before_git_runs(workspace: Workspace) -> None:
    spoil = workspace.folder / "spoiled"
    workspace.describe(dependencies=[link.format(spoil=spoil) for link in HOSTILE.values()])
    message = failure(workspace.bench.inv("render"), 4, "problems", most=2 * len(HOSTILE) + 3)
    for number, name in enumerate(HOSTILE):
        assert f"dependencies[{number}]: " in message, f"{name} is not refused\n{message}"
    assert all(char.isprintable() or char == "\n" for char in message), repr(message)
    assert not spoil.exists()
    assert not (workspace.cache / "git").exists()


@pytest.mark.parametrize("name", ["a helper", "an option", "a control character"])
def test_a_hostile_platform_is_refused_before_git_runs(workspace: Workspace, name: str) -> None:
    spoil = workspace.folder / "spoiled"
    workspace.describe(platform={"git": HOSTILE[name].format(spoil=spoil)})
    message = failure(workspace.bench.inv("render"), 4, "platform.git")
    assert all(char.isprintable() or char == "\n" for char in message), repr(message)
    assert not spoil.exists()
    assert not (workspace.cache / "git").exists()


@pytest.mark.parametrize("file", ["oca_dependencies.txt", "odpm.json"])
@pytest.mark.parametrize("link", ["ext::sh", "--upload-pack=x"])
def test_a_hostile_link_of_a_dependency_is_refused(workspace: Workspace, file: str, link: str) -> None:
    text = json.dumps({"dependencies": [link]}) if file == "odpm.json" else f"sale {link}\n"
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}\n", file: text})
    failure(workspace.bench.inv("render"), 4, f"web: {file}", "refused")
    assert not (workspace.root / LOCKS[0]).exists()


@pytest.mark.parametrize("file", ["oca_dependencies.txt", "odpm.json"])
def test_a_dependency_cannot_request_a_folder_of_this_machine(workspace: Workspace, file: str) -> None:
    text = json.dumps({"dependencies": ["file:///etc"]}) if file == "odpm.json" else "sale file:///etc\n"
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}\n", file: text})
    failure(workspace.bench.inv("render"), 4, "web", "file:///etc")
    assert not (workspace.root / LOCKS[0]).exists()


def test_a_dependency_with_invalid_files_is_named(workspace: Workspace) -> None:
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}\n", "odpm.json": "{ broken"})
    failure(workspace.bench.inv("render"), 4, "web: odpm.json")
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}\n", "oca_dependencies.txt": "one two three four five\n"})
    failure(workspace.bench.inv("render"), 4, "web: oca_dependencies.txt", "line 1")
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}\n"})
    workspace.bench.ok("render")


def test_a_repository_at_two_branches_is_an_error_with_both_requesters(workspace: Workspace) -> None:
    third = "team/stock.git"
    workspace.publish(third, {"a/__manifest__.py": "{}"})
    workspace.publish(third, {"a/__manifest__.py": "{}"}, "18.0")
    for repository, branch in ((WEB, "19.0"), (SALE, "18.0")):
        workspace.publish(
            repository, {"x/__manifest__.py": "{}", "oca_dependencies.txt": f"stock {HOST}{third} {branch}\n"}
        )
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    failure(workspace.bench.inv("render"), 4, "team/stock", "odpm.json -> web", "odpm.json -> sale", "19.0", "18.0")
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0", f"{HOST}{third} 19.0"])
    workspace.bench.ok("render")


def test_a_missing_file_source(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"file://{workspace.folder}/mine"])
    failure(workspace.bench.inv("render"), 4, f"file://{workspace.folder}/mine", "odpm.json")
    (workspace.folder / "mine/thing").mkdir(parents=True)
    (workspace.folder / "mine/thing/__manifest__.py").write_text("{}", encoding="utf-8")
    workspace.bench.ok("render")


MANIFESTS: dict[str, bytes] = {
    "not Python": b"{'name': 'Web thing'",
    "no dictionary": b"['a']",
    "a call": b"__import__('os').system('touch /tmp/odpm-spoiled')",
    "not UTF-8": b"{'name': '\xff'}",
    "a zero byte": b"{'name': '\0'}",
    "deep": b"(" * 20000,
    "odd types": b"{'external_dependencies': {'python': 3, 'bin': None}, 'version': None, 'installable': 'x'}",
    "an unhashable key": b"{[]: 1}",
    "empty": b"",
}


UNNOTICED = {"odd types"}  # they are read as nothing


def test_broken_manifests_in_a_dependency_are_only_warnings(workspace_locked: Workspace) -> None:
    names = {f"bad{number}/__manifest__.py": data for number, data in enumerate(MANIFESTS.values())}
    workspace_locked.publish(WEB, {"good/__manifest__.py": "{}\n", **names})
    workspace_locked.bench.ok("lock", "--update", "--only", "web")
    ran = workspace_locked.bench.ok("render")
    assert "Traceback" not in ran.output
    for name, kind in zip(names, MANIFESTS, strict=True):
        assert (f"{name} is not a readable manifest" in ran.err) is (kind not in UNNOTICED), f"{kind}\n{ran.err}"
    assert not Path("/tmp/odpm-spoiled").exists()


@pytest.mark.parametrize(
    "names",
    [("blank space", "quo'te", "ümlaut", "-option", "$(x)", 'dou"ble'), ("line\nbreak",)],
    ids=["odd", "line break"],
)
def test_unusual_folder_names_in_a_dependency(workspace_locked: Workspace, names: tuple[str, ...]) -> None:
    workspace_locked.publish(WEB, {f"{name}/__manifest__.py": "{}\n" for name in ("good", *names)})
    workspace_locked.bench.ok("lock", "--update", "--only", "web")
    ran = workspace_locked.bench.ok("render")
    assert "Traceback" not in ran.output
    for name in names:
        assert (workspace_locked.source("web") / name / "__manifest__.py").exists()


def test_a_broken_manifest_in_the_project_itself_is_only_a_warning(workspace_locked: Workspace) -> None:
    (workspace_locked.root / "mine").mkdir()
    (workspace_locked.root / "mine/__manifest__.py").write_bytes(b"{'name': ")
    ran = workspace_locked.bench.ok("render")
    assert "mine/__manifest__.py" in ran.err


# --- locks -------------------------------------------------------------------------------------------------------


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def corrupt(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return corrupt


CORRUPT: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "empty": (lambda text: "", ("deps.lock.json:1:1",)),
    "cut off": (lambda text: text[: len(text) // 2], ("deps.lock.json:",)),
    "merge markers": (lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> theirs\n", ("merge",)),
    "a list": (lambda text: "[]", ("the file",)),
    "a number as commit": (changed(lambda data: data["platform"].update(commit=7)), ("platform.commit",)),
    "a short commit": (changed(lambda data: data["platform"].update(commit="abc")), ("platform.commit",)),
    "no platform": (changed(lambda data: data.pop("platform")), ("platform",)),
    "an object as list": (changed(lambda data: data.update(dependencies={})), ("dependencies",)),
    "a later schema": (changed(lambda data: data.update(schema_version=2)), ("this odpm is too old",)),
    "a null venv": (changed(lambda data: data.update(venv=3)), ("venv",)),
    "deep": (lambda text: "[" * 100000, ()),
}


def corrupted(workspace: Workspace, kind: str) -> str:
    """Corrupt the lock and check that it is reported and not changed. Returns the message."""
    corrupt, words = CORRUPT[kind]
    path = workspace.root / LOCKS[0]
    path.write_text(corrupt(path.read_text(encoding="utf-8")), encoding="utf-8")
    before = file_digests(workspace.root)
    failure(workspace.bench.inv("lock"), 3, "deps.lock.json", *words)
    message = failure(workspace.bench.inv("render"), 3, "deps.lock.json", *words)
    assert file_digests(workspace.root) == before
    return message


@pytest.mark.parametrize("kind", CORRUPT)
def test_a_corrupt_lock_is_reported_and_kept(workspace_locked: Workspace, kind: str) -> None:
    corrupted(workspace_locked, kind)


def test_every_task_that_reads_the_lock_reports_a_corrupt_one(workspace_ready: Workspace) -> None:
    corrupted(workspace_ready, "cut off")
    for words in (("plan",), ("validate",), ("lock", "--check"), ("status",), ("up",)):
        failure(workspace_ready.bench.inv(*words), 3, "deps.lock.json")
    for scenario in ("server", "ci"):
        failure(workspace_ready.bench.inv("render", ODPM_SCENARIO=scenario), 3, "deps.lock.json")


@pytest.mark.parametrize("kind", ["cut off", "a list", "merge markers"])
def test_the_advice_for_a_corrupt_lock_works(workspace_ready: Workspace, kind: str) -> None:
    path = workspace_ready.root / LOCKS[0]
    good = path.read_text(encoding="utf-8")
    git("add", LOCKS[0], cwd=workspace_ready.root)
    git("commit", "-qm", "The lock", cwd=workspace_ready.root)
    message = corrupted(workspace_ready, kind)
    if kind == "merge markers":
        path.write_text(good, encoding="utf-8")  # "take either side"
    # "a list": the other one of the two ways that the message names
    run_shell(workspace_ready, message.rpartition(": ")[2] if kind == "a list" else suggested_command(message))
    workspace_ready.bench.ok("render")
    assert path.read_text(encoding="utf-8") == good


@pytest.mark.parametrize("path", LOCKS[1:])
def test_a_corrupt_python_lock_is_rewritten_in_developer_and_an_error_in_server(
    workspace_ready: Workspace, path: str
) -> None:
    good = (workspace_ready.root / path).read_bytes()
    for data in (b"garbage\n", b"<<<<<<< HEAD\n" + good):
        (workspace_ready.root / path).write_bytes(data)
        failure(workspace_ready.bench.inv("render", ODPM_SCENARIO="server"), 3, "Python lock")
        assert (workspace_ready.root / path).read_bytes() == data
        workspace_ready.bench.ok("render")
        assert (workspace_ready.root / path).read_bytes() == good


STATES: dict[str, bytes] = {
    "garbage": b"\xff\x00 [[[",
    "text": b"hello\n",
    "files is a number": b"files = 3\nup = 4\nscenario = []\n",
    "files hold numbers": b"[files]\n'docker-compose.yml' = 3\n[up]\ndigest = 1\ncontainers = 'x'\n",
    "validated is a list": b"validated = []\n",
}


@pytest.mark.parametrize("data", STATES.values(), ids=STATES)
def test_a_corrupt_state_is_harmless(workspace_ready: Workspace, data: bytes) -> None:
    before = file_digests(workspace_ready.root, "state.toml")
    state = workspace_ready.root / ".odpm/state.toml"
    for words in (("plan",), ("sources.status",), ("render",)):
        state.write_bytes(data)
        assert "Traceback" not in workspace_ready.bench.ok(*words).output
    assert file_digests(workspace_ready.root, "state.toml") == before
    state.write_bytes(data)
    workspace_ready.describe(odoo_conf={"options": {"workers": 0}})
    workspace_ready.bench.ok("render")
    assert "workers" in (workspace_ready.root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")


def untouched(workspace: Workspace, *words: str) -> None:
    """In server and ci a run exits with 3 and writes nothing; `lock --check` reports the same in developer."""
    before = file_digests(workspace.root, ".gitignore")
    for scenario in ("server", "ci"):
        failure(workspace.bench.inv("render", ODPM_SCENARIO=scenario), 3, *words, scenario)
    failure(workspace.bench.inv("lock", "--check"), 3)
    assert file_digests(workspace.root, ".gitignore") == before


def mended(workspace: Workspace) -> None:
    """Run the command from the message; then a run in server succeeds."""
    run_shell(workspace, suggested_command(failure(workspace.bench.inv("render", ODPM_SCENARIO="server"), 3)))
    workspace.bench.ok("render", ODPM_SCENARIO="server")


@pytest.mark.parametrize("words", [("lock",), ("lock", "--update")], ids=" ".join)
@pytest.mark.parametrize("scenario", ["server", "ci"])
def test_server_and_ci_do_not_write_a_lock(workspace: Workspace, scenario: str, words: tuple[str, ...]) -> None:
    failure(workspace.bench.inv(*words, ODPM_SCENARIO=scenario), 3, scenario)
    assert not (workspace.root / ".odpm").exists()


def test_server_and_ci_need_a_lock(workspace: Workspace) -> None:
    untouched(workspace, "there is no lock")
    mended(workspace)


def test_server_and_ci_need_a_complete_lock(workspace_locked: Workspace) -> None:
    workspace_locked.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    untouched(workspace_locked, "incomplete", "team/sale")
    mended(workspace_locked)


def test_server_and_ci_need_a_lock_of_this_manifest(workspace_ready: Workspace) -> None:
    publish(workspace_ready.host / WEB, {"other/__manifest__.py": "{}"}, "19.0-next")
    workspace_ready.describe(dependencies=[f"{HOST}{WEB} 19.0-next"])
    untouched(workspace_ready, "team/web")
    mended(workspace_ready)


def test_server_and_ci_refuse_a_lock_with_unneeded_entries(workspace_ready: Workspace) -> None:
    workspace_ready.describe(dependencies=[])
    untouched(workspace_ready, "out of date", "drop web")
    mended(workspace_ready)


def test_server_and_ci_need_the_python_locks(workspace_ready: Workspace) -> None:
    (workspace_ready.root / LOCKS[1]).unlink()
    untouched(workspace_ready, "Python lock")
    mended(workspace_ready)


def test_server_and_ci_need_python_locks_of_this_manifest(workspace_ready: Workspace) -> None:
    workspace_ready.describe(requirements=["six==1.16.0"])
    untouched(workspace_ready, "Python lock", "out of date")
    mended(workspace_ready)


def test_check_reports_a_lock_that_contradicts_the_manifest(workspace_ready: Workspace) -> None:
    second = workspace_ready.publish(WEB, {"web_thing/__manifest__.py": "{'name': 'Later'}\n"})
    first = next(entry["commit"] for entry in workspace_ready.lock()["dependencies"])
    workspace_ready.describe(locks={"git": {f"{HOST}{WEB}": second}})
    before = file_digests(workspace_ready.root)
    failure(workspace_ready.bench.inv("lock", "--check"), 3, first[:8], second[:8])
    assert file_digests(workspace_ready.root) == before


# --- files that were deleted between two runs -------------------------------------------------------------------------


def test_a_deleted_cache_is_restored(workspace_ready: Workspace) -> None:
    before = file_digests(workspace_ready.root)
    notes = workspace_ready.source("web") / "notes.txt"
    notes.write_text("mine\n", encoding="utf-8")
    shutil.rmtree(workspace_ready.cache)
    workspace_ready.bench.ok("render")
    assert notes.read_text(encoding="utf-8") == "mine\n"
    notes.unlink()
    assert file_digests(workspace_ready.root) == before
    for name in ("odoo", "web"):
        assert git("status", "--porcelain", cwd=workspace_ready.source(name)) == ""
        git("fsck", "--no-progress", cwd=workspace_ready.source(name))


def test_a_deleted_cache_keeps_changes_in_a_checkout(workspace_ready: Workspace) -> None:
    models = workspace_ready.source("web") / "web_thing/models.py"
    models.write_text("A = 2\n", encoding="utf-8")
    git("commit", "-qam", "mine", cwd=workspace_ready.source("web"))
    mine = git("rev-parse", "HEAD", cwd=workspace_ready.source("web"))
    models.write_text("A = 3\n", encoding="utf-8")
    shutil.rmtree(workspace_ready.cache)
    workspace_ready.bench.inv("render")
    assert models.read_text(encoding="utf-8") == "A = 3\n"
    assert git("rev-parse", "HEAD", cwd=workspace_ready.source("web")) == mine


def test_deleted_sources_are_restored_without_a_server(workspace_ready: Workspace) -> None:
    before = file_digests(workspace_ready.root)
    shutil.rmtree(workspace_ready.root / ".odpm/src")
    shutil.rmtree(workspace_ready.host)
    workspace_ready.bench.ok("render")
    assert file_digests(workspace_ready.root) == before


def test_a_deleted_odpm_folder_is_restored_from_the_lock(workspace_ready: Workspace) -> None:
    before = file_digests(workspace_ready.root, "state.toml")
    for path in (workspace_ready.root / ".odpm").iterdir():
        if f".odpm/{path.name}" not in LOCKS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (workspace_ready.root / "docker-compose.yml").unlink()
    workspace_ready.bench.ok("render")
    assert file_digests(workspace_ready.root, "state.toml") == before


# --- hooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["post_clone", "post_prepare"])
@pytest.mark.parametrize("code", [1, 42])
def test_a_failing_hook_sets_the_exit_code(workspace_locked: Workspace, point: str, code: int) -> None:
    allowed = workspace_locked.folder / "allowed"
    script = f"test -e {allowed} || exit {code}; echo ran >> {workspace_locked.folder}/hook-log"
    workspace_locked.describe(hooks={point: [["sh", "-c", script]]})
    failure(workspace_locked.bench.inv("render"), code, f"hooks.{point}", str(code))
    allowed.touch()
    workspace_locked.bench.ok("render")
    assert (workspace_locked.folder / "hook-log").read_text(encoding="utf-8") == "ran\n"


def test_a_killed_or_missing_hook(workspace_locked: Workspace) -> None:
    workspace_locked.describe(hooks={"post_prepare": [["sh", "-c", "kill -9 $$$$"]]})
    failure(workspace_locked.bench.inv("render"), 137, "hooks.post_prepare")
    workspace_locked.describe(hooks={"post_prepare": [["no-such-program"]]})
    ran = workspace_locked.bench.inv("render")
    failure(ran, ran.code, "no-such-program", "hooks.post_prepare")
    assert ran.code in {8, 127}


HOOKS = {
    "raises": ("def hook():\n    raise ValueError('the reason')\n", 1, "the reason"),
    "leaves": ("import sys\n\ndef hook():\n    sys.exit(42)\n", 42, "hooks.hook:hook"),
    "is missing": ("", 4, "hook"),
    "does not compile": ("def hook(:\n", 4, "hook"),
    "breaks on import": ("1 / 0\n", 4, "hook"),
}


@pytest.mark.parametrize(("text", "code", "message"), HOOKS.values(), ids=HOOKS)
def test_a_failing_hook_function(workspace_locked: Workspace, text: str, code: int, message: str) -> None:
    (workspace_locked.root / "hooks").mkdir()
    (workspace_locked.root / "hooks/__init__.py").touch()
    (workspace_locked.root / "hooks/hook.py").write_text(text, encoding="utf-8")
    workspace_locked.describe(hooks={"post_prepare": "hooks.hook:hook"})
    failure(workspace_locked.bench.inv("render"), code, "hooks", message)
    (workspace_locked.root / "hooks/hook.py").write_text("def hook():\n    pass\n", encoding="utf-8")
    workspace_locked.bench.ok("render")


def test_a_failing_hook_does_not_undo_or_repeat_finished_steps(workspace_locked: Workspace) -> None:
    workspace_locked.describe(hooks={"post_prepare": [["false"]]})
    failure(workspace_locked.bench.inv("render"), 1, "hooks.post_prepare")
    before = file_digests(workspace_locked.root)
    ran = workspace_locked.bench.inv("render")
    failure(ran, 1, "hooks.post_prepare")
    assert "create" not in ran.err
    assert file_digests(workspace_locked.root) == before
    assert (workspace_locked.root / "docker-compose.yml").exists()
