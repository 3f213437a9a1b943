"""How long it takes to render the files of 50 targets of each kind: at most a second for all of one kind.

Run: .odpm/venv/bin/python -m tests.bench.bench_targets
"""

from __future__ import annotations

import json
import sys
import time

from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.deployment.targets.files import target_files
from tests.unit.builders import MINIMAL

COUNT = 50
ALLOWED = 1.0  # seconds
IMAGE = "registry.example/acme/odoo@sha256:" + "0123456789abcdef" * 4


def rendered(kind: str) -> tuple[float, int]:
    """Seconds and bytes of all targets of a kind."""
    targets = {f"t{number}": {"kind": kind, "domain": f"t{number}.example"} for number in range(COUNT)}
    described = read_manifest(json.dumps({**MINIMAL, "targets": targets}), lambda _: None).manifest
    begun, size = time.perf_counter(), 0
    for target in described.targets.values():
        manifest = described.for_scenario(target.scenario).for_target(target)
        spec = TargetSpec(project="acme", target=target, manifest=manifest, image=IMAGE, conf="[options]\n")
        size += sum(len(data) for data in target_files(spec).values())
    return time.perf_counter() - begun, size


def main() -> int:
    """Print the figures; 1 where a kind takes longer than allowed."""
    rendered("compose")  # imports and templates are loaded once
    worst = 0.0
    for kind in ("compose", "swarm", "kubernetes"):
        seconds, size = rendered(kind)
        worst = max(worst, seconds)
        print(f"{kind:<12} {COUNT} targets  {seconds:5.2f} s  {size >> 10} KiB")
    print(f"allowed {ALLOWED:.1f} s for each kind: {'reached' if worst <= ALLOWED else 'missed'}")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
