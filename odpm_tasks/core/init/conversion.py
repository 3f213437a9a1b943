"""What all converters share: their result, variables, links that can be carried over and the words for those that cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from odpm_tasks.core.config.interpolation import escape, expand, references
from odpm_tasks.core.init.new_project import ProjectDraft, dependency
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.checks import conf_problems
from odpm_tasks.core.sources.link import masked
from odpm_tasks.errors import DescriptionError

VERSION = "ODOO_VERSION"
_NAME = re.compile(r"\$\$|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)")
_SECRET = re.compile(r"passw|secret|token|api_?key|private_?key", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{7,39}")
_LOGINS = ("git", "oauth2", "x-access-token", "x-token-auth", "gitlab-ci-token")
_PLATFORMS = ("odoo", "ocb")
_OF_THE_MACHINE = {
    "gevent_port": "Odoo listens on 8072 inside; the port outside is GEVENT_PORT in .env",
    "longpolling_port": "Odoo listens on 8072 inside; the port outside is GEVENT_PORT in .env",
    "xmlrpc_port": "Odoo listens on 8069 inside; the port outside is ODOO_PORT in .env",
    "logfile": "it logs to its output: inv logs",
    "pidfile": "Docker keeps the process",
}


@dataclass(frozen=True)
class Conversion:
    """A stack as far as another tool's files tell it, and one line, with the reason, for each thing that is left over."""

    stack: ProjectDraft
    left_over: tuple[str, ...] = ()


def conversion(stack: ProjectDraft, lines: Iterable[str]) -> Conversion:
    """The result; whatever stood in the files, a line is one line, shows no password and is there once."""
    return Conversion(stack, tuple(dict.fromkeys(shown(line, most=400) for line in lines)))


@dataclass(frozen=True)
class RepositoryEntry:
    """One repository of another tool's file, reduced to what a link can say.

    `branch` empty: the one named like the Odoo version. `commit` empty: none.
    """

    name: str
    url: str
    branch: str = ""
    commit: str = ""

    @property
    def is_platform(self) -> bool:
        """Whether this is Odoo itself, by the folder it goes to or the repository's name."""
        last = re.split(r"[/:]", self.url.rstrip("/").removesuffix(".git"))[-1]
        return self.name.rpartition("/")[2].lower() in _PLATFORMS or last.lower() in _PLATFORMS

    def link(self, odoo: str) -> str:
        """As `odpm.json` writes it. Errors: DescriptionError where it cannot."""
        branch = self.branch or (odoo if self.commit else "")
        return dependency(" ".join(word for word in (self.url, branch, self.commit) if word))


def variables(text: str) -> str:
    """`$NAME`, as shells and Python's string.Template have it, in our spelling; everything else as it is."""
    return _NAME.sub(lambda found: f"${{{found['bare']}}}" if found["bare"] else found[0], text)


def literal(text: str) -> str:
    """A text without variables as a value of `odoo_conf`; a `$` is doubled only where it would be read as one."""
    return text if expand(text, lambda name: "", "") == text else escape(text)


def with_known(text: str, known: Mapping[str, str]) -> str:
    """The text's variables with what is known of them as their default, so that they stay variables and need no setting."""
    for name, value in known.items():
        text = text.replace(f"${{{name}}}", f"${{{name}:-{value}}}")
    return text


def read_ref(ref: str) -> tuple[str, str, str]:
    """Branch and commit of what git is asked to fetch, and the reason where a link cannot say it."""
    if re.fullmatch(r"[0-9a-fA-F]{40}", ref):
        return "", ref.lower(), ""
    if _HEX.fullmatch(ref) and re.search(r"\d", ref) and re.search(r"[a-f]", ref):
        return "", "", f"commit {ref} is short; write all 40 digits as the third word of the link"
    for prefix in ("refs/heads/", "refs/tags/"):
        ref = ref.removeprefix(prefix)
    if ref.startswith("refs/"):
        return "", "", f"{ref} is no branch; push it as one and write that into the link"
    return ref, "", ""


def read_url(url: str) -> tuple[str, str]:
    """An address without the words that only others need, and the reason where a secret stood in it and is left out."""
    url = re.sub(r"^git\+(?=(ssh|https?)://)", "", url)
    found = re.match(r"(https?://)([^/]*)@", url)
    if not found or _is_open(found[2]):
        return url, ""
    bare = found[1] + url[found.end() :]
    return bare, f"user and password of {bare} are not written into a committed file; " + (
        f"write {found[1]}${{TOKEN}}@… and TOKEN=… into .env"
    )


