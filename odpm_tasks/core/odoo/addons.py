"""What a repository holds for us at one commit: its add-ons and what they and the repository ask for.

Pure: fed with names and bytes, whoever read them. A manifest that cannot be read is reported, never fatal: Odoo itself
skips such a module.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from odpm_tasks.errors import printable

MANIFEST = "__manifest__.py"
MANIFESTS = (MANIFEST, "__openerp__.py")
REQUEST_FILES = ("oca_dependencies.txt", "odpm.json", "requirements.txt")
DEPTH = 2  # folders between the root and a module's manifest
MAX_FILE_SIZE = 1_000_000  # bytes of a file that is read; what people write has a hundredth of that


# Python 3.11 counts the depth of the trees it builds once for all threads, and gives up when two parse at a time
# (gh-106905); facts of several repositories are read at once
_PARSER = threading.Lock()


class Module(BaseModel):
    """One add-on: where it lies in its repository and what it asks of the machine."""

    model_config = ConfigDict(frozen=True)
    path: str
    version: str = ""
    installable: bool = True
    python: tuple[str, ...] = ()
    bin: tuple[str, ...] = ()
    deb: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class Facts(BaseModel):
    """A repository at one commit; never changes, so it may be kept as long as one likes."""

    model_config = ConfigDict(frozen=True)
    modules: tuple[Module, ...] = ()
    oca_dependencies: str | None = None
    odpm_json: str | None = None
    requirements: str | None = None
    broken: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()

    @property
    def addons(self) -> tuple[str, ...]:
        """The folders to put on the addons path: the root ("") where it holds modules, else each direct subfolder that does."""
        parents = {module.path.rsplit("/", 1)[0] if "/" in module.path else "" for module in self.modules}
        if "" in parents:
            return ("",)
        return tuple(sorted(parent for parent in parents if "/" not in parent))


@dataclass(frozen=True)
class SelectedFiles:
    """The files whose bytes `facts` needs, out of all names of a tree."""

    manifests: tuple[str, ...]
    others: tuple[str, ...]


def select_files(names: Iterable[str]) -> SelectedFiles:
    """Module manifests at depth one and two, and the files in which a repository asks for others."""
    manifests, others = [], []
    for name in names:
        parts = name.split("/")
        if parts[-1] in MANIFESTS and 2 <= len(parts) <= DEPTH + 1:
            manifests.append(name)
        elif name in REQUEST_FILES:
            others.append(name)
    return SelectedFiles(tuple(sorted(manifests)), tuple(others))


def files_to_read(names: Iterable[str], *, skip_manifests: bool = False) -> tuple[str, ...]:
    """Of a tree's files those to read. `counting`: modules are counted and not read."""
    found = select_files(names)
    return found.others if skip_manifests else (*found.manifests, *found.others)


def split_by_size(sizes: Mapping[str, int], *, skip_manifests: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a tree's files with their bytes: those `asked` for, and of them those too large to be what their names say."""
    names = files_to_read(sizes, skip_manifests=skip_manifests)
    large = tuple(name for name in names if sizes[name] > MAX_FILE_SIZE)
    return tuple(name for name in names if sizes[name] <= MAX_FILE_SIZE), large


def facts(names: Iterable[str], contents: Mapping[str, bytes], too_large: Collection[str] = ()) -> Facts:
    """Put together what a repository holds. A manifest without bytes counts as a module of which nothing is known.

    One that is too large is broken, and so is one in a folder that cannot stand on an addons path: Odoo splits that at
    commas, and a control character or a byte that is no UTF-8 would break the file in which it stands.
    """
    found = select_files(names)
    modules: dict[str, Module] = {}
    broken: list[str] = []
    for name in found.manifests:
        path = name.rsplit("/", 1)[0]
        if path in modules:
            continue
        fit = path.isprintable() and "," not in path and name not in too_large
        if fit and name not in contents:
            modules[path] = Module(path=path)
            continue
        module = read_module(path, contents[name]) if fit else None
        if module is None:
            broken.append(printable(name))
        else:
            modules[path] = module
    texts = {name: contents[name].decode("utf-8-sig", errors="replace") for name in found.others if name in contents}
    return Facts(
        modules=tuple(modules.values()),
        oca_dependencies=texts.get("oca_dependencies.txt"),
        odpm_json=texts.get("odpm.json"),
        requirements=texts.get("requirements.txt"),
        broken=tuple(broken),
        too_large=tuple(name for name in found.others if name in too_large),
    )


def read_module(path: str, manifest: bytes) -> Module | None:
    """One add-on from its manifest's bytes; None where they are no Python dictionary literal."""
    try:
        with _PARSER:
            data = ast.literal_eval(manifest.decode("utf-8-sig").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
    if not isinstance(data, dict):
        return None
    needs = data.get("external_dependencies")
    needs = needs if isinstance(needs, dict) else {}

    def words(key: str) -> tuple[str, ...]:
        value = needs.get(key, ())
        return tuple(str(word) for word in value) if isinstance(value, list | tuple | set) else ()

    return Module(
        path=path,
        version=str(data.get("version", "")),
        installable=bool(data.get("installable", True)),
        python=words("python"),
        bin=words("bin"),
        deb=words("deb"),
    )
