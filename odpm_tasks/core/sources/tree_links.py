"""Symbolic links in the tree of a repository that lead out of it, and limits for the size of a tree.

Odoo serves `ADDON/static` to every visitor, installed or not. A link in a repository could name a secret of the container, a
file of another repository, or, on this machine, any file of the user.

Links are resolved by their text, without a file system, so the result does not depend on the machine. Names count as equal
where a file system of macOS treats them as equal.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from odpm_tasks.errors import DescriptionError, printable

MAX_FILES = 1_000_000  # odoo/odoo has 45,000
MAX_DEPTH = 500  # nested folders
MAX_LINKS = 10_000
MAX_ADDONS = 5_000
MAX_TARGET = 4095  # bytes; Linux cannot create a link with a longer target
_FOLLOWED = 40  # links on one path; Linux follows no more
_STEPS = 3_000_000  # of all links of a tree: a few seconds
_SHOWN = 5
_GIT = re.compile(r"\.git[ .]*(:.*)?|git~[0-9]+")  # the names by which some file system finds `.git`

Link = tuple[str, str | None]
"""Path and target of a symbolic link; None: the target is longer than MAX_TARGET."""


def check_size(label: str, files: int, depth: int, links: int) -> None:
    """Refuse a tree that is too large to read: a few kilobytes of git objects can describe a tree of any size.

    Errors: DescriptionError.
    """
    _check(label, files, MAX_FILES, "files")
    _check(label, depth, MAX_DEPTH, "nested folders")
    _check(label, links, MAX_LINKS, "symbolic links")


def check_addons(label: str, addons: int) -> None:
    """Refuse a repository with more than MAX_ADDONS add-ons. Errors: DescriptionError."""
    _check(label, addons, MAX_ADDONS, "add-ons")


def _check(label: str, number: int, most: int, what: str) -> None:
    if number > most:
        raise DescriptionError(
            f"{label} has more than {most:,} {what}",
            where="odpm.json",
            todo="pin another commit of that repository, or remove the repository",
        )


def links_out(links: Iterable[Link], tolerated: Collection[str] = ()) -> tuple[str, ...]:
    """The links that lead out of their tree, as printable texts `PATH -> TARGET`, sorted.

    `tolerated`: folders in which such links are allowed, because no other path leads there: a link from outside such a folder
    into one with such a link counts as leading out.
    """
    tree = _Tree(sorted(links, key=lambda link: (link[0], link[1] or "")))
    out = [link for link in tree.links if tree.position(link) is None]
    spoiled = {folder for folder in tolerated for path, _ in out if path.startswith(f"{folder}/")}
    blocked = tuple(_folded(folder.split("/")) for folder in spoiled)
    found = [
        link
        for link in tree.links
        if not any(link[0].startswith(f"{folder}/") for folder in tolerated)
        and ((end := tree.position(link)) is None or _is_below(end, blocked))
    ]
    return tuple(_text(link) for link in found)


def links_out_of_folders(links: Iterable[Link], folders: Sequence[str]) -> tuple[str, ...]:
    """The links below some folders of a tree that end outside of all of these folders ("": the whole tree)."""
    tree = _Tree(sorted(links, key=lambda link: (link[0], link[1] or "")))
    allowed = tuple(_folded(folder.split("/") if folder else []) for folder in folders)
    found = [link for link in tree.links if (end := tree.position(link)) is None or not _is_below(end, allowed)]
    return tuple(_text(link) for link in found)


def links_out_error(label: str, links: Sequence[str], *, folder: bool) -> DescriptionError:
    """The error for a repository with links that lead out of it. `folder`: it is a `file://` source."""
    more = [f"and {len(links) - _SHOWN} more"] if len(links) > _SHOWN else []
    return DescriptionError(
        f"{label} contains symbolic links that lead out of its tree",
        where=f"{label}: {links[0]}",
        details=[*links[1:_SHOWN], *more],
        todo="replace the links by the files they name"
        if folder
        else "pin a commit without such links, or remove the repository; trust does not allow them",
    )


@dataclass
class _Tree:
    """The links of a tree. `steps`: how many steps are left to resolve them."""

    links: Sequence[Link]
    steps: int = _STEPS
    _by_name: dict[tuple[str, ...], Link] = field(default_factory=dict)
    _ambiguous: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = Counter(_folded(path.split("/")) for path, _ in self.links)
        self._by_name = {_folded(link[0].split("/")): link for link in self.links}
        self._ambiguous = {name for name, count in names.items() if count > 1}

    def position(self, link: Link) -> tuple[str, ...] | None:
        """The folded path at which a link ends, if it stays inside; the last name of it may be a link again.

        A link before a `..` is followed, because `..` leads to the parent of the folder where that link ends. Where it is
        not certain which link a name finds, or the way is too long, the result is None, too. A name that does not exist
        counts as a folder: something may create it later.
        """
        path, target = link
        here = list(path.split("/")[:-1])
        pending = _parts(target)
        upward = pending.count("..") if pending is not None else 0
        followed = 0
        while pending:
            self.steps -= 1 + (len(here) if upward else 0)
            part = pending.pop()
            if part == "..":
                upward -= 1
                if not here or self.steps < 0:
                    return None
                here.pop()
                continue
            here.append(part)
            if self.steps < 0 or _GIT.fullmatch(_fold(part)):
                return None
            if upward and (name := _folded(here)) in self._by_name:
                found, inner = self._by_name[name]
                followed += 1
                more = _parts(inner)
                if name in self._ambiguous or found != "/".join(here) or followed > _FOLLOWED or more is None:
                    return None
                here.pop()
                pending += more
                upward += more.count("..")
        return None if pending is None else _folded(here)


def _parts(target: str | None) -> list[str] | None:
    """The parts of a link's target, the last first; None for one that cannot be inside. C ends the target at a NUL."""
    if target is None:
        return None
    text = target.partition("\0")[0]
    return None if text.startswith("/") else [part for part in reversed(text.split("/")) if part not in ("", ".")]


def _fold(name: str) -> str:
    """A name as a file system sees it that ignores case, Unicode normalization and invisible characters."""
    if name.isascii():
        return name.lower()
    visible = "".join(char for char in name if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", visible).casefold())


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(_fold, parts))


def _is_below(path: tuple[str, ...], folders: Iterable[tuple[str, ...]]) -> bool:
    return any(path[: len(folder)] == folder for folder in folders)


def _text(link: Link) -> str:
    path, target = link
    shown = printable(path), printable(target if target is not None else f"(more than {MAX_TARGET} bytes)")
    return " -> ".join(text if len(text) <= 200 else f"{text[:199]}…" for text in shown)
