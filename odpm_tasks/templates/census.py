"""Print the census of the image that this program runs in, as JSON: `Census` of odpm_tasks/core/audit/census.py.

    docker run --rm --interactive --network=none --workdir=/ --entrypoint=PYTHON IMAGE -B - [smoke] [imports] < census.py

The program reads the root file system and this Python's path, and writes nothing. Lists are sorted, except add-ons, which
are in Odoo's search order. The environment of the image is not included; it comes from the engine. `imports`: also import
each Python distribution. `smoke`: only the fields of a smoke test. Standard library only, Python 3.7 and later.
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
NODE = ("/opt/node", "/usr/local/lib")  # packages in other folders belong to system packages
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
DOCUMENTS = Path("/usr/share/doc")
INFO = Path("/var/lib/dpkg/info")
EPOCH = 315532800  # 1980-01-01, the time of all files that a build writes
TIMEOUT = 540  # seconds; less than the timeout of the caller
MANIFESTS = ("__manifest__.py", "__openerp__.py")


def output_of(*command: str) -> str:
    """The standard output of a program; empty if it is not installed or fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", "replace")


def text_of(path: Path) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# The system ----------------------------------------------------------------------------------------------------------


def distribution() -> str:
    """Name and version of the distribution, as `debian 12`."""
    found = dict(re.findall(r"^(ID|VERSION_ID)=[\"']?([^\"'\n]*)", text_of(Path("/etc/os-release")), re.MULTILINE))
    return " ".join(found[key] for key in ("ID", "VERSION_ID") if found.get(key))


def system_packages() -> list[dict[str, object]]:
    """The packages that dpkg has installed."""
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\t${Pre-Depends}, ${Depends}\n"
    rows = [line.split("\t") for line in output_of("dpkg-query", "--show", "--showformat=" + form).splitlines()]
    return [
        {
            "name": row[1],
            "version": row[2],
            "arch": row[3],
            "licenses": copyright_names(row[1]),
            "depends": sorted(set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", row[4]))),
            "base": not installed_by_build(row[1], row[3]),
        }
        for row in sorted(rows, key=lambda row: row[1:])
        if row[0].startswith("ii")
    ]


def installed_by_build(package: str, arch: str) -> bool:
    """Whether the list of a package's files has the time that a build sets; that of the base image has another one."""
    paths = [INFO / (name + ".list") for name in (package, package + ":" + arch)]
    return any(path.is_file() and int(path.stat().st_mtime) == EPOCH for path in paths)


def copyright_names(package: str) -> list[str]:
    """The licence names in a machine-readable copyright file; from other copyright files, the common licences they mention."""
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
    """The SHA-256 of every font file, without the index files of font tools."""
    paths = [Path(path) for root in FONTS for path, _ in files_below(root)]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if not path.name.startswith((".", "fonts."))
    }


def setuid() -> list[str]:
    """Files with the set-uid or set-gid bit."""
    return sorted(path for path, mode in files_below("/") if mode & (stat.S_ISUID | stat.S_ISGID))


# Python --------------------------------------------------------------------------------------------------------------


def metadata() -> dict[str, tuple[Path, object]]:
    """Folder and headers of every distribution on the path, by normalized name; the first one wins, as for imports."""
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
    """The licence expression, else the classifiers, else the field License if it is a name and not a text."""
    if headers["License-Expression"]:
        return [headers["License-Expression"]]
    classes = [line.split(" :: ") for line in headers.get_all("Classifier", []) if line.startswith("License :: ")]
    names = sorted({words[-1].strip() for words in classes if words[-1].strip() != "OSI Approved"})
    free = (headers["License"] or "").strip()
    return names or ([free] if free and "\n" not in free and len(free) <= 80 and free != "UNKNOWN" else [])


# names of modules that are private, tests, documentation or no identifiers
NOT_PUBLIC = re.compile(r"_|\w*tests$|test$|test_|testing$|examples?$|docs?$|setup$|benchmarks?$|\d|.*\W")


def recorded(folder: Path) -> list[list[str]]:
    """The installed files of a distribution, as lists of path components."""
    return [row[0].split("/") for row in csv.reader(text_of(folder / "RECORD").splitlines()) if row]


def modules(folder: Path) -> list[str]:
    """The importable names of a distribution: its top-level packages and modules."""
    files = recorded(folder)
    packages = {tuple(parts[:-1]) for parts in files if parts[-1] == "__init__.py"}
    top = {parts for parts in packages if not any(parts[:depth] in packages for depth in range(1, len(parts)))}
    top |= {(parts[0].split(".")[0],) for parts in files if len(parts) == 1 and parts[0].endswith((".py", ".so"))}
    return sorted(".".join(parts) for parts in top if not any(NOT_PUBLIC.match(word) for word in parts))


def extensions(folder: Path) -> list[str]:
    """The compiled modules inside the packages of a distribution."""
    found = [[*parts[:-1], parts[-1].split(".")[0]] for parts in recorded(folder) if parts[-1].endswith(".so")]
    return sorted(
        ".".join(parts)
        for parts in found
        if len(parts) > 1 and parts[-1].isidentifier() and not any(NOT_PUBLIC.match(word) for word in parts[:-1])
    )


