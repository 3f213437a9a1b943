"""What uv means when it cannot resolve: its message as a value. Written after the output of uv 0.13.8.

The first of these that a message contains is the reason, because uv adds the others as consequences: an invalid setting of
uv, an index that needs a login, an index that does not answer, a damaged archive, a package that no index has, one without
a release for the Python, one without a file for Linux, a version that does not exist, requirements that contradict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from odpm_tasks.core.locking.python_requirements import satisfiable

Kind = Literal[
    "setting", "offline", "date", "login", "certificate", "unreachable", "missing file", "damaged", "unknown package",
    "python", "no file", "no version", "git", "address", "conflict", "other",
]  # fmt: skip


@dataclass(frozen=True)
class UvReason:
    """Why uv cannot resolve.

    `package`: the package that it is about, and `specifier` the versions of it (`==9.0`). `host`: of the index. `detail`: of
    a setting what is wrong with it, of an index its answer, of a damaged archive what it fails at, of `python` the versions
    of Python that are needed (`>=3.12`). `setting`: the variable or file of uv. `lines`: the sentences of uv.
    """

    kind: Kind
    package: str = ""
    specifier: str = ""
    host: str = ""
    detail: str = ""
    setting: str = ""
    lines: tuple[str, ...] = ()


_NAME = r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?(?:\{[^}]*\})?"
_SPEC = r"(?P<spec>(?:,?[=<>!~]=?=?[^\s,]+)*)"


def understand(output: str) -> UvReason:
    """The reason in what uv wrote to its standard error."""
    lines = _sentences(output)
    text = " ".join(lines)
    for reader in (_setting, _direct, _login, _fetch, _hidden, _damaged, _unknown, _python, _no_file, _no_version):
        if reason := reader(text, output):
            return UvReason(**{**reason.__dict__, "lines": lines})
    return UvReason("conflict" if "No solution found" in output else "other", lines=lines)


def _sentences(output: str) -> tuple[str, ...]:
    """The message, a sentence each, without hints, the line that only announces it, and the signs of its tree."""
    found: list[str] = []
    for line in output.split("\nhint:", maxsplit=1)[0].splitlines():
        bare = re.sub(r"^(?:error|cause):\s*", "", line.strip(" ×╰─▶|│├").strip())
        if not bare or bare.startswith("No solution found when resolving dependencies"):
            continue
        if (
            found
            and not re.match(r"\s*(?:And because|Because|×|╰|error:|cause:)", line.lstrip(" "))
            and line[:1] == " "
        ):
            found[-1] = f"{found[-1]} {bare}"
        else:
            found.append(bare)
    return tuple(found)


def _setting(text: str, output: str) -> UvReason | None:
    if found := re.search(
        r"Failed to parse environment variable `(?P<name>\w+)` with invalid value `(?P<rest>.*)", text
    ):
        value, _, why = found["rest"].partition("`: ")
        return UvReason("setting", setting=found["name"], detail=f"{value!r}: {why.split(' hint:')[0]}")
    if found := re.search(r"invalid value '(?P<value>[^']*)' for '--(?P<name>[\w-]+)", text):
        choices = re.search(r"\[possible values: ([^\]]*)\]", output)
        name = f"UV_{found['name'].upper().replace('-', '_')}"
        return UvReason(
            "setting", setting=name, detail=f"{found['value']!r}{f'; possible values: {choices[1]}' if choices else ''}"
        )
    if found := re.search(
        r"^error: Failed to parse: `?(?P<path>[^`\n]+?)`?\n(?P<rest>.*)", output, re.DOTALL | re.MULTILINE
    ):
        place = re.search(r"at line (\d+)", found["rest"])
        why = next((line.strip() for line in reversed(found["rest"].splitlines()) if line.strip()), "")
        short = re.sub(r", expected one of .*", "", why)
        return UvReason("setting", setting=found["path"], detail=f"line {place[1]}: {short}" if place else short)
    if found := re.search(r"failed to open file `(?P<path>[^`]+)`: (?P<why>[^(]+)", text):
        return UvReason("setting", setting=found["path"], detail=found["why"].strip())
    return None


def _direct(text: str, output: str) -> UvReason | None:
    """A requirement with an address: of a git repository that cannot be fetched, or of a source distribution."""
    found = re.search(rf"Failed to download and build `{_NAME} @ (?P<url>[^`]+)`", output)
    if found is None:
        return None
    if "Git operation failed" in output:
        fatal = re.findall(r"(?:fatal|error|remote): *([^\n]+)", output.split("Git operation failed")[1])
        return UvReason("git", found["name"], f" @ {found['url']}", detail=fatal[-1] if fatal else "")
    if "Building source distributions for" in output:
        return UvReason("address", found["name"], f" @ {found['url']}")
    return None


def _login(text: str, output: str) -> UvReason | None:
    """An index that answers 401 or 403; uv then calls the package unknown."""
    found = re.search(r"An index(?: URL)? \((?P<url>[^)]+)\).*?(?P<status>401|403)", output) or re.search(
        r"HTTP status client error \((?P<status>401|403|407)[^)]*\) for url \((?P<url>[^)]+)\)", output
    )
    if found is None:
        return None
    package = re.search(rf"\b{_NAME} was not found in the package registry", text)
    return UvReason("login", package["name"] if package else "", host=host_of(found["url"]), detail=found["status"])


def _fetch(text: str, output: str) -> UvReason | None:
    found = re.search(r"Failed to (?:fetch|download)[^`h]*`?(?P<url>https?://[^\s`]+)", output)
    if found is None:
        return None
    status = re.search(r"HTTP status (?:client|server) error \((?P<status>\d+)", output)
    return access_reason(found["url"], int(status["status"]) if status else 0, output)


def access_reason(url: str, status: int, text: str) -> UvReason:
    """The reason why an index cannot be asked, from the address, the status of its answer and the text of the library."""
    host = host_of(url)
    if status in {401, 403, 407}:
        return UvReason("login", host=host, detail=str(status))
    if status in {404, 410}:
        return UvReason("missing file", urlsplit(url).path.rsplit("/", 1)[-1], host=host)
    if status:
        return UvReason("unreachable", host=host, detail=f"HTTP {status}")
    if "certificate" in text.lower():
        why = re.search(r"invalid peer certificate: ([\w ]+)|certificate verify failed: ([\w -]+)", text)
        return UvReason("certificate", host=host, detail=_plain((why[1] or why[2]).strip()) if why else "")
    return UvReason("unreachable", host=host, detail=_network(text))


def _plain(why: str) -> str:
    return "" if why == "Other" else why


def _network(text: str) -> str:
    """Why a connection failed, from the text of a library, in plain words."""
    for words, meaning in (
        (("dns error", "failed to lookup", "NameResolutionError", "Name or service not known"), "its name cannot be resolved"),
        (("Connection refused",), "it refuses the connection"),
        (("timed out", "Timeout", "timeout"), "it does not answer in time"),
        (("unreachable",), "there is no network route to it"),
        (("reset", "closed", "aborted"), "it ends the connection"),
    ):  # fmt: skip
        if any(word in text for word in words):
            return meaning
    causes = [line.strip().removeprefix("cause:").strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"https?://\S+", "", causes[-1]) if causes else ""


def _hidden(text: str, output: str) -> UvReason | None:
    """Packages that settings of uv hide."""
    if found := re.search(rf"\b{_NAME} was not found in the cache", text):
        return UvReason("offline", found["name"])
    if found := re.search(
        r"`(?P<name>[\w.-]+)` was filtered by `exclude-newer`[^.]*? before (?P<day>\d{4}-\d\d-\d\d)", output
    ):
        return UvReason("date", found["name"], detail=found["day"])
    return None


def _damaged(text: str, output: str) -> UvReason | None:
    found = re.search(
        rf"\b{_NAME}{_SPEC} has (?:an invalid package format|invalid metadata|inconsistent metadata)", text
    )
    if found is None:
        return None
    hint = re.search(r"hint: The (?:structure|metadata) of [^\n]*:\n\s*([^\n]+)", output)
    return UvReason("damaged", found["name"], found["spec"], detail=hint[1].strip() if hint else "")


def _unknown(text: str, output: str) -> UvReason | None:
    found = re.search(rf"\b{_NAME} was not found in (?:the package registry|the provided package locations)", text)
    return UvReason("unknown package", found["name"]) if found else None


def _python(text: str, output: str) -> UvReason | None:
    found = re.search(
        rf"requested Python version \([^)]*\) does not satisfy Python(?P<python>[^\s]+) and {_NAME}{_SPEC} depends? on Python",
        text,
    ) or re.search(rf"{_NAME}{_SPEC} depends? on Python(?P<python>[^\s]+?),? (?:and|we) ", text)
    return UvReason("python", found["name"], found["spec"], detail=found["python"]) if found else None


def _no_file(text: str, output: str) -> UvReason | None:
    found = re.search(rf"\b{_NAME}{_SPEC} has no (?:usable|`[^`]+`-compatible) wheels", text)
    return UvReason("no file", found["name"], found["spec"]) if found else None


def _no_version(text: str, output: str) -> UvReason | None:
    if found := re.search(rf"there (?:is|are) no versions? of {_NAME}{_SPEC}(?=[\s,])", text):
        return UvReason("no version", found["name"], found["spec"])
    for found in re.finditer(
        rf"only {_NAME}(?P<has>[=<>!~][^\s]*) (?:is|are) available and (?:you require|(?:all versions of )?[^\s]+ depends? on) "
        rf"(?P=name)(?:\[[^\]]*\])?{_SPEC}(?=[\s,])",
        text,
    ):
        if _disjoint(found["has"], found["spec"]):
            return UvReason("no version", found["name"], found["spec"].rstrip(","))
    for found in re.finditer(
        rf"only the following versions of (?P<name>[\w.-]+) are available: (?P<has>.*?) and (?:you require|\S+ depends? on) "
        rf"(?P=name)(?:\[[^\]]*\])?{_SPEC}(?=[\s,])",
        text,
    ):
        has = [part[len(found["name"]) :] for part in found["has"].split()]
        if all(_disjoint(part, found["spec"]) for part in has):
            return UvReason("no version", found["name"], found["spec"].rstrip(","))
    return None


def _disjoint(one: str, other: str) -> bool:
    """Whether no version satisfies both specifiers."""
    try:
        return not satisfiable(SpecifierSet(one.rstrip(",")) & SpecifierSet(other.rstrip(",")))
    except InvalidSpecifier:
        return False


_SOURCE_ONLY = re.compile(
    r"Wheels are required for `(?P<hint>[\w.-]+)`"
    r"|\b(?P<name>[A-Za-z0-9][\w.-]*?)(?:\[[^\]]*\])?(?:\{[^}]*\})?(?:[=<>!~]=?[^\s,]+)? has no (?:usable|`[^`]+`-compatible) wheels"
    r"|Building source distributions for `(?P<build>[\w.-]+)` is disabled"
)


def source_only(output: str) -> frozenset[str]:
    """The packages, by normalized name, of which some version has no wheel that uv can use."""
    joined = " ".join(output.replace("╰─▶", " ").split())
    found = {match["hint"] or match["name"] or match["build"] for match in _SOURCE_ONLY.finditer(joined)}
    return frozenset(map(canonicalize_name, found))


def host_of(url: str) -> str:
    """The host of an address with its port, without a login."""
    return urlsplit(url).netloc.rpartition("@")[2]
