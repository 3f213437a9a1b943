"""Read a project whose repositories are git submodules."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.converters import folders, reading
from odpm_tasks.core.init.submodules import FILE, SubmoduleProject
from odpm_tasks.errors import DescriptionError


def read(root: Path, *, has_platform_image: bool) -> SubmoduleProject:
    """Read `.gitmodules` and what git records of the submodules. Errors: DescriptionError if the file cannot be read."""
    settings = _settings(root)
    paths = [value.rstrip("/") for key, value in settings if key.endswith(".path")]
    commits = git.gitlinks(root)
    own = folders.scan(root, without={*paths, *commits})
    texts = (reading.text(root, f"{folder}/__manifest__.py") for folder in own.addons[:200])
    return SubmoduleProject(
        settings,
        commits,
        origin=git.origin(root) or "",
        branch=git.current_branch(root),
        manifests=[text for text in texts if text],
        addons=own.addons,
        checkouts={path: _content(root / path) for path in paths if _is_checked_out(root, path)},
        has_platform_image=has_platform_image,
        pending=reading.texts(root, _pending_files(root)),
    )


def _pending_files(root: Path) -> list[str]:
    """The files of git-aggregator in camptocamp's template, of both layouts."""
    found = [
        *root.glob("pending-merges*/*.y*ml"),
        *root.glob("pending-merges.y*ml"),
        *root.glob("odoo/pending-merges.y*ml"),
    ]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _settings(root: Path) -> list[tuple[str, str]]:
    reading.text(root, FILE)  # for its checks
    outcome = command.run(["git", "config", "-z", "--no-includes", "--file", str(root / FILE), "--list"], check=False)
    if not outcome.ok:
        lines = outcome.tail()
        raise DescriptionError(
            f"{FILE} cannot be read: {lines[-1] if lines else 'git config failed'}",
            where=str(root / FILE),
            todo="fix it, then run the same command again",
        )
    entries = (entry.partition("\n") for entry in outcome.text.split("\0") if entry)
    return [(key, value) for key, _, value in entries]


def _content(folder: Path) -> str:
    if folders.is_addon(folder):
        return "addon"
    return "addons" if folders.has_addons(folder) else ""


def _is_checked_out(root: Path, path: str) -> bool:
    """Whether the folder of a submodule is inside the project and has content."""
    try:
        inside = (root / path).resolve().is_relative_to(root.resolve())
        return inside and (root / path / ".git").exists()
    except (OSError, RuntimeError, ValueError):
        return False
