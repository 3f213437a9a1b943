"""This machine's settings for package indexes: those of uv, pip and npm, and the certificates to trust."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import quote as quote_url
from urllib.parse import urlsplit

from odpm_tasks.adapters import files

_NAMED_URL = re.compile(r"(?:(?P<name>[A-Za-z0-9._-]+)=)?(?P<url>https?://\S+)")


@dataclass(frozen=True)
class Index:
    """Access to the package index from this machine: variables for uv and pip, and a file of trusted certificates."""

    variables: Mapping[str, str]
    certificates: Path | None


def export_lines(variables: Mapping[str, str]) -> str:
    """Variables as `export` lines for a POSIX shell."""
    return "".join(f"export {name}={quote(value)}\n" for name, value in sorted(variables.items()))


def npm_registry() -> dict[str, str]:
    """This machine's npm registry as npm's variable: from the environment, else from ~/.npmrc; empty for npm's default."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return {"NPM_CONFIG_REGISTRY": os.environ[name]}
    text = files.read_text(files.home() / ".npmrc") or ""
    found = re.search(r"^registry\s*=\s*(\S+)", text, re.MULTILINE)
    return {"NPM_CONFIG_REGISTRY": found[1]} if found else {}


def index() -> Index:
    """This machine's index settings: uv's variables, else pip's variables, else pip's configuration files.

    uv asks the indexes of UV_INDEX in their order, then the default one; the first that knows a name is used for it.
    """
    pip = _pip_configuration()

    def setting(uv_names: tuple[str, ...], name: str) -> str:
        for variable in (*uv_names, f"PIP_{name.upper().replace('-', '_')}"):
            if os.environ.get(variable):
                return os.environ[variable]
        return pip.get(name, "")

    default = setting(("UV_DEFAULT_INDEX", "UV_INDEX_URL"), "index-url")
    further = setting(("UV_INDEX", "UV_EXTRA_INDEX_URL"), "extra-index-url").split()
    # a folder of this machine (file://) is in no container; `NAME=URL` gives an index a name for its login
    extra = [entry for entry in further if _NAMED_URL.match(entry)]
    variables: dict[str, str] = {}
    if _NAMED_URL.match(default):
        variables |= {"UV_DEFAULT_INDEX": default, "PIP_INDEX_URL": _url(default)}
    if extra:
        variables |= {"UV_INDEX": " ".join(extra), "PIP_EXTRA_INDEX_URL": " ".join(map(_url, extra))}
    return Index(variables, _certificates(pip.get("cert", "")))


def index_urls(settings: Index) -> list[str]:
    """The addresses of the indexes in the order in which they are asked, with their logins; the public one where none is set."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    further = settings.variables.get("PIP_EXTRA_INDEX_URL", "").split()
    return [*further, settings.variables.get("PIP_INDEX_URL", PYPI_SIMPLE_ENDPOINT)]


def index_names(settings: Index) -> dict[str, str]:
    """The names that settings give to indexes (`NAME=URL`), by host with port: a login can be set for a name."""
    entries = " ".join(settings.variables.get(name, "") for name in ("UV_INDEX", "UV_DEFAULT_INDEX")).split()
    found = [match for entry in entries if (match := _NAMED_URL.match(entry)) and match["name"]]
    return {urlsplit(match["url"]).netloc.rpartition("@")[2]: match["name"] for match in found}


def _url(entry: str) -> str:
    """The address of an index as pip takes it: without its name, with the login that uv's variables give that name."""
    name, _, url = entry.partition("=") if re.match(r"[\w.-]+=", entry) else ("", "", entry)
    prefix = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', (name or '').upper())}_"
    user, password = os.environ.get(f"{prefix}USERNAME", ""), os.environ.get(f"{prefix}PASSWORD", "")
    if not name or not (user or password) or "@" in urlsplit(url).netloc:
        return url
    scheme, rest = url.split("://", 1)
    return f"{scheme}://{quote_url(user, safe='')}:{quote_url(password, safe='')}@{rest}"


def _pip_configuration() -> dict[str, str]:
    """Options of pip's configuration files, sections `[global]` and `[install]`; later files override earlier ones.

    Source: pip's documentation, "Configuration".
    """
    home = files.home()
    paths = [
        Path("/etc/pip.conf"),
        Path("/etc/xdg/pip/pip.conf"),
        home / ".pip/pip.conf",
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
    ]
    if os.environ.get("PIP_CONFIG_FILE"):
        paths.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    values: dict[str, str] = {}
    for path in paths:
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= dict(parser.items(section))
    return values


def _certificates(pip_cert: str) -> Path | None:
    """The certificate file to trust if this machine has additional certificates (a proxy, a private index), else None."""
    configured = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")]
    for text in (*configured, pip_cert):
        if text and Path(text).is_file():
            return Path(text)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    added = any(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    return bundle if added and bundle.is_file() else None
