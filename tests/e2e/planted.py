"""Trees that no git would make: built entry by entry, as whoever serves a repository can build them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.failures import WEB, Workspace
from tests.e2e.harness import git

FILE, PROGRAM, LINK, SUBMODULE, FOLDER = "100644", "100755", "120000", "160000", "40000"
GOOD = {b"good/__manifest__.py": (FILE, b"{}\n")}
Entries = Mapping[bytes, tuple[str, bytes]]  # path -> mode and content (of a submodule: its commit)


def write(repo: Path, kind: str, data: bytes) -> str:
    words = ["git", "hash-object", "-w", "--literally", "-t", kind, "--stdin"]
    return subprocess.run(words, cwd=repo, input=data, capture_output=True, check=True).stdout.decode().strip()


def tree(repo: Path, rows: list[tuple[str, bytes, str]]) -> str:
    """A tree of exactly these entries (mode, name, id), whatever git thinks of them."""
    rows = sorted(rows, key=lambda row: row[1] + (b"/" if row[0] == FOLDER else b""))
    return write(repo, "tree", b"".join(m.encode() + b" " + name + b"\0" + bytes.fromhex(i) for m, name, i in rows))


def grow(repo: Path, entries: Entries) -> str:
    """The tree of some files, with its subtrees."""
    rows: list[tuple[str, bytes, str]] = []
    below: dict[bytes, dict[bytes, tuple[str, bytes]]] = {}
    for path, (mode, data) in entries.items():
        top, slash, rest = path.partition(b"/")
        if slash:
            below.setdefault(top, {})[rest] = (mode, data)
        else:
            rows.append((mode, top, data.decode() if mode == SUBMODULE else write(repo, "blob", data)))
    return tree(repo, rows + [(FOLDER, name, grow(repo, inner)) for name, inner in below.items()])


def commit(repo: Path, tree_id: str, message: bytes = b"x", parent: str = "") -> str:
    """Let the branch be one commit of a tree; its message is also the name of its author. Returns the id."""
    who = (
        (message.replace(b"\n", b" ") + b" <t@t> 1758153600 +0000") if message != b"x" else b"t <t@t> 1758153600 +0000"
    )
    before = f"parent {parent}\n".encode() if parent else b""
    head = b"tree " + tree_id.encode() + b"\n" + before + b"author " + who + b"\ncommitter " + who + b"\n\n"
    found = write(repo, "commit", head + message + b"\n")
    git("update-ref", "refs/heads/19.0", found, cwd=repo)
    return found


def plant(workspace: Workspace, entries: Entries, repository: str = WEB) -> str:
    """Let a repository's branch be one commit with these entries and a good add-on."""
    repo = workspace.host / repository
    return commit(repo, grow(repo, {**GOOD, **entries}))
