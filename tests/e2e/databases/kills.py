"""Runs that are killed: at a call of a function, so that the moment is the same on every machine."""

from __future__ import annotations

import signal

from tests.e2e.harness import Bench

_KILL = """
import importlib, itertools, os, signal
_module, _calls = importlib.import_module({module!r}), itertools.count(1)
_real = _module.{function}
def _killed(*words, **options):
    if next(_calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return _real(*words, **options)
_module.{function} = _killed
"""


def kill_at(bench: Bench, words: tuple[str, ...], module: str, function: str, call: int = 1) -> None:
    """Run a task, whose process ends by SIGKILL at a call of a function of `odpm_tasks.databases`; `call`: counted from 1."""
    tasks = bench.root / "tasks.py"
    text = tasks.read_text(encoding="utf-8")
    patch = _KILL.format(module=f"odpm_tasks.databases.{module}", function=function, call=call)
    tasks.write_text(text + patch, encoding="utf-8")
    try:
        with bench.running(*words) as run:
            code = run.wait()
    finally:
        tasks.write_text(text, encoding="utf-8")
    assert code == -signal.SIGKILL, f"inv {' '.join(words)} ended with {code} before {function} was called {call} times"
