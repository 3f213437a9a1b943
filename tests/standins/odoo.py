"""Real Odoo 19 as a bare git repository of upstream's layout, out of Debian's binary package `odoo-19`.

What Debian changes is undone: add-ons go from `odoo/addons` back to `addons` (those Debian lists in its own `addons`
folder; the core's stay), links to fonts and scripts of other packages become the files, and `odoo-bin`, `setup.py` and
`requirements.txt` are written anew. Not in the package, so not here: `pos_epson_printer`.

The package lies in `debs/` of the cache and is fetched once: sid moves on, a commit once locked should not.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from odpm_tasks.errors import ProgramError
from tests.standins.common import Apt, Say, fingerprint, folder_size, line, locked, root, scratch, seconds, size
from tests.standins.gitrepo import File, commit_of, place, recipe_of, write_bare

BRANCH = "19.0"
PACKAGE = "odoo-19"
LANGUAGES = ("de", "es", "fr", "ru")
TREE = "usr/lib/python3/dist-packages/"
HELPERS_SUITE = "trixie"  # sid's Font Awesome is of another generation than the one Odoo draws with
HELPERS = (
    "fonts-font-awesome",
    "fonts-inconsolata",
    "fonts-montserrat",
    "fonts-ocr-b",
    "fonts-roboto-unhinted",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
)
HELPER_FOLDERS = ("usr/share/fonts/", "usr/share/fonts-font-awesome/", "usr/share/javascript/")
REQUIREMENTS = Path(__file__).parent / "odoo-requirements.txt"
WRITTEN_ANEW = {
    "odoo-bin": """\
#!/usr/bin/env python3
from odoo.cli import main

if __name__ == "__main__":
    main()
""",
    "setup.py": """\
from setuptools import find_namespace_packages, setup

setup(
    name="odoo",
    version="19.0",
    packages=find_namespace_packages(include=["odoo", "odoo.*"]),
    scripts=["setup/odoo"],
    include_package_data=True,
    python_requires=">=3.10",
)
""",
    ".gitignore": "__pycache__/\n*.pyc\n*.egg-info/\n",
}


def ensure_odoo(say: Say, languages: Sequence[str] | None = LANGUAGES) -> Path:
    """The repository, made where it is missing. Of the translations only `languages` are kept (None: all)."""
    begun = time.monotonic()
    if os.environ.get("ODPM_STANDIN_LANGUAGES") == "all":
        languages = None
    repo = place("odoo/odoo")
    with locked("odoo"):
        deb = _package(PACKAGE, "sid", "odoo")[0]
        recipe = fingerprint(deb.name, repr(languages), Path(__file__), REQUIREMENTS)
        if recipe_of(repo) == recipe:
            say(line("odoo", f"{BRANCH} kept ({size(folder_size(repo))}, {commit_of(repo, BRANCH)[:10]})"))
            return repo
        say(line("odoo", f"making {BRANCH} from {deb.name}"))
        helpers = _package(*HELPERS, HELPERS_SUITE, "odoo-helpers")
        version = deb.name.split("_")[1]
        count = write_bare(
            repo, BRANCH, f"Odoo {BRANCH} ({version} of Debian)\n", _files(deb, helpers, languages), recipe
        )
        made = f"{count} files, {size(folder_size(repo))}, {commit_of(repo, BRANCH)[:10]}"
        say(line("odoo", f"{BRANCH} made from packages ({made}, {seconds(begun)})"))
    return repo


def _package(*names_suite_folder: str) -> list[Path]:
    """The named packages of a suite, fetched once into a folder of `debs/`."""
    *names, suite, folder = names_suite_folder
    final = root() / "debs" / folder
    if not final.exists():
        with scratch() as work:
            Apt(suite).download(names, work / "debs")
            final.parent.mkdir(exist_ok=True)
            (work / "debs").rename(final)
    return sorted(final.glob("*.deb"))


def _members(deb: Path) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                yield member.name.removeprefix("./"), member, tar
    if process.returncode:
        raise ProgramError(f"cannot read {deb.name}", where=str(deb), todo=f"rm -r {deb.parent}")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(member)
    assert handle is not None
    return handle.read()


def _files(deb: Path, helpers: Sequence[Path], languages: Sequence[str] | None) -> Iterator[File]:
    """Upstream's tree. Files come in the package's order, so memory holds one of them at a time."""
    shared = _helper_files(helpers)
    addons: set[str] = set()
    for name, member, tar in _members(deb):
        if not name.startswith(TREE):
            continue
        path = name.removeprefix(TREE).rstrip("/")
        top, _, below = path.partition("/")
        if top == "addons":  # the copy that Debian made; it names which add-ons are not the core's
            addons.add(below.partition("/")[0])
        if top not in ("odoo", "setup") or not _wanted(path, languages):
            continue
        target = _upstream_path(path, addons)
        if member.isfile():
            yield File(target, _content(tar, member), executable=bool(member.mode & 0o100))
        elif member.issym() and (data := _linked(name, member.linkname, shared)) is not None:
            yield File(target, data)
    for path, text in WRITTEN_ANEW.items():
        yield File(path, text.encode(), executable=path == "odoo-bin")
    yield File("requirements.txt", REQUIREMENTS.read_bytes())


def _wanted(path: str, languages: Sequence[str] | None) -> bool:
    if path.endswith(".po") and languages is not None:
        return posixpath.basename(path).removesuffix(".po") in languages
    return "__pycache__" not in path


def _upstream_path(path: str, addons: set[str]) -> str:
    if path.startswith("odoo/addons/") and path.split("/")[2] in addons:
        return path.removeprefix("odoo/")
    return path


def _helper_files(helpers: Sequence[Path]) -> dict[str, bytes]:
    """The fonts and scripts of the helper packages, links among them followed, by path."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for deb in helpers:
        for name, member, tar in _members(deb):
            if not name.startswith(HELPER_FOLDERS):
                continue
            if member.isfile():
                files[name] = _content(tar, member)
            elif member.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname)).lstrip("/")
    return files | {name: files[target] for name, target in links.items() if target in files}


def _linked(name: str, link: str, shared: dict[str, bytes]) -> bytes | None:
    """The file behind a link, None where the helpers lack it.

    A helper of the link's own name comes first: some of Debian's links lead from one font format to another.
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    namesake = posixpath.join(posixpath.dirname(target), posixpath.basename(name))
    for path in (namesake, target):
        if path in shared:
            return shared[path]
    wanted = posixpath.basename(name).lower()
    return next((shared[path] for path in sorted(shared) if posixpath.basename(path).lower() == wanted), None)
