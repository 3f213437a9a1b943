"""The Debian mirror that apt on this machine uses, for image builds."""

from __future__ import annotations

import re
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import DescriptionError


def sources(codename: str, setting: str | None, where: str = "ODPM_APT_MIRROR") -> str:
    """The text of a sources.list for a Debian release; empty: keep the sources of the base image.

    `setting` is `URL [SECURITY_URL]`. Without it, use this machine's mirrors if it runs Debian and has both an archive
    and a security mirror. Errors: DescriptionError for an invalid URL.
    """
    archive, security = _from_setting(setting, where) if setting else _from_machine()
    if not archive:
        return ""
    deb = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    lines = [f"{deb} {archive} {suite} main" for suite in (codename, f"{codename}-updates")]
    if security:
        suite = f"{codename}/updates" if codename in {"stretch", "buster"} else f"{codename}-security"
        lines.append(f"{deb} {security} {suite} main")
    return "".join(f"{line}\n" for line in lines)


def _from_setting(setting: str, where: str) -> tuple[str, str]:
    urls = setting.split()
    for url in urls:
        if not re.fullmatch(r"https?://[^\s\[\]]+", url) or len(urls) > 2:
            raise DescriptionError(
                f"{command.redact(url)!r} is not the URL of a Debian mirror",
                where=where,
                todo="ODPM_APT_MIRROR=https://mirror.example/debian https://mirror.example/debian-security",
            )
    return urls[0], urls[1] if len(urls) == 2 else ""


def _from_machine() -> tuple[str, str]:
    """The archive mirror and the security mirror of this machine's apt; empty if it is not Debian or one is missing."""
    system = files.read_text(Path("/etc/os-release")) or ""
    if not re.search(r"^ID=\"?debian\"?$", system, re.MULTILINE) or not command.is_installed("apt-get"):
        return "", ""
    # prints the URLs that `update` would fetch, without fetching them
    output = command.run(["apt-get", "--print-uris", "update"], check=False, timeout=20).text
    urls = re.findall(r"^'(https?://\S+?)/dists/", output, re.MULTILINE)
    archive = next((url for url in urls if url.endswith("/debian")), "")
    security = next((url for url in urls if url.endswith(("/debian-security", "/security"))), "")
    return (archive, security) if archive and security else ("", "")
