"""Hooks of the description: a program with its words, or a Python function."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from odpm_tasks.adapters import command
from odpm_tasks.core.place import Place
from odpm_tasks.core.substitution import expand
from odpm_tasks.core.world import LOCK_FILE
from odpm_tasks.errors import DescriptionError, HookError, MachineError, OdpmError
from odpm_tasks.observe import Sight


def run_hook(place: Place, sight: Sight, point: str, line: str) -> None:
    """Run one hook, its output shown as it comes. Errors: HookError with the hook's own exit code."""
    for hook in sight.world.manifest.hooks.get(point, ()):
        if (hook if isinstance(hook, str) else " ".join(hook)) != line:
            continue
        env = {
            **place.settings.merged(),
            "ODPM_SCENARIO": place.settings.scenario.name,
            "ODPM_PROJECT_DIR": str(place.root),
            "ODPM_LOCK": str(place.root / LOCK_FILE),
        }
        if isinstance(hook, str):
            _call_hook(place, hook, point)
            continue
        argv = [expand(word, place.settings.get, f"odpm.json: hooks.{point}") for word in hook]
        try:
            code = command.foreground(argv, cwd=place.root, env=env)
        except MachineError as error:
            error.where = f"odpm.json: hooks.{point}"
            error.message = error.render()
            raise
        if code:
            raise _failed(line, point, code)


def _failed(hook: str, point: str, code: int, why: str = "") -> HookError:
    return HookError(
        f"the hook {hook!r} ended with code {code}{why}",
        code,
        where=f"odpm.json: hooks.{point}",
        todo="mend it, then run again",
    )


def _call_hook(place: Place, hook: str, point: str) -> None:
    module, _, function = hook.partition(":")
    sys.path.insert(0, str(place.root))
    try:
        call = _load(module, function, hook, point)
        call()
    except OdpmError:
        raise
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        if code:
            raise _failed(hook, point, code) from None
    except Exception as error:  # whatever a project's own function raises is its failure, not ours
        raise _failed(hook, point, 1, f": {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(place.root))


def _load(module: str, function: str, hook: str, point: str) -> Callable[[], object]:
    """The function that a hook names. Errors: DescriptionError, whatever kept it from being imported."""
    where = f"odpm.json: hooks.{point}"
    try:
        loaded: Callable[[], object] = getattr(importlib.import_module(module), function)
    except Exception as error:  # the module's own code ran
        why = f"{type(error).__name__}: {error}"
        raise DescriptionError(
            f"the hook {hook} cannot be loaded: {why}", where=where, todo="name package.module:function"
        ) from None
    return loaded
