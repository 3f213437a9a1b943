"""`inv mod.explain` on a stack of forty repositories, compared with plain Python that reads the same manifests.

    .odpm/venv/bin/python -m tests.bench.bench_explain [--runs 9]

The repositories have the names, sizes and dependencies that those of OCA have: 8 to 30 add-ons each, which depend on the platform,
on each other and on add-ons of other repositories, some of them installed automatically. The project needs fifteen of them.

floor        Python starts, imports the modules that `inv mod.explain` has imported at its end, parses every `__manifest__.py` of the
             checkouts, and searches the shortest chain from an add-on of the project.

The add-on that is explained is the one with the longest of these chains; both must find a chain of that length. No Docker. Medians of
alternating runs. Exit code 1 if the target is missed or if the chains differ.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.bench_plan import in_turn, report_plan, without_docker
from tests.bench.bench_sources import BRANCH, generated_platform
from tests.bench.project import environment, modules, run_timed, task, write_project
from tests.standins.gitrepo import File, place, write_bare

REPOSITORIES = (
    "account-analytic", "account-closing", "account-financial-reporting", "account-financial-tools",
    "account-invoicing", "account-payment", "account-reconcile", "bank-payment", "bank-statement-import", "brand",
    "calendar", "community-data-files", "contract", "credit-control", "crm", "currency", "delivery-carrier", "edi",
    "field-service", "helpdesk", "hr", "hr-holidays", "knowledge", "l10n-france", "mail", "manufacture",
    "mis-builder", "partner-contact", "product-attribute", "project", "purchase-workflow", "queue",
    "reporting-engine", "sale-workflow", "server-auth", "server-tools", "server-ux", "stock-logistics-warehouse",
    "stock-logistics-workflow", "web",
)  # fmt: skip
PLATFORM = (
    "mail",
    "web",
    "account",
    "sale",
    "stock",
    "purchase",
    "product",
    "contacts",
    "crm",
    "project",
    "hr",
    "portal",
)
OWN, NEEDED = "shop_site", 15
RATIO = 1.5
FLOOR = """
import ast, importlib, json, sys
from collections import deque
from pathlib import Path
for name in {modules!r}:
    importlib.import_module(name)
found = {{}}
for path in sorted(Path(".").glob("addons/*/__manifest__.py")) + sorted(Path(".odpm/src").glob("**/__manifest__.py")):
    found.setdefault(path.parent.name, ast.literal_eval(path.read_text()))
chains, pending = {{{own!r}: [{own!r}]}}, deque([{own!r}])
while pending:
    name = pending.popleft()
    for other in found[name].get("depends", ()):
        if other in found and other not in chains:
            chains[other] = [*chains[name], other]
            pending.append(other)
wanted = sys.argv[1] if len(sys.argv) > 1 else max(sorted(chains), key=lambda name: len(chains[name]))
print(json.dumps({{"addons": len(found), "chain": chains[wanted]}}))
"""


def manifest(name: str, depends: list[str], **more: object) -> bytes:
    data = {
        "name": name.replace("_", " ").title(), "summary": f"What {name} does", "version": "19.0.1.0.0", "category": "Tools",
        "author": "Acme, Odoo Community Association (OCA)", "license": "AGPL-3", "website": f"https://github.com/OCA/{name}",
        "depends": depends, "data": ["security/ir.model.access.csv", "views/view.xml"], "installable": True, **more,
    }  # fmt: skip
    return f"# Copyright 2026 Acme\n{data!r}\n".encode()


def graph() -> dict[str, dict[str, bytes]]:
    """Repository -> add-on -> manifest; the same each time."""
    chance = random.Random(40)
    known: list[str] = []
    repositories: dict[str, dict[str, bytes]] = {}
    for repository in REPOSITORIES:
        own: list[str] = []
        addons = {}
        for number in range(chance.randint(8, 30)):
            name = f"{repository.replace('-', '_')}_{number:02d}"
            depends = chance.sample(PLATFORM, chance.randint(1, 2))
            depends += chance.sample(own, min(len(own), chance.choice([0, 1, 1, 2])))
            depends += chance.sample(known, min(len(known), chance.choice([0, 0, 1, 2])))
            glue = chance.random() < 0.06 and len(depends) > 1
            addons[name] = manifest(name, depends, **({"auto_install": True} if glue else {}))
            own.append(name)
        known += own
        repositories[repository] = addons
    return repositories


def files(addons: dict[str, bytes]) -> Iterator[File]:
    for name, text in addons.items():
        yield File(f"{name}/__manifest__.py", text)
        yield File(f"{name}/__init__.py", b"from . import models\n")
        for model in range(4):
            yield File(f"{name}/models/model_{model}.py", b"from odoo import fields, models\n" * 40)
        yield File(f"{name}/views/view.xml", b"<odoo/>\n")
        yield File(f"{name}/README.rst", name.encode() * 100)


def prepared(folder: Path) -> Path:
    """The project after `inv render`."""
    served = folder / "served"
    served.mkdir()
    if (place("odoo/odoo") / "HEAD").exists():
        (served / "odoo.git").symlink_to(place("odoo/odoo"))
    else:
        write_bare(served / "odoo.git", BRANCH, "one", generated_platform(), "bench")
    repositories = graph()
    for name, addons in repositories.items():
        write_bare(served / f"{name}.git", BRANCH, "one", files(addons), "bench")
    root = folder / "project"
    write_project(root, "https://git.test/odoo", [f"https://git.test/{name}" for name in repositories])
    needed = random.Random(15).sample([name for addons in repositories.values() for name in addons], NEEDED)
    own = root / "addons" / OWN / "__manifest__.py"
    own.parent.mkdir(parents=True)
    own.write_bytes(manifest(OWN, needed))
    task(root, folder / "cache", "render", ODPM_GIT_MIRROR=f"https://git.test/=file://{served}/")
    return root


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    try:
        root = prepared(folder)
        env = environment(folder / "cache", PATH=without_docker(folder))
        program = folder / "floor.py"
        program.write_text(FLOOR.format(modules=[], own=OWN), encoding="utf-8")
        plain = json.loads(run_timed([sys.executable, str(program)], root, env).output)
        name = plain["chain"][-1]
        used = modules(root, env, f"mod.explain {name} --format json")
        program.write_text(FLOOR.format(modules=used, own=OWN), encoding="utf-8")
        words = [sys.executable, "-m", "invoke", "mod.explain", name]
        found = in_turn(
            {
                "mod.explain": lambda: run_timed(words, root, env).wall,
                "floor": lambda: run_timed([sys.executable, str(program), name], root, env).wall,
            },
            runs,
        )
        shown = run_timed(words, root, env).output
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(shown.strip())
    print(
        f"{len(REPOSITORIES)} repositories and the platform, {plain['addons']} add-ons; {' -> '.join(plain['chain'])}"
    )
    why = next(line for line in shown.splitlines() if line.lstrip().startswith("why "))
    equal = len(why.split("->")) == len(plain["chain"])
    return 0 if report_plan(found, "mod.explain", "floor", RATIO) and equal else 1


if __name__ == "__main__":
    sys.exit(main())
