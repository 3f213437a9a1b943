"""The labels of an image: the same in every clone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.core.sources.merges import Merged, MergedRef
from odpm_tasks.image.labels import image_labels, merges_label
from tests.unit.builders import resolution, source
from tests.unit.repositories import git
from tests.unit.stack.test_render import stack

NAMES = {"org.opencontainers.image.title", "org.opencontainers.image.source"}


def test_labels_do_not_depend_on_the_clone(tmp_path: Path) -> None:
    """The same commit without a remote, and in another folder with the remote of a fork."""
    local = stack("ci", resolution(source("file:///srv/odoo", "platform")), own=Facts())
    found: list[dict[str, str]] = []
    for name in ("shop", "renamed"):
        root = tmp_path / name
        if found:
            git(tmp_path, "clone", "-q", str(tmp_path / "shop"), str(root))
            git(root, "remote", "set-url", "origin", "https://git.example/fork/renamed.git")
        else:
            root.mkdir()
            git(root, "init", "-q")
            git(root, "commit", "-q", "--allow-empty", "-m", "A shop")
        found.append(image_labels(ProjectPaths(root, tmp_path / "cache", Settings(())), replace(local, name=name)))
    assert found[0] == found[1]
    assert found[0]["org.opencontainers.image.revision"]
    assert not NAMES & found[0].keys()


def test_developing_git_names_the_project(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "A shop")
    local = stack("ci", resolution(source("file:///srv/odoo", "platform")), own=Facts())
    named = replace(local.manifest, developing=parse_link("git@git.example:team/shop.git main"))
    found = image_labels(ProjectPaths(tmp_path, tmp_path, Settings(())), replace(local, manifest=named))
    assert found["org.opencontainers.image.title"] == "shop"
    assert found["org.opencontainers.image.source"] == "https://git.example/team/shop"


def test_the_merges_of_repositories_are_named_with_their_pins() -> None:
    a, b = "a" * 40, "b" * 40
    merged = Merged(a, (MergedRef("refs/pull/1/head", b), MergedRef("refs/heads/fix", b, "https://h/acme/web")), a)
    plain = source("https://h/OCA/mail 19.0")
    web = replace(source("https://h/OCA/web 19.0"), commit=merged.commit, merged=merged)
    assert merges_label((plain, web)) == f"web {a} + refs/pull/1/head {b}, https://h/acme/web refs/heads/fix {b}"
    assert merges_label((plain,)) == ""
