"""`doctor`: each finding, planted; nothing found where nothing is wrong; what `--fix` repairs."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jsonschema import validate

from odpm_tasks.adapters.git import integrity
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.audit.findings import Finding, as_json, as_text, ordered
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.diagnosis import engine, machine, network, project, users
from odpm_tasks.diagnosis.checks import diagnose
from odpm_tasks.project import Project

GB = 1_000_000_000


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    (tmp_path / "root/.odpm").mkdir(parents=True)
    return ProjectPaths(tmp_path / "root", tmp_path / "cache", Settings(()))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- the machine ----------------------------------------------------------------------------------------------------


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(amount: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": amount})())

    for amount, levels in ((6 * GB, []), (GB, ["warning"]), (GB // 10, ["error"])):
        free(amount)
        assert [one.level for one in machine.disk(tmp_path / "not/yet", "the cache")] == levels


def test_memory_and_file_watches(tmp_path: Path) -> None:
    assert not list(machine.memory(written(tmp_path / "a", "MemTotal: 1 kB\nMemAvailable:   9000000 kB\n")))
    (found,) = machine.memory(written(tmp_path / "b", "MemAvailable:   1000000 kB\n"))
    assert found.code == "memory"
    assert not list(machine.memory(tmp_path / "absent"))
    written(tmp_path / "inotify/max_user_watches", "8192\n")
    (found,) = machine.watches(tmp_path / "inotify")
    assert found.todo == "sudo sysctl fs.inotify.max_user_watches=524288"
    written(tmp_path / "inotify/max_user_watches", "524288\n")
    assert not list(machine.watches(tmp_path / "inotify"))


def test_git_and_drives_of_windows(tmp_path: Path) -> None:
    assert [one.level for one in machine.git("2.30.2", merges=True)] == ["error"]
    assert not list(machine.git("2.30.2", merges=False))
    assert not list(machine.git("2.39.5", merges=True))
    wsl = written(tmp_path / "osrelease", "5.15.0-microsoft-standard-WSL2\n")
    assert [one.code for one in machine.windows_folder(Path("/mnt/c/Users/me/shop"), wsl)] == ["wsl"]
    assert not list(machine.windows_folder(Path("/home/me/shop"), wsl))
    assert not list(machine.windows_folder(Path("/mnt/c/shop"), written(tmp_path / "linux", "6.1.0\n")))


def test_few_programs_may_watch_files(tmp_path: Path) -> None:
    for number, count in (("127", 1), ("128", 0)):
        written(tmp_path / "inotify/max_user_instances", f"{number}\n")
        assert len(list(machine.watches(tmp_path / "inotify"))) == count


def test_files_that_fit_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for total, free, count in ((1_000_000, 1000, 1), (1_000_000, 900_000, 0), (0, 0, 0)):  # btrfs reports 0
        found = type("Found", (), {"f_files": total, "f_favail": free})
        monkeypatch.setattr(os, "statvfs", lambda path, found=found: found)
        assert len(list(machine.file_count(tmp_path / "not/yet", "the cache"))) == count


def authority(path: Path, last_day: datetime) -> Path:
    """A certificate of an authority that ends on a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy.example")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(last_day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return written(path, made.public_bytes(serialization.Encoding.PEM).decode())


def test_certificates(tmp_path: Path) -> None:
    valid = authority(tmp_path / "valid.pem", datetime(2100, 1, 1, tzinfo=UTC))
    expired = authority(tmp_path / "expired.pem", datetime(2021, 1, 1, tzinfo=UTC))
    both = written(tmp_path / "both.pem", valid.read_text() + expired.read_text())

    def found(path: Path) -> list[str]:
        return [one.what for one in machine.certificates({"SSL_CERT_FILE": str(path)})]

    assert found(valid) == found(both) == []
    assert found(expired) == ["SSL_CERT_FILE names a file of expired certificates"]
    assert found(Path(__file__)) == ["SSL_CERT_FILE names a file without certificates"]
    assert found(tmp_path / "gone.pem") == ["SSL_CERT_FILE names a file that does not exist"]


PROXIES: dict[str, tuple[dict[str, str], str]] = {
    "none": ({}, ""),
    "one": ({"https_proxy": "http://proxy.example:3128", "no_proxy": "localhost"}, ""),
    "equal": ({"https_proxy": "http://proxy.example:3128", "HTTPS_PROXY": "http://proxy.example:3128"}, ""),
    "loopback": ({"https_proxy": "http://me:secret@127.0.0.1:3128"}, "is an address on loopback"),
    "no scheme": ({"HTTP_PROXY": "proxy.example:3128"}, "HTTP_PROXY has no scheme"),
    "two values": ({"no_proxy": "localhost", "NO_PROXY": "git.example"}, "no_proxy and NO_PROXY have different values"),
}


