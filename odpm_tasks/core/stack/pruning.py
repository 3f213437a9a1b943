"""What `prune` removes, and what it lists and keeps: rules, text, JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, clean, plural, size, unstyled

DAYS = 7  # build cache and logs that were not used for so long
TEST_DATABASE = "odpm: test database"
KEPT_TEST_DATABASE = "odpm: kept test database"
TEST_TEMPLATE = "odpm: template, used "
"""The comments of databases of `inv test`: of a run, of a run with `--keep`, of a template (followed by seconds since 1970)."""

UnusedKind = Literal["image", "build cache", "log", "database", "snapshot", "template", "cache"]


@dataclass(frozen=True)
class BuiltImage:
    """An environment image, and the folders of the projects that have built it."""

    tag: str
    roots: frozenset[str]


@dataclass(frozen=True)
class Unused:
    """One thing that `prune` removes. `ids`: how the engine or the file system names it; `count`: of things in it."""

    kind: UnusedKind
    name: str
    size: int
    why: str
    project: str = ""
    ids: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class Kept:
    """A volume or a database of the user, which `prune` lists and never removes. `size`: bytes, None where it is not known."""

    kind: Literal["volume", "database"]
    name: str
    size: int | None
    project: str


@dataclass(frozen=True)
class Pruning:
    """What is unused, what is kept, and what could not be examined."""

    unused: tuple[Unused, ...]
    kept: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(one.size for one in self.unused)


# --- rules


def unused_images(
    built: Sequence[BuiltImage], used: Collection[str], existing: Collection[str], chosen: Collection[str]
) -> dict[str, str]:
    """Images of `built`, the newest first, that no project uses, with the reason.

    `used`: images of containers, Compose files and recorded runs; `existing`: the folders of all projects that exist; `chosen`: of
    those whose images are pruned. An existing project also uses the newest image of each kind (`19.0-dev`) that it built.
    """
    newest: set[tuple[str, str]] = set()
    found = {}
    for image in built:
        kind = image.tag.rpartition(":")[2].rsplit("-", 1)[0]
        current = {(root, kind) for root in image.roots if root in existing} - newest
        newest |= current
        if not current and image.tag not in used and image.roots & {*chosen}:
            found[image.tag] = "built here, and no project uses it"
    return found


@dataclass(frozen=True)
class NamelessImage:
    """An image without a name. `labels`: its own; `containers`: whether one uses it."""

    id: str
    size: int
    labels: Mapping[str, str]
    containers: bool = False

    @property
    def revision(self) -> str:
        """The commit of the project that `inv build-image` built it from; empty for other images."""
        return self.labels.get("org.opencontainers.image.revision", "") if "odpm.version" in self.labels else ""

    @property
    def compose(self) -> str:
        """The Compose project that it was built for."""
        return self.labels.get("com.docker.compose.project", "")


_OUR_STAGES = r"steps|archive|lists|base|system|build|venv|dev-venv|origins|git-[\w.-]+|node|runtime|mounted|dev|server|platform|ci"
_OUR_CACHE = re.compile(
    rf"\[(\S+ )?({_OUR_STAGES}) \d+/\d+\] |mount / from exec /bin/sh -c (\. /mnt/steps;|/opt/uv/|.* > /opt/uv/)"
    r"|cached mount .* with id \"/?odpm-"
    r"|local source for (src|package|git)-|local source for wkhtmltopdf$"
)


@dataclass(frozen=True)
class CacheRecord:
    """A record of the build cache, as the engine describes it. `shared`: an image has the same layer. `parent`: its id."""

    id: str
    parent: str
    description: str
    size: int
    last_used: datetime
    in_use: bool = False
    shared: bool = False


def old_records(records: Sequence[CacheRecord], now: datetime, days: int = DAYS) -> list[CacheRecord]:
    """The records of odpm's builds that no build used for so many days; those of other Dockerfiles are not ours.

    A record that another one was made from stays as long as that one.
    """
    limit = now - timedelta(days=days)
    old = {
        one.id: one
        for one in records
        if _OUR_CACHE.match(one.description) and not one.in_use and not one.shared and one.last_used <= limit
    }
    while needed := {one.parent for one in records if one.id not in old} & {*old}:
        for name in needed:
            del old[name]
    return [*old.values()]


def is_test_database(name: str, comment: str) -> bool:
    """Whether `inv test` has made this database: by its name and by its comment, so that no user's database is taken for one."""
    return bool(re.fullmatch(r".+-test-\d+", name)) and comment in {TEST_DATABASE, KEPT_TEST_DATABASE}


_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(text: str) -> int | None:
    """The bytes of a size as Docker writes it (`1.19GB`); None for `N/A`."""
    match = re.fullmatch(r"([\d.]+)\s*([kMGT]?B)", text.strip())
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


# --- output


def as_text(found: Pruning, paint: Paint = unstyled) -> str:
    """A row for each thing to remove, the sum, then what is kept."""
    lines = []
    for one in found.unused:
        row = f"{size(one.size):>9}  {one.kind:<11}  {clean(one.name)}"
        lines.append(f"{row}  {paint(clean(one.why), 'dim')}")
    lines.append(paint(f"{size(found.size):>9}  in all", "bold") if found.unused else "nothing is unused")
    if found.kept:
        lines.append(paint("kept:", "bold"))
    for kept in found.kept:
        known = "?" if kept.size is None else size(kept.size)
        lines.append(f"{known:>9}  {kept.kind:<11}  {clean(kept.name)}  {paint(clean(kept.project), 'dim')}".rstrip())
    return "\n".join(lines)


def as_json(found: Pruning, freed: int | None) -> str:
    """The document of `PruneReport`. `freed`: bytes; None where nothing was removed."""
    unused = [{name: value for name, value in asdict(one).items() if name != "ids"} for one in found.unused]
    kept = [asdict(one) for one in found.kept]
    return report({"bytes": found.size, "freed": freed, "unused": unused, "kept": kept, "notes": list(found.notes)})


def summary(found: Pruning) -> str:
    """What was removed, in one line: `2 images, 3 logs`."""
    count: dict[str, int] = {}
    for one in found.unused:
        count[one.kind] = count.get(one.kind, 0) + one.count
    words = {
        "image": ("image", "images"),
        "build cache": ("record of the build cache", "records of the build cache"),
        "log": ("log", "logs"),
        "database": ("test database", "test databases"),
        "snapshot": ("automatic snapshot", "automatic snapshots"),
        "template": ("template of db.reset", "templates of db.reset"),
        "cache": ("part of the cache", "parts of the cache"),
    }
    return ", ".join(plural(number, *words[kind]) for kind, number in count.items())
