"""What is kept of a repository at a commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.sources.facts import commit_facts, folder_facts, source_folder_facts
from tests.unit.repositories import git, repository, tip


@pytest.mark.usefixtures("clean")
def test_a_platform_and_a_dependency_of_one_commit_have_facts_of_their_own(tmp_path: Path) -> None:
    """Modules of a platform are counted and not read; as a dependency the same repository is read completely."""
    paths = ProjectPaths(tmp_path, tmp_path / "cache", Settings(()))
    link = parse_link("https://git.example/team/web 19.0")
    work = repository(tmp_path / "work", {"sale/__manifest__.py": "{'name': 'Sale', 'version': '19.0.1.0.0'}\n"})
    store, commit = paths.store(link.canonical), tip(work)
    git(tmp_path, "clone", "-q", "--bare", str(work), str(store))
    git(store, "update-ref", f"refs/odpm/commits/{commit}", commit)
    for _ in range(2):  # read, then from the cache
        with Reader() as reader:
            facts = [commit_facts(paths, reader, link, commit, kind) for kind in ("platform", "dependency")]
        assert [[module.version for module in found.modules] for found in facts if found] == [[""], ["19.0.1.0.0"]]


def test_submodules_of_the_project_are_left_out_and_those_of_a_source_in_place_are_read(tmp_path: Path) -> None:
    """No commit of the project contains them, so a server would not have them; odpm has its own checkouts."""
    for name in ("addons/mine", "web/web_x", "clone/clone_x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__manifest__.py").write_text("{}\n", encoding="utf-8")
    (tmp_path / "web/.git").write_text("gitdir: ../.git/modules/web\n", encoding="utf-8")
    (tmp_path / "clone/.git").mkdir()
    assert folder_facts(tmp_path).addons == ("addons", "clone")
    assert source_folder_facts(tmp_path).addons == ("addons", "clone", "web")


@pytest.mark.usefixtures("clean")
def test_the_files_that_a_requirements_txt_includes_are_read_inside_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret\n", encoding="utf-8")
    paths = ProjectPaths(tmp_path, tmp_path / "cache", Settings(()))
    link = parse_link("https://git.example/team/web 19.0")
    texts = {
        "requirements.txt": "a\n-r reqs/more.txt\n-r ../secret.txt\n-r /etc/passwd\n-r link.txt\n-r absent.txt\n",
        "reqs/more.txt": "b\n--constraint=limits.txt  # here\n-r ../requirements.txt\n",
        "reqs/limits.txt": "c<2\n",
    }
    work = repository(tmp_path / "work", texts)
    (work / "link.txt").symlink_to("../secret.txt")
    git(work, "add", "link.txt")
    git(work, "commit", "-qm", "link")
    store, commit = paths.store(link.canonical), tip(work)
    git(tmp_path, "clone", "-q", "--bare", str(work), str(store))
    git(store, "update-ref", f"refs/odpm/commits/{commit}", commit)
    for _ in range(2):
        with Reader() as reader:
            stored = commit_facts(paths, reader, link, commit)
    assert stored is not None
    assert dict(stored.included) == {name: text for name, text in texts.items() if name != "requirements.txt"}
    assert folder_facts(work).included == stored.included
