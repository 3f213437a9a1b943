"""The stack behind a reverse proxy that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import say
from tests.e2e.harness import Bench
from tests.e2e.server.web.site import Site
from tests.ports import claim_port
from tests.standins.images import ensure_images


@pytest.fixture(scope="session")
def web_stack(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], engine: None) -> Bench:
    """A server whose proxy has a certificate of its internal authority. A test that changes it must restore it."""
    ensure_images(("caddy:2",), say)
    bench = clone(tmp_path_factory.mktemp("web") / "project")
    bench.env |= {"ODPM_SCENARIO": "server", "ODPM_WEB_BIND": "127.0.0.1"}
    bench.env |= {name: str(claim_port()) for name in ("ODPM_HTTP_PORT", "ODPM_HTTPS_PORT")}
    bench.edit(web={"domain": "localhost", "tls": "internal"})
    bench.commit("A domain")
    ran = bench.ok("up")
    assert f"https://localhost:{bench.env['ODPM_HTTPS_PORT']}/web/login?db=project" in ran.out
    return bench


@pytest.fixture(scope="session")
def web_site(web_stack: Bench) -> Site:
    """The site of that stack, with a session of the administrator."""
    found = Site(web_stack)
    found.login()
    return found
