"""Free ports for tests: outside of the range from which the kernel chooses, and claimed until this process ends.

A port that was free a moment ago may be in use by another program when a test publishes it. No program gets a port of
`PORTS` unless it asks for it by number, and other runs of the tests on this machine see the claim: a locked file.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from pathlib import Path
from typing import BinaryIO

from odpm_tasks.adapters.sockets import in_use

PORTS = range(12000, 30000)  # Linux chooses from 32768 on, macOS and Windows from 49152 on
_claims: dict[int, BinaryIO] = {}


def claim_port() -> int:
    """A port that is free on every address of this machine and that no other call returns, in any process."""
    folder = Path(tempfile.gettempdir(), f"odpm-test-ports-{os.geteuid()}")
    folder.mkdir(exist_ok=True)
    dice = random.SystemRandom()
    for port in (dice.choice(PORTS) for _ in range(1000)):
        if port in _claims:
            continue
        file = (folder / str(port)).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        if in_use(port, ""):
            file.close()
            continue
        _claims[port] = file
        return port
    raise AssertionError(f"no free port in {PORTS}")
