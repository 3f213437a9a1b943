"""Makes the project of another tool from the input of a golden case."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "convert"
_PERSON = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "t"), ("EMAIL", "t@t"), ("DATE", "2024-01-01T00:00:00Z"))
}


def git(folder: Path, *words: str) -> None:
    """Run git with a fixed person and date, so that the same files give the same commit."""
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env={**os.environ, **_PERSON})


def copied(case: Path, folder: Path) -> Path:
    """Copy the input of a case. Files beside it add what git does not store in a folder:

    `dotenv` becomes `.env`. `empty.txt`: further, empty files. `clones.txt`: FOLDER URL BRANCH of clones inside.
    `gitlinks.txt`: COMMIT PATH of submodules; then the folder is a repository, with the address in `origin.txt`.
    """
    shutil.copytree(case / "input", folder)
    if (case / "dotenv").exists():
        shutil.copy(case / "dotenv", folder / ".env")
    for name in _lines(case / "empty.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for line in _lines(case / "clones.txt"):
        _clone(folder, *line.split())
    if (case / "gitlinks.txt").exists():
        _repository(case, folder)
    return folder


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _clone(folder: Path, name: str, url: str, branch: str) -> None:
    clone = folder / name
    addon = clone / f"{Path(name).name.replace('-', '_')}_one"
    addon.mkdir(parents=True)
    (addon / "__manifest__.py").write_text("{}\n", encoding="utf-8")
    git(clone, "init", "-q", "-b", branch)
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "One add-on")
    git(clone, "remote", "add", "origin", url)
    git(clone, "update-ref", f"refs/remotes/origin/{branch}", "HEAD")


def _repository(case: Path, folder: Path) -> None:
    branch, origin = _lines(case / "origin.txt")[0].split() if (case / "origin.txt").exists() else ("main", "")
    git(folder, "init", "-q", "-b", branch)
    if origin:
        git(folder, "remote", "add", "origin", origin)
    git(folder, "add", "-A")
    for line in _lines(case / "gitlinks.txt"):
        commit, path = line.split()
        git(folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    git(folder, "commit", "-qm", "The project of the other tool")
