"""An edited file, what is known about its add-on, and the decision what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from odpm_tasks.core.config.paths import source_folder

Action = Literal["nothing", "page", "assets", "reload", "update", "up", "error"]
"""What an edit needs, the smallest first.

`page`: the browser loads the page again. `assets`: the cached asset bundles are dropped. `reload`: Odoo loads its Python code again.
`update`: `-u` of the add-on. `up`: `inv up`. `error`: the file has an error, nothing is done before it is corrected.
"""


@dataclass(frozen=True)
class WatchedAddon:
    """An add-on on the add-ons path. `folder`: relative to the project. `demo`: it was installed with demo data."""

    name: str
    folder: str
    installed: bool = True
    demo: bool = False


@dataclass(frozen=True)
class EditContext:
    """What a decision depends on besides the file.

    `addons`: by folder. `dev`: the features of `--dev` that the running Odoo has. `debug`: it runs under the debugger.
    `languages`: the active ones of the database, without that of the sources. `python`: the version in the container.
    `release`: the series as numbers. `platform`: the name of the platform's checkout. `known`: every add-on of the sources.
    """

    addons: Mapping[str, WatchedAddon]
    dev: frozenset[str] = frozenset()
    debug: bool = False
    languages: frozenset[str] = frozenset()
    python: tuple[int, int] = (3, 11)
    release: tuple[int, int] = (19, 0)
    platform: str = "odoo"
    known: frozenset[str] = frozenset()

    def addon_of(self, path: str) -> tuple[WatchedAddon, str] | None:
        """The add-on that contains a file, and the path in it; None outside of add-ons."""
        parts = path.split("/")
        for end in range(len(parts) - 1, 0, -1):
            if addon := self.addons.get("/".join(parts[:end])):
                return addon, "/".join(parts[end:])
        return None

    @property
    def platform_code(self) -> str:
        """The folder of the platform's Python package."""
        return f"{source_folder(self.platform)}/odoo"

    def serves_from_file(self) -> bool:
        """Whether Odoo reads views and assets from their files at each request (`--dev=xml`)."""
        return bool(self.dev & {"xml", "all"})

    def reloads_itself(self) -> bool:
        """Whether Odoo notices edited Python files (`--dev=reload`)."""
        return bool(self.dev & {"reload", "all"})


@dataclass(frozen=True)
class FileEdit:
    """A file, relative to the project, before and after an edit; None: it did not exist, or it is removed.

    `known`: False if the bytes before the edit are not known. `manifest`: the bytes of the manifest of its add-on now.
    """

    path: str
    before: bytes | None
    after: bytes | None
    known: bool = True
    manifest: bytes | None = None


@dataclass(frozen=True)
class Decision:
    """What to do about one edit. `kind`: of the file. `addon`: the add-on to update, or that has the error.

    `reload`: with `update`, Odoo loads its code afterwards. `overwrite`: the update replaces translations that were changed in the
    database. `line`: of an error.
    """

    path: str
    kind: str
    action: Action
    reason: str
    addon: str = ""
    reload: bool = False
    overwrite: bool = False
    line: int = 0

    @property
    def label(self) -> str:
        """The action in a few words."""
        if self.action == "update":
            return f"-u {self.addon}" + (", reload" if self.reload else "")
        return _LABELS[self.action]


_LABELS: dict[Action, str] = {
    "nothing": "nothing",
    "page": "reload the page",
    "assets": "clear assets",
    "reload": "reload",
    "up": "inv up",
    "error": "error",
}
