"""Saved plans on disk: what one rests on is gathered here, `core.saved_plan` is the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from odpm_tasks import observe, rendering
from odpm_tasks.adapters import files
from odpm_tasks.core import saved_plan
from odpm_tasks.core.manifest import TOOL_VERSION
from odpm_tasks.core.order import LOCK_FILE, PYTHON_LOCKS
from odpm_tasks.core.place import Place
from odpm_tasks.core.render import TEMPLATES
from odpm_tasks.core.saved_plan import SavedPlan, Seen
from odpm_tasks.core.settings import PORTS
from odpm_tasks.core.substitution import references
from odpm_tasks.core.wished import Wished, Wishes
from odpm_tasks.core.world import Plan, Step, World
from odpm_tasks.errors import UsageError
from odpm_tasks.folders import remotes
from odpm_tasks.observe import Sight

# settings of ours that shape a stack and are no secret
_SETTINGS = (
    *PORTS, "ODOO_BIND", "ODPM_BASE_IMAGE_PROFILE", "ODPM_COMPOSE_NETWORK", "ODPM_COMPOSE_NETWORK_EXTERNAL",
    "ODPM_COMPOSE_PREFIX", "ODPM_DEBUG", "ODPM_DEV", "ODPM_IDE", "ODPM_IMAGE", "ODPM_IMAGE_MIRROR",
)  # fmt: skip


def whose(place: Place) -> saved_plan.Project:
    name = rendering.name(place, observe.description(place)[0], remotes(place))
    return saved_plan.Project(folder=place.root.name, name=name)


def save(place: Place, made: Plan, wishes: Wished, path: Path) -> None:
    """Write a plan to a file. Errors: UsageError where something else than a saved plan is in its place."""
    there = files.read(path)
    if there is not None:
        try:
            saved_plan.load(there.decode(errors="replace"), str(path), TOOL_VERSION)
        except UsageError:
            raise UsageError(
                "a file that is no saved plan of this odpm is in its place",
                where=str(path),
                todo="choose another name, or remove it",
            ) from None
    basis = _basis(place, made.world)
    files.write(path, saved_plan.dump(saved_plan.saved(made, whose(place), wishes, basis, TOOL_VERSION)).encode())


def load(path: Path) -> SavedPlan:
    """Errors: UsageError where there is no such file, or it is no plan that this odpm understands."""
    text = files.read(path)
    if text is None:
        raise UsageError("there is no such file", where=str(path), todo="save a plan first: inv plan --out FILE")
    return saved_plan.load(text.decode(errors="replace"), str(path), TOOL_VERSION)


def guard(
    place: Place, until: Sequence[str], wishes: Wishes, saved: SavedPlan, path: Path
) -> Callable[[Sight, Sequence[Step]], None]:
    """What looks at each round of a run before it begins. Errors: DriftError where the plan no longer holds."""
    begun = False

    def see(_: Sight, todo: Sequence[Step]) -> None:
        nonlocal begun
        if not begun:  # as far as the plan looked, which is further than a run that has files to write
            world = observe.sight(place, until, wishes, ahead=True).world
            saved_plan.see_unmoved(saved.rests_on, _basis(place, world), str(path))
        saved_plan.see_announced(saved, todo, str(path), begun=begun)
        begun = True

    return see


def _basis(place: Place, world: World) -> dict[str, str]:
    paths = (
        "odpm.json",
        LOCK_FILE,
        *PYTHON_LOCKS,
        *(f".odpm/templates/{name}" for name in TEMPLATES),
        ".odpm/state.toml",
    )
    found = {path: files.read(place.root / path) for path in paths}
    get = place.settings.get
    named = {reference.name for reference in references((found["odpm.json"] or b"").decode(errors="replace"))}
    return saved_plan.rests_on(
        world,
        Seen(
            found,
            {name: get(name) for name in _SETTINGS},
            {name: get(name) is not None for name in sorted(named - set(_SETTINGS))},
        ),
    )
