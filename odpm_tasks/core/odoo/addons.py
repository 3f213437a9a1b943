"""Facts about a repository at one commit: its add-ons, and the files with its dependencies.

The input is file names and bytes, from git or from disk. An add-on manifest that cannot be read is reported and is no
error: Odoo skips such a module.
"""

from __future__ import annotations

import ast
import itertools
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from odpm_tasks.core.config.paths import MANIFEST_FILE
from odpm_tasks.core.literals import literal
from odpm_tasks.core.text import decoded
from odpm_tasks.errors import printable

MANIFEST = "__manifest__.py"
MANIFESTS = (MANIFEST, "__openerp__.py")
REQUEST_FILES = ("oca_dependencies.txt", MANIFEST_FILE, "requirements.txt")
DEEPEST = 5  # folders between the root and the manifest of an add-on that is reported as too deep
_MOST_DEEP = 200
DEPTH = 2  # folders between the root and a module's manifest
MAX_MANIFESTS_SIZE = 10_000_000  # bytes of all manifests of a repository that are read; enterprise has about 2 MB
_LONGEST_VERSION = 100
_LONGEST_SUMMARY = 200
_LONGEST_LIST = 500  # entries of one list of external dependencies
# MODULE_NAME_RE of odoo/modules/module.py in 19.0, which refuses every other name. Earlier series have no check and fail
# when they import `odoo.addons.NAME` or split an XML id at its dot.
ADDON_NAME = re.compile(r"\w{1,256}")
MAX_FILE_SIZE = 1_000_000  # bytes; larger files are not read. Real ones have about a hundredth of that

# Python 3.11 counts the depth of syntax trees once for all threads and fails if two threads parse at a time (gh-106905);
# repositories are read in parallel
_PARSER = threading.Lock()


class Module(BaseModel):
    """One add-on: its folder in the repository, the add-ons it depends on, and its external dependencies.

    `auto_install`: Odoo installs it as soon as all of these add-ons are installed.
    """

    model_config = ConfigDict(frozen=True)
    path: str
    version: str = ""
    installable: bool = True
    depends: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    bin: tuple[str, ...] = ()
    deb: tuple[str, ...] = ()
    auto_install: tuple[str, ...] = ()
    summary: str = ""

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """The folder that contains the add-on; "" for the root of the repository."""
        return self.path.rpartition("/")[0]


class Facts(BaseModel):
    """A repository at one commit. Facts never change, so they can be cached without limit.

    `included`: the files of requirements that `requirements.txt` includes, as path and text. `broken`: add-on manifests that
    cannot be read. `too_large`: other files above `MAX_FILE_SIZE`. `links_out`: symbolic links that lead out of the repository,
    as texts. `deep`: folders of add-ons below DEPTH, whose manifests are not read.
    `root`: the add-on that the repository itself is: its manifest is in the root. Where Odoo finds it, `folder` is its name, and
    the paths in `modules` start with that folder, which the repository has in the container (`in_folder`).
    """

    model_config = ConfigDict(frozen=True)
    modules: tuple[Module, ...] = ()
    oca_dependencies: str | None = None
    odpm_json: str | None = None
    requirements: str | None = None
    included: tuple[tuple[str, str], ...] = ()
    broken: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()
    links_out: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    root: Module | None = None
    folder: str = ""

    @property
    def addons(self) -> tuple[str, ...]:
        """The folders for the add-ons path: the root ("") if it contains modules, otherwise each subfolder that does.

        Before these, with `folder`, the parent of that folder.
        """
        paths = [self.path_in_repository(module) for module in self.modules]
        parents = {path.rpartition("/")[0] for path in paths if path}
        found = ("",) if "" in parents else tuple(sorted(parent for parent in parents if "/" not in parent))
        return ("", *(f"{self.folder}/{parent}".rstrip("/") for parent in found)) if self.folder else found

    @property
    def visible(self) -> tuple[Module, ...]:
        """The add-ons that Odoo finds: those in the folders of `addons`."""
        addons = self.addons
        return tuple(module for module in self.modules if module.folder in addons)

    def in_folder(self, name: str) -> Facts:
        """The facts of a repository that is itself an add-on, if all its files are in a folder `name`: Odoo finds it there.

        The same facts for any other repository, and where `name` is no name of an add-on.
        """
        if self.root is None or not ADDON_NAME.fullmatch(name):
            return self
        below = (module.model_copy(update={"path": f"{name}/{module.path}"}) for module in self.modules)
        return self.model_copy(
            update={"modules": (self.root.model_copy(update={"path": name}), *below), "folder": name}
        )

    def addons_below(self, checkout: str) -> tuple[str, ...]:
        """The folders of add-ons on this machine, for the path of the checkout.

        Of a repository that is itself an add-on this is the folder of the checkout, if that has the name of the add-on.
        """
        if not self.folder:
            return tuple(f"{checkout}/{folder}".rstrip("/") for folder in self.addons)
        above, _, name = checkout.rpartition("/")
        inside = (folder.removeprefix(self.folder) for folder in self.addons if folder)
        return (*([above] if name == self.folder else []), *(f"{checkout}{folder}" for folder in inside))

    def path_in_repository(self, module: Module) -> str:
        """The folder of an add-on in its repository; "" for the root."""
        return module.path.removeprefix(self.folder).lstrip("/") if self.folder else module.path


