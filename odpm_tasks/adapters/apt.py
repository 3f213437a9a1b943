"""The Debian mirrors that apt on this machine uses."""

from __future__ import annotations

import re
from pathlib import Path

from odpm_tasks.adapters import command, files


def machine_mirrors() -> tuple[str, str]:
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
