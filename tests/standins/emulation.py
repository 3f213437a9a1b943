"""Programs for arm64 on this machine: QEMU's user-mode emulator from Debian's package, registered with the kernel.

A processor of that kind needs nothing. Elsewhere `with emulation(say):` registers the emulator and removes the registration at the
end, unless it was there before. It is used for a container of any image: flag `F` makes the kernel open the program once,
when it is registered, so no container needs the file; `P` passes the name by which a program was started.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from odpm_tasks.errors import MachineError
from tests.standins.common import Apt, Say, install_folder, line, locked, root, run, scratch, seconds, unpack

PLATFORM = "linux/arm64"
# Statically linked since Debian 13. The emulator of Debian 12, QEMU 7.2, has no PR_SET_CHILD_SUBREAPER, which tini needs.
SUITE = "trixie"
PACKAGE = "qemu-user"
PROGRAM = "usr/bin/qemu-aarch64"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "qemu-aarch64"
# Source: the kernel's admin-guide/binfmt-misc and the ELF format. A 64-bit little-endian ELF file of version 1 for machine
# 183 (aarch64), executable (type 2) or shared (type 3). The mask ignores the system ABI, its version and the lowest bit of the type.
_MAGIC = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00"
_MASK = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
FLAGS = "FP"


def native() -> bool:
    """Whether this machine runs programs for arm64 itself."""
    return os.uname().machine in {"aarch64", "arm64"}


def ensure_emulator(say: Say) -> Path:
    """The emulator, unpacked in the cache; the machine's packages are not changed."""
    final = root() / "emulator"
    program = final / PROGRAM
    begun = time.monotonic()
    with locked("emulator"):
        if program.exists():
            say(line("emulator", "kept"))
            return program
        with scratch() as work:
            unpack(Apt(SUITE).download([PACKAGE], work / "debs"), work / "root")
            run(work / "root" / PROGRAM, "--version")
            made = work / "emulator"
            (made / PROGRAM).parent.mkdir(parents=True)
            (work / "root" / PROGRAM).rename(made / PROGRAM)
            install_folder(made, final)
    say(line("emulator", f"{PACKAGE} unpacked ({seconds(begun)})"))
    return program


def registered() -> bool:
    """Whether the kernel starts programs for arm64 with an emulator of any kind."""
    try:
        entries = [entry.read_text(encoding="utf-8") for entry in BINFMT.iterdir() if entry.name not in _CONTROLS]
    except OSError:
        return False
    return any(_MAGIC[16:].hex() in text.split("magic ")[-1].split("\n")[0] and "\nflags: " in text for text in entries)


_CONTROLS = ("register", "status")


@contextmanager
def emulation(say: Say) -> Iterator[None]:
    """Programs for arm64 run in the block. One process at a time; what was registered before stays registered.

    Errors: MachineError if this machine cannot register an emulator.
    """
    if native():
        yield
        return
    with locked("emulation"):
        mounted = _mount()
        try:
            if registered():
                say(line("emulator", "the machine has its own"))
                yield
                return
            _register(ensure_emulator(say))
            atexit.register(_unregister)  # tests that are run again can lose the end of a fixture
            try:
                yield
            finally:
                _unregister()
                atexit.unregister(_unregister)
        finally:
            if mounted:
                # busy while another process reads it: an empty file system that stays mounted changes nothing
                subprocess.run(["umount", BINFMT], capture_output=True, check=False)


def _mount() -> bool:
    """Mount the file system of registrations if it is not mounted; whether it was done here."""
    if (BINFMT / "register").exists():
        return False
    run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    return True


def _unregister() -> None:
    with suppress(FileNotFoundError):
        (BINFMT / NAME).write_bytes(b"-1")


def _register(program: Path) -> None:
    escaped = ("".join(f"\\x{byte:02x}" for byte in text) for text in (_MAGIC, _MASK))
    words = ["", NAME, "M", "", *escaped, str(program), FLAGS]
    try:
        (BINFMT / "register").write_bytes(":".join(words).encode())
    except OSError as error:
        raise MachineError(
            "the kernel does not register an emulator for arm64",
            where=str(BINFMT),
            details=[str(error)],
            todo="run as root on a machine whose kernel has binfmt_misc",
        ) from error
