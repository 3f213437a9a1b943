"""What a command line asks for beyond the description, as it goes into a saved plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wished:
    """The options of `plan` and `up` that shape what is done."""

    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True
    dev: str = ""
    debug: bool = False
    skip_start: bool = False
