"""The door to container registries: which digest a tag has just now, asked over HTTP, without Docker.

Source: the OCI distribution specification 1.1 (HEAD of a manifest, `Docker-Content-Digest`), the token flow of its
`WWW-Authenticate: Bearer` challenge, and Docker's `config.json` for logins.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import OdpmError

HUB = "registry-1.docker.io"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Reference:
    """An image as `docker pull` takes it, completed: `postgres:15` is `library/postgres` on Docker's own registry."""

    host: str
    repository: str
    tag: str

    @property
    def base(self) -> str:
        """Docker speaks plain HTTP with registries on loopback, TLS with all others."""
        return f"{'http' if _LOOPBACK.fullmatch(self.host) else 'https'}://{self.host}/v2/{self.repository}"


def reference(text: str) -> Reference:
    first, slash, rest = text.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = "docker.io", text
    name, colon, tag = rest.rpartition(":")
    name, tag = (name, tag) if colon and "/" not in tag else (rest, "latest")
    if first in {"docker.io", "index.docker.io"}:
        first, name = HUB, name if "/" in name else f"library/{name}"
    return Reference(first, name, tag)


def digests(images: Mapping[str, str], timeout: float) -> Callable[[], dict[str, str]]:
    """Ask for the digests of images (what each is called -> where to ask), all at once; call the result to have them.

    That waits until `patience` seconds after the beginning at most. An image whose registry does not answer in time, or
    does not know it, is left out.
    """
    told: dict[str, str] = {}
    deadline = time.monotonic() + timeout

    def ask(name: str, where: str) -> None:
        if found := _digest(reference(where), timeout):
            told[name] = found

    # daemons: a name server that hangs must not keep us from ending
    threads = [threading.Thread(target=ask, args=pair, daemon=True) for pair in images.items()]
    for thread in threads:
        thread.start()

    def wait() -> dict[str, str]:
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(told)

    atexit.register(wait)  # a run that fails meanwhile: Python crashes where it ends while a thread is inside OpenSSL
    return wait


def _digest(image: Reference, timeout: float) -> str | None:
    url = f"{image.base}/manifests/{image.tag}"
    try:
        answer = _head(url, timeout)
        if answer.status == 401:
            answer = _head(url, timeout, _authorization(image, answer.challenge, timeout))
    except (OSError, HTTPException, ValueError, OdpmError):
        return None
    return answer.digest if DIGEST.fullmatch(answer.digest) else None


@dataclass(frozen=True)
class _Answer:
    status: int
    digest: str
    challenge: str


def _head(url: str, timeout: float, authorization: str = "") -> _Answer:
    headers = {"Accept": ", ".join(_KINDS), **({"Authorization": authorization} if authorization else {})}
    request = urllib.request.Request(url, method="HEAD", headers=headers)  # noqa: S310 - https, or loopback
    try:
        with _open(request, timeout) as answer:
            return _Answer(answer.status, answer.headers.get("Docker-Content-Digest", ""), "")
    except urllib.error.HTTPError as error:
        return _Answer(error.code, "", error.headers.get("WWW-Authenticate", ""))


_opener_lock = threading.Lock()


def _open(request: urllib.request.Request, timeout: float) -> Any:
    with _opener_lock:
        opener = _opener()
    return opener.open(request, timeout=timeout)


@cache
def _opener() -> urllib.request.OpenerDirector:
    """One for all: reading the certificates of this machine takes longer than an answer."""
    context = ssl.create_default_context()
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def _authorization(image: Reference, challenge: str, timeout: float) -> str:
    """The header that answers a registry's challenge: our login itself, or a token got with it or as nobody."""
    login = _login(image.host)
    basic = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return basic
    asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = asked.pop("realm", "")
    address = urlsplit(realm)
    safe = address.scheme == "https" or _LOOPBACK.fullmatch(address.netloc)
    if scheme.lower() != "bearer" or not safe:
        return ""
    query = urlencode({"scope": f"repository:{image.repository}:pull", **asked})
    request = urllib.request.Request(f"{realm}?{query}", headers={"Authorization": basic} if basic else {})  # noqa: S310
    with _open(request, timeout) as answer:
        data = json.load(answer)
    return f"Bearer {data.get('token') or data['access_token']}"


def _login(host: str) -> str:
    """`user:password` of a registry as `docker login` left it, itself or in a credential helper; "" where there is none."""
    folder = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    text = files.read_text(Path(folder) / "config.json")
    config = json.loads(text) if text else {}
    for name in ("https://index.docker.io/v1/", "docker.io") if host == HUB else (host, f"https://{host}"):
        helper = config.get("credHelpers", {}).get(name) or config.get("credsStore")
        if helper and re.fullmatch(r"[\w.-]+", helper):
            outcome = command.run([f"docker-credential-{helper}", "get"], stdin=name.encode(), check=False, timeout=5)
            if outcome.ok:
                found = json.loads(outcome.stdout)
                return f"{found['Username']}:{found['Secret']}"
        if auth := config.get("auths", {}).get(name, {}).get("auth"):
            return base64.b64decode(auth).decode()
    return ""
