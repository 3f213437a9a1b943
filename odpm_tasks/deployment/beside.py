"""Replace Odoo without an update: the new container starts beside the old one, which serves until the new one is healthy.

Needs the reverse proxy, which reads the name of the container that requests are sent to. Meanwhile both use the same databases
and files, as several processes of Odoo do; scheduled actions take turns by locks in the database.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import compose_cli, running
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import WEB
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack import hardening
from odpm_tasks.core.stack.compose_file import ODOO
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.stack.web.address import web_of
from odpm_tasks.core.stack.web.connections import from_outside
from odpm_tasks.stack import compose, up
from odpm_tasks.stack.web import state

HTTP_PORT = 8069
_POLL_INTERVAL = 0.2
_SETTLE = 1.0  # seconds in which a request that was read before the switch has connected


def tidy(paths: ProjectPaths, observed: RenderedState) -> None:
    """End a replacement that was interrupted: only the container that requests are sent to stays."""
    if not _replaceable(paths, observed) or not (found := _containers(paths, observed)):
        return
    for one in _all_containers(paths, observed):
        if one.state != "running":
            running.remove(one.id)
    if len(found) == 1:
        return
    serving = next((one for one in found if running.name(one.id) == state.leads_to(paths)), None)
    kept = serving or next((one for one in found if one.health == "healthy"), found[0])
    _keep(paths, observed, kept, [one for one in found if one.id != kept.id])


def replace(paths: ProjectPaths, observed: RenderedState) -> None:
    """Start Odoo as the compose file on disk describes it beside the Odoo that runs, and let it serve once it is healthy.

    The old container answers the requests that it has, and is removed. Nothing where no proxy or no healthy Odoo runs, or where
    a second one cannot run: where it publishes ports. Errors: those of `up.wait_until_healthy`; the old one serves then.
    """
    if not _replaceable(paths, observed):
        return
    before = _containers(paths, observed)
    if len(before) != 1 or before[0].health != "healthy":
        return
    state.lead_to(paths, running.name(before[0].id))
    since = time.time()
    with terminal.activity() as show:
        show.note(ODOO, "start beside the one that serves")
        try:
            # with --no-deps Compose would take the container for another one at its next `up`
            words = ("up", "--detach", "--no-recreate", "--no-build", "--scale", f"{ODOO}=2", ODOO)
            outcome = compose_cli.stream(compose.command_line(paths), lambda line: show.note("compose", line), *words)
            if not outcome.ok:
                up.raise_failure(paths, observed, compose.compose_project(paths, observed.stack), outcome)
            up.wait_until_healthy(paths, observed, show, (ODOO,), since=since)
        except BaseException:
            for one in _all_containers(paths, observed):
                if one.id != before[0].id:
                    running.remove(one.id)
            state.lead_to_odoo(paths, observed)
            raise
        (new,) = (one for one in _containers(paths, observed) if one.id != before[0].id)
        show.note(ODOO, "the old one answers its last requests")
        _keep(paths, observed, new, before)


def _keep(
    paths: ProjectPaths, observed: RenderedState, kept: docker.Container, others: Sequence[docker.Container]
) -> None:
    """Send requests to one container, and remove the others when they have answered theirs."""
    state.lead_to(paths, running.name(kept.id))
    for one in others:
        drain(observed, one)
        running.stop(one.id)
        running.remove(one.id)
    state.lead_to_odoo(paths, observed)


def drain(observed: RenderedState, container: docker.Container) -> None:
    """Wait until a container of Odoo has answered the requests that it has, as long as the longest one may take."""
    limit = max(hardening.GRACE_PERIOD, hardening.processes(observed.manifest).seconds)
    deadline = time.monotonic() + limit
    time.sleep(_SETTLE)
    while time.monotonic() < deadline and from_outside(running.connections(container.id), HTTP_PORT):
        time.sleep(_POLL_INTERVAL)


def serves(paths: ProjectPaths, observed: RenderedState, release: str) -> bool:
    """Whether a release runs, and no other one."""
    found = _containers(paths, observed)
    return bool(found) and all(running.label(one.id, "odpm.release") == release for one in found)


def _containers(paths: ProjectPaths, observed: RenderedState) -> list[docker.Container]:
    """The containers of Odoo's service that run."""
    return [one for one in _all_containers(paths, observed) if one.state == "running"]


def _all_containers(paths: ProjectPaths, observed: RenderedState) -> list[docker.Container]:
    """The containers of Odoo's service, also those that ended or start again and again."""
    found = docker.containers(compose.compose_project(paths, observed.stack))
    return [one for one in found if one.service == ODOO and not one.oneoff]


def _replaceable(paths: ProjectPaths, observed: RenderedState) -> bool:
    """Whether a second container of Odoo can run beside the first, and the proxy can tell them apart."""
    if not web_of(observed.scenario, observed.manifest):
        return False
    found = docker.containers(compose.compose_project(paths, observed.stack))
    described = load(paths.compose.read_text(encoding="utf-8"))["services"]
    odoo = described[ODOO]
    fixed = {"ports", "container_name", "scale"} & {*odoo} or "replicas" in (odoo.get("deploy") or {})
    return (
        WEB in described
        and any(one.service == WEB and one.state == "running" for one in found)
        and not fixed
        and not up.must_recreate(paths, observed, found)
    )
