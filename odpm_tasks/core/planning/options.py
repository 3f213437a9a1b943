"""Options of `plan` and `up`: one table. A field added to `RunOptions` is an option of the tasks that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any

NO_GIT_UPDATE = "Use the checkouts as they are: no git, no lock (server: they must be what the lock names)."
ASK_INDEX = "Query the package index for the repositories of missing add-ons."


ALL_DATABASES = "/"  # the value of --database without a name, which --rollback takes; no database has this name


def _option(
    default: Any,
    help: str,
    *,
    short: str = "",
    tasks: tuple[str, ...] = ("plan", "up"),
    saved: bool = True,
    alone: str = "",
) -> Any:
    """One option. `alone`: what the option without a value means; empty: a value is required."""
    metadata = {"help": help, "short": short, "tasks": tasks, "saved": saved, "alone": alone}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunOptions:
    """Options of one command line that shape a run, in addition to the description."""

    database: str = _option(
        "",
        "Name of the database (default: ODPM_DATABASE, odoo_conf.options.db_name, the folder's name).",
        short="d",
        alone=ALL_DATABASES,
    )
    install: tuple[str, ...] = _option(
        (),
        "Add-ons to install, repeat or comma separate (default for a new database: those of the developing project).",
        short="i",
    )
    update: tuple[str, ...] = _option(
        (),
        "Add-ons to update in the database (repeat or comma separate); `changed`: those whose files changed since their last update.",
        short="u",
    )
    demo: bool = _option(False, "With demo data, for a new database.")
    dev: str = _option(
        "", "Odoo's --dev features, for instance reload,qweb,xml or all; stay on until --dev=none (developer)."
    )
    debug: str = _option(
        "",
        "Start Odoo under debugpy; --debug=wait waits for a client. Stays on until --no-debug (developer).",
        alone="on",
    )
    no_debug: bool = _option(False, "End --debug.")
    no_module_update: bool = _option(
        False, "Do not update add-ons whose version is above the installed one (server, ci, or ODPM_AUTO_UPDATE=on)."
    )
    no_snapshot: bool = _option(False, "Take no snapshot of the database before it is updated.")
    skip_start: bool = _option(False, "Stop before the first step that needs Docker.")
    no_git_update: bool = _option(False, NO_GIT_UPDATE)
    free_ports: bool = _option(
        False, "Choose free ports instead of those in use; later runs use them, too.", tasks=("up",), saved=False
    )

    @property
    def settings(self) -> dict[str, str]:
        """The options that act as settings, by variable; `--dev=none` and `--no-debug` are empty ones."""
        switches = {"ODPM_DEV": "" if self.dev == "none" else self.dev} if self.dev else {}
        if self.debug or self.no_debug:
            switches["ODPM_DEBUG"] = "" if self.no_debug else "1" if self.debug == "on" else self.debug
        return switches

    def given(self) -> tuple[str, ...]:
        """The options that differ from their default, as they are typed."""
        return tuple(
            f"--{option.name.replace('_', '-')}"
            for option in fields(self)
            if getattr(self, option.name) != option.default
        )


def options_of(task: str) -> Iterator[Field[Any]]:
    """The fields of `RunOptions` that are options of a task."""
    return (option for option in fields(RunOptions) if task in option.metadata["tasks"])


DEBUG_VALUES = ("on", "wait")
DEFAULTS = RunOptions()
UNSAVED = frozenset(option.name for option in fields(RunOptions) if not option.metadata["saved"])
