"""Links to source trees: `url[ branch[ commit]]`, their identity and the folder names they get.

Accepted are `https://`, `http://`, `ssh://`, `git://`, `user@host:path` and `file:///absolute/path`. Everything else is
refused here, before any program sees it: a link may come from a repository that nobody of the team wrote.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn
from urllib.parse import unquote

from odpm_tasks.errors import DescriptionError

FORMS = "https://, http://, ssh://, git://, git@host:path or file:///absolute/path"
_DEFAULT_PORT = {"https": "443", "http": "80", "ssh": "22", "git": "9418"}
_BLANK = " \t\r\n"

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(
    rf"(?P<scheme>https?|ssh|git)://(?:(?P<user>[^/]*)@)?(?P<host>{_HOST})(?::(?P<port>\d*))?/(?P<path>.*)"
)
_SCP = re.compile(rf"(?P<user>[A-Za-z0-9][A-Za-z0-9._-]*)@(?P<host>{_HOST}):(?P<path>.*)")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_LONGEST = 180  # bytes of a folder's name
_COMMIT = re.compile(r"[0-9a-fA-F]{40}")
_ODD_IN_PATH = re.compile(r"[\\\"'`<>^{}()|*;&$]")
_ODD_IN_BRANCH = re.compile(r"[~^:?*\[\\]|\.\.|//|@\{|/\.|\.lock(?:/|$)")


@dataclass(frozen=True, slots=True)
class Link:
    """One source tree somebody asked for: what to clone, and from where on.

    `url` is as written, scheme in lower case; it may carry a user and a password, so show `without_credentials(url)`.
    `branch` None: the branch named like the Odoo version. `commit`: 40 lower-case hex digits. `variables`: of this machine,
    that were expanded in it.
    """

    url: str
    branch: str | None = None
    commit: str | None = None
    variables: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def canonical(self) -> str:
        return canonical(self.url)

    @property
    def is_file(self) -> bool:
        return self.url.startswith("file://")

    @property
    def path(self) -> str:
        """The folder of a `file://` link (`%20` and its like decoded); empty for every other link."""
        return _file_path(self.url) if self.is_file else ""

    @property
    def name(self) -> str:
        """Last part of the path without `.git`, fit to be a folder name."""
        return _folder(self._parts[-1])

    @property
    def owner(self) -> str:
        """The part of the path before the name; the host where the path has only one part."""
        parts = self._parts
        return _folder(parts[-2]) if len(parts) > 1 else _folder(self.host)

    @property
    def _parts(self) -> list[str]:
        text = self.path if self.is_file else self.canonical.removeprefix("https://").partition("/")[2]
        return [part for part in text.removesuffix(".git").split("/") if part]

    @property
    def host(self) -> str:
        """Where it leads, with the port; `file` for a folder of this machine."""
        return "file" if self.is_file else self.canonical.removeprefix("https://").partition("/")[0]

    def __str__(self) -> str:
        """As one would write it in `odpm.json`, credentials left out."""
        return " ".join(word for word in (without_credentials(self.url), self.branch, self.commit) if word)


def parse_link(text: str, shown: str = "") -> Link:
    """Read `url[ branch[ commit]]`, its variables already expanded.

    Raises DescriptionError with the reason. The message never shows what stands before an `@`; with `shown`, the text before
    its variables were expanded, nor what they hold.
    """
    odd, words, text = _odd_character(text), text.split(), shown or text
    if odd:
        _refuse(text, f"it contains {odd}")
    if not words:
        raise DescriptionError("a link is empty", todo="write URL[ BRANCH[ COMMIT]]")
    url = _checked_url(words[0], text)
    if len(words) > 3:
        _refuse(text, "it has more than three words: URL[ BRANCH[ COMMIT]]")
    branch, commit = [*words[1:], None, None][:2]
    if branch is not None:
        _check_branch(branch, text)
    if commit is not None:
        if not _COMMIT.fullmatch(commit):
            _refuse(text, "its third word is not a commit of 40 hex digits")
        if url.startswith("file://"):
            _refuse(text, "file:// is used in place and never moved to a commit")
        commit = commit.lower()
    return Link(url, branch, commit)


@lru_cache(4096)
def canonical(url: str) -> str:
    """The identity of a repository, not an address to clone from.

    No user, no trailing `/` or `.git`, host in lower case, the scheme's default port left out, case of the path kept; every
    remote form as `https://host/path`. A `file://` URL or an absolute path becomes `file:///path` with `.` and `..`
    resolved (`.git` stays: it is part of the folder's name). Idempotent; never raises, so that it can be asked about the
    remote of any checkout.
    """
    url = url.strip()
    if url[:8].lower() == "file:///" or url.startswith("/"):
        path = url[7:] if url[:7].lower() == "file://" else url
        return "file://" + posixpath.normpath("/" + path.lstrip("/"))
    found = _split(url)
    if found is None:
        return url
    scheme, host, port, path = found
    # The result reads as https, so 443 has to go whatever the scheme was: canonical() of it must give itself.
    tail = f":{port}" if port and port not in (_DEFAULT_PORT[scheme], "443") else ""
    return f"https://{host.rstrip('.').lower()}{tail}/{_bare_path(path)}"


def without_credentials(url: str) -> str:
    """The address without its secrets: no password, and no user but ssh's login name.

    For messages and for a checkout's remote. The lock stores `canonical()`, which has no user at all.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() == "file":
        return url
    authority, slash, path = rest.partition("/")
    user, _, host = authority.rpartition("@")
    login = user.partition(":")[0]
    keep = f"{login}@" if login and scheme.lower() == "ssh" else ""
    return f"{scheme}://{keep}{host}{slash}{path}"


def masked(text: str) -> str:
    """Text that was meant as a link, fit for a message: nothing before an `@` or after a `?` is shown."""
    text = "".join(char if char.isprintable() else " " for char in text).strip()
    if not re.match(r"git@[^@]*$", text):  # the one login name that is no secret
        text = re.sub(r"^((?:\w+::)?[A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1***@", text)
    return re.sub(r"[?].*", "?***", text)


def source_names(links: Iterable[Link]) -> dict[str, str]:
    """Canonical URL -> name of its folder under `.odpm/src`.

    The last part of the path; where two repositories would get the same name (on a file system that ignores case, too) all
    of them get their owner in front, then the host, at last a hash. The order of the links has no influence.
    """
    choices = {link.canonical: _name_choices(link) for link in links}
    level = dict.fromkeys(choices, 0)
    while True:
        taken = defaultdict(list)
        for url, names in choices.items():
            taken[names[level[url]].casefold()].append(url)
        clashing = [url for urls in taken.values() if len(urls) > 1 for url in urls]
        risers = [url for url in clashing if level[url] < len(choices[url]) - 1]
        if not risers:
            return {url: names[level[url]] for url, names in choices.items()}
        for url in risers:
            level[url] += 1


def _name_choices(link: Link) -> tuple[str, ...]:
    name, owned = _short(link.name), _short(f"{link.owner}-{link.name}")
    digest = hashlib.sha256(link.canonical.encode()).hexdigest()[:8]
    return name, owned, _short(f"{_folder(link.host)}-{owned}"), f"{owned}-{digest}"


def _short(name: str) -> str:
    """So much of a name as fits a folder of any file system, with what we put around it."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


def _folder(part: str) -> str:
    """A path part as a folder name that needs no quoting anywhere."""
    name = re.sub(r"[^\w.+-]", "-", unquote(part)).lstrip("-")
    return name if name.strip(".") and name != ".git" else "_"


def _file_path(url: str) -> str:
    return posixpath.normpath(unquote(url[7:]))


def _split(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, host, port and path of a remote address; None where it has no form we know."""
    scheme, separator, rest = url.partition("://")
    if match := _URL.fullmatch(f"{scheme.lower()}{separator}{rest}"):
        return match["scheme"], match["host"], match["port"] or "", match["path"]
    if not separator and (match := _SCP.fullmatch(url)):
        return "ssh", match["host"], "", match["path"]
    return None


def _bare_path(path: str) -> str:
    path = re.sub(r"/{2,}", "/", path).strip("/")
    while path.endswith(".git"):
        path = path.removesuffix(".git").rstrip("/")
    return path


def _checked_url(url: str, text: str) -> str:
    if url.startswith("-"):
        _refuse(text, "it begins with `-`, like an option")
    if _HELPER.match(url):
        _refuse(text, "it would make git run a program (`helper::`)")
    scheme = _SCHEME.match(url)
    if scheme:
        name = scheme["scheme"].lower()
        if name != "file" and name not in _DEFAULT_PORT:
            _refuse(text, f"`{name}://` is none of {FORMS}")
        url = f"{name}://{url[scheme.end() :]}"
        if name == "file":
            return _checked_file(url, text)
    elif not _SCP.fullmatch(url):
        relative = url.startswith(".") or "/" in url.partition(":")[0]
        _refuse(text, f"it is a path, not {FORMS}" if relative else f"it is none of {FORMS}")
    _check_remote(url, text)
    return url


def _checked_file(url: str, text: str) -> str:
    raw = url[7:]
    if not raw.startswith("/") or raw.startswith("//"):
        _refuse(text, "file:// needs an absolute path and no host: file:///path")
    path = _file_path(url)
    if path == "/":
        _refuse(text, "file:// names the whole file system")
    if odd := _odd_character(path, blank=" "):
        _refuse(text, f"its path contains {odd}")
    return url


def _check_remote(url: str, text: str) -> None:
    found = _split(url)
    if found is None:
        _refuse(text, "its host, port or path cannot be read: SCHEME://HOST[:PORT]/PATH")
    _, host, port, path = found
    login = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if login.startswith("-"):
        _refuse(text, "its user begins with `-`, like an option")
    if hidden := _odd_character(unquote(f"{login}/{path}"), blank=" "):
        _refuse(text, f"it contains {hidden}")
    if port and not 0 < int(port[:6]) < 65536:
        _refuse(text, "its port is not between 1 and 65535")
    if "?" in path or "#" in path:
        _refuse(text, "a repository's address has no `?` and no `#`")
    if odd := _ODD_IN_PATH.search(path):
        _refuse(text, f"its path contains `{odd[0]}`")
    if path.startswith("-"):
        _refuse(text, "its path begins with `-`, like an option")
    if {".", ".."} & set(unquote(path).split("/")):
        _refuse(text, "its path contains `.` or `..`")
    if ".." in host or not _bare_path(path):
        _refuse(text, "it names no repository on its host" if ".." not in host else "its host cannot be read")


def _check_branch(branch: str, text: str) -> None:
    """The rules of `git check-ref-format`, as far as they can be told from the name."""
    if branch.startswith("-"):
        _refuse(text, "its branch begins with `-`, like an option")
    if _COMMIT.fullmatch(branch):
        _refuse(text, "its second word is a commit: write URL BRANCH COMMIT")
    if _ODD_IN_BRANCH.search(branch) or branch[0] in "/." or branch[-1] in "/." or branch == "@":
        _refuse(text, "its second word cannot be the name of a branch")


def _odd_character(text: str, blank: str = _BLANK) -> str:
    """Name of the first character that is invisible or not ours to interpret; empty where there is none."""
    for char in text:
        category = unicodedata.category(char)
        if char not in blank and (category[0] == "C" or category[0] == "Z"):
            kind = "a control character" if category == "Cc" else "an invisible character"
            return f"{kind} (U+{ord(char):04X})"
    return ""


def _refuse(text: str, reason: str) -> NoReturn:
    shown = masked(text)
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    raise DescriptionError(f"link `{shown}` is refused: {reason}", todo="write URL[ BRANCH[ COMMIT]]")