@pytest.mark.parametrize(("environment", "expected"), PROXIES.values(), ids=PROXIES)
def test_proxies(environment: dict[str, str], expected: str) -> None:
    found = [*machine.proxies(environment)]
    assert len(found) == bool(expected)
    assert expected in "".join(one.what for one in found)
    assert "secret" not in str(found)


# --- users ----------------------------------------------------------------------------------------------------------


def settings_of(paths: ProjectPaths, **values: str) -> ProjectPaths:
    return ProjectPaths(paths.root, paths.cache, Settings((Layer(".env", values),)))


def test_the_user_that_odoo_runs_as(paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = type("Found", (), {"st_uid": 1000, "st_gid": 1000})
    assert not list(users.run_user(paths))
    monkeypatch.setattr(Path, "stat", lambda path, **options: owner)
    assert not list(users.run_user(settings_of(paths, ODPM_UID="1000", ODPM_GID="1000")))
    (found,) = users.run_user(settings_of(paths, ODPM_UID="1001"))
    assert (found.level, found.todo) == ("warning", "remove ODPM_UID, or ODPM_UID=1000 in .env")
    (found,) = users.run_user(settings_of(paths, ODPM_GID="staff"))
    assert (found.code, found.level, found.todo) == ("user", "error", "ODPM_GID=1000 in .env")


def test_files_of_another_user(paths: ProjectPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("addons/shop/views", "addons/shop/models/deeper", ".odpm/secrets/developer")
    for name in names:
        (paths.root / name).mkdir(parents=True)
    assert not list(users.foreign_files(paths))
    real = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        found = [*real(path)]
        found[4] += 7 if path.name in {"views", "deeper", "developer"} else 0
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", lstat)
    (found,) = users.foreign_files(paths)
    assert found.what.startswith("1 file or folder of the project belong")
    assert found.evidence == "addons/shop/views"
    assert found.todo.endswith("/root/addons/shop/views")


# --- the engine -----------------------------------------------------------------------------------------------------


def test_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    (found,) = engine.engine("")
    assert (found.code, found.level) == ("engine", "error")
    assert found.todo


def test_what_the_engine_reports_of_itself() -> None:
    moment = 1_800_000_000.0
    text = "2027-01-15T08:00:00.081331725Z"  # the same moment
    assert not list(engine.of_info({"SystemTime": text, "MemTotal": 8 * GB}, moment, moment + 1))
    late, small = engine.of_info({"SystemTime": text, "MemTotal": GB}, moment + 60, moment + 61)
    assert (late.code, small.code) == ("clock", "engine-memory")
    assert "60 seconds" in late.what
    assert not list(engine.of_info({"SystemTime": "?"}, moment, moment))


@pytest.mark.parametrize(
    ("host", "remote"),
    [
        ("", False),
        ("unix:///var/run/docker.sock", False),
        ("npipe:////./pipe/docker_engine", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://build.example:2376", True),
        ("ssh://me@build.example", True),
    ],
)
def test_an_engine_on_another_machine(host: str, remote: bool) -> None:
    assert [one.code for one in engine.of_host(host)] == (["engine-remote"] if remote else [])


@pytest.mark.parametrize(
    ("data", "uid", "codes"),
    [
        ({"Driver": "overlay2", "SecurityOptions": ["name=seccomp,profile=builtin"]}, "", []),
        ({"Driver": "vfs"}, "", ["engine-storage"]),
        ({"DockerRootDir": "/var/snap/docker/common/var-lib-docker"}, "", ["engine-snap"]),
        ({"SecurityOptions": ["name=rootless"]}, "", ["user"]),
        ({"SecurityOptions": ["name=rootless"]}, "0", []),
        ({"SecurityOptions": ["name=userns"]}, "0", ["user"]),
        ({"SecurityOptions": None}, "", []),
    ],
)
def test_how_the_engine_is_installed(data: dict[str, object], uid: str, codes: list[str]) -> None:
    assert [one.code for one in engine.of_info(data, 0, 0, uid)] == codes


# --- the project ----------------------------------------------------------------------------------------------------


def test_passwords_that_others_can_read(paths: ProjectPaths) -> None:
    folder = paths.odpm / "secrets/developer"
    secret, verifiers = written(folder / "db_password", "x"), written(folder / "roles.sql", "x")
    secret.chmod(0o644)
    verifiers.chmod(0o644)
    folder.chmod(0o755)
    folder.parent.chmod(0o700)
    found = list(project.secrets(paths, fix=False))
    assert [one.todo for one in found] == [
        "chmod 700 .odpm/secrets/developer",
        "chmod 600 .odpm/secrets/developer/db_password",
    ]
    assert all(one.fixed for one in project.secrets(paths, fix=True))
    assert not list(project.secrets(paths, fix=False))
    assert verifiers.stat().st_mode & 0o777 == 0o644


def test_a_key_that_ssh_refuses(paths: ProjectPaths) -> None:
    key = written(paths.root / "key", "x")
    settings = Settings((Layer(".env", {"PATH_TO_SSH_KEY": "key"}),))
    key.chmod(0o640)
    (found,) = project.secrets(ProjectPaths(paths.root, paths.cache, settings), fix=True)
    assert (found.todo, found.fixed) == (f"chmod 600 {key}", False)


def damage(store: Path) -> None:
    git.create_store(store)
    written(store / "objects/pack/pack-1.idx", "not an index of a pack, as it is too short and has no magic")
    written(store / "objects/pack/pack-1.pack", "PACK")
    written(store / f"refs/odpm/commits/{'a' * 40}", "a" * 40 + "\n")


def test_a_damaged_store(paths: ProjectPaths) -> None:
    integrity.forget()
    store = paths.cache / "git/git.example/team/web.git"
    damage(store)
    (found,) = project.damaged_stores(paths, fix=False)
    assert (found.code, found.fixed) == ("store", False)
    assert "pack-1.pack" in found.evidence
    (found,) = project.damaged_stores(paths, fix=True)
    assert found.fixed
    assert not list(project.damaged_stores(paths, fix=False))
    assert list((store / "objects/pack").glob("*.damaged"))


def test_lock_files_of_killed_programs(paths: ProjectPaths) -> None:
    store = paths.cache / "git/git.example/team/web.git"
    git.create_store(store)
    old, fresh = written(store / "shallow.lock", ""), written(store / "packed-refs.lock", "")
    index = written(paths.odpm / "src/web/.git/index.lock", "")
    for path in (old, index):
        os.utime(path, (time.time() - 3600,) * 2)
    assert [one.evidence.split(",")[0] for one in project.stale_locks(paths, fix=False)] == [str(old), str(index)]
    assert [one.fixed for one in project.stale_locks(paths, fix=True)] == [True, False]
    assert (old.exists(), fresh.exists(), index.exists()) == (False, True, True)


def test_a_package_index_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:secret@127.0.0.1:1/simple")
    monkeypatch.delenv("UV_INDEX", raising=False)
    found = list(network.package_indexes())
    assert {one.code for one in found} == {"index"}
    assert "secret" not in str(found)


def test_the_clock_of_a_server() -> None:
    date, moment = "Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000.0
    assert not list(network.of_date(date, moment + 200, moment + 201, "https://index.example"))
    (found,) = network.of_date(date, moment + 3600, moment + 3601, "https://me:secret@index.example")
    assert (found.code, found.level) == ("clock", "error")
    assert "3600 seconds" in found.what
    assert "secret" not in found.evidence
    assert not list(network.of_date("yesterday", moment, moment, ""))


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("port 8069 is in use by python (process 17)", "ports"),
        ("ports 8069, 8072 are in use", "ports"),
        ("the volume shop_db-developer holds data of PostgreSQL 14", "blocked"),
    ],
)
def test_a_step_that_up_would_refuse(detail: str, code: str) -> None:
    steps = [Step("compose.generate", "create", "", ""), Step("compose.database", "blocked", "", detail)]
    (found,) = project.of_steps(steps)
    assert (found.code, found.level) == (code, "error")
    assert detail in found.what


# --- all of them ------------------------------------------------------------------------------------------------------


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODPM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    findings, checks = diagnose(None, Project.at(tmp_path), fix=False, with_network=False)
    assert "engine" in {one.code for one in findings}
    assert checks == 12


def test_text_and_json() -> None:
    found = ordered(
        [
            Finding("disk", "warning", "1 GB is free", "/srv", "free some"),
            Finding("store", "error", "damaged\x1b[31m", "x", "y", fixed=True),
            Finding("engine", "error", "no answer", "", "start it"),
        ]
    )
    assert as_text(found, 14).splitlines() == [
        "error    engine       no answer",
        f"{'':<21} next: start it",
        "fixed    store        damaged [31m",
        f"{'':<21} x",
        "warning  disk         1 GB is free",
        f"{'':<21} /srv",
        f"{'':<21} next: free some",
        "14 checks, 3 findings",
    ]
    validate(json.loads(as_json(found, 14)), schema("doctor"))
    assert as_text([], 1) == "1 check, nothing found"
