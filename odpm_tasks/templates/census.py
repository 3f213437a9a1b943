"""Tells as JSON what the image holds that it runs in; the value is `Contents` of odpm_tasks/core/contents.py.

    docker run --rm --interactive --network=none --workdir=/ --entrypoint=PYTHON IMAGE -B - [smoke] [imports] < census.py

Everything is read from the root file system and from this Python's path. Everything is sorted, but for add-ons, which stand
in the order in which Odoo looks for them. What the image's own configuration says (its environment) is asked of the engine
instead. `imports`: try whether each Python distribution can be imported. `smoke`: tell only what shows that it runs. Nothing
is written. Standard library only, Python 3.7 and later.
"""

from __future__ import annotations

import ast
import configparser
import csv
import email.parser
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

SOURCES = Path("/opt/odoo/src")
CONFIGURATION = "/etc/odoo/odoo.conf"
NODE = ("/opt/node", "/usr/local/lib")  # what lies elsewhere is a package of the system
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
DOCUMENTS = Path("/usr/share/doc")
PATIENCE = 540  # seconds; whoever started us has a little more
MANIFESTS = ("__manifest__.py", "__openerp__.py")


def said(*words: str) -> str:
    """What a program prints; nothing where it is not there or fails."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", "replace")


def text_of(path: Path) -> str:
    """A file's text; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# The system ----------------------------------------------------------------------------------------------------------


def distribution() -> str:
    """Name and version of the distribution: `debian 12`."""
    found = dict(re.findall(r"^(ID|VERSION_ID)=[\"']?([^\"'\n]*)", text_of(Path("/etc/os-release")), re.MULTILINE))
    return " ".join(found[key] for key in ("ID", "VERSION_ID") if found.get(key))


def system_packages() -> list[dict[str, object]]:
    """What dpkg has installed."""
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
    rows = [line.split("\t") for line in said("dpkg-query", "--show", "--showformat=" + form).splitlines()]
    return [
        {"name": row[1], "version": row[2], "arch": row[3], "licenses": copyright_names(row[1])}
        for row in sorted(rows, key=lambda row: row[1:])
        if row[0].startswith("ii")
    ]


def copyright_names(package: str) -> list[str]:
    """The short names of a machine-readable copyright file, of any other the common licences that it refers to."""
    text = text_of(DOCUMENTS / package / "copyright")
    if re.search(r"^Format(-Specification)?:", text, re.MULTILINE):
        names = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    else:
        names = re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])", text)
    return sorted({" ".join(name.split()) for name in names})


def files_below(root: str):
    """Path and mode of every regular file below a folder, on its own file system; links are not followed."""
    if not Path(root).is_dir():
        return
    device = Path(root).stat().st_dev
    folders = [root]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield entry.path, status.st_mode
            elif stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                folders.append(entry.path)


def fonts() -> dict[str, str]:
    """The SHA-256 of every font file; the indexes that font tools keep beside them are left out."""
    paths = [Path(path) for root in FONTS for path, _ in files_below(root)]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if not path.name.startswith((".", "fonts."))
    }


def setuid() -> list[str]:
    """The files that run as their owner or group and not as who starts them."""
    return sorted(path for path, mode in files_below("/") if mode & (stat.S_ISUID | stat.S_ISGID))


# Python --------------------------------------------------------------------------------------------------------------


def metadata() -> dict[str, tuple[Path, object]]:
    """Folder and headers of every distribution on the path, by normalized name; the first one counts, as for an import."""
    found: dict[str, tuple[Path, object]] = {}
    for entry in sys.path:
        for folder in sorted([*Path(entry).glob("*.dist-info"), *Path(entry).glob("*.egg-info")]):
            text = text_of(folder / "METADATA") or text_of(folder / "PKG-INFO") or text_of(folder)
            headers = email.parser.HeaderParser().parsestr(text)
            if headers["Name"] and headers["Version"]:
                found.setdefault(re.sub(r"[-_.]+", "-", headers["Name"]).lower(), (folder, headers))
    return found


def python_packages(found: dict[str, tuple[Path, object]]) -> list[dict[str, object]]:
    return [
        {"name": headers["Name"], "version": headers["Version"], "licenses": license_names(headers)}
        for _, (_, headers) in sorted(found.items())
    ]


