"""What a command line asks for beyond the description."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wished:
    """The options of `plan` and `up` that shape what is done, as they go into a saved plan."""

    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True
    dev: str = ""
    debug: bool = False
    skip_start: bool = False


@dataclass(frozen=True)
class Wishes:
    """What the steps are told of them; `dev` and `debug` reach them as settings."""

    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True
    free_ports: bool = False
