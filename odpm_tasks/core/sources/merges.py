"""Merges: pull requests and branches that are merged onto the pin of a repository (`merges` in odpm.json and in the lock).

An entry of odpm.json is `#N` (a pull or merge request of the same repository), a full ref (`refs/…`), each with an optional
commit behind it, or a link to another repository whose second word is a branch, `#N` or a full ref.

The result is one commit with the pin and the merged commits as parents. Author, committer, date and message are fixed: the
same inputs give the same commit on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from odpm_tasks.core.sources.link import Link, masked, parse_link
from odpm_tasks.errors import EPOCH, DescriptionError

AUTHOR = "odpm <odpm@localhost>"
_FORMS = "write #N, refs/… or URL BRANCH"
_NUMBER = re.compile(r"#(\d{1,9})")
_COMMIT = re.compile(r"[0-9a-fA-F]{40}")
_REF = re.compile(r"refs/[^\s~^:?*\[\\\x00-\x20\x7f]+")
_ODD = re.compile(r"\.\.|//|@\{|/\.|\.lock(?:/|$)|[/.]$")


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """One entry of `merges` in odpm.json.

    `ref`: `#N`, a full ref, the branch or tag of `link`, or None for the branch with the name of the Odoo version. `link`: the
    other repository (its branch and commit are those of the entry); None for the same repository. `commit`: where the entry
    names one.
    """

    ref: str | None
    link: Link | None = None
    commit: str | None = None

    @property
    def url(self) -> str | None:
        """The canonical URL of the other repository."""
        return self.link.canonical if self.link else None

    def refs(self, odoo_version: str) -> tuple[str, ...]:
        """The full refs that the entry can mean; the first that the server has counts."""
        ref = self.ref or odoo_version
        if found := _NUMBER.fullmatch(ref):
            return f"refs/pull/{found[1]}/head", f"refs/merge-requests/{found[1]}/head"
        return (ref,) if ref.startswith("refs/") else (f"refs/heads/{ref}", f"refs/tags/{ref}")

    def is_same(self, other: MergeRequest) -> bool:
        """Whether both name the same ref of the same repository."""
        return self.url == other.url and not {*self.refs("")}.isdisjoint(other.refs(""))

    def __str__(self) -> str:
        words = (self.ref, self.commit) if self.link is None else (str(replace(self.link, branch=self.ref)),)
        return " ".join(filter(None, words))


@dataclass(frozen=True)
class MergedRef:
    """One merge of the lock: the full ref and its commit; `url` (canonical) where it is in another repository.

    `base`: the commit at which it meets what it is merged into, where there is exactly one. It saves reading the history.
    """

    ref: str
    commit: str
    url: str | None = None
    base: str | None = field(default=None, compare=False)

    def answers(self, request: MergeRequest, odoo_version: str) -> bool:
        """Whether this is the commit of a request."""
        named = self.url == request.url and self.ref in request.refs(odoo_version)
        return named and request.commit in {None, self.commit}

    def __str__(self) -> str:
        return f"{self.url} {self.ref}" if self.url else self.ref


@dataclass(frozen=True)
class Merged:
    """The merges of one repository: the pin, what is merged onto it in this order, and the tree of the result.

    `git`: the version of git that made the tree.
    """

    pin: str
    merges: tuple[MergedRef, ...]
    tree: str
    git: str = field(default="", compare=False)

    @property
    def text(self) -> bytes:
        """The content of the commit object."""
        parents = dict.fromkeys((self.pin, *(merge.commit for merge in self.merges)))
        lines = [f"tree {self.tree}", *(f"parent {commit}" for commit in parents)]
        lines += [f"{role} {AUTHOR} {EPOCH} +0000" for role in ("author", "committer")]
        first, others = self.merges[0], len(self.merges) - 1
        subject = f"odpm: merge {first}" + (f" and {others} more" if others else "")
        lines += ["", subject, "", *(f"{merge} {merge.commit}" for merge in self.merges)]
        return ("\n".join(lines) + "\n").encode()

    def __str__(self) -> str:
        """The pin and what is merged onto it, with short ids."""
        return f"{self.pin[:8]} + {', '.join(f'{merge} {merge.commit[:8]}' for merge in self.merges)}"

    @property
    def commit(self) -> str:
        """The id of the merge commit."""
        return hashlib.sha1(b"commit %d\0" % len(self.text) + self.text, usedforsecurity=False).hexdigest()


def parse_merge(text: str, shown: str = "") -> MergeRequest:
    """Parse one entry after the expansion of variables. `shown`: the text before it, for messages. Errors: DescriptionError."""
    words, shown = text.split(), masked(shown or text)
    first = words[0] if words else ""
    if first.startswith(("#", "refs/")):
        if len(words) > 2 or (len(words) == 2 and not _COMMIT.fullmatch(words[1])):
            raise DescriptionError(f"merge `{shown}` is refused: a commit of 40 hex digits can follow, nothing else")
        return MergeRequest(_checked(first, shown), None, words[1].lower() if len(words) == 2 else None)
    if "://" not in first and ":" not in first:
        raise DescriptionError(f"merge `{shown}` is refused: it is not #N, refs/… or a link", todo=_FORMS)
    link = parse_link(text, shown)
    if link.is_file:
        raise DescriptionError(
            f"merge `{shown}` is refused: a folder of this machine has no branch to merge", todo=_FORMS
        )
    ref = _checked(link.branch, shown) if link.branch and link.branch.startswith(("#", "refs/")) else link.branch
    return MergeRequest(ref, link, link.commit)


def _checked(ref: str, shown: str) -> str:
    if _NUMBER.fullmatch(ref) or (_REF.fullmatch(ref) and not _ODD.search(ref)):
        return ref
    raise DescriptionError(
        f"merge `{shown}` is refused: `{ref}` is not a pull request #N and not a full ref", todo=_FORMS
    )


def for_repository(requests: Sequence[MergeRequest], link: Link) -> tuple[MergeRequest, ...]:
    """The entries for a repository: a link to the repository itself is a ref of it."""
    same = [replace(request, link=None) if request.url == link.canonical else request for request in requests]
    return tuple(same)


def pinned(
    requests: Sequence[MergeRequest], known: Sequence[MergedRef], odoo_version: str
) -> tuple[MergedRef | None, ...]:
    """For each request the merge of the lock that answers it; None where it has to be resolved."""
    return tuple(next((ref for ref in known if ref.answers(request, odoo_version)), None) for request in requests)


def known_result(
    pin: str | None, requests: Sequence[MergeRequest], known: Merged | None, odoo_version: str
) -> Merged | None:
    """The merges of the lock if they are exactly what is requested: the same pin, the same merges in the same order."""
    if known is None or pin != known.pin or len(requests) != len(known.merges):
        return None
    pairs = zip(requests, known.merges, strict=True)
    return known if all(ref.answers(request, odoo_version) for request, ref in pairs) else None
