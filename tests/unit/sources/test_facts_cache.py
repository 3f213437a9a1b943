"""What is the user's stays the user's, in corners of git where that is easy to get wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from odpm_tasks.adapters import command, process
from odpm_tasks.adapters.git import fetch, remote
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.locking import python_requirements
from odpm_tasks.core.locking.lockfile import effective_pins
from odpm_tasks.core.odoo.addons import Facts, facts
from odpm_tasks.core.stack.render import render
from odpm_tasks.errors import DataLossError, DescriptionError, ProgramError
from tests.unit import repositories
from tests.unit.builders import OCA, Servers, commit, manifest, resolution, source
from tests.unit.repositories import put, repository, save, tip
from tests.unit.stack.test_compose_file import small
from tests.unit.stack.test_render import ODOO, stack

URL = "https://github.com/OCA/web"


def near(path: Path) -> remote.Remote:
    return remote.remote(URL, mirrors=[(URL, f"file://{path}")])


@dataclass
class Scene:
    origin: Path
    store: Path
    placed: Path

    def move(self, changes: dict[str, str | None]) -> None:
        """The server gets a commit, and the checkout is to follow."""
        save(self.origin, "next", changes)
        repositories.check_out(self.placed, self.store, fetch.fetch(self.store, near(self.origin), "19.0"), URL)


@pytest.fixture
def scene(tmp_path: Path, clean: None) -> Scene:
    made = Scene(repository(tmp_path / "origin", {"a": "1"}), tmp_path / "cache" / "s.git", tmp_path / "checkout")
    repositories.check_out(made.placed, made.store, fetch.fetch(made.store, near(made.origin), "19.0"), URL)
    return made


def test_an_ignored_file_in_the_way(scene: Scene) -> None:
    put(scene.placed, {".git/info/exclude": "local.conf\n", "local.conf": "mine"})
    with pytest.raises(DataLossError):
        scene.move({"local.conf": "theirs"})
    assert (scene.placed / "local.conf").read_text() == "mine"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_file_that_git_was_told_to_overlook(scene: Scene, flag: str) -> None:
    repositories.git(scene.placed, "update-index", flag, "a")
    put(scene.placed, {"a": "mine"})
    with pytest.raises(DataLossError):
        scene.move({"a": "theirs"})
    assert (scene.placed / "a").read_text() == "mine"


def test_a_checkout_is_still_ours_after_gc(scene: Scene) -> None:
    repositories.git(scene.placed, "gc", "--quiet")
    scene.move({"a": "2"})
    assert (scene.placed / "a").read_text() == "2"


def test_a_link_in_the_place_of_a_checkout_is_not_followed(scene: Scene) -> None:
    before = tip(scene.placed)
    link = scene.placed.with_name("link")
    for target in (scene.placed, scene.placed.with_name("gone")):
        link.symlink_to(target)
        with pytest.raises(DataLossError):
            repositories.check_out(link, scene.store, before, URL)
        assert link.is_symlink()
        link.unlink()
    assert tip(scene.placed) == before


def test_folders_among_asked_files_do_not_hide_the_rest(scene: Scene) -> None:
    scene.move({"d/x": "1", "f": "2"})
    assert git.blobs(scene.store, tip(scene.placed), ["d", "gone", "f"]) == {"f": b"2"}


def test_the_day_of_a_quiet_branch(tmp_path: Path, clean: None) -> None:
    where = repository(tmp_path / "o")
    first = tip(where)
    second = save(where, "pending", day="2025-02-01")
    store = tmp_path / "cache" / "s.git"
    for day, expected in (("2025-01-15", first), ("2025-02-01", second), ("2026-02-01", second), ("2025-01-01", first)):
        assert fetch.commit_at(store, near(where), "19.0", day) == expected
    with pytest.raises(ProgramError, match="no commit on"):
        fetch.commit_at(store, near(where), "19.0", "2020-01-01")
    with pytest.raises(ProgramError, match="has no branch"):
        fetch.commit_at(store, near(where), "17.0", "2025-01-01")


def test_the_exit_code_of_a_program_in_the_foreground() -> None:
    assert process.foreground(["sh", "-c", "exit 3"]) == 3
    assert process.foreground(["true"]) == 0


def test_a_password_with_an_at_sign_is_not_shown() -> None:
    assert command.redact("see https://user:p@ss@host/x") == "see https://host/x"


def test_a_user_name_alone_is_for_the_credential_helper_and_a_token_is_not() -> None:
    person = remote.remote("https://me@example.org/x")
    assert (person.url, person.secrets) == ("https://example.org/x", ())
    assert "credential.https://example.org/x.username" in person.env.values()
    token = remote.remote("https://" + "t" * 40 + "@example.org/x")
    assert "t" * 40 in token.secrets
    assert any(value.startswith("Authorization: Basic") for value in token.env.values())


def test_a_mirror_is_found_behind_a_login() -> None:
    rules = [("https://a.example/", "https://b.example/")]
    assert remote.remote("https://me:pw@a.example/x", mirrors=rules).url == "https://b.example/x"


def test_pins_of_the_manifest_hold_below_the_top() -> None:
    servers = Servers(web=Facts(oca_dependencies="queue\n"))
    pinned = {URL: "a" * 40, f"{OCA}/queue": "b" * 40, "https://github.com/odoo/odoo": "c" * 40}
    described = manifest(f"{URL} 19.0", locks={"git": pinned})
    resolved = servers.resolve(described, *effective_pins(None, described.locks_git, "19.0").values())
    assert [found.commit for found in resolved.sources] == ["c" * 40, "a" * 40, "b" * 40]


def test_pins_without_a_branch_do_not_survive_a_change_of_the_odoo_version() -> None:
    lock = Servers().resolve(manifest(URL)).lock(None)
    moved = manifest(URL, odoo_version="18.0", platform={"git": "https://github.com/odoo/odoo 18.0"})
    resolved = Servers().resolve(moved, *effective_pins(lock, {}, "18.0").values())
    assert resolved.sources[1].commit == commit(f"{URL} 18.0")


def test_the_top_level_may_not_contradict_itself() -> None:
    with pytest.raises(DescriptionError, match="two revisions"):
        Servers().resolve(manifest(f"{URL} 19.0", f"{URL} 18.0"))


def test_the_path_of_a_folder_is_in_no_generated_file() -> None:
    mine = resolution(ODOO, source("file:///home/me/addons", at="x"))
    yours = resolution(ODOO, source("file:///home/you/addons", at="x"))
    assert render(stack(graph=mine)) == render(stack(graph=yours))
    assert yours.lock(mine.lock(None)) == mine.lock(None)


def test_volumes_of_a_patch_are_declared() -> None:
    patched = small("ci", service_patches={"odoo": {"volumes": ["filestore:/mnt"]}})
    assert "filestore" in patched["volumes"]


def test_comments_and_hashes_are_no_part_of_a_requirement() -> None:
    text = "lxml==5.0\t# why\nrequests==2.0 --hash=sha256:0\n# all\n-r other.txt\n"
    assert [asked.line for asked in python_requirements.requirement_lines(text, "x")] == ["lxml==5.0", "requests==2.0"]


def test_a_byte_order_mark_is_no_part_of_a_text() -> None:
    found = facts(["odpm.json"], {"odpm.json": b"\xef\xbb\xbf{}"})
    assert found.odpm_json == "{}"
