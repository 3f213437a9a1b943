"""A running stack without network, with `inv plan` and with a saved plan."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, snapshot
from tests.e2e.planning.test_plan_touches_nothing import FEW_WAYS, WAYS, looks
from tests.e2e.planning.test_saved_plans import done
from tests.e2e.sources.test_offline import offline
from tests.e2e.sources.test_offline import pytestmark as needs_namespaces

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = [pytest.mark.docker, needs_namespaces]
ENGINE = "/var/run/docker.sock"


class Overhear:
    """A socket in front of the engine's that records method and path of every request."""

    def __init__(self, path: Path) -> None:
        self.asked: set[tuple[str, str]] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.env = {"DOCKER_HOST": f"unix://{path}"}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(ENGINE)
                threading.Thread(target=self._relay, args=(client, engine, True), daemon=True).start()
                threading.Thread(target=self._relay, args=(engine, client, False), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, listen: bool) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                if listen:
                    found = re.findall(rb"^([A-Z]+) (?:/v[\d.]+)?(/\S+) HTTP/1\.1\r$", block, re.MULTILINE)
                    self.asked |= {(method.decode(), path.decode()) for method, path in found}
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def overheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overhear]:
    made = Overhear(tmp_path_factory.mktemp("d") / "s")
    yield made
    made.close()


def of_project(bench: Bench) -> list[str]:
    """Containers with their start, volumes and networks of a project."""
    label = ("--filter", f"label=com.docker.compose.project={bench.prefix}")
    running = [
        f"{name} {entry['Id']} {entry['State']['StartedAt']}" for name, entry in sorted(bench.containers().items())
    ]
    return [*running, docker("volume", "ls", "--quiet", *label), docker("network", "ls", "--quiet", *label)]


def test_plan_does_not_change_a_running_stack(developer: Bench, tmp_path: Path, overheard: Overhear) -> None:
    """The only command to the engine is `psql` in the database's container."""
    developer.ok("up")
    conf = developer.root / ".odpm/build/odoo.conf"
    text = conf.read_bytes()
    for edit in (b"", b"; mine\n"):
        conf.write_bytes(text + edit)
        before, engine = snapshot(developer.root), of_project(developer)
        looks(developer, tmp_path / "plan.json", overheard.env, WAYS if edit else FEW_WAYS)
        assert before.changed(developer.root) == []
        assert of_project(developer) == engine
    conf.write_bytes(text)
    told = {(method, path) for method, path in overheard.asked if method not in {"GET", "HEAD"}}
    database = str(developer.containers()["db"]["Id"])
    assert ("POST", f"/containers/{database}/exec") in told  # so it was overheard
    assert {path for _, path in told if not re.fullmatch(r"/exec/\w+/(start|resize\?.*)", path)} == {
        f"/containers/{database}/exec"
    }
    developer.ok("plan", "--strict")


def test_a_plan_of_a_running_stack(developer: Bench, tmp_path: Path) -> None:
    plan, edited = tmp_path / "plan.json", developer.root / ".odpm/build/odoo.conf"
    developer.ok("up")
    developer.ok("plan", "--out", str(plan))
    assert "nothing to do" in developer.ok("up", "--plan", str(plan)).err
    depends_on = json.loads(plan.read_text(encoding="utf-8"))["depends_on"]
    assert depends_on["the image"] == "exists"
    assert depends_on["the services"].startswith("running")
    assert depends_on["the database project"] == "ready"
    developer.ok("down")
    failure(developer.inv("up", "--plan", str(plan)), 2, "the services was running")
    edited.write_text(edited.read_text(encoding="utf-8") + "; mine\n", encoding="utf-8")
    announced = done(developer.ok("plan").out)
    developer.ok("plan", "--out", str(plan))
    assert done(developer.ok("up", "--plan", str(plan)).err) == announced
    edited.with_name("odoo.conf.orig").unlink()
    developer.ok("plan", "--strict")


def test_up_of_a_running_stack_without_network(developer: Bench) -> None:
    before = {name: (entry["Id"], entry["State"]["StartedAt"]) for name, entry in developer.containers().items()}
    ran = offline(developer, "up")
    assert ran.code == 0, ran.output
    assert "nothing to do" in ran.err
    assert {n: (e["Id"], e["State"]["StartedAt"]) for n, e in developer.containers().items()} == before


def test_up_of_a_stopped_stack_without_network(developer: Bench) -> None:
    developer.ok("down")
    ran = offline(developer, "up")
    assert ran.code == 0, ran.output
    assert developer.containers()["odoo"]["State"]["Health"]["Status"] == "healthy"


@pytest.mark.long
def test_a_new_clone_starts_without_network(clone: Callable[[Path], Bench], developer: Bench, tmp_path: Path) -> None:
    """Sources and environment image exist on the machine because of another project: nothing is fetched or pulled."""
    bench = clone(tmp_path / "fresh")
    ran = offline(bench, "up")
    assert ran.code == 0, ran.output
    assert bench.containers()["odoo"]["State"]["Health"]["Status"] == "healthy"