def license_names(headers) -> list[str]:
    """An expression where there is one, else the classifiers, else the free field where it holds a name and not a text."""
    if headers["License-Expression"]:
        return [headers["License-Expression"]]
    classes = [line.split(" :: ") for line in headers.get_all("Classifier", []) if line.startswith("License :: ")]
    names = sorted({words[-1].strip() for words in classes if words[-1].strip() != "OSI Approved"})
    free = (headers["License"] or "").strip()
    return names or ([free] if free and "\n" not in free and len(free) <= 80 and free != "UNKNOWN" else [])


# names that say of themselves that they are not meant for everybody, or are none
UNFIT = re.compile(r"_|\w*tests$|test$|test_|testing$|examples?$|docs?$|setup$|benchmarks?$|\d|.*\W")


def recorded(folder: Path) -> list[list[str]]:
    """The files that a distribution has installed, as the parts of their names."""
    return [row[0].split("/") for row in csv.reader(text_of(folder / "RECORD").splitlines()) if row]


def modules(folder: Path) -> list[str]:
    """What a distribution is imported by: its packages that are inside no other one of it, its modules beside them."""
    files = recorded(folder)
    packages = {tuple(parts[:-1]) for parts in files if parts[-1] == "__init__.py"}
    top = {parts for parts in packages if not any(parts[:depth] in packages for depth in range(1, len(parts)))}
    top |= {(parts[0].split(".")[0],) for parts in files if len(parts) == 1 and parts[0].endswith((".py", ".so"))}
    return sorted(".".join(parts) for parts in top if not any(UNFIT.match(word) for word in parts))


def extensions(folder: Path) -> list[str]:
    """The compiled modules inside the packages of a distribution."""
    found = [[*parts[:-1], parts[-1].split(".")[0]] for parts in recorded(folder) if parts[-1].endswith(".so")]
    return sorted(
        ".".join(parts)
        for parts in found
        if len(parts) > 1 and parts[-1].isidentifier() and not any(UNFIT.match(word) for word in parts[:-1])
    )


# Runs in a Python of its own, whose standard output is the only thing we read: a line of JSON for each name, once tried.
TRY = """
import importlib, json, os, sys
answers = os.fdopen(os.dup(1), "w", 1)
null = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
for name in sys.argv[1:]:
    error = ""
    try:
        importlib.import_module(name)
    except BaseException as caught:
        error = type(caught).__name__ + ": " + " ".join(str(caught).split())[:200]
    answers.write(json.dumps([name, error]) + "\\n")
os._exit(0)
"""


def tried(names: list[str]) -> dict[str, str]:
    """The error of each import ("": none); what comes after an import that ends Python is not in it."""
    out = said(sys.executable, "-B", "-W", "ignore", "-c", TRY, *names) if names else ""
    return dict(json.loads(line) for line in out.splitlines())


def unimportable(found: dict[str, tuple[Path, object]]) -> dict[str, str]:
    """The distributions of which a module cannot be imported, with the error.

    What it is imported by must raise nothing. A compiled module must find the libraries that it is linked with; one that
    asks for a Python module that is not there is meant for others. All are imported by one Python; what fails there is
    tried again by itself, so that nobody fails because of another.
    """
    wanted = {str(headers["Name"]): (modules(folder), extensions(folder)) for folder, headers in found.values()}
    parallel_map = tried(sorted({name for listed in wanted.values() for names in listed for name in names}))
    errors = {}
    for distribution_name, (asked, compiled) in sorted(wanted.items()):
        for name in asked + compiled:
            error = parallel_map.get(name)
            if error != "":
                error = tried([name]).get(name, "Python ends")
            if error and not (name in compiled and error.startswith("ModuleNotFoundError")):
                errors.setdefault(distribution_name, "import {}: {}".format(name, error))
    return errors


# Node ----------------------------------------------------------------------------------------------------------------


def node_packages() -> list[dict[str, object]]:
    """What npm has installed, however deep: of two versions of a name both."""
    found = {}
    for root in NODE:
        for file in Path(root).glob("**/package.json"):
            folder = file.parent.parent
            if "node_modules" not in {folder.name, folder.parent.name if folder.name.startswith("@") else ""}:
                continue  # part of a package
            try:
                told = json.loads(text_of(file))
                found[str(told["name"]), str(told["version"])] = told.get("license")
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    return [
        {"name": name, "version": version, "licenses": [license_] if isinstance(license_, str) else []}
        for (name, version), license_ in sorted(found.items())
    ]


