"""The door to Python packages: the machine's own index settings, and uv to lock with."""

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

# Released as sources only, with a metadata step that wants compilers or libraries of a bare host: (name, requires).
_METADATA = (
    ("psycopg2", ()),
    ("python-ldap", ("pyasn1>=0.3.7", "pyasn1-modules>=0.1.5")),
)


@dataclass(frozen=True)
class Index:
    """How this machine reaches a package index: uv's and pip's variables, and a file of trusted certificates."""

    variables: Mapping[str, str]
    certificates: Path | None


def shell(variables: Mapping[str, str]) -> str:
    """Variables as lines for a POSIX shell."""
    return "".join(f"export {name}={quote(value)}\n" for name, value in sorted(variables.items()))


def node_index() -> dict[str, str]:
    """The machine's own npm registry, as npm's variable: from the environment, else the user's .npmrc; empty for the usual one."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return {"NPM_CONFIG_REGISTRY": os.environ[name]}
    text = files.read_text(Path.home() / ".npmrc") or ""
    found = re.search(r"^registry\s*=\s*(\S+)", text, re.MULTILINE)
    return {"NPM_CONFIG_REGISTRY": found[1]} if found else {}


def index() -> Index:
    """The machine's own settings: uv's variables, else pip's variables, else pip's configuration files."""
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
    """The `[global]` section of pip's configuration files, weakest first (pip's own documentation, "Configuration")."""
    home = Path.home()
    places = [
        Path("/etc/pip.conf"),
        Path("/etc/xdg/pip/pip.conf"),
        home / ".pip/pip.conf",
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
    ]
    if os.environ.get("PIP_CONFIG_FILE"):
        places.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser()
    values: dict[str, str] = {}
    for place in places:
        try:
            parser.read(place, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= dict(parser.items(section))
    return values


def _certificates(pip_cert: str) -> Path | None:
    """The certificates to trust when the machine adds its own (a proxy, a company's index); None for the usual ones."""
    named = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")]
    for text in (*named, pip_cert):
        if text and Path(text).is_file():
            return Path(text)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    added = any(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    return bundle if added and bundle.is_file() else None


def compile_lock(requirements: str, python: str, constraints: str = "", previous: str = "") -> str:
    """Resolve requirements to exact versions with hashes, for every platform, without a compiler.

    `python` is the target's version (X.Y). `previous` is an earlier result, whose versions are kept where they still
    fit. Errors: DescriptionError when the requirements contradict each other, ProgramError when the index does not answer.
    """
    if not requirements.strip():
        return ""
    try:
        from uv import find_uv_bin

        uv = find_uv_bin()
    except (ImportError, FileNotFoundError):
        raise MachineError("uv is missing beside odpm_tasks", todo="pip install uv") from None
    settings = index()
    with tempfile.TemporaryDirectory(prefix="odpm-lock-") as name:
        folder = Path(name)
        # found by uv in the working directory; a --config-file would hide the user's own settings
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
            return compile_lock(requirements, python, constraints)  # what was there before cannot be read
        if not outcome.ok:
            raise _refusal(outcome)
        return output.read_text(encoding="utf-8")


def _metadata_settings() -> str:
    blocks = (
        f'[[tool.uv.dependency-metadata]]\nname = "{name}"\nrequires-dist = [{", ".join(f"{chr(34)}{r}{chr(34)}" for r in requires)}]\n'
        for name, requires in _METADATA
    )
    return "\n".join(blocks)


def _refusal(outcome: command.Outcome) -> DescriptionError | ProgramError | MachineError:
    error = command.failure(outcome)
    if isinstance(error, MachineError):
        return error
    said = outcome.stderr.decode(errors="replace")
    lines = [command.redact(line.strip(" ╰─▶×")) for line in said.splitlines() if line.strip()]
    if "No solution found" in said:
        return DescriptionError(
            "the Python requirements contradict each other",
            where="requirements of odpm.json, the platform and the add-ons",
            details=lines[1:4],
            todo="name the version you want in the requirements of odpm.json",
        )
    return ProgramError(
        "uv could not lock the Python packages", details=lines[-4:], todo="see whether the package index answers"
    )
