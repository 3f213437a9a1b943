"""Run hooks: a program with arguments, or a Python function; of the project and of dependencies that it trusts.

A hook runs in the folder of its repository; all hooks get the same environment.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import process
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import LOCK_FILE, ProjectPaths
from odpm_tasks.core.planning.hooks import Hook, hooks_at
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.errors import DescriptionError, HookError, MachineError, OdpmError


def run_hook(paths: ProjectPaths, observed: ResolvedState, point: str, line: str) -> None:
    """Run one hook and show its output. Errors: HookError with the hook's own exit code."""
    hook = next((h for h in hooks_at(point, observed) if h.line == line and not h.refusal), None)
    if hook is None:
        return
    folder = paths.source(hook.source) if hook.source else paths.root
    where = f"{hook.source}: odpm.json: hooks.{point}" if hook.source else f"odpm.json: hooks.{point}"
    env = {
        **paths.settings.merged(),
        "ODPM_SCENARIO": paths.settings.scenario.name,
        "ODPM_PROJECT_DIR": str(paths.root),
        "ODPM_LOCK": str(paths.root / LOCK_FILE),
    }
    if isinstance(hook.hook, str):
        with _working_in(folder, env):
            _call_hook(folder, hook, where)
    else:
        _run_program(paths, folder, hook.hook, env, line, where)


def _run_program(
    paths: ProjectPaths, folder: Path, words: tuple[str, ...], env: dict[str, str], line: str, where: str
) -> None:
    argv = [expand(word, paths.settings.get, where) for word in words]
    if "/" in argv[0]:  # relative to the hook's folder, not to the user's
        argv[0] = str(folder / argv[0])
    try:
        code = process.foreground(argv, cwd=folder, env=env)
    except MachineError as error:
        error.where = where
        raise
    if code:
        raise _failed(line, where, code)


def _failed(line: str, where: str, code: int, why: str = "") -> HookError:
    return HookError(
        f"the hook {line!r} failed with exit code {code}{why}",
        code,
        where=where,
        todo="fix it, then run the same command again",
    )


@contextlib.contextmanager
def _working_in(folder: Path, env: dict[str, str]) -> Iterator[None]:
    """Change into a folder, with an environment and the folder's modules; restore folder, environment and modules afterwards.

    A module of the folder hides one of the same name from elsewhere: two repositories may both have `tools`.
    """
    before, modules = dict(os.environ), dict(sys.modules)
    for name in [name for name in modules if _is_hidden(name.partition(".")[0], folder)]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    os.environ.update(env)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path.remove(str(folder))
        for name in [name for name, module in sys.modules.items() if _is_from(module, folder)]:
            del sys.modules[name]
        sys.modules.update(modules)


def _is_hidden(name: str, folder: Path) -> bool:
    loaded = sys.modules.get(name)
    return ((folder / name).is_dir() or (folder / f"{name}.py").exists()) and not _is_from(loaded, folder)


def _is_from(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).is_relative_to(folder)


def _call_hook(folder: Path, hook: Hook, where: str) -> None:
    """Call a function without arguments. Errors: HookError with file and line of what it raised."""
    try:
        _load(folder, str(hook.hook), where)()
    except OdpmError:
        raise
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        if code:
            why = f": {ending.code}" if isinstance(ending.code, str) else ""
            raise _failed(hook.line, f"{where}{_location(ending, folder)}", code, why) from None
    except Exception as error:  # the hook's own failure, of any type
        raise _failed(hook.line, f"{where}{_location(error, folder)}", _code(error), f": {_summary(error)}") from None


def _load(folder: Path, name: str, where: str) -> Callable[[], object]:
    """The function that a hook names. Errors: DescriptionError where it cannot be imported, for any reason."""
    module, _, function = name.partition(":")
    try:
        loaded: Any = importlib.import_module(module)
        for part in function.split("."):
            loaded = getattr(loaded, part)
    except Exception as error:  # the module's own code ran
        raise DescriptionError(
            f"the hook {name} cannot be loaded: {_summary(error)}",
            where=f"{where}{_location(error, folder)}",
            todo="name package.module:function, importable from the root of its repository",
        ) from None
    found: Callable[[], object] = loaded
    return found


def _code(error: Exception) -> int:
    """The exit code of a program that the hook ran by invoke or subprocess and that failed; else 1."""
    code = getattr(getattr(error, "result", None), "exited", None) or getattr(error, "returncode", None)
    return code if isinstance(code, int) and 0 < code < 256 else 1


def _summary(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _location(error: BaseException, folder: Path) -> str:
    """` (tools/hooks.py:7)`: the last line of the folder's own code in the traceback; empty where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        spots = [(error.filename, error.lineno)]
    else:
        spots = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(Path(file).relative_to(folder), line) for file, line in spots if Path(file).is_relative_to(folder)]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""
