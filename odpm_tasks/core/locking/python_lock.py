"""The text of a Python lock: what the resolver writes, made fit for both processors and without our stand-in wheels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from odpm_tasks.core.locking.git_packages import GitPackage

MACHINES = ("x86_64", "aarch64")
_PATCHES = tuple(range(40))  # releases of X.Y, more than any had
_ENTRY = re.compile(
    r"^(?P<name>[A-Za-z0-9][\w.-]*)(?P<extras>\[[^\]]*\])?==(?P<version>[^\s;\\]+)(?P<marker>\s*;[^\\]*)?(?P<rest>\s*\\?)$"
)
_AT_ADDRESS = re.compile(r"^(?P<head>[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])? @ \S+)(?P<marker> ;[^\\]*)?\s*\\?$")
_HASH = re.compile(r"^    --hash=sha256:(?P<digest>[0-9a-f]{64})")

Package = tuple[str, str]  # canonical name, version


@dataclass(frozen=True)
class Stub:
    """A wheel that holds metadata alone: its SHA-256, and those of the files of the release that it stands for."""

    digest: str
    release: frozenset[str]


def locked_text(text: str, python: str, stubs: Mapping[Package, Stub]) -> str:
    """The lock of what the resolver wrote for Python `python` (X.Y).

    A marker that holds on Linux with both processors is left out; one that holds on one of them names the processor
    alone. The hash of a stub wheel is replaced by those of the files of its release.
    """
    lines: list[str] = []
    for entry in _entries(text.splitlines()):
        found = _ENTRY.match(entry[0])
        if found is None and (wheel := _AT_ADDRESS.match(entry[0])):
            marker = _short_marker((wheel["marker"] or "").strip().removeprefix(";").strip(), python)
            lines += [f"{wheel['head']}{f' ; {marker}' if marker else ''} \\", *entry[1:]]
            continue
        if found is None:
            lines += entry
            continue
        marker = _short_marker((found["marker"] or "").strip().removeprefix(";").strip(), python)
        package = (canonicalize_name(found["name"]), found["version"])
        digests = {match["digest"] for line in entry[1:] if (match := _HASH.match(line))}
        if package in stubs:
            digests = (digests - {stubs[package].digest}) | stubs[package].release
        head = f"{found['name']}{found['extras'] or ''}=={found['version']}{f' ; {marker}' if marker else ''}"
        hashes = [f"    --hash=sha256:{digest}" for digest in sorted(digests)]
        lines += [f"{line} \\" for line in [head, *hashes][:-1]] + [[head, *hashes][-1]]
    return "".join(f"{line}\n" for line in lines)


def without_addresses(text: str, packages: Iterable[GitPackage]) -> str:
    """What the resolver wrote, without the entries of packages from git."""
    names = {package.name for package in packages}
    kept = [entry for entry in _entries(text.splitlines()) if _addressed(entry[0]) not in names]
    return "".join(f"{line}\n" for entry in kept for line in entry)


def _addressed(line: str) -> str:
    """The normalized name of an entry `NAME @ URL`; empty for another entry."""
    found = re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])? @ ", line)
    return canonicalize_name(found[1]) if found else ""


def without_urls(requirements: Iterable[str], names: Collection[str]) -> tuple[str, ...]:
    """Requirements of a package, those of packages from git (`names`) without the address that they name."""
    found = []
    for line in requirements:
        requirement = Requirement(line)
        if requirement.url and canonicalize_name(requirement.name) in names:
            requirement.url = None
            found.append(str(requirement))
        else:
            found.append(line)
    return tuple(found)


def _entries(lines: Iterable[str]) -> list[list[str]]:
    """The lines of a lock, an entry with its indented hashes together."""
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("    ") and found:
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _short_marker(text: str, python: str) -> str:
    """A marker in as few words as say the same on Linux with CPython `python`, whatever its patch release."""
    if not text:
        return ""
    try:
        marker = Marker(text)
    except InvalidMarker:
        return text
    wanted = _truth(marker, python)
    if all(wanted):
        return ""
    parts = [f"platform_machine == '{machine}'" for machine in MACHINES]
    parts += dict.fromkeys(re.findall(r"python_full_version [<>=!]=? '[^']+'", text))
    for length in (1, 2):
        for chosen in combinations(parts, length):
            short = " and ".join(chosen)
            if _truth(Marker(short), python) == wanted:
                return short
    return text


def _truth(marker: Marker, python: str) -> list[bool]:
    """Whether a marker holds on each processor and patch release. It is evaluated once where it names neither: most do not."""
    text = str(marker)
    machines = MACHINES if "machine" in text else MACHINES[:1]
    patches = _PATCHES if "full_version" in text or "implementation_version" in text else _PATCHES[:1]
    found = [[marker.evaluate(_environment(machine, python, patch)) for patch in patches] for machine in machines]
    return [
        holds for row in found * (len(MACHINES) // len(machines)) for holds in row * (len(_PATCHES) // len(patches))
    ]


def _environment(machine: str, python: str, patch: int) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.{patch}",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.{patch}",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }


def for_target(lines: Iterable[str], python: str) -> list[str]:
    """Of requirement lines those that hold on Linux with Python `python`, with the marker that is still needed there."""
    found: list[str] = []
    for line in lines:
        requirement = Requirement(line)
        if not holds_on_target(requirement.marker, python):
            continue
        if requirement.marker is not None:
            short = _short_marker(str(requirement.marker), python)
            requirement.marker = Marker(short) if short else None
        found.append(str(requirement))
    return list(dict.fromkeys(found))


def holds_on_target(marker: Marker | None, python: str) -> bool:
    """Whether an environment marker holds on Linux with Python `python` (X.Y), on some processor and patch release."""
    return marker is None or any(_truth(marker, python))


def wheel_fits(filename: str, python: str, machine: str) -> bool:
    """Whether pip installs a wheel on glibc Linux with CPython `python` (X.Y), by the tags of its name (PEP 425, 600)."""
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    minor = int(python.split(".")[1])
    for tag in tags:
        platform = tag.platform == "any" or (
            tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith(f"_{machine}")
        )
        abi3 = re.fullmatch(r"cp3(\d+)", tag.interpreter) if tag.abi == "abi3" else None
        own = f"cp3{minor}"
        if platform and (
            (tag.interpreter in {"py3", f"py3{minor}"} and tag.abi == "none")
            or (tag.interpreter == own and tag.abi in {own, f"{own}m", "none"})
            or (abi3 is not None and int(abi3[1]) <= minor)
        ):
            return True
    return False


def exact_pins(*texts: str) -> set[Package]:
    """The packages that texts pin to one version, a line each: canonical name and version as written."""
    pattern = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([\w.!+-]+)(?![\w.!+*-])", re.MULTILINE)
    return {(canonicalize_name(name), version) for text in texts for name, version in pattern.findall(text)}


def inputs_digest(python: str, *texts: str) -> str:
    """The hash of the inputs of a Python lock, 32 hex digits, for its header."""
    digest = hashlib.sha256(python.encode())
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:32]


_LEFT_OUT = "# left out, in no package index: "


def python_lock_header(digest: str, left_out: Iterable[str] = ()) -> str:
    """The first lines of a Python lock. `left_out`: names of packages that no index has and only unneeded add-ons require."""
    names = " ".join(sorted(left_out))
    return (
        "# Generated by odpm: exact versions and hashes of every Python package. Do not edit: change the requirements, then run inv lock\n"
        f"# inputs: {digest}\n"
    ) + (f"{_LEFT_OUT}{names}\n" if names else "")


def recorded_inputs(text: str) -> str | None:
    """The hash of the inputs in the header of a Python lock; None without one."""
    for line in text.splitlines()[:4]:
        if line.startswith("# inputs: "):
            return line.removeprefix("# inputs: ").strip()
    return None


def recorded_left_out(text: str) -> frozenset[str]:
    """The names of the packages that a Python lock leaves out because no index has them."""
    for line in text.splitlines()[:4]:
        if line.startswith(_LEFT_OUT):
            return frozenset(line.removeprefix(_LEFT_OUT).split())
    return frozenset()
