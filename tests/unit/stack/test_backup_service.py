"""The services for backups: which stacks have them, what each may reach, what they mount."""

from __future__ import annotations

from typing import Any

import pytest

from odpm_tasks.core.manifest.checks import service_problems
from odpm_tasks.core.manifest.server_model import Backup
from odpm_tasks.core.stack.backups.service import IMAGE, SCRIPTS, keep_options, kind
from odpm_tasks.core.stack.compose_file import compose, lockable_images
from odpm_tasks.core.stack.render import render
from tests.unit.builders import manifest
from tests.unit.stack.test_compose_file import spec
from tests.unit.stack.test_render import stack

BOTH = {"backup", "backup-dump"}


def services(repository: str = "/srv/backups", scenario: str = "server", **keys: Any) -> dict[str, Any]:
    described = manifest(backup={"repository": repository}, **keys)
    found: dict[str, Any] = compose(spec(described, scenario))["services"]
    return found


@pytest.mark.parametrize("scenario", ["developer", "ci"])
def test_only_a_server_has_them(scenario: str) -> None:
    patched = services(scenario=scenario, service_patches={"backup": {"mem_limit": "1g"}})
    assert not BOTH & patched.keys()
    assert not set(SCRIPTS.values()) & set(render(stack(scenario)).files)


def test_no_service_has_the_password_of_postgresql_and_of_the_repository() -> None:
    found = services("s3:s3.example/shop")
    assert found["backup"]["secrets"] == ["backup_password", "backup_credentials"]
    assert found["backup-dump"]["secrets"] == ["db_password"]
    assert found["backup"]["networks"] == {"default": {}}
    assert found["backup-dump"]["networks"] == {"database": {}}


def test_a_folder_needs_no_network_and_no_keys() -> None:
    backup = services("backups")["backup"]
    assert backup["network_mode"] == "none"
    assert "networks" not in backup
    assert backup["secrets"] == ["backup_password"]
    mounts = [one for one in backup["volumes"] if isinstance(one, dict)]
    assert [(one["source"], one["target"]) for one in mounts] == [("./backups", "/repository")]


def test_an_ssh_server_needs_a_key_its_own_key_and_a_name_for_the_user() -> None:
    backup = services("sftp://backup@${HOST}:2222/shop")["backup"]
    assert backup["secrets"] == ["backup_password", "backup_ssh_key", "backup_known_hosts"]
    assert backup["networks"] == {"default": {}}
    assert "AWS_SHARED_CREDENTIALS_FILE" not in backup["environment"]
    mounts = [one for one in backup["volumes"] if isinstance(one, dict)]
    assert [(one["target"], one["read_only"]) for one in mounts] == [("/etc/passwd", True)]


@pytest.mark.parametrize("name", sorted(BOTH))
def test_they_are_restricted(name: str) -> None:
    found = services("s3:https://host/shop")[name]
    assert found["cap_drop"] == ["ALL"]
    assert found["read_only"] is True
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["logging"]["options"]["max-size"] == "10m"
    assert {"user", "pids_limit", "mem_limit", "stop_grace_period"} <= found.keys()


def test_the_dump_is_made_by_the_programs_of_the_same_postgresql() -> None:
    found = services()
    assert found["backup-dump"]["image"] == found["db"]["image"]
    assert lockable_images(manifest(backup={"repository": "/b"}, scenario="server"), stack("server").scenario)[IMAGE]


def test_other_backups_are_no_other_release() -> None:
    def release(**keys: Any) -> str:
        return render(stack("server", manifest=manifest(scenario="server", **keys))).release

    assert release(backup={"repository": "/b"}) == release() != release(services={"x": {"image": "x"}})


def test_a_project_without_backups_may_have_services_of_these_names() -> None:
    own: dict[str, Any] = {"services": {"backup": {"image": "acme/backup"}}}
    assert list(service_problems(own)) == []
    found = compose(spec(manifest(**own, service_patches={"backup": {"mem_limit": "1g"}}), "server"))["services"]
    assert found["backup"] == {**found["backup"], "image": "acme/backup", "mem_limit": "1g"}


def test_a_patch_changes_them() -> None:
    assert services(service_patches={"backup": {"environment": {"TZ": "Europe/Berlin"}}})["backup"]["environment"]["TZ"]


@pytest.mark.parametrize(
    ("repository", "found"),
    [("/srv/s3:x", "folder"), ("~/b", "folder"), ("${B}", "folder"), ("s3:a/b", "s3"), ("sftp:a@b:c", "sftp")],
)
def test_kinds(repository: str, found: str) -> None:
    assert kind(repository) == found


def test_what_is_kept() -> None:
    backup = Backup("/b", "02:30", (("daily", 7), ("weekly", 0), ("monthly", 12)))
    assert keep_options(backup) == "--keep-within 1d --keep-daily 7 --keep-monthly 12"
