"""SIGTERM in a task."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from odpm_tasks.adapters.signals import sigterm_as_ctrl_c


@pytest.fixture
def handlers() -> Iterator[None]:
    before: dict[signal.Signals, Any] = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_sigterm_interrupts_also_where_ctrl_c_is_ignored(handlers: None, ctrl_c: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, ctrl_c)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_sigterm_stays(handlers: None) -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    with sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM]
