"""Hooks of the description: a program with its words, or a Python function."""

from __future__ import annotations

import importlib
import sys

from odpm_tasks.adapters import command
from odpm_tasks.core.place import Place
from odpm_tasks.core.substitution import expand
from odpm_tasks.core.world import LOCK_FILE
from odpm_tasks.errors import DescriptionError, HookError
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
            _call_hook(place, hook)
            continue
        argv = [expand(word, place.settings.get, f"odpm.json: hooks.{point}") for word in hook]
        code = command.foreground(argv, cwd=place.root, env=env)
        if code:
            raise HookError(
                f"the hook {line!r} ended with code {code}",
                code,
                where=f"odpm.json: hooks.{point}",
                todo="mend it, then run again",
            )


def _call_hook(place: Place, hook: str) -> None:
    module, _, function = hook.partition(":")
    sys.path.insert(0, str(place.root))
    try:
        call = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DescriptionError(
            f"there is no hook {hook}: {error}", where="odpm.json: hooks", todo="name package.module:function"
        ) from None
    finally:
        sys.path.remove(str(place.root))
    call()
