"""What the code of a stack consists of, as text: two stacks with the same text install the same databases."""

from __future__ import annotations

import hashlib

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.parallel import parallel_map


def source_state(paths: ProjectPaths, observed: RenderedState) -> str:
    """What the repositories consist of: the image where it has the sources, else each checkout with local changes.

    The project's own repository is not included.
    """
    if not observed.scenario.mounts:
        return docker.image_id(observed.image)
    states = parallel_map(paths, lambda name: _checkout_state(paths, name), _checkouts(observed))
    return "\0".join([*states, files.sha256(b"\0".join(observed.stack.locks))])


def refresh_indexes(paths: ProjectPaths, observed: RenderedState) -> None:
    """Let git record that files are unchanged: it reads again those that are as new as its index, all of a checkout just made."""
    if observed.scenario.mounts:
        words = ("update-index", "-q", "--refresh")
        parallel_map(paths, lambda name: git.run(paths.source(name), *words, check=False), _checkouts(observed))


def _checkouts(observed: RenderedState) -> list[str]:
    sources = observed.stack.resolution.ordered
    return [source.name for source in sources if source.kind != "developing" and not source.link.is_file]


def _checkout_state(paths: ProjectPaths, name: str) -> str:
    """The commit of a checkout, and a digest of its uncommitted changes."""
    checkout, env = paths.source(name), {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}
    head = git.run(checkout, "rev-parse", "HEAD", env=env, check=False).text.strip()
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    state = git.run(checkout, *words, env=env, check=False).text
    digest = hashlib.sha256(state.encode())
    for row in filter(None, state.split("\0")):
        digest.update(files.read(checkout / row[3:]) or b"" if (checkout / row[3:]).is_file() else b"")
    return f"{name} {head} {digest.hexdigest() if state else 'clean'}"
