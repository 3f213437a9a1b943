"""Download a file over HTTP: proxies and certificates of this machine, a limit of its size, no partial file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import files, index_settings
from odpm_tasks.errors import ProgramError

TIMEOUT = 30.0  # seconds without an answer


def available(url: str, timeout: float) -> bool:
    """Whether a server has the file: the answer to HEAD, within `timeout` seconds for each step of the request."""
    import requests

    try:
        return bool(requests.head(url, timeout=timeout, allow_redirects=True, **_options()).ok)
    except (requests.RequestException, ValueError):
        return False


def download(url: str, target: Path, limit: int, progress: Callable[[int], None] = lambda size: None) -> None:
    """Download into a file, which is complete or absent. `limit`: bytes. `progress` is called with the bytes so far.

    Errors: ProgramError; the message has no login of the address.
    """
    import requests

    name, size = target.name, 0
    with files.disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{name}.", dir=target.parent, delete=False) as part:
            temporary = Path(part.name)
            try:
                with requests.get(url, stream=True, timeout=TIMEOUT, **_options()) as answer:
                    answer.raise_for_status()
                    for chunk in answer.iter_content(1 << 16):
                        size += len(chunk)
                        if size > limit:
                            raise ProgramError(f"the file is larger than {limit // 1_000_000} MB")
                        part.write(chunk)
                        progress(size)
                part.close()
                temporary.chmod(0o644)
                temporary.replace(target)
            except (requests.RequestException, ValueError) as error:
                response = getattr(error, "response", None)
                reason = f"HTTP status {response.status_code}" if response is not None else type(error).__name__
                raise ProgramError(f"the download failed: {reason}") from None
            finally:
                temporary.unlink(missing_ok=True)


def _options() -> dict[str, Any]:
    certificates = index_settings.index().certificates
    return {"verify": str(certificates)} if certificates else {}