def _is_open(user: str) -> bool:
    """Whether a link's user and password give nothing away: variables without defaults, and logins that everybody has."""
    if any(reference.default is not None for reference in references(user)):
        return False
    name, colon, password = re.sub(r"\$\{\w+\}", "\0", user).partition(":")
    if not colon:
        return name in ("\0", *_LOGINS)
    return password == "\0" or (name == "\0" and password in ("", "x-oauth-basic"))  # noqa: S105


def refused(error: DescriptionError) -> str:
    """Why a link was refused, without what everybody knows."""
    return error.what.partition(" is refused: ")[2] or error.what


def shown(text: str, most: int = 100) -> str:
    """A piece of a file for a message: one line, not too long, without passwords in addresses."""

    def mask(found: re.Match[str]) -> str:
        return found[0] if _is_open(found[2]) else f"{found[1]}***@"

    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    line = re.sub(r"(\w://)([^/\s]*)@", mask, line)
    return line if len(line) <= most else line[: most - 1] + "…"


def shown_url(url: str) -> str:
    return masked(url) if "@" in url and not references(url) else url


def requirements(lines: list[str], where: str) -> tuple[list[str], list[str]]:
    """Requirements that a lock with hashes can hold, and lines for the others; comments and blank lines are neither."""
    kept, left = [], []
    for text in lines:
        line = re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
        if not line:
            continue
        if line.startswith("-"):
            left.append(f"{where}: {shown(line)}: an option of pip is not a requirement; write the packages themselves")
        elif re.match(r"[a-z+]+://", line) or " @ " in line:
            left.append(f"{where}: {shown(line)}: what comes from an address has no hash to lock; name its release")
        elif fault := f.requirement_fault(line):
            left.append(f"{where}: {fault}")
        else:
            kept.append(line)
    return kept, left


def packages(text: str, where: str) -> tuple[list[str], list[str]]:
    """Debian packages, one or several on a line, and lines for what is none."""
    kept, left = [], []
    for word in (word for line in text.splitlines() for word in line.split("#")[0].split()):
        try:
            TypeAdapter(f.DebianPackage).validate_python(word)
        except ValidationError:
            left.append(f"{where}: {shown(word)}: is not the name of a Debian package")
        else:
            kept.append(word)
    return list(dict.fromkeys(kept)), left


def conf(sections: Mapping[str, Mapping[str, str]], where: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Options for `odoo_conf`, and a line for each that is odpm's own, of the machine, secret or unfit. No value is shown."""
    kept = {section: dict(options) for section, options in sections.items()}
    left = []
    for problem in conf_problems(sections, ()):
        section, key = str(problem.path[0]), str(problem.path[-1])
        kept.get(section, {}).pop(key, None) if len(problem.path) > 1 else kept.pop(section, None)
        left.append(f"{where}: {key}: {problem.text}")
    for options in kept.values():
        for key, value in list(options.items()):
            if key in _OF_THE_MACHINE:
                left.append(f"{where}: {key}: {_OF_THE_MACHINE[key]}")
            elif _SECRET.search(key) and _is_plain_secret(value):
                name = key.upper()
                left.append(
                    f"{where}: {key}: a secret does not go into a committed file; "
                    f'write "{key}": "${{{name}}}" into odoo_conf and {name}=… into .env'
                )
            else:
                continue
            del options[key]
    return {section: options for section, options in kept.items() if options}, left


def _is_plain_secret(value: str) -> bool:
    return bool(value.strip()) and value.strip().lower() not in ("false", "none") and not references(value)


def settings_needed(stack: ProjectDraft, env: Mapping[str, str]) -> list[str]:
    """A line for each variable of the stack that `env`, what the new project's `.env` sets, does not hold."""
    values = (value for options in stack.odoo_conf.values() for value in options.values())
    names = [
        reference.name
        for text in (stack.platform, *stack.dependencies, *values)
        for reference in references(text)
        if reference.default is None
    ]
    wanted = [name for name in dict.fromkeys(names) if not env.get(name)]
    return [f"${{{name}}}: stays a variable of odpm.json; write {name}=… into .env" for name in wanted]
