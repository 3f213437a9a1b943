"""What a deployment would change on a target, in the words of `inv plan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from odpm_tasks.core.odoo.installed_addons import AddonVersion
from odpm_tasks.core.targets import proxy as reverse_proxy
from odpm_tasks.core.text import plural

Action = Literal["create", "update", "keep"]


@dataclass(frozen=True)
class TargetStep:
    """One line: what, and what happens to it. `detail`: old and new value, or the names that change."""

    id: str
    action: Action
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.action:<8} {self.id:<10} {self.detail}".rstrip()


@dataclass(frozen=True)
class TargetPlan:
    """What a deployment would change. `downtime`: what users see of it; `nodes`: where the volumes are, on a Swarm."""

    steps: tuple[TargetStep, ...]
    downtime: str
    nodes: str = ""

    @property
    def drift(self) -> bool:
        """Whether something that exists would change."""
        return any(step.action == "update" for step in self.steps)


def plan(
    image: tuple[str, str],
    before: Mapping[str, str],
    after: Mapping[str, str],
    raised: tuple[AddonVersion, ...],
    *,
    proxied: bool,
    secrets: tuple[str, ...] = (),
    nodes: str = "",
) -> TargetPlan:
    """The plan. `image`: the one that runs (empty: nothing does) and the new one; `before`, `after`: digests of files by path.

    `secrets`: those whose values have changed on this machine, where that is known; `nodes`: see `TargetPlan`.
    """
    running, wanted = image
    if not running:
        steps = [
            ("image", wanted),
            ("files", plural(len(after), "file")),
            ("database", "install Odoo"),
            ("services", ""),
        ]
        return TargetPlan(
            tuple(TargetStep(name, "create", detail) for name, detail in steps), "none: nothing runs there", nodes
        )
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    found = (
        TargetStep("image", "keep", wanted)
        if running == wanted
        else TargetStep("image", "update", f"{running} -> {wanted}"),
        TargetStep("files", "update", ", ".join(changed)) if changed else TargetStep("files", "keep"),
        TargetStep("database", "update", ", ".join(map(str, raised))) if raised else TargetStep("database", "keep"),
        *([TargetStep("secrets", "update", ", ".join(secrets))] if secrets else []),
    )
    if raised:
        downtime = f"the update of {plural(len(raised), 'add-on')}: the maintenance page is shown meanwhile"
    elif not changed and not secrets:
        downtime = "none: nothing changes"
    elif proxied and reverse_proxy.FILE in changed:
        downtime = "seconds: the reverse proxy is replaced"
    elif proxied:
        downtime = "none: new containers start beside the old ones"
    else:
        downtime = "seconds: without a proxy, one container replaces the other"
    return TargetPlan(found, downtime, nodes)
