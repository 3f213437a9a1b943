"""Resolve Python requirements with uv."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from odpm_tasks.adapters import command
from odpm_tasks.adapters.index_settings import index
from odpm_tasks.errors import DescriptionError, MachineError, OdpmError, ProgramError

# Where the images run: Linux with CPython, on both processors.
_ENVIRONMENTS = tuple(
    f"sys_platform == 'linux' and platform_machine == '{machine}' and implementation_name == 'cpython'"
    for machine in ("x86_64", "aarch64")
)
_SOURCE_ONLY = re.compile(
    r"Wheels are required for `(?P<hint>[\w.-]+)`"
    r"|\b(?P<name>[A-Za-z0-9][\w.-]*?)(?:\[[^\]]*\])?(?:\{[^}]*\})?(?:[=<>!~]=?[^\s,]+)? has no (?:usable|`[^`]+`-compatible) wheels"
    r"|Building source distributions for `(?P<build>[\w.-]+)` is disabled"
)


class SourceOnlyError(Exception):
    """uv cannot go on: of these packages some version has no wheel for Linux. `refusal` is the error without more help."""

    def __init__(self, names: frozenset[str], refusal: OdpmError) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names
        self.refusal = refusal


def compile_lock(
    requirements: str,
    python: str,
    *,
    constraints: str = "",
    previous: str = "",
    wheels: Path | None = None,
    excluded: Sequence[str] = (),
) -> str:
    """Resolve requirements to exact versions with hashes, for Linux on both processors. No code of a package runs.

    `python` is the target's version (X.Y). `previous` is an earlier result, whose versions are kept where they still
    fit. `wheels` is a folder of further wheels. `excluded` packages are left out, also
    where another one requires them. Errors: SourceOnlyError where a package has no wheel; DescriptionError
    when the requirements contradict each other; ProgramError when the index does not answer.
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
        (folder / "pyproject.toml").write_text(_project_settings(python, excluded), encoding="utf-8")
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
             "--no-build", *(["--find-links", str(wheels)] if wheels else []),
             "--no-annotate", "--quiet", "--constraint", "constraints.txt", "--output-file", str(output), "requirements.in"],
            cwd=folder, env=env, check=False, timeout=600,
        )  # fmt: skip
        text = outcome.stderr.decode(errors="replace")
        if not outcome.ok and previous and "No solution found" not in text:
            return compile_lock(
                requirements, python, constraints=constraints, wheels=wheels, excluded=excluded
            )  # `previous` is unreadable
        if not outcome.ok:
            refusal = _failure(outcome)
            found = {match["hint"] or match["name"] or match["build"] for match in _SOURCE_ONLY.finditer(_joined(text))}
            raise SourceOnlyError(frozenset(map(canonicalize_name, found)), refusal) if found else refusal
        return output.read_text(encoding="utf-8")


def _joined(text: str) -> str:
    """A message without its line breaks and the signs that draw its tree."""
    return " ".join(text.replace("╰─▶", " ").split())


def _project_settings(python: str, excluded: Sequence[str]) -> str:
    environments = ", ".join(f"\"{marker} and python_version == '{python}'\"" for marker in _ENVIRONMENTS)
    names = ", ".join(f'"{name}"' for name in excluded)
    return (
        '[project]\nname = "odpm-lock"\nversion = "0"\n'
        f"[tool.uv]\nenvironments = [{environments}]\nexclude-dependencies = [{names}]\n"
    )


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
