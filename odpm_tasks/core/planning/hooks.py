"""The steps of services and hooks: those of the project and those of dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from odpm_tasks.core.manifest.model import Argv
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.stack.dependency_services import Fragment
from odpm_tasks.core.text import cut


@dataclass(frozen=True)
class Hook:
    """A hook of one point. `source`: the dependency that has it (empty: the project). `refusal`: why it does not run.

    `needs_checkout`: the checkout that it runs in does not exist yet.
    """

    hook: Argv | str
    source: str = ""
    refusal: str = ""
    needs_checkout: bool = False

    @property
    def line(self) -> str:
        """The hook in a plan: `make css`, of a dependency `queue: make css`."""
        words = self.hook if isinstance(self.hook, str) else " ".join(self.hook)
        return f"{self.source}: {words}" if self.source else words


def hooks_at(point: str, observed: ResolvedState) -> Iterator[Hook]:
    """The hooks of a point in the order in which they run: those of dependencies in graph order, then the project's."""
    for fragment in observed.fragments.items:
        checkout = observed.checkouts.get(fragment.source)
        absent = checkout is None or checkout.kind == "absent"
        for hook in fragment.hooks.get(point, ()):
            yield Hook(hook, fragment.source, _refusal(fragment, observed, absent), absent and observed.touch_git)
    for hook in observed.manifest.hooks.get(point, ()):
        yield Hook(hook)


def _refusal(fragment: Fragment, observed: ResolvedState, absent: bool) -> str:
    if not fragment.trusted:
        return f'not run: odpm.json does not trust {fragment.source} ("trust": ["{fragment.source}"])'
    if not observed.scenario.mounts:
        return f"not run: {observed.scenario.name} has no checkouts"
    return "not run: it is not checked out" if absent and not observed.touch_git else ""


def hook_steps(step_id: str, observed: ResolvedState) -> list[Step]:
    hooks = list(hooks_at(step_id.removeprefix("hooks."), observed))
    steps = [_hook_step(step_id, hook) for hook in hooks if not _after_checkout(step_id, hook)]
    return steps or [Step(step_id, "skip", "", "none before git.checkout" if hooks else "no hooks")]


def late_hook_steps(observed: ResolvedState) -> list[Step]:
    """The `post_clone` hooks of dependencies whose checkout `git.checkout` creates; they run right after it."""
    step_id = "hooks.post_clone"
    return [_hook_step(step_id, hook) for hook in hooks_at("post_clone", observed) if _after_checkout(step_id, hook)]


def _after_checkout(step_id: str, hook: Hook) -> bool:
    return step_id == "hooks.post_clone" and hook.needs_checkout and not hook.refusal


def _hook_step(step_id: str, hook: Hook) -> Step:
    if hook.refusal:
        return Step(step_id, "skip", cut(hook.line, 200), hook.refusal)
    return Step(step_id, "run", hook.line)


def fragment_steps(step_id: str, observed: ResolvedState) -> list[Step]:
    """A step for the project's services, one for each dependency that has services or patches, one for each ignored part."""
    own = ", ".join(name for name, service in observed.manifest.services.items() if service is not None)
    steps = [Step(step_id, "keep", "", f"services of the project: {own}")] if own else []
    for fragment in observed.fragments.items:
        if fragment.services or fragment.patches:
            patches = f"patches {', '.join(fragment.patches)}" if fragment.patches else ""
            steps.append(Step(step_id, "keep", f"{fragment.source}: {', '.join(fragment.services) or '–'}", patches))
        steps += [Step(step_id, "skip", f"{fragment.source}: {out.what}", out.why) for out in fragment.omitted]
    return steps or [Step(step_id, "skip", "", "no services")]
