"""What a command line asks for beyond the description."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class _Asked:
    database: str = ""
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    demo: bool = False
    touch_git: bool = True


@dataclass(frozen=True)
class Wished(_Asked):
    """The options of `plan` and `up` that shape what is done, as they go into a saved plan."""

    dev: str = ""
    debug: bool = False
    skip_start: bool = False


@dataclass(frozen=True)
class Wishes(_Asked):
    """What the steps are told of them; `dev` and `debug` reach them as settings."""

    free_ports: bool = False
