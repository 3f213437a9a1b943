"""`.odpm/deps.lock.json`, schema version 1: the commit of each repository. odpm 4.x reads the same file, and ignores keys
such as `python`.

Two-space indent, sorted keys and dependencies, a newline at the end and no time stamp: the same pins give the same bytes.
Unknown keys are kept when the file is rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odpm_tasks.core.config.paths import LOCK_FILE
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.image.archive import TIME, ArchiveState
from odpm_tasks.core.image.wkhtmltopdf import PatchedBuild, Renderer
from odpm_tasks.core.locking.git_packages import GitPackage, GitPackageEntry, entry_of, read_entry
from odpm_tasks.core.sources.link import Link, canonical
from odpm_tasks.core.sources.merges import Merged, MergedRef
from odpm_tasks.errors import LockError

SCHEMA_VERSION = 1
_HEX = r"^[0-9a-f]{40}$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"
_SHA256 = r"^[0-9a-f]{64}$"


class _Merge(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ref: str = Field(pattern=r"^refs/\S+$")
    url: str | None = None
    commit: str = Field(pattern=_HEX)
    base: str | None = Field(default=None, pattern=_HEX)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    url: str = Field(min_length=1)
    branch: str | None = None
    commit: str = Field(pattern=_HEX)
    kind: Literal["file", "git"] | None = None
    tree: str | None = Field(default=None, pattern=_HEX)
    merges: list[_Merge] = []
    merged_tree: str | None = Field(default=None, pattern=_HEX)
    merged_by: str | None = None


class _Build(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    version: str = Field(pattern=r"^[A-Za-z0-9.+~-]{1,80}$")
    sha256: dict[Annotated[str, Field(pattern=r"^[a-z0-9]{1,20}$")], Annotated[str, Field(pattern=_SHA256)]] = Field(
        min_length=1
    )


class _Tools(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    wkhtmltopdf: _Build | Literal["distribution"] | None = None


class _System(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    release: str = Field(pattern=r"^[a-z]+$")
    archive: str = Field(pattern=f"^{TIME}$")
    security: str | None = Field(default=None, pattern=f"^{TIME}$")


class _LockFile(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    schema_version: Literal[1]
    platform: _Entry
    dependencies: list[_Entry] = []
    developing: _Entry | None = None
    images: dict[str, Annotated[str, Field(pattern=_DIGEST)]] = {}
    tools: _Tools = Field(default_factory=_Tools)
    system: _System | None = None
    venv: str | None = None
    odoo_version: str | None = None
    python: list[GitPackageEntry] = []


@dataclass(frozen=True)
class Pin:
    """One repository at one commit. `url` is canonical, or the `file://` address as in the manifest.

    `branch`: only where the description names one. `commit` of a `file://` source is the fingerprint of its content.
    `tree`: only of the developing checkout, the hash of its tracked files in whatever commit. `any_branch`: a pin of
    `locks.git` of the manifest, which has no branch and fits every one. `merges`: what is merged onto `commit`;
    `merged_tree`: the tree of the result, None where it is not known; `merged_by`: the version of git that made it.
    """

    url: str
    commit: str
    branch: str | None = None
    file: bool = False
    tree: str | None = None
    any_branch: bool = field(default=False, compare=False)
    merges: tuple[MergedRef, ...] = ()
    merged_tree: str | None = None
    merged_by: str = field(default="", compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> str:
        return self.url if self.file else canonical(self.url)

    @property
    def merged(self) -> Merged | None:
        """The merges with their result; None without merges, and where the result is not known."""
        if not self.merges or self.merged_tree is None:
            return None
        return Merged(self.commit, self.merges, self.merged_tree, self.merged_by)

    @property
    def content(self) -> str:
        """The commit that is checked out: the merge commit where there are merges."""
        return self.merged.commit if self.merged else self.commit

    def at(self, commit: str) -> Pin:
        """The pin at another commit; the result of its merges is then not known."""
        if commit == self.commit:
            return self
        merges = tuple(replace(merge, base=None) for merge in self.merges)
        return replace(self, commit=commit, merges=merges, merged_tree=None, merged_by="")

    def fits_branch(self, other: Pin) -> bool:
        return self.branch == other.branch and self.key == other.key

    def fits(self, link: Link, odoo_version: str) -> bool:
        """Whether this pin satisfies a link of the description; a missing branch is that of the Odoo version."""
        same = (self.branch or odoo_version) == (link.branch or odoo_version)
        return (self.any_branch or same) and link.commit in {None, self.commit}


@dataclass(frozen=True)
class Lock:
    """The content of the lock file. `odoo_version` is the branch of the pins without a branch.

    `renderer`: `tools.wkhtmltopdf`, None without an entry. `other_tools`: the entries of `tools` that this odpm does not know.
    `system`: the state of the Debian archive from which images take their packages.
    """

    platform: Pin
    dependencies: tuple[Pin, ...] = ()
    developing: Pin | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    renderer: Renderer | None = None
    system: ArchiveState | None = None
    venv: str | None = None
    odoo_version: str | None = None
    other_tools: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    python: tuple[GitPackage, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def pins(self) -> dict[str, Pin]:
        """Every pin by canonical URL."""
        return {
            pin.key: pin for pin in (self.platform, *self.dependencies, *([self.developing] if self.developing else []))
        }


class _TwiceError(ValueError):
    pass


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Errors: _TwiceError for a repeated key, as a wrong merge leaves it: either value could be meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def read_lock(text: str, where: str = LOCK_FILE) -> Lock:
    """Parse a lock. Errors: LockError with line and column, or with each invalid field."""
    todo = f"restore it from git: git checkout -- {where}; or write a new one: mv {where} {where}.bad && inv lock"
    if "<<<<<<<" in text:
        raise LockError("the lock has unresolved merge conflicts", where=where, todo="keep either side, then: inv lock")
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise LockError(
            f"the lock is not JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}", todo=todo
        ) from None
    except RecursionError:
        raise LockError("the lock is nested too deeply", where=where, todo=todo) from None
    except _TwiceError as error:
        raise LockError(f"the lock has the key {str(error)!r} twice in one entry", where=where, todo=todo) from None
    except ValueError:
        raise LockError("the lock is not valid JSON", where=where, todo=todo) from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        raise LockError(
            f"this odpm is too old for the lock: it has schema version {version}, this odpm reads {SCHEMA_VERSION}",
            where=where,
            todo="install the odpm that wrote it, or a newer one",
        )
    try:
        model = _LockFile.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'the file'}: {p['msg']}" for p in error.errors()]
        raise LockError("the lock is not valid", where=where, details=problems[:3], todo=todo) from None
    return Lock(
        platform=_pin(model.platform),
        dependencies=tuple(_pin(entry) for entry in model.dependencies),
        developing=_pin(model.developing) if model.developing else None,
        images=dict(model.images),
        renderer=_renderer(model.tools.wkhtmltopdf),
        other_tools=dict(model.tools.model_extra or {}),
        system=_system(model.system) if model.system else None,
        venv=model.venv,
        odoo_version=model.odoo_version,
        python=tuple(read_entry(entry) for entry in model.python),
        extra=dict(model.model_extra or {}),
    )


def _renderer(entry: _Build | Literal["distribution"] | None) -> Renderer | None:
    if isinstance(entry, _Build):
        return wkhtmltopdf.with_folder(PatchedBuild(entry.version, entry.sha256))
    return entry


def _pin(entry: _Entry) -> Pin:
    is_file = entry.kind == "file" or entry.url.startswith("file:")
    url = entry.url if is_file else canonical(entry.url)
    return Pin(
        url,
        entry.commit,
        entry.branch,
        is_file,
        entry.tree,
        merges=tuple(MergedRef(**merge.model_dump()) for merge in entry.merges),
        merged_tree=entry.merged_tree,
        merged_by=entry.merged_by or "",
        extra=dict(entry.model_extra or {}),
    )


def _system(entry: _System) -> ArchiveState:
    return ArchiveState(entry.release, entry.archive, entry.security, dict(entry.model_extra or {}))


def write_lock(lock: Lock) -> str:
    """The text of a lock; `read_lock` parses it to an equal value."""
    data: dict[str, Any] = {
        **lock.extra,
        "schema_version": SCHEMA_VERSION,
        "platform": _entry(lock.platform),
        "dependencies": [_entry(pin) for pin in sorted(lock.dependencies, key=lambda pin: pin.url)],
    }
    if lock.developing:
        data["developing"] = _entry(lock.developing)
    if lock.images:
        data["images"] = dict(lock.images)
    tools = dict(lock.other_tools)
    if isinstance(lock.renderer, PatchedBuild):
        tools[wkhtmltopdf.NAME] = {"version": lock.renderer.version, "sha256": dict(lock.renderer.sha256)}
    elif lock.renderer:
        tools[wkhtmltopdf.NAME] = lock.renderer
    if tools:
        data["tools"] = tools
    if lock.system:
        data["system"] = lock.system.data
    if lock.venv:
        data["venv"] = lock.venv
    if lock.odoo_version:
        data["odoo_version"] = lock.odoo_version
    if lock.python:
        data["python"] = [entry_of(package) for package in sorted(lock.python, key=lambda one: one.name)]
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _entry(pin: Pin) -> dict[str, Any]:
    data: dict[str, Any] = {**pin.extra, "url": pin.url, "commit": pin.commit}
    if pin.branch is not None:
        data["branch"] = pin.branch
    if pin.file:
        data["kind"] = "file"
    if pin.tree:
        data["tree"] = pin.tree
    if pin.merges:
        data["merges"] = [
            {key: value for key, value in asdict(merge).items() if value is not None} for merge in pin.merges
        ]
        data |= {"merged_tree": pin.merged_tree, "merged_by": pin.merged_by} if pin.merged_tree else {}
    return data


def with_digest(image: str, digests: Mapping[str, str]) -> str:
    """The name of an image with its digest, where there is one."""
    return f"{image}@{digests[image]}" if image in digests else image


@dataclass(frozen=True)
class DevelopingState:
    """The developing checkout, where `developing.git` names it: a pin of its current content, and its local changes."""

    pin: Pin
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonLocks:
    """The state of both Python locks as hashes: of their inputs now, of the inputs recorded in the files, of the files.

    The last two are None where a file is missing. `packages`: the packages from git that the lock pins. `addresses`: by
    name, the URL that each is fetched from; it may contain a login. `uncached`: the names of those that the cache lacks.
    """

    inputs: str
    recorded_inputs: str | None
    digest: str | None
    packages: tuple[GitPackage, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    uncached: tuple[str, ...] = ()
