"""Hooks of the description: a program with its words, or a Python function."""

from __future__ import annotations

import importlib
import sys

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
        call = getattr(importlib.import_module(module), function)
        call()
    except OdpmError:
        raise
    except (ImportError, AttributeError) as error:
        raise DescriptionError(
            f"there is no hook {hook}: {error}", where=f"odpm.json: hooks.{point}", todo="name package.module:function"
        ) from None
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        if code:
            raise _failed(hook, point, code) from None
    except Exception as error:  # whatever a project's own function raises is its failure, not ours
        raise _failed(hook, point, 1, f": {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(place.root))
