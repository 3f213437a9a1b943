"""The pods of a rendered target run: the real image with what their manifests say, in containers of the test engine.

There is no cluster here. Arguments, environment, files, secrets, users, capabilities, memory and probes are those of the objects that
kubectl builds; the network policies and the scheduler are not tested.
"""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.baked import Built
from tests.e2e.harness import docker, eventually
from tests.unit.targets.kubernetes import Object, built_of, of_kind, small_spec

pytestmark = [pytest.mark.docker, pytest.mark.long]

PASSWORDS = {"db_password": "secret-db", "odoo_master_password": "secret-master", "admin_password": "secret-admin"}
MANAGER_CLOSED = "disabled by the administrator"


class Pods:
    """The containers of a target on one network, with PostgreSQL under the name that the operator gives it."""

    def __init__(self, name: str, folder: Path, image: str) -> None:
        self.name, self.folder = name, folder
        self.image = image
        conf = docker("run", "--rm", "--entrypoint", "cat", image, "/etc/odoo/odoo.conf")
        assert "list_db = False" in conf
        target = {"database": {"name": "shop"}}
        # the manager stays closed even where the configuration opens it
        changes = {"image": image, "conf": conf.replace("list_db = False", "list_db = True")}
        spec = small_spec(target, changes=changes)
        self.update, self.objects = built_of(spec, "/update"), built_of(spec)
        self.containers: list[str] = []
        docker("network", "create", name)
        docker("volume", "create", name)

    def start_postgres(self) -> None:
        name = f"{self.name}-db"
        self.containers.append(name)
        environment = {"POSTGRES_USER": "odoo", "POSTGRES_PASSWORD": PASSWORDS["db_password"], "POSTGRES_DB": "shop"}
        options = [word for item in environment.items() for word in ("--env", "=".join(item))]
        docker(
            "run",
            "-d",
            "--name",
            name,
            "--network",
            self.name,
            "--network-alias",
            "odoo-db-rw",
            *options,
            "postgres:15",
        )

    def pod(self, kind: str, name: str = "") -> Object:
        objects = of_kind([*self.objects, *self.update], kind)
        (found,) = [each for each in objects if name in {"", each["metadata"]["name"]}]
        return found["spec"]["template"]["spec"]  # type: ignore[no-any-return]

    def run(self, pod: Object, container: Object) -> str:
        """Start a container as the kubelet does; returns its name."""
        name = f"{self.name}-{len(self.containers)}"
        self.containers.append(name)
        own, context = pod["securityContext"], container["securityContext"]
        assert (own["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
        options = ["--read-only", "--security-opt=no-new-privileges", f"--user={own['runAsUser']}:{own['runAsGroup']}"]
        options += [f"--cap-drop={each}" for each in context["capabilities"]["drop"]]
        options += [f"--memory={container['resources']['limits']['memory'].removesuffix('Mi')}m"]
        for key, value in self._environment(container).items():
            options += ["--env", f"{key}={value}"]
        volumes = {each["name"]: each for each in pod["volumes"]}
        for mount in container["volumeMounts"]:
            options += self._mount(volumes[mount["name"]], mount)
        options += ["--network", self.name, "--name", name]
        docker("run", "-d", *options, self.image, *container["args"])
        return name

    def _environment(self, container: Object) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container["envFrom"]:
            found |= self._config(source["configMapRef"]["name"])
        return found | {each["name"]: each["value"] for each in container.get("env", [])}

    def _config(self, name: str) -> dict[str, str]:
        (found,) = [each for each in of_kind(self.update, "ConfigMap") if each["metadata"]["name"] == name]
        return found["data"]  # type: ignore[no-any-return]

    def _mount(self, volume: Object, mount: Object) -> list[str]:
        path = mount["mountPath"]
        if "emptyDir" in volume:
            size = volume["emptyDir"]["sizeLimit"].removesuffix("i").lower()
            return ["--tmpfs", f"{path}:size={size},mode=2777,gid=1000"]
        if "persistentVolumeClaim" in volume:
            return ["--volume", f"{self.name}:{path}"]
        if "configMap" in volume:
            file = self.folder / mount["subPath"]
            file.write_text(self._config(volume["configMap"]["name"])[mount["subPath"]], encoding="utf-8")
            return ["--volume", f"{file}:{path}:ro"]
        items = [item for source in volume["projected"]["sources"] for item in source["secret"]["items"]]
        names = sorted(item["path"] for item in items)
        folder = self.folder / "-".join(names)
        folder.mkdir(exist_ok=True)
        for name in names:
            file = folder / name
            file.write_text(PASSWORDS[name], encoding="utf-8")
        script = f"chown -R 0:1000 /s && chmod {volume['projected']['defaultMode']:o} /s/* && chmod 755 /s"
        docker("run", "--rm", "--user=0", "--entrypoint=sh", "-v", f"{folder}:/s", self.image, "-c", script)
        return ["--volume", f"{folder}:{path}:ro"]

    def finish(self, name: str) -> None:
        code = docker("wait", name).strip()
        assert code == "0", self.log(name)

    def log(self, name: str) -> str:
        done = subprocess.run(["docker", "logs", "--tail=60", name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def address(self, name: str) -> str:
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", name))
        return str(networks[self.name]["IPAddress"])

    def probe(self, name: str, container: Object, kind: str) -> bool:
        """The answer to a probe, asked as the kubelet does: from outside of the container, or as a command in it."""
        described = container[kind]
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        if "exec" in described:
            words = ["docker", "exec", name, *described["exec"]["command"]]
            return subprocess.run(words, capture_output=True, check=False).returncode == 0
        try:
            if "tcpSocket" in described:
                socket.create_connection((self.address(name), ports[described["tcpSocket"]["port"]]), timeout=5).close()
                return True
            wanted = described["httpGet"]
            return 200 <= self.get(name, ports[wanted["port"]], wanted["path"])[0] < 400
        except OSError:
            return False

    def get(self, name: str, port: int, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://{self.address(name)}:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", *self.containers)
        docker("network", "rm", self.name)
        docker("volume", "rm", self.name)


@pytest.fixture
def pods(tmp_path: Path, ci_image: Built) -> Iterator[Pods]:
    found = Pods(f"pods-{tmp_path.parent.name}-{tmp_path.name}".replace("_", "-")[:60], tmp_path, ci_image.tag)
    yield found
    found.remove()


def test_the_job_installs_odoo_and_every_role_passes_its_probes(pods: Pods) -> None:
    pods.start_postgres()
    job = pods.pod("Job")
    for container in (*job["initContainers"], *job["containers"]):
        pods.finish(pods.run(job, container))
    roles: dict[str, tuple[str, Any]] = {}
    for role in ("web", "websocket", "cron"):
        pod = pods.pod("Deployment", f"odoo-{role}")
        (container,) = pod["containers"]
        roles[role] = (pods.run(pod, container), container)
    for name, container in roles.values():
        seconds = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
        eventually(partial(pods.probe, name, container, "startupProbe"), seconds)
        assert pods.probe(name, container, "readinessProbe")
        assert pods.probe(name, container, "livenessProbe")
    web = roles["web"][0]
    assert pods.get(web, 8069, "/web/login")[0] == 200
    assert MANAGER_CLOSED in pods.get(web, 8069, "/web/database/manager")[1]
    assert pods.get(roles["websocket"][0], 8072, "/websocket/health")[0] == 200
    docker("stop", f"{pods.name}-db")
    assert pods.probe(web, roles["web"][1], "livenessProbe")  # a new start would not help
    assert not pods.probe(roles["cron"][0], roles["cron"][1], "readinessProbe")
    docker("stop", "--time=60", web)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", web).strip() == "0", pods.log(web)
