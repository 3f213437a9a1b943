"""What add-ons ask of the system (`external_dependencies`: `deb`, `bin`), as Debian packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from odpm_tasks.core.image.dockerfile import is_package
from odpm_tasks.core.odoo.addons import Facts

# Programs that add-ons name, and the package that brings each. Those of the profile are there or left out with it.
PROGRAMS = {
    "antiword": "antiword",
    "convert": "imagemagick",
    "curl": "curl",
    "dot": "graphviz",
    "ffmpeg": "ffmpeg",
    "git": "git",
    "gpg": "gnupg",
    "gs": "ghostscript",
    "java": "default-jre-headless",
    "lessc": "node-less",
    "libreoffice": "libreoffice-nogui",
    "lp": "cups-client",
    "node": "nodejs",
    "ocrmypdf": "ocrmypdf",
    "openssl": "openssl",
    "pdfinfo": "poppler-utils",
    "pdftocairo": "poppler-utils",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pdfunite": "poppler-utils",
    "qpdf": "qpdf",
    "rsync": "rsync",
    "soffice": "libreoffice-nogui",
    "ssh": "openssh-client",
    "tesseract": "tesseract-ocr",
    "unoconv": "unoconv",
    "wget": "wget",
    "xmlsec1": "xmlsec1",
    "zbarimg": "zbar-tools",
}
_OF_THE_PROFILE = {"wkhtmltopdf", "wkhtmltoimage", "rtlcss"}
_THERE = {"pg_dump", "pg_restore", "psql", "python", "python3", "sh"}


@dataclass(frozen=True)
class SystemNeeds:
    """Debian packages, sorted, and what could not be made one: a line for each."""

    packages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def system_needs(facts: Iterable[Facts]) -> SystemNeeds:
    """What the installable add-ons of these repositories need. Nothing is guessed: an unknown program is told."""
    packages: set[str] = set()
    unknown: dict[str, str] = {}
    for module in (module for fact in facts for module in fact.modules if module.installable):
        for name in module.deb:
            if is_package(name):
                packages.add(name)
            else:
                unknown.setdefault(f"{name!r}, which is no Debian package name", module.name)
        for name in module.bin:
            if name in PROGRAMS:
                packages.add(PROGRAMS[name])
            elif name not in _OF_THE_PROFILE | _THERE:
                unknown.setdefault(f"the program {name!r}: name its Debian package in system_packages", module.name)
    told = tuple(f"the add-on {module} needs {what}" for what, module in sorted(unknown.items()))
    return SystemNeeds(tuple(sorted(packages)), told)
