"""Container registries over HTTP, without Docker: the current digest of a tag.

Source: the OCI distribution specification 1.1 (HEAD of a manifest, `Docker-Content-Digest`), the token flow of its
`WWW-Authenticate: Bearer` challenge, and Docker's `config.json` for logins.
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from odpm_tasks.adapters import command, files, http
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
    """An image reference in full form: `postgres:15` is `library/postgres` with tag `15` on Docker Hub."""

    host: str
    repository: str
    tag: str

    @property
    def base(self) -> str:
        """The URL of the repository. As in Docker: plain HTTP for registries on loopback, HTTPS for all others."""
        return f"{'http' if _LOOPBACK.fullmatch(self.host) else 'https'}://{self.host}/v2/{self.repository}"


def reference(text: str) -> Reference:
    """Parse an image reference with the defaults of `docker pull`: Docker Hub, `library/`, tag `latest`."""
    first, slash, rest = text.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        first, rest = "docker.io", text
    name, colon, tag = rest.rpartition(":")
    name, tag = (name, tag) if colon and "/" not in tag else (rest, "latest")
    if first in {"docker.io", "index.docker.io"}:
        first, name = HUB, name if "/" in name else f"library/{name}"
    return Reference(first, name, tag)


def digests(images: Mapping[str, str], timeout: float) -> Callable[[], dict[str, str]]:
    """Request the digests of images (name -> reference to query) in parallel; call the result to get them.

    The call returns at most `timeout` seconds after the start. Images whose registry does not answer in time, or does
    not have them, are missing from the result.
    """
    calls = {name: partial(_digest, reference(image), timeout) for name, image in images.items()}
    return http.in_parallel(calls, timeout)


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
        with http.send(request, timeout) as answer:
            return _Answer(answer.status, answer.headers.get("Docker-Content-Digest", ""), "")
    except urllib.error.HTTPError as error:
        return _Answer(error.code, "", error.headers.get("WWW-Authenticate", ""))


def _authorization(image: Reference, challenge: str, timeout: float) -> str:
    """The Authorization header for a registry's challenge: the user's login, or a token obtained with it or anonymously."""
    login = _login(image.host)
    basic = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return basic
    parameters = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = parameters.pop("realm", "")
    address = urlsplit(realm)
    safe = address.scheme == "https" or _LOOPBACK.fullmatch(address.netloc)
    if scheme.lower() != "bearer" or not safe:
        return ""
    query = urlencode({"scope": f"repository:{image.repository}:pull", **parameters})
    request = urllib.request.Request(f"{realm}?{query}", headers={"Authorization": basic} if basic else {})  # noqa: S310
    with http.send(request, timeout) as answer:
        data = json.load(answer)
    return f"Bearer {data.get('token') or data['access_token']}"


def _login(host: str) -> str:
    """`user:password` for a registry as stored by `docker login`, in its file or a credential helper; "" if there is none."""
    folder = os.environ.get("DOCKER_CONFIG") or files.home() / ".docker"
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
