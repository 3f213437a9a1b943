"""A Docker engine with Compose and Buildx from Debian packages, unpacked into the cache.

A running engine that is new enough is used unchanged. The stand-in is in `engine/` of the cache: `root` (the unpacked
packages), `daemon.json`, `pid`, `dockerd.log`. Only `iptables` is installed on the machine. The plugins are copied to the
folder that every client searches, because the machine may have its own client without plugins.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.errors import MachineError, OdpmError
from tests.standins.common import (
    Apt,
    Say,
    install_folder,
    is_debian,
    line,
    locked,
    os_release,
    root,
    run,
    scratch,
    seconds,
    unpack,
)

SUITE = "trixie"
PACKAGES = ("docker.io", "docker-cli", "containerd", "runc", "tini", "docker-compose", "docker-buildx")
OLDEST = 23
PLUGINS = Path("/usr/local/lib/docker/cli-plugins")
CLIENT = Path("/usr/local/bin/docker")
DATA = Path("/var/lib/docker")
MARKER = "made-by-odpm-standins"
CONTROLLERS_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")


@dataclass(frozen=True)
class EngineInfo:
    """Versions of the engine, of Compose and of Buildx; empty if the client does not have the plugin."""

    version: str
    compose: str
    buildx: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def fits(self) -> bool:
        compose = re.match(r"v?(\d+)\.", self.compose)
        return self.major >= OLDEST and compose is not None and int(compose.group(1)) >= 2 and bool(self.buildx)


def home() -> Path:
    return root() / "engine"


def ask(*argv: str) -> str:
    """The output of a program; empty where it fails or takes longer than 20 seconds."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def answers() -> EngineInfo | None:
    """The engine that `docker` on PATH connects to; None if there is none."""
    try:
        server = json.loads(ask("docker", "version", "--format", "json") or "{}").get("Server") or {}
    except ValueError:
        return None
    version = server.get("Version") or ""
    if not re.match(r"\d+\.", version):
        return None
    compose = ask("docker", "compose", "version", "--short").strip()
    words = ask("docker", "buildx", "version").split()
    return EngineInfo(version, compose, words[1] if len(words) > 1 else "")


def ensure_engine(say: Say, install: bool = True) -> EngineInfo:
    """The running engine; otherwise the stand-in is installed, if necessary, and started.

    `install` allows changes to this machine. Errors: MachineError with the missing part and a command.
    """
    info = answers()
    if info and info.fits():
        say(line("engine", f"{info.version} answers (compose {info.compose}, buildx {info.buildx})"))
        return info
    if info and info.major < OLDEST:
        raise MachineError(
            f"the Docker engine {info.version} that answers is older than {OLDEST}",
            todo="install a current engine (docs.docker.com/engine/install), or stop this one and run again",
        )
    missing = _missing(info)
    if not install:
        raise MachineError(missing, todo=_remedy())
    if info is None and os.environ.get("DOCKER_HOST"):
        raise MachineError(f"no Docker engine answers at {os.environ['DOCKER_HOST']}", todo="unset DOCKER_HOST")
    if os.geteuid() != 0 or not is_debian():
        why = "not root" if is_debian() else "not Debian"
        raise MachineError(f"{missing}; it cannot be installed here ({why})", todo=_remedy())
    with locked("engine"):
        return _bring_up(say)


def _missing(info: EngineInfo | None) -> str:
    if info is None:
        return "no Docker engine answers"
    lacks = [name for name, version in (("compose v2", info.compose), ("buildx", info.buildx)) if not version]
    return f"the Docker client lacks its plugin {' and '.join(lacks) or 'compose v2'}"


def _remedy() -> str:
    packages = "docker-ce docker-compose-plugin docker-buildx-plugin"
    return f"python -m tests.standins engine (as root on Debian), or apt-get install {packages}"


def _bring_up(say: Say) -> EngineInfo:
    begun = time.monotonic()
    info = answers()
    if info and info.fits():  # another process started it meanwhile
        say(line("engine", f"{info.version} answers (compose {info.compose}, buildx {info.buildx})"))
        return info
    fresh = _install(say) if _needs_packages(info) else False
    _client_and_plugins()
    info = answers()
    if info is None:
        _start()
        info = answers()
    if info is None or not info.fits():
        raise MachineError("the Docker engine was started but does not fit", where=str(home() / "dockerd.log"))
    what = "installed from packages and started" if fresh else "started"
    say(line("engine", f"{info.version} {what} (compose {info.compose}, buildx {info.buildx}, {seconds(begun)})"))
    return info


def _needs_packages(info: EngineInfo | None) -> bool:
    return not (home() / "root" / "usr/sbin/dockerd").exists() and not (info and info.fits())


def _install(say: Say) -> bool:
    say(line("engine", f"unpacking Docker from {SUITE}'s packages"))
    final = home() / "root"
    with scratch() as work:
        debs = Apt(SUITE).download(PACKAGES, work / "debs")
        unpack(debs, work / "root")
        if not ask(str(work / "root/usr/sbin/runc"), "--version"):
            # runc of a newer release may need a newer glibc; the one of the machine's own release runs.
            own = Apt(os_release().get("VERSION_CODENAME", "stable")).download(["runc"], work / "own")
            unpack(own, work / "root")
        for program in ("usr/sbin/dockerd", "usr/sbin/runc", "usr/bin/containerd", "usr/bin/docker"):
            run(work / "root" / program, "--version")
        install_folder(work / "root", final)
    return True