# Odoo ----------------------------------------------------------------------------------------------------------------


def odoo() -> tuple[str, str]:
    """What `odoo --version` prints, and where it fails the last line of its complaint. Not asked without sources."""
    program, sources = shutil.which("odoo"), os.environ.get("ODOO_BIN")
    if program is None or (sources and not Path(sources).is_file()):
        return "", ""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    lines = (done.stderr if done.returncode else done.stdout).decode("utf-8", "replace").strip().splitlines()
    last = lines[-1].strip() if lines else ""
    return ("", last or "it ends with code {}".format(done.returncode)) if done.returncode else (last, "")


def configuration() -> dict[str, dict[str, str]]:
    """Section -> key -> value of Odoo's configuration file, nothing substituted; empty where there is none."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(CONFIGURATION, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        sys.exit("{}: {}".format(CONFIGURATION, " ".join(str(error).split())))
    return {section: dict(parser.items(section)) for section in parser.sections()}


def folders_of_addons(path: str) -> list[Path]:
    """The add-ons in a folder of the addons path."""
    try:
        folders = sorted(Path(path).iterdir())
    except OSError:
        return []
    return [folder for folder in folders if any((folder / name).is_file() for name in MANIFESTS)]


def addon(folder: Path) -> dict[str, object]:
    """One add-on; of a manifest that cannot be read, which Odoo skips, only the place."""
    file = next(path for path in (folder / name for name in MANIFESTS) if path.is_file())
    try:
        told = ast.literal_eval(file.read_text(encoding="utf-8-sig").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError, OSError):
        told = None
    readable = isinstance(told, dict)
    told = told if readable else {}
    depends = told.get("depends")
    return {
        "name": folder.name,
        "path": str(folder),
        "source": folder.relative_to(SOURCES).parts[0] if SOURCES in folder.parents else "",
        "version": str(told.get("version") or ""),
        "license": str(told.get("license") or ""),
        "depends": [str(name) for name in depends] if isinstance(depends, (list, tuple)) else [],
        "installable": readable and bool(told.get("installable", True)),
    }


def core_addons(addons_path: list[str]) -> list[str]:
    """Odoo's innermost add-ons (`base`), which it finds beside its own code without being told."""
    sources = os.environ.get("ODOO_BIN")
    inner = [str(Path(sources).parent / name / "addons") for name in ("odoo", "openerp")] if sources else []
    return [path for path in inner if path not in addons_path]


def everything(
    settings: dict[str, dict[str, str]], holds: dict[str, list[Path]], found: dict[str, tuple[Path, object]]
) -> dict[str, object]:
    return {
        "distribution": distribution(),
        "python": platform.python_version(),
        "system": system_packages(),
        "packages": python_packages(found),
        "node": node_packages(),
        "fonts": fonts(),
        "configuration": settings,
        "addons": [addon(folder) for entry in holds for folder in holds[entry]],
        "setuid": setuid(),
    }


def main(words: list[str]) -> None:
    settings = configuration()
    listed = settings.get("options", {}).get("addons_path", "").split(",")
    addons_path = [entry.strip().replace("$$", "$") for entry in listed if entry.strip()]
    holds = {entry: folders_of_addons(entry) for entry in [*addons_path, *core_addons(addons_path)]}
    brief = "smoke" in words
    found = {} if brief and "imports" not in words else metadata()
    version, complaint = odoo()
    told: dict[str, object] = {
        "architecture": said("dpkg", "--print-architecture").strip(),
        "odoo": version,
        "odoo_error": complaint,
        "addons_path": addons_path,
        "missing": [entry for entry in addons_path if not holds[entry]],
        "unimportable": unimportable(found) if "imports" in words else {},
    }
    if not brief:
        told.update(everything(settings, holds, found))
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


if __name__ == "__main__":
    # the first process of a container hears of no signal that it does not wait for
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("the census was broken off"))
    signal.alarm(PATIENCE)
    main(sys.argv[1:])
