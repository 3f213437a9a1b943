"""Shared by all converters: their result, and rules for variables, links and options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.config.interpolation import escape, expand, references
from odpm_tasks.core.init.new_project import ProjectDraft, dependency
from odpm_tasks.core.init.remarks import Importance, Remark, action, note, ordered
from odpm_tasks.core.manifest.checks import conf_problems
from odpm_tasks.core.sources.link import masked
from odpm_tasks.core.text import MAX_LENGTH, clean, cut
from odpm_tasks.errors import DescriptionError

VERSION = "ODOO_VERSION"
_NAME = re.compile(r"\$\$|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)")
_SECRET = re.compile(r"passw|(^|_)pass($|_)|secret|token|api_?key|private_?key|basicauth", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s:@]*:[^/\s@${]+@")
_HEX = re.compile(r"[0-9a-f]{7,39}")
_LOGINS = ("git", "oauth2", "x-access-token", "x-token-auth", "gitlab-ci-token")
_PLATFORMS = ("odoo", "ocb")
_OTHER_CONNECTIONS = re.compile(r"jobrunner_db_(host|port|user|password)")  # of queue_job, by default that of Odoo
_CONNECTION = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"}  # variables of the other tool
_MACHINE_OPTIONS = {
    "gevent_port": "Odoo listens on port 8072 in the container; GEVENT_PORT in .env is the port on the host",
    "longpolling_port": "Odoo listens on port 8072 in the container; GEVENT_PORT in .env is the port on the host",
    "xmlrpc_port": "Odoo listens on port 8069 in the container; ODOO_PORT in .env is the port on the host",
    "logfile": "Odoo logs to standard output: inv logs",
    "pidfile": "Docker manages the process",
}


@dataclass(frozen=True)
class Conversion:
    """The draft from another tool's files.

    `not_converted`: one line with the reason for each setting that is lost. `advice`: what the user can do afterwards, with
    the command. `minor`: settings that have no effect here.
    """

    draft: ProjectDraft
    not_converted: tuple[Remark, ...] = ()
    minor: tuple[Remark, ...] = ()
    advice: tuple[Remark, ...] = ()

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """All lines, the most important first."""
        return (*self.not_converted, *self.advice, *self.minor)


def conversion(
    draft: ProjectDraft, lines: Iterable[str], minor: Iterable[str] = (), advice: Iterable[str] = ()
) -> Conversion:
    """A conversion; each line is a single line without passwords, and occurs once. A remark decides its own group."""
    groups = ((lines, Importance.LOST), (minor, Importance.NOTE), (advice, Importance.ACTION))
    remarks = [
        remark if isinstance(remark, Remark) else Remark(remark, importance)
        for group, importance in groups
        for remark in group
    ]
    short = ordered(Remark(excerpt(text, longest=400), text.importance, text.summary) for text in remarks)
    lost, minor, advice = (
        tuple(remark for remark in short if remark.importance is importance) for _, importance in groups
    )
    return Conversion(draft, lost, minor, advice)


@dataclass(frozen=True)
class RepositoryEntry:
    """One repository of another tool's file, with the parts of a link.

    `branch` empty: the branch named like the Odoo version. `commit` empty: none. `merges`: address and ref of what is merged
    onto it; `target`: the link of the branch that the merged result may have been pushed to.
    """

    name: str
    url: str
    branch: str = ""
    commit: str = ""
    merges: tuple[tuple[str, str], ...] = ()
    target: str = ""

    @property
    def is_platform(self) -> bool:
        """Whether this is Odoo itself, by the name of the folder or of the repository."""
        last = re.split(r"[/:]", self.url.rstrip("/").removesuffix(".git"))[-1]
        return self.name.rpartition("/")[2].lower() in _PLATFORMS or last.lower() in _PLATFORMS

    def link(self, odoo: str) -> str:
        """The link for `odpm.json`. Errors: DescriptionError if it is not a valid link."""
        branch = self.branch or (odoo if self.commit else "")
        return dependency(" ".join(word for word in (self.url, branch, self.commit) if word))


def variables(text: str) -> str:
    """Replace `$NAME`, as in shells and Python's string.Template, by `${NAME}`; the rest is unchanged."""
    return _NAME.sub(lambda found: f"${{{found['bare']}}}" if found["bare"] else found[0], text)


def literal(text: str) -> str:
    """Text without variables as a value of `odoo_conf`; a `$` is escaped only if it would begin a reference."""
    return text if expand(text, lambda name: "", "") == text else escape(text)


def with_defaults(text: str, known: Mapping[str, str]) -> str:
    """The text with known values as defaults of its variables: they remain variables and do not have to be set."""
    for name, value in known.items():
        text = text.replace(f"${{{name}}}", f"${{{name}:-{value}}}")
    return text


