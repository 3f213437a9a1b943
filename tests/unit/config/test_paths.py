"""The paths of a project and of the cache; no URL gives a path outside of the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import OdpmError

HERE = ProjectPaths(Path("/srv/project"), Path("/var/cache/odpm"), Settings(()))
COMMIT = "a" * 40


def test_paths_of_a_project() -> None:
    assert {
        "manifest": HERE.manifest,
        "lock": HERE.lock,
        "state": HERE.state,
        "compose": HERE.compose,
        "source": HERE.source("web"),
        "template": HERE.template("Dockerfile.j2"),
        "secrets": HERE.secrets("server"),
    } == {
        "manifest": Path("/srv/project/odpm.json"),
        "lock": Path("/srv/project/.odpm/deps.lock.json"),
        "state": Path("/srv/project/.odpm/state.toml"),
        "compose": Path("/srv/project/docker-compose.yml"),
        "source": Path("/srv/project/.odpm/src/web"),
        "template": Path("/srv/project/.odpm/templates/Dockerfile.j2"),
        "secrets": Path("/srv/project/.odpm/secrets/server"),
    }


@pytest.mark.parametrize(
    ("url", "below"),
    [
        ("https://github.com/OCA/web", "github.com/OCA/web"),
        ("https://git.example.org:8443/group/sub/web", "git.example.org+8443/group/sub/web"),
    ],
)
def test_paths_of_the_cache(url: str, below: str) -> None:
    cache = "/var/cache/odpm"
    assert str(HERE.store(url)) == f"{cache}/git/{below}.git"
    assert str(HERE.facts(url, COMMIT)) == f"{cache}/facts/{below}/{COMMIT}.json"
    assert str(HERE.tree(url, COMMIT)) == f"{cache}/trees/{below}/{COMMIT}"


@pytest.mark.parametrize(
    "url",
    [
        "https://host/../../etc/passwd",
        "https://host/./x",
        "https://host//x",
        "https://../x",
        "file:///etc",
        "file:///",
        "../somewhere",
        "/etc",
        "",
        "https://",
        "https://host/\0",
        "https://host/a\nb",
        "https://host/" + "x" * 300,
        "https://host/" + "/".join("x" * 100 for _ in range(5)),
        "https://host/x.git/y",
        "https://host/x.GIT.lock/y",
        f"https://host/x/{COMMIT}",
        f"https://host/x/{COMMIT}.json",
    ],
)
def test_an_unusual_url_gets_its_own_path(url: str) -> None:
    assert str(HERE.store(url)).startswith("/var/cache/odpm/git/odd/")
    assert HERE.store(url) != HERE.store(url + "x")


def inside(path: Path, folder: str) -> bool:
    return os.path.normpath(path).startswith(f"/var/cache/odpm/{folder}/")


@given(st.text() | st.text("./:hx\\~%$ -").map("https://{}".format))
def test_no_url_leaves_the_cache(url: str) -> None:
    assert inside(HERE.store(url), "git")
    assert inside(HERE.facts(url, COMMIT), "facts")
    assert inside(HERE.tree(url, COMMIT), "trees")
    assert "\0" not in str(HERE.store(url))


@given(
    st.text("./:hx~%$@ -a0", min_size=1).map("https://host/{}".format) | st.text("./:hx@a").map("git@host:{}".format)
)
def test_no_link_leaves_the_cache(text: str) -> None:
    try:
        link = parse_link(text)
    except OdpmError:
        return
    assert inside(HERE.store(link.canonical), "git")
    assert HERE.store(link.canonical).name.endswith(".git")
