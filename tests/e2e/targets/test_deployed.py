"""A target that runs: its logs, ports that others hold, updates of the platform's add-ons, the backup before an update."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import failure
from tests.e2e.harness import REPOSITORY, Bench, eventually
from tests.e2e.targets.machines import Target, made
from tests.standins.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.long]


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, clone: Callable[..., Bench], registry: Registry, ci_image: Built
) -> Iterator[Target]:
    """A target that runs the image of the demo project. A test that changes it must restore it."""
    with made(clone(tmp_path_factory.mktemp("deployed") / "project"), registry) as found:
        found.image = ci_image.out.split()[-1]
        found.up(found.image)
        eventually(lambda: found.get() == "200")
        yield found


def test_logs_of_one_service_its_last_lines_and_those_since_a_time(deployed: Target) -> None:
    words = ("deploy.logs", "--target", deployed.target)
    bench = deployed.bench
    # what runs here, not what the compose file of the checkout describes
    (bench.root / "docker-compose.yml").write_text('{"services": {"other": {"image": "other"}}}', encoding="utf-8")
    everything = bench.ok(*words, "--tail", "1000").out
    services = {line.partition("|")[0].split("-")[0].strip() for line in everything.splitlines()}
    assert {"web", "cron", "websocket", "db", "proxy"} <= services
    of_cron = bench.ok(*words, "cron", "--tail", "2").out.splitlines()
    assert len(of_cron) == 2
    assert all(line.startswith("cron-1") for line in of_cron)

    begun = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    assert deployed.get("/web/login?planted=since") == "200"
    since = bench.ok(*words, "web", "--since", begun).out
    assert "GET /web/login?planted=since" in since
    assert "Modules loaded" in bench.ok(*words, "web", "--tail", "1000").out
    assert "Modules loaded" not in since
    failure(bench.inv(*words, "wep"), 1, "wep", "web")
    failure(bench.inv(*words, "--since", "soon"), 5, "soon")


def test_logs_are_followed_until_interrupted(deployed: Target) -> None:
    words = ["deploy.logs", "--target", deployed.target, "web", "--follow", "--tail", "0"]
    with subprocess.Popen(
        [str(REPOSITORY / ".odpm/venv/bin/python"), "-m", "invoke", *words],
        cwd=deployed.bench.root,
        env=deployed.bench.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        line = ""
        while "planted=follow" not in line:  # the first requests may come before it listens
            assert deployed.get("/web/login?planted=follow") == "200"
            line = run.stdout.readline()
        assert "web-" in line.partition("|")[0]  # with a code that moves the cursor
        run.send_signal(2)
        assert run.wait(30) == 130