def read_ref(ref: str) -> tuple[str, str, str]:
    """Branch and commit of a ref, and the reason if it cannot be in a link."""
    if re.fullmatch(r"[0-9a-fA-F]{40}", ref):
        return "", ref.lower(), ""
    if _HEX.fullmatch(ref) and re.search(r"\d", ref) and re.search(r"[a-f]", ref):
        return "", "", f"commit {ref} is abbreviated; write all 40 digits as the third word of the link"
    for prefix in ("refs/heads/", "refs/tags/"):
        ref = ref.removeprefix(prefix)
    if ref.startswith("refs/"):
        return "", "", f"{ref} is not a branch; push it as a branch and use that in the link"
    return ref, "", ""


def read_url(url: str) -> tuple[str, str]:
    """An address without prefixes of other tools and without secrets; and a warning if a secret was removed."""
    url = re.sub(r"^git\+(?=(ssh|https?)://)", "", url)
    found = re.match(r"(https?://)([^/]*)@", url)
    if not found or _is_open(found[2]):
        return url, ""
    bare = found[1] + url[found.end() :]
    return bare, f"user and password of {bare} are not copied to a committed file; " + (
        f"use {found[1]}${{TOKEN}}@… and set TOKEN=… in .env"
    )


def _is_open(user: str) -> bool:
    """Whether user and password of an address are not secret: variables without defaults, and well-known logins."""
    if any(reference.default is not None for reference in references(user)):
        return False
    name, colon, password = re.sub(r"\$\{\w+\}", "\0", user).partition(":")
    if not colon:
        return name in ("\0", *_LOGINS)
    return password == "\0" or (name == "\0" and password in ("", "x-oauth-basic"))  # noqa: S105


def refused(error: DescriptionError) -> str:
    """The reason why a link was refused."""
    return error.what.partition(" is refused: ")[2] or error.what


def excerpt(text: str, longest: int = MAX_LENGTH) -> str:
    """Part of a file for a message: one line of limited length, without passwords in addresses."""

    def mask(found: re.Match[str]) -> str:
        return found[0] if _is_open(found[2]) else f"{found[1]}***@"

    line = " ".join(clean(text).split())
    return cut(re.sub(r"(\w://)([^/\s]*)@", mask, line), longest)


def excerpt_url(url: str) -> str:
    return masked(url) if "@" in url and not references(url) else url


def conf(sections: Mapping[str, Mapping[str, str]], where: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The options for `odoo_conf`, and a line without the value for each that odpm sets, that is secret or invalid."""
    kept = {section: dict(options) for section, options in sections.items()}
    skipped: list[str] = []
    summary = f"{where}: {{}} options are not converted, because odpm sets them"
    for problem in conf_problems(sections, ()):
        section, key = str(problem.path[0]), str(problem.path[-1])
        kept.get(section, {}).pop(key, None) if len(problem.path) > 1 else kept.pop(section, None)
        text = f"{where}: {key}: {problem.text}"
        skipped.append(note(text, summary) if problem.kind == "refused" else Remark(text))
    for options in kept.values():
        for key, value in list(options.items()):
            if _OTHER_CONNECTIONS.fullmatch(key) or any(one.name in _CONNECTION for one in references(value)):
                skipped.append(note(f"{where}: {key}: odpm sets the connection to the database", summary))
            elif key in _MACHINE_OPTIONS:
                skipped.append(note(f"{where}: {key}: {_MACHINE_OPTIONS[key]}", summary))
            elif _SECRET.search(key) and _is_plain_secret(value):
                name = key.upper()
                skipped.append(
                    action(
                        f"{where}: {key}: a secret is not copied to a committed file; "
                        f'set "{key}": "${{{name}}}" in odoo_conf and {name}=… in .env'
                    )
                )
            else:
                continue
            del options[key]
    return {section: options for section, options in kept.items() if options}, skipped


def is_secret(name: str, value: str) -> bool:
    """Whether a value of an environment is a secret in plain text, by its name, or a login in an address."""
    named = _SECRET.search(name) and not name.upper().endswith("_FILE")
    return bool((named and _is_plain_secret(value)) or _LOGIN.search(value))


def _is_plain_secret(value: str) -> bool:
    return bool(value.strip()) and value.strip().lower() not in ("false", "none") and not references(value)


def settings_needed(draft: ProjectDraft, env: Mapping[str, str]) -> list[str]:
    """A line for each variable of the draft that has no default and is not set in `env`; one line for more than three."""
    merges = {key: list(entries) for key, entries in draft.merges.items()}
    blocks = (draft.odoo_conf, draft.server_conf, draft.services, draft.service_patches, merges)
    values = (value for block in blocks for value in _texts(block))
    names = [
        reference.name
        for text in (draft.platform, *draft.dependencies, *values)
        for reference in references(text)
        if reference.default is None
    ]
    unset = [name for name in dict.fromkeys(names) if not env.get(name)]
    if len(unset) > 3:
        return [f"{', '.join(unset)}: variables of odpm.json that are not set; set them in .env"]
    return [f"${{{name}}}: used in odpm.json and not set; set {name}=… in .env" for name in unset]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for child in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(child)
