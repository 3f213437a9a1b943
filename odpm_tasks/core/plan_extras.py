"""The steps of what the description adds to the stack: services, and hooks; the project's own and those of dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from odpm_tasks.core.fragments import Fragment
from odpm_tasks.core.manifest_value import Argv
from odpm_tasks.core.world import Step, World


@dataclass(frozen=True)
class Hook:
    """A hook that is due at one point: `source` who brings it (empty: the project), `refusal` why it does not run."""

    hook: Argv | str
    source: str = ""
    refusal: str = ""

    @property
    def line(self) -> str:
        """How the plan calls it: `make css`, of a dependency `queue: make css`."""
        words = self.hook if isinstance(self.hook, str) else " ".join(self.hook)
        return f"{self.source}: {words}" if self.source else words


def hooks_at(point: str, world: World) -> Iterator[Hook]:
    """The hooks of a point in the order in which they run: dependencies' in the order of the graph, then the project's."""
    for fragment in world.fragments.each:
        for hook in fragment.hooks.get(point, ()):
            yield Hook(hook, fragment.source, _refusal(fragment, world))
    for hook in world.manifest.hooks.get(point, ()):
        yield Hook(hook)


def _refusal(fragment: Fragment, world: World) -> str:
    if not fragment.trusted:
        return f'not run: odpm.json does not trust {fragment.source} ("trust": ["{fragment.source}"])'
    if not world.scenario.mounts:
        return f"not run: it runs in its checkout, and {world.scenario.name} has none"
    seen = world.checkouts.get(fragment.source)
    return "not run: it is not checked out yet" if seen is None or seen.kind == "absent" else ""


def hook_steps(step_id: str, world: World) -> list[Step]:
    steps = [
        Step(step_id, "skip" if hook.refusal else "run", hook.line, hook.refusal)
        for hook in hooks_at(step_id.removeprefix("hooks."), world)
    ]
    return steps or [Step(step_id, "skip", "", "no hooks")]


def fragment_steps(step_id: str, world: World) -> list[Step]:
    """A line for the project's services and for each dependency that brings some; what does not count, with the reason."""
    own = ", ".join(name for name, service in world.manifest.services.items() if service is not None)
    steps = [Step(step_id, "keep", "", f"services of the project: {own}")] if own else []
    for fragment in world.fragments.each:
        if fragment.services or fragment.patches:
            patches = f"patches {', '.join(fragment.patches)}" if fragment.patches else ""
            steps.append(Step(step_id, "keep", f"{fragment.source}: {', '.join(fragment.services) or '–'}", patches))
        steps += [Step(step_id, "skip", f"{fragment.source}: {out.what}", out.why) for out in fragment.left_out]
    return steps or [Step(step_id, "skip", "", "no services")]