@dataclass(frozen=True)
class SelectedFiles:
    """The files of a tree that `facts` reads."""

    manifests: tuple[str, ...]
    others: tuple[str, ...]


def too_deep(folders: Iterable[str]) -> tuple[str, ...]:
    """The field `deep` of facts: a limited number of paths without control characters."""
    return tuple(printable(folder) for folder in itertools.islice(folders, _MOST_DEEP))


def select_files(names: Iterable[str]) -> SelectedFiles:
    """Add-on manifests in the root and at depth one and two, and the files in which a repository declares dependencies."""
    manifests, others = [], []
    for name in names:
        parts = name.split("/")
        if parts[-1] in MANIFESTS and len(parts) <= DEPTH + 1:
            manifests.append(name)
        elif name in REQUEST_FILES:
            others.append(name)
    return SelectedFiles(tuple(sorted(manifests)), tuple(others))


def files_to_read(names: Iterable[str], *, skip_manifests: bool = False) -> tuple[str, ...]:
    """The files of a tree to read. `skip_manifests`: without module manifests; modules then have a name only."""
    found = select_files(names)
    return found.others if skip_manifests else (*found.manifests, *found.others)


def split_by_size(sizes: Mapping[str, int], *, skip_manifests: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files of a tree to read, and those that are skipped as too large. `sizes`: bytes by name."""
    names = files_to_read(sizes, skip_manifests=skip_manifests)
    large = tuple(name for name in names if sizes[name] > MAX_FILE_SIZE)
    return tuple(name for name in names if sizes[name] <= MAX_FILE_SIZE), large


def within_total(manifests: Mapping[str, bytes]) -> dict[str, bytes]:
    """The manifests to parse: by name, as many as have at most MAX_MANIFESTS_SIZE bytes together."""
    total = 0
    kept = {}
    for name, data in sorted(manifests.items()):
        total += len(data)
        if total > MAX_MANIFESTS_SIZE:
            break
        kept[name] = data
    return kept


def facts(
    names: Iterable[str],
    contents: Mapping[str, bytes],
    too_large: Collection[str] = (),
    links_out: tuple[str, ...] = (),
    included: Mapping[str, str] | None = None,
) -> Facts:
    """The facts about a repository. A module manifest that is not in `contents` gives a module without further data.

    A manifest is broken if it is too large, or if the name of its folder cannot be on the add-ons path: Odoo splits the
    path at commas, and control characters or bytes that are not UTF-8 break the configuration file.
    """
    found = select_files(names)
    modules: dict[str, Module] = {}
    broken: list[str] = []
    for name in found.manifests:
        path = name.rpartition("/")[0]
        if path in modules:
            continue
        usable = path.isprintable() and "," not in path and name not in too_large
        if usable and name not in contents:
            modules[path] = Module(path=path)
            continue
        module = read_module(path, contents[name]) if usable else None
        if module is None:
            broken.append(printable(name))
        else:
            modules[path] = module
    root = modules.pop("", None)
    texts = {name: decoded(contents[name]) for name in found.others if name in contents}
    return Facts(
        modules=tuple(modules.values()),
        oca_dependencies=texts.get("oca_dependencies.txt"),
        odpm_json=texts.get(MANIFEST_FILE),
        requirements=texts.get("requirements.txt"),
        included=tuple(sorted((included or {}).items())),
        broken=tuple(broken),
        too_large=tuple(name for name in found.others if name in too_large),
        links_out=links_out,
        root=root,
    )


def read_module(path: str, manifest: bytes) -> Module | None:
    """One add-on from the bytes of its manifest; None if they are not a Python dictionary literal, or a list is too long."""
    try:
        with _PARSER:
            data = literal(ast.parse(manifest.decode("utf-8-sig").strip(), mode="eval"))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    if not isinstance(data, dict):
        return None
    needs = data.get("external_dependencies")
    needs = needs if isinstance(needs, dict) else {}

    if any(isinstance(value, list | tuple | set) and len(value) > _LONGEST_LIST for value in needs.values()):
        return None

    def strings(value: object) -> tuple[str, ...]:
        return tuple(_as_text(item) for item in value) if isinstance(value, list | tuple | set) else ()

    return Module(
        path=path,
        version=_as_text(data.get("version", ""))[:_LONGEST_VERSION],
        installable=bool(data.get("installable", True)),
        depends=strings(data.get("depends")),
        python=strings(needs.get("python")),
        bin=strings(needs.get("bin")),
        deb=strings(needs.get("deb")),
        auto_install=_triggers(data.get("auto_install"), strings(data.get("depends"))),
        summary=_as_text(data.get("summary") or data.get("name") or "")[:_LONGEST_SUMMARY],
    )


def _triggers(value: object, depends: tuple[str, ...]) -> tuple[str, ...]:
    """`auto_install` of a manifest: True stands for all of `depends`, a list for itself. Without `depends`: base."""
    if isinstance(value, list | tuple | set):
        return tuple(_as_text(item) for item in value) or ("base",)
    return (depends or ("base",)) if value else ()


def _as_text(value: object) -> str:
    """A value of a manifest as text that can be encoded; empty for an integer that Python refuses to print."""
    try:
        return str(value).encode(errors="replace").decode()
    except ValueError:
        return ""
