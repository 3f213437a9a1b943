"""Programs that answer one request after the other, and who ends them."""

from __future__ import annotations

import time

from odpm_tasks.databases.sessions import Sessions

END = b"end\n"


def made(started: list[int]) -> Sessions:
    def argv() -> list[str]:
        started.append(1)
        return ["cat"]

    return Sessions(argv, END)


def test_adopted_programs_answer_and_end() -> None:
    early, late = [], []  # type: ignore[var-annotated]
    first, second = made(early), made(late)
    first.start()
    second.adopt(first)
    assert second.ask(b"a\nend\n").stdout == b"a\n"
    assert (len(early), len(late)) == (1, 0)
    assert first.ask(b"b\nend\n").stdout == b"b\n"  # with a program of its own
    assert len(early) == 2
    second.close()
    assert (len(early), len(late)) == (2, 0)


def test_an_adopted_program_that_has_ended_is_replaced() -> None:
    early, late = [], []  # type: ignore[var-annotated]
    first, second = made(early), made(late)
    first.start()
    second.adopt(first)
    first._open.close()
    time.sleep(0.1)
    assert second.ask(b"a\nend\n").stdout == b"a\n"
    assert (len(early), len(late)) == (1, 1)
    second.close()
