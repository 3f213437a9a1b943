"""Links to sources: `URL[ BRANCH[ COMMIT]]`, their canonical URL, and the names of their folders.

Accepted are `https://`, `http://`, `ssh://`, `git://`, `user@host:path` and `file:///absolute/path`. Everything else is
refused before it reaches a program, because a link may come from a repository that is not trusted.
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
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import unquote, urlsplit

from odpm_tasks.errors import DescriptionError

if TYPE_CHECKING:
    from odpm_tasks.core.sources.merges import MergeRequest

SourceKind = Literal["platform", "dependency", "developing"]  # what a source is in the stack

FORMS = "https://, http://, ssh://, git://, git@host:path or file:///absolute/path"
_DEFAULT_PORT = {"https": "443", "http": "80", "ssh": "22", "git": "9418"}
_BLANK = " \t\r\n"

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
_URL = re.compile(
    rf"(?P<scheme>https?|ssh|git)://(?:(?P<user>[^/?#\\\[\]]*)@)?(?P<host>{_HOST})(?::(?P<port>\d*))?/(?P<path>.*)"
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
    """One link to a source.

    `url` as written, with the scheme in lower case. It may contain a user and a password: show `without_credentials(url)`.
    `branch` None: the branch with the name of the Odoo version. `commit`: 40 lower-case hex digits. `variables`: the
    environment variables that were expanded in it. `merges`: what is merged onto it. `oca_dependencies`: whether
    `oca_dependencies.txt` of the repository is read.
    """

    url: str
    branch: str | None = None
    commit: str | None = None
    variables: frozenset[str] = field(default=frozenset(), compare=False)
    merges: tuple[MergeRequest, ...] = ()
    oca_dependencies: bool = True

    @property
    def canonical(self) -> str:
        return canonical(self.url)

    @property
    def is_file(self) -> bool:
        return self.url.startswith("file://")

    @property
    def path(self) -> str:
        """The folder of a `file://` link, percent-decoded; empty for every other link."""
        return _file_path(self.url) if self.is_file else ""

    @property
    def name(self) -> str:
        """The last part of the path without `.git`, as a valid folder name."""
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
        """The host with the port; `file` for a folder of this machine."""
        return "file" if self.is_file else self.canonical.removeprefix("https://").partition("/")[0]

    def __str__(self) -> str:
        """The link as in `odpm.json`, without credentials."""
        return " ".join(word for word in (without_credentials(self.url), self.branch, self.commit) if word)


def parse_link(text: str, shown: str = "") -> Link:
    """Parse `URL[ BRANCH[ COMMIT]]` after the expansion of variables.

    `shown`: the text before the expansion, for messages without the values. Errors: DescriptionError with the reason; its
    message never contains the part before an `@`.
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
    """The URL that identifies a repository; it is not necessarily the URL to clone from.

    Every remote form becomes `https://host/path`: no user, no trailing `/` or `.git`, the host in lower case, no default port
    of the scheme, the path in its case. A `file://` URL or an absolute path becomes `file:///path` with `.` and `..` resolved
    (`.git` is kept as a part of the folder name). Idempotent. Never raises, because it is applied to the remotes of any
    checkout.
    """
    url = url.strip()
    if url[:8].lower() == "file:///" or url.startswith("/"):
        path = url[7:] if url[:7].lower() == "file://" else url
        return "file://" + posixpath.normpath("/" + path.lstrip("/"))
    found = _split(url)
    if found is None:
        return url
    scheme, host, port, path = found
    # The result is an https URL, so port 443 is removed for every scheme: canonical() must be idempotent.
    tail = f":{port}" if port and port not in (_DEFAULT_PORT[scheme], "443") else ""
    return f"https://{host.rstrip('.').lower()}{tail}/{_bare_path(path)}"


def without_credentials(url: str) -> str:
    """The URL without a password and without a user, except the login name of ssh.

    For messages and for the remote of a checkout. The lock contains `canonical()`, which never has a user.
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
    """The text of an invalid link for a message: the parts before an `@` and after a `?` are replaced."""
    text = "".join(char if char.isprintable() else " " for char in text).strip()
    if not re.match(r"git@[^@]*$", text):  # the only login name that is not a secret
        text = re.sub(r"^((?:\w+::)?[A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1***@", text)
    return re.sub(r"[?].*", "?***", text)


def source_names(links: Iterable[Link]) -> dict[str, str]:
    """Canonical URL -> name of its folder under `.odpm/src`.

    The name is the last part of the path. Where several repositories would get the same name (without regard to case), all
    of them get the owner as a prefix, then the host, at last a hash. The result does not depend on the order of the links.
    """
    choices = {link.canonical: _name_choices(link) for link in links}
    level = dict.fromkeys(choices, 0)
    while True:
        taken = defaultdict(list)
        for url, names in choices.items():
            taken[unicodedata.normalize("NFC", names[level[url]]).casefold()].append(url)
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
    """The start of a name, short enough for any file system with our prefixes and suffixes."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


def _folder(part: str) -> str:
    """A part of a path as a folder name that needs no quotes in a shell."""
    name = re.sub(r"[^\w.+-]", "-", unquote(part)).lstrip("-")
    return name if name.strip(".") and name.lower() != ".git" else "_"


def _file_path(url: str) -> str:
    return posixpath.normpath(unquote(url[7:]))


def _split(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, host, port and path of a remote URL; None for an unknown form."""
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
    scheme, host, port, path = found
    if not _is_read_alike(url, scheme, f"{host}:{port}" if port else host):
        _refuse(text, "its host, port or path cannot be read: SCHEME://HOST[:PORT]/PATH")
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


def _is_read_alike(url: str, scheme: str, authority: str) -> bool:
    """Whether other programs find the same host in a URL: a link must not be fetched from a host other than its identity."""
    if not url.startswith(f"{scheme}://"):
        return True  # user@host:path
    try:
        return urlsplit(url).netloc.rpartition("@")[2].removesuffix(":") == authority
    except ValueError:  # no address of IPv6, or a character that stands for `/`, `?`, `#`, `@` or `:`
        return False


def _check_branch(branch: str, text: str) -> None:
    """The rules of `git check-ref-format` that depend on the name only."""
    if branch.startswith("-"):
        _refuse(text, "its branch begins with `-`, like an option")
    if _COMMIT.fullmatch(branch):
        _refuse(text, "its second word is a commit: write URL BRANCH COMMIT")
    if _ODD_IN_BRANCH.search(branch) or branch[0] in "/." or branch[-1] in "/." or branch == "@":
        _refuse(text, "its second word cannot be the name of a branch")


def _odd_character(text: str, blank: str = _BLANK) -> str:
    """The name of the first control or invisible character; empty without one."""
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
