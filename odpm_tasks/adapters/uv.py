"""Python packages: this machine's index settings, and locking with uv."""

from __future__ import annotations

import configparser
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import DescriptionError, MachineError, ProgramError

# Packages without wheels whose metadata step needs a compiler or libraries: (name, requires-dist).
_METADATA = (
    ("psycopg2", ()),
    ("python-ldap", ("pyasn1>=0.3.7", "pyasn1-modules>=0.1.5")),
)


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
    text = files.read_text(Path.home() / ".npmrc") or ""
    found = re.search(r"^registry\s*=\s*(\S+)", text, re.MULTILINE)
    return {"NPM_CONFIG_REGISTRY": found[1]} if found else {}


def index() -> Index:
    """This machine's index settings: uv's variables, else pip's variables, else pip's configuration files."""
    pip = _pip_configuration()

    def setting(uv_names: tuple[str, ...], name: str) -> str:
        for variable in (*uv_names, f"PIP_{name.upper().replace('-', '_')}"):
            if os.environ.get(variable):
                return os.environ[variable]
        return pip.get(name, "")

    variables: dict[str, str] = {}
    if default := setting(("UV_DEFAULT_INDEX", "UV_INDEX_URL"), "index-url"):
        variables |= {"UV_DEFAULT_INDEX": default, "PIP_INDEX_URL": default}
    extra = [
        url for url in setting(("UV_INDEX", "UV_EXTRA_INDEX_URL"), "extra-index-url").split() if url.startswith("http")
    ]
    if extra:
        variables |= {"UV_INDEX": " ".join(extra), "PIP_EXTRA_INDEX_URL": " ".join(extra)}
    return Index(variables, _certificates(pip.get("cert", "")))


def _pip_configuration() -> dict[str, str]:
    """Options of pip's configuration files, sections `[global]` and `[install]`; later files override earlier ones.

    Source: pip's documentation, "Configuration".
    """
    home = Path.home()
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


def compile_lock(requirements: str, python: str, constraints: str = "", previous: str = "") -> str:
    """Resolve requirements to exact versions with hashes, for all platforms, without a compiler.

    `python` is the target version (X.Y). `previous` is an earlier result; its versions are kept if they still match.
    Errors: DescriptionError if the requirements conflict, ProgramError if the index does not answer.
    """
    if not requirements.strip():
        return ""
    try:
        from uv import find_uv_bin

        uv = find_uv_bin()
    except (ImportError, FileNotFoundError):
        raise MachineError("uv is not installed", todo="pip install uv") from None
    settings = index()
    with tempfile.TemporaryDirectory(prefix="odpm-lock-") as name:
        folder = Path(name)
        # uv reads it from the working directory; --config-file would disable the user's configuration
        (folder / "pyproject.toml").write_text(_metadata_settings(), encoding="utf-8")
        (folder / "requirements.in").write_text(requirements, encoding="utf-8")
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        output = folder / "requirements.lock"
        if previous:
            output.write_text(previous, encoding="utf-8")
        env = {**settings.variables, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
        if settings.certificates:
            env["SSL_CERT_FILE"] = str(settings.certificates)
        outcome = command.run(
            [uv, "pip", "compile", "--universal", "--python-version", python, "--generate-hashes", "--no-header",
             "--no-annotate", "--quiet", "--constraint", "constraints.txt", "--output-file", str(output), "requirements.in"],
            cwd=folder, env=env, check=False, timeout=600,
        )  # fmt: skip
        if not outcome.ok and previous and "No solution found" not in outcome.stderr.decode(errors="replace"):
            return compile_lock(requirements, python, constraints)  # `previous` is unreadable
        if not outcome.ok:
            raise _failure(outcome)
        return output.read_text(encoding="utf-8")


def _metadata_settings() -> str:
    blocks = (
        f'[[tool.uv.dependency-metadata]]\nname = "{name}"\nrequires-dist = [{", ".join(f"{chr(34)}{r}{chr(34)}" for r in requires)}]\n'
        for name, requires in _METADATA
    )
    return "\n".join(blocks)


def _failure(outcome: command.Outcome) -> DescriptionError | ProgramError | MachineError:
    error = command.failure(outcome)
    if isinstance(error, MachineError):
        return error
    output = outcome.stderr.decode(errors="replace")
    lines = [command.redact(line.strip(" ╰─▶×")) for line in output.splitlines() if line.strip()]
    if "No solution found" in output:
        return DescriptionError(
            "the Python requirements conflict",
            where="requirements of odpm.json, the platform and the add-ons",
            details=lines[1:4],
            todo="name the version you want in the requirements of odpm.json",
        )
    return ProgramError(
        "uv could not lock the Python packages", details=lines[-4:], todo="check that the package index is reachable"
    )
