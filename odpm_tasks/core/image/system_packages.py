"""System dependencies of add-ons (`external_dependencies`: `deb`, `bin`) as Debian packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from odpm_tasks.core.image.image_spec import is_package
from odpm_tasks.core.odoo.addons import Facts

# Programs in manifests of add-ons -> Debian package.
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
_IN_PROFILE = {"wkhtmltopdf", "wkhtmltoimage", "rtlcss"}
_INSTALLED = {"pg_dump", "pg_restore", "psql", "python", "python3", "sh"}


@dataclass(frozen=True)
class SystemDependencies:
    """Sorted Debian packages, and a warning for each dependency without a known package."""

    packages: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def system_dependencies(facts: Iterable[Facts]) -> SystemDependencies:
    """The system dependencies of the installable add-ons of these repositories; an unknown program gives a warning."""
    packages: set[str] = set()
    unknown: dict[str, str] = {}
    for module in (module for fact in facts for module in fact.modules if module.installable):
        for name in module.deb:
            if is_package(name):
                packages.add(name)
            else:
                unknown.setdefault(f"{name!r}, which is not a Debian package name", module.name)
        for name in module.bin:
            if name in PROGRAMS:
                packages.add(PROGRAMS[name])
            elif name not in _IN_PROFILE | _INSTALLED:
                unknown.setdefault(f"the program {name!r}: name its Debian package in system_packages", module.name)
    warnings = tuple(f"the add-on {module} needs {what}" for what, module in sorted(unknown.items()))
    return SystemDependencies(tuple(sorted(packages)), warnings)
