"""The merges of other tools, an address and a ref each, as entries of `merges` in `odpm.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.init.conversion import (
    VERSION,
    RepositoryEntry,
    excerpt,
    excerpt_url,
    read_ref,
    read_url,
    with_defaults,
)
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.sources.merges import MergeRequest, parse_merge
from odpm_tasks.errors import DescriptionError


def merge_entries(source: RepositoryEntry, known: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """The entries, each ref once, and a reason for each merge that has none. `known`: values of variables.

    A merge of the branch itself is no entry.
    """
    entries: list[str] = []
    requests: list[MergeRequest] = []
    problems: list[str] = []
    for url, ref in source.merges:
        text, problem = _entry(source, read_url(with_defaults(url, known))[0], ref, known)
        try:
            request = parse_merge(expand(text, lambda name: "x", "")) if text else None
        except DescriptionError as error:
            problem = error.what
            request = None
        if problem:
            problems.append(f"merge of {excerpt_url(url)} {excerpt(ref)}: {problem}")
        elif request and not any(request.is_same(other) for other in requests):
            entries.append(text)
            requests.append(request)
    return tuple(entries), problems


def _entry(source: RepositoryEntry, url: str, ref: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The text of an entry, empty if nothing is merged; and the reason if it cannot be written."""
    is_same = canonical(url) == canonical(with_defaults(source.url, known))
    pull = re.fullmatch(r"refs/pull/(\d+)/(?:head|merge)", ref)
    branch, commit, problem = read_ref(ref)
    if pull:
        word = f"#{pull[1]}"
    elif ref.startswith("refs/") and problem:
        word = ref
    elif commit:
        return "", "a commit needs the name of its branch or pull request in front"
    elif problem:
        return "", problem
    elif is_same:
        if branch == source.branch:
            return "", ""
        word = f"refs/heads/{with_defaults(branch, known)}"
    else:
        word = "" if branch == f"${{{VERSION}}}" else with_defaults(branch, known)
    return (word if is_same else f"{url} {word}".strip()), ""
