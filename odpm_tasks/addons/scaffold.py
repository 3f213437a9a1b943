"""Write a new add-on into the developing project."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.addons.scaffold import FOLDER, NewAddon, check_name, scaffold
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.errors import DataLossError

_BUILT_IN = Path(__file__).parents[1] / "templates" / FOLDER


def create(paths: ProjectPaths, addon: NewAddon, folder: str) -> Path:
    """Write the files of an add-on below `folder` of the project: all of them, or none.

    The templates of `.odpm/templates/addon/` replace those of odpm. Errors: DescriptionError for a name or a template that is not
    valid, DataLossError for a folder that exists.
    """
    check_name(addon.name)
    target = paths.root / folder / addon.name
    if target.exists() or target.is_symlink():
        raise DataLossError(
            "this folder exists", where=str(target.relative_to(paths.root)), todo="choose another name, or move it away"
        )
    texts = scaffold(addon, _templates(paths))
    with files.disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".scaffold-", dir=target.parent))
        try:
            made.chmod(0o755)
            for path, text in texts.items():
                files.write(made / path, text.encode())
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    return target


def author(root: Path) -> str:
    """The user's name in git; empty without one."""
    return git.run(root, "config", "--get", "user.name", check=False).text.strip()


def _templates(paths: ProjectPaths) -> dict[str, str | None]:
    own = paths.odpm / "templates" / FOLDER
    if own.is_dir():
        found = sorted(path for path in own.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(own).as_posix(): files.read_text(path) or "" for path in found}
    return {path.relative_to(_BUILT_IN).as_posix(): None for path in sorted(_BUILT_IN.rglob("*.j2"))}
