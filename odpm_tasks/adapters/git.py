"""The door to git: small questions and small acts, no decisions.

A *store* is a bare repository of the shared cache that holds, without history, the commits somebody asked for; each is
kept by a ref `refs/odpm/commits/ID`. A *checkout* is a working tree that borrows the store's objects (alternates) and
remembers in `refs/odpm/base` which commit we put there, so that whatever else is in it is known to be the user's.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import CommitGoneError, DescriptionError, OdpmError, ProgramError

_COMMIT = re.compile(r"[0-9a-f]{40}")
QUIET = (
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
    plain = _without_login(url)
    for prefix, target in mirrors:
        if plain.startswith(prefix):
            url = target + plain[len(prefix) :]
            break
    env = {"LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
    secrets: tuple[str, ...] = ()
    if not sys.stdin.isatty():
        env["GIT_TERMINAL_PROMPT"] = "0"
    batch = " -o BatchMode=yes" if not sys.stdin.isatty() else ""
    if ssh_key:
        env["GIT_SSH_COMMAND"] = f"ssh -i {shlex.quote(ssh_key)} -o IdentitiesOnly=yes{batch}"
    elif batch and "GIT_SSH_COMMAND" not in os.environ:
        env["GIT_SSH_COMMAND"] = f"ssh{batch}"
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        user, _, password = unquote(parts.netloc.rpartition("@")[0]).partition(":")
        url = _without_login(url)
        if password or _is_token(user):
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            secrets = tuple(word for word in (password or user, token) if word)
            setting = (f"http.{url}.extraHeader", f"Authorization: Basic {token}")
        else:
            setting = (f"credential.{url}.username", user)  # the password is the credential helper's business
        number = int(os.environ.get("GIT_CONFIG_COUNT") or "0")
        env["GIT_CONFIG_COUNT"] = str(number + 1)
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = setting
    return Remote(url, env, secrets)


def _without_login(url: str) -> str:
    """An http(s) address without user and password; any other as it is."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url


def _is_token(user: str) -> bool:
    """Whether a user name without a password is an access token (they are long; people's names are not)."""
    return len(user) >= 20


def holds(store: Path, commit: str) -> bool:
    """Whether the store holds this commit whole."""
    return _ref(store, f"refs/odpm/commits/{commit}") is not None


def _ref(git_dir: Path, name: str) -> str | None:
    """What a ref of ours points to, loose or packed (a `git gc` of the user's packs them); None where there is none."""
    loose = files.read(git_dir / name)
    if loose is not None:
        return loose.decode(errors="replace").strip()
    packed = files.read(git_dir / "packed-refs")
    for line in packed.decode(errors="replace").splitlines() if packed else ():
        commit, _, found = line.partition(" ")
        if found == name:
            return commit
    return None