def _client_and_plugins() -> None:
    """Copy missing plugins to the folder that every client searches; link the client if the machine has none."""
    unpacked = home() / "root"
    ours = unpacked / "usr/bin/docker"
    if shutil.which("docker") is None and ours.exists():
        CLIENT.parent.mkdir(parents=True, exist_ok=True)
        CLIENT.unlink(missing_ok=True)  # the link may be broken because the cache was removed
        CLIENT.symlink_to(ours)
    for name in ("compose", "buildx"):
        source = unpacked / f"usr/libexec/docker/cli-plugins/docker-{name}"
        works = ask("docker", name, "version")
        if (works and not works.lstrip().startswith("docker-compose version 1")) or not source.exists():
            continue
        PLUGINS.mkdir(parents=True, exist_ok=True)
        part = PLUGINS / f".docker-{name}.{os.getpid()}"
        shutil.copy2(source, part)
        part.rename(PLUGINS / f"docker-{name}")


def _start() -> None:
    state, unpacked = home(), home() / "root"
    if shutil.which("iptables") is None:
        Apt(os_release().get("VERSION_CODENAME", "stable")).install("iptables")
    _mount_cgroups()
    data = _data_root()
    config = {
        "data-root": str(data),
        "mtu": _mtu(),
        "pidfile": str(state / "pid"),
        "features": {"containerd-snapshotter": True},
        # Docker's own default has room for about thirty networks, those of killed runs included
        "default-address-pools": [{"base": "172.16.0.0/12", "size": 24}],
    }
    (state / "daemon.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if _our_pid() is None:
        (state / "pid").unlink(missing_ok=True)
        _clear_containerd()
        path = f"{unpacked}/usr/sbin:{unpacked}/usr/bin:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        with (state / "dockerd.log").open("wb") as log:
            subprocess.Popen(  # runs on after this process, in its own session
                [unpacked / "usr/sbin/dockerd", "--config-file", state / "daemon.json"],
                # COLUMNS would truncate the output of `docker top` as long as the engine runs
                env={
                    **{name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}},
                    "PATH": path,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
    for _ in range(300):
        if ask("docker", "version", "--format", "{{.Server.Version}}").strip():
            return
        time.sleep(0.1)
    tail = (state / "dockerd.log").read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
    raise MachineError("the Docker engine does not start", where=str(state / "dockerd.log"), details=tail)


def _data_root() -> Path:
    """Docker's usual data folder, unless another daemon has used it."""
    if DATA.exists() and any(DATA.iterdir()) and not (DATA / MARKER).exists():
        return home() / "data"
    DATA.mkdir(parents=True, exist_ok=True, mode=0o710)
    (DATA / MARKER).touch()
    return DATA


def _mtu() -> int:
    """The MTU of the default route's device: with a larger MTU, packets of containers are lost silently."""
    try:
        rows = [row.split() for row in Path("/proc/net/route").read_text(encoding="utf-8").splitlines()[1:]]
        device = next(row[0] for row in rows if row[1] == "00000000")
        return int(Path(f"/sys/class/net/{device}/mtu").read_text(encoding="utf-8"))
    except (OSError, StopIteration, ValueError):
        return 1500


def _mount_cgroups() -> None:
    """If nothing is mounted on /sys/fs/cgroup, mount cgroup version 2 or, failing that, the controllers of version 1."""
    target = Path("/sys/fs/cgroup")
    if target.is_mount():
        return
    if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", target], capture_output=True, check=False).returncode == 0:
        return
    run("mount", "-t", "tmpfs", "cgroup", target)
    for name in CONTROLLERS_V1:
        (target / name).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", name, name, target / name], capture_output=True, check=False)


def _clear_containerd() -> None:
    """Stop the containerd of a killed daemon and remove its pid file: a new daemon would wait ten seconds for it."""
    file = Path("/var/run/docker/containerd/containerd.pid")
    try:
        pid = int(file.read_text(encoding="utf-8"))
        program = Path(f"/proc/{pid}/exe").readlink()
    except (OSError, ValueError):
        file.unlink(missing_ok=True)
        return
    if program == home() / "root/usr/bin/containerd":
        os.kill(pid, signal.SIGTERM)
        for _ in range(50):
            if not Path(f"/proc/{pid}/exe").exists():
                break
            time.sleep(0.1)
    if program.name != "containerd" or not Path(f"/proc/{pid}/exe").exists():
        file.unlink(missing_ok=True)


def _our_pid() -> int | None:
    """The process id of the stand-in daemon; None if it does not run."""
    try:
        pid = int((home() / "pid").read_text(encoding="utf-8"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return None
    return pid if str(home() / "daemon.json") in words else None


def stop_engine(say: Say) -> None:
    """Stop the stand-in daemon. Other daemons are not touched."""
    with locked("engine"):
        pid = _our_pid()
        if pid is None:
            say(line("engine", "no engine of ours is running"))
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(600):
            if _our_pid() is None:
                say(line("engine", "stopped"))
                return
            time.sleep(0.1)
    raise OdpmError(f"the Docker engine (process {pid}) does not stop", where=str(home() / "dockerd.log"))
