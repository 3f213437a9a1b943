"""Fixtures of the tests of services: grounds with an engine, ports of their own, and nothing left afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import Ground, lay
from tests.e2e.harness import docker
from tests.ports import claim_port


@pytest.fixture
def stage(tmp_path: Path, pristine: Ground, engine: None) -> Iterator[Ground]:
    """A fresh ground with free ports; its containers are gone afterwards."""
    yield from _stage(tmp_path, pristine)


@pytest.fixture
def second_stage(tmp_path_factory: pytest.TempPathFactory, pristine: Ground, engine: None) -> Iterator[Ground]:
    """Another one beside it."""
    yield from _stage(tmp_path_factory.mktemp("second"), pristine)


def _stage(folder: Path, pristine: Ground) -> Iterator[Ground]:
    ground = lay(folder, pristine)
    ports = ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")
    ground.bench.env |= {name: str(claim_port()) for name in ports}
    yield ground
    ground.bench.remove()
    for image in docker("image", "ls", "--quiet", f"{ground.bench.prefix}-*").split():
        docker("image", "rm", "--force", image)


@pytest.fixture
def shared() -> Iterator[str]:
    """The name of a network that is not there. Ask for it before a stage, so that it outlives its containers."""
    name = f"odpm-test-shared-{claim_port()}"
    yield name
    if name in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", name)
