"""The add-ons of the developing checkout as they are deployed: its files, or in a scenario with releases those of HEAD."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.adapters.git import export
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.sources.facts import folder_facts

_SHOWN = 5


@dataclass(frozen=True)
class OwnCode:
    """`content`: identity of the files that a release holds, empty without releases. `commit`: HEAD, empty without git.

    `left_out`: changes in the add-ons folders that HEAD does not have, as `git status` prints them.
    """

    facts: Facts
    content: str = ""
    commit: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        if not self.left_out:
            return ()
        names = ", ".join(name[3:] for name in self.left_out[:_SHOWN])
        more = f" and {len(self.left_out) - _SHOWN} more" if len(self.left_out) > _SHOWN else ""
        return (f"not deployed, because it is not committed: {names}{more}",)


def own_code(paths: ProjectPaths) -> OwnCode:
    """The add-ons of the developing checkout. Errors: ProgramError where `git status` fails."""
    facts = folder_facts(paths.root)
    if not paths.settings.scenario.releases:
        return OwnCode(facts)
    commit = git.head_commit(paths.root)
    if not commit:
        marks = [fingerprint(paths.root / folder, skip=(".odpm",)) for folder in facts.addons]
        return OwnCode(facts, " ".join(marks))
    folders = [folder or "." for folder in facts.addons]
    changed = git.changes(paths.root, folders, untracked=True) if folders else ()
    if changed:
        facts = _committed_facts(paths.root)
    trees = [f"{folder}:{git.tree_id(paths.root, folder)}" for folder in facts.addons]
    return OwnCode(facts, " ".join(trees), commit, changed)


def _committed_facts(root: Path) -> Facts:
    """The facts of the files of HEAD."""
    with tempfile.TemporaryDirectory(prefix="odpm-head-") as folder:
        export.export_folders(root, [""], Path(folder) / "tree")
        return folder_facts(Path(folder) / "tree" / "files")


def write(paths: ProjectPaths, facts: Facts, target: Path) -> None:
    """Write the add-ons folders to `files` in a new folder: of HEAD, without git as they are."""
    if git.head_commit(paths.root):
        export.export_folders(paths.root, facts.addons, target)
    else:
        export.export_files(paths.root, target, facts.addons)
