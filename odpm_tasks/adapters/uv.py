"""Resolve and install Python requirements with uv."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.index_settings import index
from odpm_tasks.errors import MachineError

# Where the images run: Linux with CPython, on both processors.
_ENVIRONMENTS = tuple(
    f"sys_platform == 'linux' and platform_machine == '{machine}' and implementation_name == 'cpython'"
    for machine in ("x86_64", "aarch64")
)


class UvError(Exception):
    """uv did not resolve; `output` is what it wrote to its standard error."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


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
    where another one requires them. Errors: UvError.
    """
    if not requirements.strip():
        return ""
    uv = _program()
    with tempfile.TemporaryDirectory(prefix="odpm-lock-") as name:
        folder = Path(name)
        # uv reads it from the working directory; --config-file would disable the user's configuration
        (folder / "pyproject.toml").write_text(_project_settings(python, excluded), encoding="utf-8")
        (folder / "requirements.in").write_text(requirements, encoding="utf-8")
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        output = folder / "requirements.lock"
        if previous:
            output.write_text(previous, encoding="utf-8")
        outcome = command.run(
            [uv, "pip", "compile", "--universal", "--python-version", python, "--generate-hashes", "--no-header",
             "--no-build", *(["--find-links", str(wheels)] if wheels else []),
             "--no-annotate", "--quiet", "--constraint", "constraints.txt", "--output-file", str(output), "requirements.in"],
            cwd=folder, env=_environment(), check=False, timeout=600,
        )  # fmt: skip
        _require_success(outcome)
        return output.read_text(encoding="utf-8")


def install(requirements: Sequence[str], folder: Path, python: str, machine: str) -> None:
    """Install packages as wheels into a folder, for Linux, that version of Python (X.Y) and processor. No code of a package runs.

    Errors: UvError.
    """
    outcome = command.run(
        [_program(), "pip", "install", "--quiet", "--no-config", "--only-binary=:all:", f"--target={folder}",
         f"--python={sys.executable}", f"--python-version={python}", f"--python-platform={machine}-manylinux_2_28", *requirements],
        env=_environment(), check=False, timeout=600,
    )  # fmt: skip
    _require_success(outcome)


def _program() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        raise MachineError("uv is not installed", todo="pip install uv") from None


def _environment() -> dict[str, str]:
    settings = index()
    env = {**settings.variables, "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    return env | ({"SSL_CERT_FILE": str(settings.certificates)} if settings.certificates else {})


def _require_success(outcome: command.Outcome) -> None:
    if not outcome.ok:
        error = command.failure(outcome)
        if isinstance(error, MachineError):  # a full disk
            raise error
        raise UvError(command.redact(outcome.stderr.decode(errors="replace")))


def _project_settings(python: str, excluded: Sequence[str]) -> str:
    environments = ", ".join(f"\"{marker} and python_version == '{python}'\"" for marker in _ENVIRONMENTS)
    names = ", ".join(f'"{name}"' for name in excluded)
    return (
        '[project]\nname = "odpm-lock"\nversion = "0"\n'
        f"[tool.uv]\nenvironments = [{environments}]\nexclude-dependencies = [{names}]\n"
    )
