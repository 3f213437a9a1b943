"""The door to this machine's apt: which Debian mirror it uses, so that image builds use it too."""

from __future__ import annotations

import re
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import DescriptionError


def sources(codename: str, setting: str | None, where: str = "ODPM_APT_MIRROR") -> str:
    """The lines of a sources.list for a Debian release, empty where the image's own are right.

    `setting` is `URL [SECURITY_URL]`. Without it the mirrors of a machine count that runs Debian itself and has both.
    Errors: DescriptionError for what is no URL.
    """
    archive, security = _named(setting, where) if setting else _own()
    if not archive:
        return ""
    deb = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    lines = [f"{deb} {archive} {suite} main" for suite in (codename, f"{codename}-updates")]
    if security:
        suite = f"{codename}/updates" if codename in {"stretch", "buster"} else f"{codename}-security"
        lines.append(f"{deb} {security} {suite} main")
    return "".join(f"{line}\n" for line in lines)


def _named(setting: str, where: str) -> tuple[str, str]:
    urls = setting.split()
    for url in urls:
        if not re.fullmatch(r"https?://[^\s\[\]]+", url) or len(urls) > 2:
            raise DescriptionError(
                f"{command.redact(url)!r} is not the URL of a Debian mirror",
                where=where,
                todo="ODPM_APT_MIRROR=https://mirror.example/debian https://mirror.example/debian-security",
            )
    return urls[0], urls[1] if len(urls) == 2 else ""


def _own() -> tuple[str, str]:
    """The mirror and the security mirror that apt of this machine uses; empty where it is no Debian or lacks one of them."""
    system = files.read_text(Path("/etc/os-release")) or ""
    if not re.search(r"^ID=\"?debian\"?$", system, re.MULTILINE) or not command.is_installed("apt-get"):
        return "", ""
    # what `update` would fetch; nothing is fetched
    told = command.run(["apt-get", "--print-uris", "update"], check=False, timeout=20).text
    urls = re.findall(r"^'(https?://\S+?)/dists/", told, re.MULTILINE)
    archive = next((url for url in urls if url.endswith("/debian")), "")
    security = next((url for url in urls if url.endswith(("/debian-security", "/security"))), "")
    return (archive, security) if archive and security else ("", "")
