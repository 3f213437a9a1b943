"""Real OCA add-ons of 19.0 as bare git repositories of OCA's layout, out of their wheels on the Python index.

`<repo>.git`, branch 19.0: `<addon>/__manifest__.py`, `requirements.txt` where manifests ask for Python packages,
`oca_dependencies.txt` naming the other repositories. The index is the one of the machine's own pip settings.
"""

from __future__ import annotations

import ast
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from odpm_tasks.errors import ProgramError
from tests.standins.common import Say, fingerprint, line, locked, pip_command, run, scratch, seconds
from tests.standins.gitrepo import File, place, recipe_of, write_bare

BRANCH = "19.0"
INSIDE = "odoo/addons/"


@dataclass(frozen=True)
class Repository:
    """One OCA repository: the repositories it depends on, and its add-ons as `name==version` on the index."""

    name: str
    depends: tuple[str, ...]
    addons: tuple[str, ...]

    def wheels(self) -> tuple[str, ...]:
        return tuple(f"odoo-addon-{addon}" for addon in self.addons)

    def recipe(self) -> str:
        return fingerprint(Path(__file__), self.name, *self.depends, *self.addons)


REPOSITORIES = (
    Repository("server-env", (), ("server-environment==19.0.1.0.4",)),
    Repository(
        "server-tools",
        (),
        ("module-auto-update==19.0.1.0.1.3", "auditlog==19.0.2.0.1", "sentry==19.0.1.0.1"),
    ),
    Repository("queue", (), ("queue-job==19.0.2.4.0.1",)),
    Repository(
        "web",
        (),
        # later ones change templates that the Odoo of the stand-in does not have yet: its web client stays blank
        ("web-responsive==19.0.1.0.1", "web-environment-ribbon==19.0.1.0.0.7", "web-refresher==19.0.1.0.0.2"),
    ),
    Repository("mail", ("server-env",), ("mail-environment==19.0.1.1.1.1",)),
    Repository(
        "partner-contact",
        ("server-tools", "web"),
        (
            "partner-firstname==19.0.1.0.3",
            "partner-contact-gender==19.0.1.0.0.3",
            "partner-contact-birthdate==19.0.1.0.0.3",
            "partner-contact-personal-information-page==19.0.1.0.0.2",
        ),
    ),
)


def ensure_oca(say: Say) -> Path:
    """The folder of the repositories; those of an older recipe or missing are made, from one download."""
    begun = time.monotonic()
    folder = place("OCA/any").parent
    with locked("oca"):
        stale = [repo for repo in REPOSITORIES if recipe_of(place(f"OCA/{repo.name}")) != repo.recipe()]
        if stale:
            with scratch() as work:
                _download([wheel for repo in stale for wheel in repo.wheels()], work)
                for repo in stale:
                    files = list(_files(repo, work))
                    write_bare(place(f"OCA/{repo.name}"), BRANCH, f"OCA/{repo.name} {BRANCH}\n", files, repo.recipe())
    names = " ".join(repo.name for repo in stale)
    done = f"made from wheels: {names} ({seconds(begun)})" if stale else f"{len(REPOSITORIES)} repositories kept"
    say(line("oca", done))
    return folder


def _download(wheels: Sequence[str], into: Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", str(into))
    run(*pip_command(), "download", *options, *wheels, timeout=600)


def _files(repo: Repository, folder: Path) -> Iterator[File]:
    wanted = {canonicalize_name(wheel.partition("==")[0]) for wheel in repo.wheels()}
    found = {parse_wheel_filename(path.name)[0]: path for path in sorted(folder.glob("*.whl"))}
    if missing := wanted - found.keys():
        raise ProgramError("pip did not bring all wheels", details=sorted(missing))
    python: set[str] = set()
    for name in sorted(wanted):
        with zipfile.ZipFile(found[name]) as wheel:
            for entry in sorted(wheel.namelist()):
                if not entry.startswith(INSIDE) or entry.endswith("/"):
                    continue
                data = wheel.read(entry)
                if entry.count("/") == 3 and entry.endswith("/__manifest__.py"):
                    python |= set(ast.literal_eval(data.decode()).get("external_dependencies", {}).get("python", []))
                yield File(entry.removeprefix(INSIDE), data)
    if python:
        lines = ["# generated from manifests external_dependencies", *sorted(python)]
        yield File("requirements.txt", ("\n".join(lines) + "\n").encode())
    if repo.depends:
        yield File("oca_dependencies.txt", ("\n".join(repo.depends) + "\n").encode())
