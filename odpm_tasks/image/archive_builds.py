"""Build an image at the locked state of the Debian archive, else at the state that the mirror has; record what was built.

The build cache has the packages of one state under one key: the steps that install packages verify the state of the mirror
and fail if it is another one than that of their key. Where the locked state is not available, the build is repeated with the state
that was found as the key.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import buildx, run_image
from odpm_tasks.core.config.paths import LOCK_FILE, ProjectPaths
from odpm_tasks.core.image.archive import ArchiveState, Mirror, found_state, moved_packages
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.core.text import plural
from odpm_tasks.errors import EPOCH, LockError, ProgramError
from odpm_tasks.image import archive
from odpm_tasks.image.build_secrets import build_secrets

RECORD = "build/packages.json"  # relative to .odpm
_CONTEXT = "archive"  # the stage of the Dockerfile with the state
_ATTEMPTS = 4
_SHOWN = 5  # packages in a warning
MOVE = "inv lock --update records the present state"


@dataclass(frozen=True)
class BuiltPackages:
    """The Debian packages of an image that was built here. `locked`: the lock had this state; `state`: the mirror had it;
    `base`: the base image. `packages`: `NAME:ARCHITECTURE` -> version. `installed`: the names of those that the build installed."""

    locked: ArchiveState | None
    state: ArchiveState | None
    base: str
    packages: Mapping[str, str]
    installed: frozenset[str] = frozenset()


def build_at_state(
    paths: ProjectPaths,
    stack: Stack,
    spec: buildx.BuildSpec,
    run: Callable[[buildx.BuildSpec], None],
    cleanup: contextlib.ExitStack,
) -> ArchiveState | None:
    """Call `run` with the build, its secrets and the state of its packages; returns that state, None if the lock has none.

    The mirror is used while it has the locked state, or the build cache has its layers; then the snapshot service, then the mirror
    with the state that it has.
    Errors: ProgramError if `distro.strict` is set and the locked state is not available, LockError if the lock has none.
    """
    locked, strict = stack.image.archive, stack.manifest.distro_strict
    if locked is None:
        if strict:
            raise LockError(
                "distro.strict needs a state of the Debian archive, and the lock has none",
                where=f"{LOCK_FILE}: system",
                todo="ODPM_SCENARIO=developer inv lock, where the mirror answers; then commit the lock",
            )
        terminal.warn(
            "the lock has no state of the Debian archive, so packages are those of today: inv lock records it"
        )
    mirror, state = None, locked
    available = _other_states(paths, stack)
    for _ in range(_ATTEMPTS):
        try:
            run(_with_state(paths, stack, spec, cleanup, mirror, state))
            return state
        except buildx.BuildError as error:
            found = found_state(stack.image.codename, error.log)
            if locked is None or found is None:
                raise
        mirror, state = next(available, (mirror, found))
        if strict and state != locked:
            raise _moved(locked, found)
        if mirror and state == locked:
            terminal.message("the Debian mirror has moved since the lock: packages come from the snapshot service")
    raise ProgramError(
        "the Debian mirror changed its state several times during the build", todo="run the same command again"
    )


def _other_states(paths: ProjectPaths, stack: Stack) -> Iterator[tuple[Mirror | None, ArchiveState]]:
    """The states to try where the mirror does not have the locked one: that of the snapshot service, then that of the last build of
    this lock, whose layers may be in the build cache."""
    if locked := stack.image.archive:
        service = archive.snapshot(paths.settings, locked)
        if service:
            yield service
        elif (used := _last(paths, stack)) and used.state and used.state != locked:
            yield None, used.state


def _with_state(
    paths: ProjectPaths,
    stack: Stack,
    spec: buildx.BuildSpec,
    cleanup: contextlib.ExitStack,
    mirror: Mirror | None,
    state: ArchiveState | None,
) -> buildx.BuildSpec:
    secrets = build_secrets(paths, stack.image, cleanup, mirror)
    spec = replace(spec, secrets=secrets.files, host_network=secrets.host_network)
    if state is None or state == stack.image.archive:
        return spec
    folder = files.temporary_folder(cleanup, "odpm-archive-")
    files.write(folder / "state", state.text.encode())
    return replace(spec, contexts={**spec.contexts, _CONTEXT: folder})


def _moved(locked: ArchiveState, found: ArchiveState) -> ProgramError:
    return ProgramError(
        "the Debian mirror has moved since the lock, and odpm.json asks for the locked state",
        where="odpm.json: distro.strict",
        details=[f"locked: {locked}", f"mirror: {found}"],
        todo="inv lock --update records the present state; or name a snapshot service: ODPM_APT_SNAPSHOT=URL in .env",
    )


def record(
    paths: ProjectPaths, stack: Stack, image: str, state: ArchiveState | None, platforms: Sequence[str] = ()
) -> None:
    """Record the packages of a built image, and warn of those with another version than in the last build of this lock.

    `platforms`: those of the image, where it was built for others than that of the engine.
    """
    before, locked = _last(paths, stack), stack.image.archive
    built = BuiltPackages(
        locked,
        state,
        stack.image.base_image,
        dict(chain.from_iterable(run_image.debian_packages(image, each).items() for each in platforms or ("",))),
        frozenset(chain.from_iterable(run_image.packages_of_time(image, EPOCH, each) for each in platforms or ("",))),
    )
    moved = moved_packages(before.packages, built.packages) if before else ()
    if locked and state and state != locked:
        terminal.warn(f"the Debian mirror has moved since the lock ({locked}): packages are those of {state}; {MOVE}")
    if moved:
        more = f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
        terminal.warn(
            f"{plural(len(moved), 'package')} with another version than in the last build of this lock: "
            f"{', '.join(moved[:_SHOWN])}{more}"
        )
    entries = {**_entries(paths), stack.scenario.name: built}
    data = {name: _data(entry) for name, entry in entries.items()}
    files.write(paths.odpm / RECORD, f"{json.dumps(data, indent=1, sort_keys=True)}\n".encode())


def built_packages(paths: ProjectPaths) -> tuple[BuiltPackages, ...]:
    """What was built here last, an entry per scenario, that of `ci` first."""
    found = _entries(paths)
    return tuple(found[name] for name in sorted(found, key=lambda name: (name != "ci", name)))


def built_states(paths: ProjectPaths) -> dict[str, ArchiveState]:
    """The state of the Debian archive that the last build of each scenario had, where it is known."""
    return {name: entry.state for name, entry in _entries(paths).items() if entry.state}


def _last(paths: ProjectPaths, stack: Stack) -> BuiltPackages | None:
    """The last build of this lock: of the same scenario, else of another one."""
    image = stack.image
    found = {
        name: entry
        for name, entry in _entries(paths).items()
        if (entry.locked, entry.base) == (image.archive, image.base_image)
    }
    return found.get(stack.scenario.name) or next(iter(found.values()), None)


def _entries(paths: ProjectPaths) -> dict[str, BuiltPackages]:
    try:
        data = json.loads(files.read_text(paths.odpm / RECORD) or "{}")
        return {
            name: BuiltPackages(
                _state(entry["locked"]),
                _state(entry["state"]),
                str(entry["base"]),
                dict(entry["packages"]),
                frozenset(entry["installed"]),
            )
            for name, entry in data.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _state(data: Mapping[str, str] | None) -> ArchiveState | None:
    return ArchiveState(str(data["release"]), str(data["archive"]), data.get("security")) if data else None


def _data(entry: BuiltPackages) -> dict[str, object]:
    return {
        "locked": entry.locked.data if entry.locked else None,
        "state": entry.state.data if entry.state else None,
        "base": entry.base,
        "packages": dict(entry.packages),
        "installed": sorted(entry.installed),
    }
