"""The door to git: small questions and small acts, no decisions.

A *store* is a bare repository of the shared cache that holds, without history, the commits somebody asked for; each is
kept by a ref `refs/odpm/commits/ID`. A *checkout* is a working tree that borrows the store's objects (alternates) and
remembers in `refs/odpm/base` which commit we put there, so that whatever else is in it is known to be the user's.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError, WouldLoseError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_QUIET = (
    "-c",
    "advice.detachedHead=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "core.hooksPath=/dev/null",
)
_HANGS = 600.0


@dataclass(frozen=True)
class Remote:
    """Where to fetch from: the address without password, and what git must know to get in (by environment only)."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Head:
    """What a checkout stands on: `branch` is None when detached; `base` is the commit we put there."""

    commit: str | None
    branch: str | None
    base: str | None


def remote(url: str, *, mirrors: Sequence[tuple[str, str]] = (), ssh_key: str | None = None) -> Remote:
    """The remote for a link's address: the first fitting mirror prefix applied, user and password moved to a header."""
    for prefix, target in mirrors:
        if url.startswith(prefix):
            url = target + url[len(prefix) :]
            break
    env = {"LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
    secrets: tuple[str, ...] = ()
    if not sys.stdin.isatty():
        env["GIT_TERMINAL_PROMPT"] = "0"
    batch = " -o BatchMode=yes" if not sys.stdin.isatty() else ""
    if ssh_key:
        env["GIT_SSH_COMMAND"] = f"ssh -i '{ssh_key}' -o IdentitiesOnly=yes{batch}"
    elif batch and "GIT_SSH_COMMAND" not in os.environ:
        env["GIT_SSH_COMMAND"] = f"ssh{batch}"
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        login, host = parts.netloc.rsplit("@", 1)
        url = urlunsplit(parts._replace(netloc=host))
        user, _, password = unquote(login).partition(":")
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        number = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
        env |= {
            "GIT_CONFIG_COUNT": str(number + 1),
            f"GIT_CONFIG_KEY_{number}": f"http.{url}.extraHeader",
            f"GIT_CONFIG_VALUE_{number}": f"Authorization: Basic {token}",
        }
        secrets = tuple(word for word in (password, token) if word)
    return Remote(url, env, secrets)


def holds(store: Path, commit: str) -> bool:
    """Whether the store holds this commit whole."""
    return (store / "refs/odpm/commits" / commit).is_file()


def fetch(store: Path, source: Remote, wanted: str, on_line: Callable[[str], None] | None = None) -> str:
    """Bring a branch, a tag or a full commit id into the store without its history; return the commit's id.

    One request in the common case: a name is asked as a branch first, then as a tag. One writer per store at a time.
    """
    with files.exclusive(store.with_name(store.name + ".lock"), f"the cache of {source.url}", wait=_HANGS):
        if _COMMIT.fullmatch(wanted) and holds(store, wanted):
            return wanted
        if not (store / "HEAD").exists():
            _create_store(store)
        incoming = "refs/odpm/incoming"
        names = (wanted,) if _COMMIT.fullmatch(wanted) else (f"refs/heads/{wanted}", f"refs/tags/{wanted}")
        for position, name in enumerate(names):
            outcome = command.run(
                ["git", *_QUIET, "-c", "fetch.unpackLimit=1", "-C", str(store), "fetch", "--progress", "--no-tags",
                 "--no-write-fetch-head", "--depth=1", source.url, f"+{name}:{incoming}"],
                env=source.env, check=False, timeout=_HANGS, on_line=on_line,
            )  # fmt: skip
            if outcome.ok:
                break
            missing = "couldn't find remote ref" in outcome.stderr.decode(errors="replace")
            if not missing or position == len(names) - 1:
                raise _refusal(outcome, source, wanted, missing)
        return _keep(store, store / incoming, annotated=name.startswith("refs/tags/"))


def _keep(store: Path, incoming: Path, *, annotated: bool) -> str:
    """Name what has just come by its commit. Refs are files here: a process for each would cost more than the fetch."""
    commit = incoming.read_text(encoding="ascii").strip()
    if annotated:
        commit = ask(store, "rev-parse", "--verify", f"{commit}^{{commit}}")
    kept = store / "refs/odpm/commits" / commit
    files.write(kept, f"{commit}\n".encode())
    incoming.unlink()
    return commit


def _create_store(store: Path) -> None:
    with files.disk_errors(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        fresh = store.with_name(f".{store.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        # what `git init --bare` makes (gitrepository-layout), without a process for each of sixty repositories
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (fresh / folder).mkdir(parents=True)
        (fresh / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n", encoding="ascii"
        )
        (fresh / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        shutil.rmtree(store, ignore_errors=True)
        fresh.rename(store)


def _refusal(outcome: command.Outcome, source: Remote, wanted: str, missing: bool) -> OdpmError:
    error = command.failure(outcome, source.secrets)
    if not isinstance(error, ProgramError):
        return error
    url = command.redact(source.url)
    if missing:
        return ProgramError(
            f"{url} has no branch or tag {wanted!r}", todo=f"choose one of its branches: git ls-remote --heads {url}"
        )
    said = [line for line in error.details if line.startswith(("fatal:", "remote:", "ssh:", "error:", "Host key"))]
    return ProgramError(
        f"cannot fetch {wanted[:12] if _COMMIT.fullmatch(wanted) else wanted} of {url}",
        details=said or error.details,
        todo=f"see whether git reaches it: git ls-remote {url}",
    )


def commit_at(store: Path, source: Remote, branch: str, day: str) -> str:
    """The branch's last commit before the end of `day` (YYYY-MM-DD, UTC), asked without fetching any file."""
    with files.exclusive(store.with_name(store.name + ".dates.lock"), f"the cache of {source.url}", wait=_HANGS):
        dates = store.with_name(store.name + ".dates")
        if not (dates / "HEAD").exists():
            _create_store(dates)
        since = f"--shallow-since={day}T00:00:00+0000"
        for depth in (since, None):  # a day without commits needs what came before it
            words = [depth] if depth else ["--unshallow"]
            fetched = command.run(
                ["git", *_QUIET, "-C", str(dates), "fetch", "--no-tags", "--no-write-fetch-head", "--filter=tree:0", *words,
                 source.url, f"+refs/heads/{branch}:refs/odpm/branch"],
                env=source.env, check=False, timeout=_HANGS,
            )  # fmt: skip
            found = command.run(
                ["git", "-C", str(dates), "rev-list", "-1", f"--before={day}T23:59:59+0000", "refs/odpm/branch"],
                check=False,
            )
            if found.ok and found.text.strip():
                return found.text.strip()
        raise (
            _refusal(fetched, source, branch, "couldn't find remote ref" in fetched.stderr.decode(errors="replace"))
            if (not fetched.ok)
            else ProgramError(
                f"{command.redact(source.url)} has no commit on {branch} before the end of {day}",
                todo="choose a later platform.build_date",
            )
        )


def ask(repository: Path, *words: str) -> str:
    """One question to git about a repository, answered as stripped text."""
    return command.run(["git", *_QUIET, "-C", str(repository), *words]).text.strip()


def tracked(checkout: Path, without: Sequence[str]) -> str | None:
    """40 hex digits over names, modes and content of HEAD's files, some left out; None where nothing is committed.

    The same for the same content, whatever commit holds it and however much history was cloned.
    """
    outcome = command.run(["git", "-C", str(checkout), "ls-tree", "-r", "-z", "--full-tree", "HEAD"], check=False)
    if not outcome.ok:
        return None
    left_out = {name.encode() for name in without}
    kept = [entry for entry in outcome.stdout.split(b"\0") if entry and entry.partition(b"\t")[2] not in left_out]
    return hashlib.sha1(b"\0".join(kept), usedforsecurity=False).hexdigest()


def folder_id(checkout: Path, folder: str) -> str:
    """The id of a folder's committed content at HEAD ("" is the root). Errors: DescriptionError where nothing is committed."""
    outcome = command.run(["git", "-C", str(checkout), "rev-parse", "--verify", "-q", f"HEAD:{folder}"], check=False)
    if not outcome.ok:
        raise DescriptionError(
            f"{folder or 'the project'} is not committed to git, and an image is made of commits",
            where=str(checkout),
            todo=f"git add {folder or '.'} && git commit",
        )
    return outcome.text.strip()


def names(store: Path, commit: str) -> tuple[str, ...]:
    """Every file of a commit, as `/`-separated names."""
    outcome = command.run(["git", "-C", str(store), "ls-tree", "-r", "-z", "--name-only", commit])
    return tuple(name for name in outcome.stdout.decode(errors="surrogateescape").split("\0") if name)


def blobs(store: Path, commit: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The bytes of files at a commit, by name; what is not there is left out."""
    paths = list(wanted)
    feed = "".join(f"{commit}:{path}\n" for path in paths).encode(errors="surrogateescape")
    output = command.run(["git", "-C", str(store), "cat-file", "--batch"], feed=feed).stdout
    found: dict[str, bytes] = {}
    position = 0
    for path in paths:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        position = end + 1
        if header[-1] == b"missing" or len(header) != 3 or header[1] != b"blob":
            continue
        size = int(header[2])
        found[path] = output[position : position + size]
        position += size + 1
    return found


def head(checkout: Path) -> Head | None:
    """What a checkout stands on, read from its files where possible; None where it is no git working tree."""
    text = files.read(checkout / ".git" / "HEAD") if (checkout / ".git").is_dir() else None
    if text is None:
        return None
    base = files.read(checkout / ".git/refs/odpm/base")
    based = base.decode().strip() if base else None
    word = text.decode(errors="replace").strip()
    if _COMMIT.fullmatch(word):
        return Head(word, None, based)
    outcome = command.run(["git", "-C", str(checkout), "rev-parse", "--verify", "-q", "HEAD"], check=False)
    return Head(outcome.text.strip() or None, word.removeprefix("ref: refs/heads/"), based)


def origin(checkout: Path) -> str | None:
    """The address of `origin` as configured (before any insteadOf), None where there is none."""
    outcome = command.run(["git", "-C", str(checkout), "config", "--get", "remote.origin.url"], check=False)
    return outcome.text.strip() or None


def changes(checkout: Path) -> tuple[str, ...]:
    """Local changes of tracked files, one `XY path` each, as `git status --porcelain` has them."""
    outcome = command.run(
        ["git", "-C", str(checkout), "status", "--porcelain", "--untracked-files=no", "--ignore-submodules"]
    )
    return tuple(line for line in outcome.text.splitlines() if line)


def place(checkout: Path, store: Path, commit: str, url: str) -> None:
    """Put a commit into `checkout`: a new one appears at once and whole, an existing one moves only if nothing is lost.

    Errors: WouldLoseError when something of the user's is in the way.
    """
    if checkout.exists():
        _move(checkout, store, commit)
        return
    fresh = checkout.with_name(f".{checkout.name}.{os.getpid()}")
    with files.disk_errors(checkout):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        command.run(["git", "init", "--quiet", "--template=", str(fresh)])
        _borrow(fresh, store, commit)
        for key, value in (("remote.origin.url", url), ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")):
            command.run(["git", "-C", str(fresh), "config", key, value])
        _switch(fresh, commit)
        fresh.rename(checkout)


def in_the_way(path: Path) -> WouldLoseError:
    return WouldLoseError(
        "a foreign folder is in the place of a checkout", where=str(path), todo=f"mv {path} elsewhere"
    )


def _move(checkout: Path, store: Path, commit: str) -> None:
    now = head(checkout)
    where = str(checkout)
    if now is None:
        raise in_the_way(checkout)
    if now.branch is not None:
        raise WouldLoseError(
            f"the checkout stands on your branch {now.branch!r}", where=where, todo=f"git -C {where} checkout --detach"
        )
    if now.commit != now.base:
        raise WouldLoseError(
            f"the checkout stands on a commit of your own, {str(now.commit)[:12]}",
            where=where,
            todo=f"keep it: git -C {where} branch keep-{str(now.commit)[:8]} && git -C {where} checkout {str(now.base)[:12]}",
        )
    if changed := changes(checkout):
        raise WouldLoseError(
            "the checkout has local changes",
            where=where,
            details=changed[:3],
            todo=f"keep them: git -C {where} stash; or drop them: git -C {where} checkout -- .",
        )
    _borrow(checkout, store, commit)
    _switch(checkout, commit)


def _borrow(checkout: Path, store: Path, commit: str) -> None:
    """Let a checkout use the store's objects; git does not borrow from a shallow store by itself."""
    alternates = checkout / ".git/objects/info/alternates"
    line = f"{store / 'objects'}\n"
    known = files.read_text(alternates) or ""
    if line not in known:
        files.write(alternates, (known + line).encode())
    shallow = checkout / ".git/shallow"
    boundary = set((files.read_text(shallow) or "").split())
    theirs = set((files.read_text(store / "shallow") or "").split())
    if commit in theirs and commit not in boundary:
        files.write(shallow, "".join(f"{name}\n" for name in sorted(boundary | {commit})).encode())


def _switch(checkout: Path, commit: str) -> None:
    outcome = command.run(
        ["git", *_QUIET, "-c", "checkout.workers=0", "-C", str(checkout), "checkout", "--quiet", "--detach", commit],
        check=False,
    )
    if not outcome.ok:
        if b"would be overwritten" in outcome.stderr:
            lines = [
                line.strip() for line in outcome.stderr.decode(errors="replace").splitlines() if line.startswith("\t")
            ]
            raise WouldLoseError(
                "files of yours are in the way of a checkout",
                where=str(checkout),
                details=lines[:3],
                todo="move them elsewhere",
            )
        raise command.failure(outcome)
    files.write(checkout / ".git/refs/odpm/base", f"{commit}\n".encode())


def export(store: Path, commit: str, target: Path) -> None:
    """Write a commit's files, and nothing of git, to a new folder; `.dockerignore` is left out (it would drop files)."""
    with files.disk_errors(target):
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        index = fresh.with_name(f"{fresh.name}.index")
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            command.run(["git", "-C", str(store), "read-tree", commit], env=env)
            command.run(
                ["git", *_QUIET, "-c", "checkout.workers=0", "-c", "core.bare=false", f"--git-dir={_git_dir(store)}",
                 f"--work-tree={fresh}", "checkout-index", "--all", "--force"],
                env=env, cwd=fresh,
            )  # fmt: skip
        finally:
            index.unlink(missing_ok=True)
        (fresh / ".dockerignore").unlink(missing_ok=True)
        fresh.rename(target)


def export_folders(checkout: Path, folders: Sequence[str], target: Path) -> None:
    """Write the committed content (HEAD) of some folders of a checkout to a new folder, at the same names."""
    tree = ask(checkout, "rev-parse", "HEAD^{tree}")
    with tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        command.run(["git", "-C", str(checkout), "read-tree", tree], env=env)
        listing = command.run(
            ["git", "-C", str(checkout), "ls-files", "-z", "--full-name", "--", *(f or "." for f in folders)], env=env
        )
        names_ = [name for name in listing.stdout.split(b"\0") if name and not name.startswith(b".odpm/")]
        target.mkdir(parents=True, exist_ok=True)
        command.run(
            ["git", *_QUIET, "-C", str(checkout), "checkout-index", "-z", "--stdin", "--force", f"--prefix={target}/"],
            env=env,
            feed=b"".join(name + b"\0" for name in names_),
        )


def _git_dir(repository: Path) -> Path:
    return repository / ".git" if (repository / ".git").exists() else repository


def hide(checkout: Path, names_to_hide: Sequence[str]) -> None:
    """Keep generated files out of `git status` through `.git/info/exclude`, never by editing a committed file."""
    outcome = command.run(["git", "-C", str(checkout), "rev-parse", "--git-path", "info/exclude"], check=False)
    if not outcome.ok:
        return
    path = checkout / outcome.text.strip()
    text = files.read_text(path) or ""
    missing = [name for name in names_to_hide if name not in text.splitlines()]
    if missing:
        files.write(
            path,
            (text + ("\n" if text and not text.endswith("\n") else "") + "".join(f"{m}\n" for m in missing)).encode(),
        )