# Runs in a separate Python. Prints a line of JSON for each name after its import.
IMPORT_ALL = """
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


def import_errors(names: list[str]) -> dict[str, str]:
    """The error of each import ("": none). If an import terminates Python, it and the names after it are missing."""
    output = output_of(sys.executable, "-B", "-W", "ignore", "-c", IMPORT_ALL, *names) if names else ""
    return dict(json.loads(line) for line in output.splitlines())


def unimportable(found: dict[str, tuple[Path, object]]) -> dict[str, str]:
    """The distributions with a module that cannot be imported, and the error.

    Importable names must not raise an exception. A compiled module must find the libraries that it is linked with; a
    missing Python module is allowed, because some compiled modules are optional integrations. All names are imported in one
    Python; a failed import is repeated in a separate one, to exclude the effect of other imports.
    """
    names = {str(headers["Name"]): (modules(folder), extensions(folder)) for folder, headers in found.values()}
    parallel_map = import_errors(sorted({name for pair in names.values() for listed in pair for name in listed}))
    errors = {}
    for distribution_name, (public, compiled) in sorted(names.items()):
        for name in public + compiled:
            error = parallel_map.get(name)
            if error != "":
                error = import_errors([name]).get(name, "Python ends")
            if error and not (name in compiled and error.startswith("ModuleNotFoundError")):
                errors.setdefault(distribution_name, "import {}: {}".format(name, error))
    return errors


# Node ----------------------------------------------------------------------------------------------------------------


def node_packages() -> list[dict[str, object]]:
    """The packages that npm has installed, at any depth, with all versions of each."""
    found = {}
    for root in NODE:
        for file in Path(root).glob("**/package.json"):
            folder = file.parent.parent
            if "node_modules" not in {folder.name, folder.parent.name if folder.name.startswith("@") else ""}:
                continue  # a file inside a package
            try:
                package = json.loads(text_of(file))
                found[str(package["name"]), str(package["version"])] = package.get("license")
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    return [
        {"name": name, "version": version, "licenses": [license_] if isinstance(license_, str) else []}
        for (name, version), license_ in sorted(found.items())
    ]


# Odoo ----------------------------------------------------------------------------------------------------------------


def odoo() -> tuple[str, str]:
    """The output of `odoo --version`, and the last line of its error. Both are empty if there are no sources."""
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
    """Odoo's configuration file as section -> key -> value, references not replaced; empty if it does not exist."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(CONFIGURATION, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        sys.exit("{}: {}".format(CONFIGURATION, " ".join(str(error).split())))
    return {section: dict(parser.items(section)) for section in parser.sections()}


def addon_folders(path: str) -> list[Path]:
    """The folders of the add-ons in an entry of the addons path."""
    try:
        folders = sorted(Path(path).iterdir())
    except OSError:
        return []
    return [folder for folder in folders if any((folder / name).is_file() for name in MANIFESTS)]


def addon(folder: Path) -> dict[str, object]:
    """One add-on; if its manifest cannot be read (Odoo skips it), only name and path."""
    file = next(path for path in (folder / name for name in MANIFESTS) if path.is_file())
    try:
        manifest = ast.literal_eval(file.read_text(encoding="utf-8-sig").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError, OSError):
        manifest = None
    readable = isinstance(manifest, dict)
    manifest = manifest if readable else {}
    depends = manifest.get("depends")
    return {
        "name": folder.name,
        "path": str(folder),
        "source": folder.relative_to(SOURCES).parts[0] if SOURCES in folder.parents else "",
        "version": str(manifest.get("version") or ""),
        "license": str(manifest.get("license") or ""),
        "depends": [str(name) for name in depends] if isinstance(depends, (list, tuple)) else [],
        "installable": readable and bool(manifest.get("installable", True)),
    }


def core_addons(addons_path: list[str]) -> list[str]:
    """Odoo's core add-ons (`base`), which Odoo finds without an entry in the addons path."""
    sources = os.environ.get("ODOO_BIN")
    paths = [str(Path(sources).parent / name / "addons") for name in ("odoo", "openerp")] if sources else []
    return [path for path in paths if path not in addons_path]


def everything(
    settings: dict[str, dict[str, str]], addons: dict[str, list[Path]], found: dict[str, tuple[Path, object]]
) -> dict[str, object]:
    return {
        "distribution": distribution(),
        "python": platform.python_version(),
        "system": system_packages(),
        "packages": python_packages(found),
        "node": node_packages(),
        "fonts": fonts(),
        "configuration": settings,
        "addons": [addon(folder) for entry in addons for folder in addons[entry]],
        "setuid": setuid(),
    }


def main(arguments: list[str]) -> None:
    settings = configuration()
    entries = settings.get("options", {}).get("addons_path", "").split(",")
    addons_path = [entry.strip().replace("$$", "$") for entry in entries if entry.strip()]
    addons = {entry: addon_folders(entry) for entry in [*addons_path, *core_addons(addons_path)]}
    smoke = "smoke" in arguments
    found = {} if smoke and "imports" not in arguments else metadata()
    version, error = odoo()
    census: dict[str, object] = {
        "architecture": output_of("dpkg", "--print-architecture").strip(),
        "odoo": version,
        "odoo_error": error,
        "addons_path": addons_path,
        "missing": [entry for entry in addons_path if not addons[entry]],
        "unimportable": unimportable(found) if "imports" in arguments else {},
    }
    if not smoke:
        census.update(everything(settings, addons, found))
    text = json.dumps(census, sort_keys=True, ensure_ascii=False)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))


if __name__ == "__main__":
    # the first process of a container ignores signals without a handler
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("the census was interrupted"))
    signal.alarm(TIMEOUT)
    main(sys.argv[1:])
