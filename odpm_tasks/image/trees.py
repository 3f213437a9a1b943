"""The files of commits in the cache, exported for image builds and metadata."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import export
from odpm_tasks.core.config.paths import ProjectPaths


def exported(paths: ProjectPaths, key: str, commit: str, name: str, folder: str = "") -> Path:
    """The folder that holds the files of a commit in `files`; exported once and shared by all builds.

    `key`: the canonical URL. `folder`: the path of a `file://` source, which is copied instead.
    """
    tree = paths.tree(key, commit)
    complete = tree / "files"  # absent in trees of earlier versions
    if not complete.exists():
        with files.exclusive(tree.with_name(f"{commit}.lock"), f"the files of {name}", wait=600):
            if complete.exists():
                pass  # another run exported it in the meantime
            elif folder:
                export.export_files(Path(folder), tree)
            else:
                export.export(paths.store(key), commit, tree)
    return tree