def fetch(store: Path, source: Remote, wanted: str, on_line: Callable[[str], None] | None = None) -> str:
    """Bring a branch, a tag or a full commit id into the store without its history; return the commit's id.

    One request in the common case: a name is asked as a branch first, then as a tag. One writer per store at a time.
    """
    with files.exclusive(store.with_name(store.name + ".lock"), f"the cache of {source.url}", wait=_HANGS):
        if _COMMIT.fullmatch(wanted) and holds(store, wanted):
            return wanted
        if not (store / "HEAD").exists():
            create_store(store)
        incoming = "refs/odpm/incoming"
        for stale in ("shallow.lock", f"{incoming}.lock"):  # of a machine that went down; we hold the store
            (store / stale).unlink(missing_ok=True)
        names = (wanted,) if _COMMIT.fullmatch(wanted) else (f"refs/heads/{wanted}", f"refs/tags/{wanted}")
        for position, name in enumerate(names):
            outcome = command.run(
                ["git", *QUIET, "-c", "fetch.unpackLimit=1", "-C", str(store), "fetch", "--progress", "--no-tags",
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
    files.write(kept, f"{commit}\n".encode(), derived=True)
    incoming.unlink()
    return commit


def create_store(store: Path) -> None:
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
    everything = outcome.stderr.decode(errors="replace")
    if _COMMIT.fullmatch(wanted) and ("not our ref" in everything or "no such remote ref" in everything.lower()):
        name = url.rstrip("/").removesuffix(".git").rpartition("/")[2]
        return CommitGoneError(
            f"{url} does not give the commit {wanted[:12]} (any more); its branch may have been rewritten",
            todo=f"take what is there now: inv lock --update --only {name}",
        )
    said = [line for line in error.details if line.startswith(("fatal:", "remote:", "ssh:", "error:", "Host key"))]
    return ProgramError(
        f"cannot fetch {wanted[:12] if _COMMIT.fullmatch(wanted) else wanted} of {url}",
        details=said or error.details,
        todo=f"see whether git reaches it: git ls-remote {url}",
    )


def commit_at(store: Path, source: Remote, branch: str, day: str) -> str:
    """The branch's last commit before the end of `day` (YYYY-MM-DD, UTC), asked without fetching any file.

    A month of history is asked first; only where the branch was quiet for that long, all of it.
    """
    with files.exclusive(store.with_name(store.name + ".dates.lock"), f"the cache of {source.url}", wait=_HANGS):
        dates = store.with_name(store.name + ".dates")
        if not (dates / "HEAD").exists():
            create_store(dates)
        month_before = datetime.date.fromisoformat(day) - datetime.timedelta(days=30)
        found = ""
        if _fetch_history(dates, source, branch, f"--shallow-since={month_before}T00:00:00+0000").ok:
            found = _last_before(dates, day)
        if not found:
            outcome = _fetch_history(dates, source, branch, *(["--unshallow"] if (dates / "shallow").exists() else []))
            if not outcome.ok:
                missing = "couldn't find remote ref" in outcome.stderr.decode(errors="replace")
                raise _refusal(outcome, source, branch, missing)
            found = _last_before(dates, day)
        if not found:
            raise ProgramError(
                f"{command.redact(source.url)} has no commit on {branch} before the end of {day}",
                todo="choose a later platform.build_date",
            )
        return found


def _fetch_history(dates: Path, source: Remote, branch: str, *depth: str) -> command.Outcome:
    words = ["fetch", "--no-tags", "--no-write-fetch-head", "--filter=tree:0", *depth]
    return command.run(
        ["git", *QUIET, "-C", str(dates), *words, source.url, f"+refs/heads/{branch}:refs/odpm/branch"],
        env=source.env,
        check=False,
        timeout=_HANGS,
    )


def _last_before(dates: Path, day: str) -> str:
    words = ["rev-list", "-1", f"--before={day}T23:59:59+0000", "refs/odpm/branch"]
    return command.run(["git", "-C", str(dates), *words], check=False).text.strip()


def ask(repository: Path, *words: str) -> str:
    """One question to git about a repository, answered as stripped text."""
    return command.run(["git", *QUIET, "-C", str(repository), *words]).text.strip()


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


def texts(store: Path, commit: str, patterns: Sequence[str]) -> dict[str, bytes]:
    """The content of every file of a commit that a pattern names (git's glob pathspecs), in one process.

    Lines end in a newline each, also the last; a file without any line is left out.
    """
    specs = [f":(glob,top){pattern}" for pattern in patterns]
    words = ["grep", "--text", "--null", "--line-number", "--no-color", "--full-name", "-e", "", commit, "--", *specs]
    outcome = command.run(["git", "-c", "grep.threads=1", "-C", str(store), *words], check=False)
    if outcome.code > 1:
        raise command.failure(outcome)
    found: dict[str, list[bytes]] = {}
    for line in outcome.stdout.split(b"\n"):
        place, _, rest = line.partition(b"\0")
        if rest:
            name = place.decode(errors="surrogateescape").partition(":")[2]
            found.setdefault(name, []).append(rest.partition(b"\0")[2] + b"\n")
    return {name: b"".join(lines) for name, lines in found.items()}


def blobs(store: Path, commit: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The bytes of files at a commit, by name; what is not there is left out."""
    paths = [path for path in wanted if "\n" not in path]
    feed = "".join(f"{commit}:{path}\n" for path in paths).encode(errors="surrogateescape")
    output = command.run(["git", "-C", str(store), "cat-file", "--batch"], feed=feed).stdout
    found: dict[str, bytes] = {}
    position = 0
    for path in paths:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        position = end + 1
        if len(header) != 3 or not header[2].isdigit():  # "… missing" has no content
            continue
        size = int(header[2])
        if header[1] == b"blob":
            found[path] = output[position : position + size]
        position += size + 1
    return found


def head(checkout: Path) -> Head | None:
    """What a checkout stands on, read from its files where possible; None where it is no git working tree."""
    text = files.read(checkout / ".git" / "HEAD") if (checkout / ".git").is_dir() else None
    if text is None:
        return None
    based = _ref(checkout / ".git", "refs/odpm/base")
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
