"""Resolve Python requirements with uv."""

from __future__ import annotations

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
        if not outcome.ok:
            error = command.failure(outcome)
            if isinstance(error, MachineError):  # a full disk
                raise error
            raise UvError(command.redact(outcome.stderr.decode(errors="replace")))
        return output.read_text(encoding="utf-8")


def _project_settings(python: str, excluded: Sequence[str]) -> str:
    environments = ", ".join(f"\"{marker} and python_version == '{python}'\"" for marker in _ENVIRONMENTS)
    names = ", ".join(f'"{name}"' for name in excluded)
    return (
        '[project]\nname = "odpm-lock"\nversion = "0"\n'
        f"[tool.uv]\nenvironments = [{environments}]\nexclude-dependencies = [{names}]\n"
    )
