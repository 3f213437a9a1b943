"""Fixtures for tests of services: workspaces with a Docker engine and free ports; containers are removed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import Workspace, create_workspace
from tests.e2e.harness import docker
from tests.ports import claim_port


@pytest.fixture
def docker_workspace(tmp_path: Path, workspace_rendered: Workspace, engine: None) -> Iterator[Workspace]:
    """A new workspace with free ports. Its containers and images are removed afterwards."""
    yield from _docker_workspace(tmp_path, workspace_rendered)


@pytest.fixture
def second_docker_workspace(
    tmp_path_factory: pytest.TempPathFactory, workspace_rendered: Workspace, engine: None
) -> Iterator[Workspace]:
    """A second such workspace."""
    yield from _docker_workspace(tmp_path_factory.mktemp("second"), workspace_rendered)


def _docker_workspace(folder: Path, workspace_rendered: Workspace) -> Iterator[Workspace]:
    workspace = create_workspace(folder, workspace_rendered)
    ports = ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")
    workspace.bench.env |= {name: str(claim_port()) for name in ports} | {"ODPM_MAIL": "off"}
    yield workspace
    workspace.bench.remove()
    for image in docker("image", "ls", "--quiet", f"{workspace.bench.prefix}-*").split():
        docker("image", "rm", "--force", image)


@pytest.fixture
def shared() -> Iterator[str]:
    """The name of a network that does not exist. Request it before a workspace: then it is removed after the containers."""
    name = f"odpm-test-shared-{claim_port()}"
    yield name
    if name in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", name)
