"""The field `web` of the nested format: the reverse proxy of the scenario `server`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.server_model import Web

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def domain_problem(text: str) -> str:
    """Why a text is not the name of a host; empty if it is one."""
    if re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", text) and len(text) <= 253 and not re.fullmatch(r"[\d.]+", text):
        return ""
    return f"{text!r} is not a domain like shop.example: in lower case, without scheme, port and path; others as xn--…"


def email_problem(text: str) -> str:
    """Why a text is not a mail address; empty if it is one."""
    return "" if re.fullmatch(r"[^\s@{}\"]+@[^\s@{}\"]+", text) else f"{text!r} is not a mail address"


def network_problem(text: str) -> str:
    """Why a text is neither an address nor a network; empty if it is one."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return f"{text!r} is not an address or a network like 192.0.2.0/24"
    return ""


def _checked(problem: Callable[[str], str]) -> AfterValidator:
    """A validator for literal values. One with a variable is checked when it is used."""

    def check(text: str) -> str:
        if not references(text) and (reason := problem(text)):
            raise ValueError(reason)
        return text

    return AfterValidator(check)


class TlsFiles(BaseModel):
    """A certificate of the user's own. Paths are relative to the project's root."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: f.Text = Field(description="File with the certificate and those that lead to its authority, PEM")
    key: f.Text = Field(description="File with the private key, PEM")


# the tags are left out of paths in messages (see fields.read_model)
Tls: TypeAlias = Annotated[
    Annotated[Literal["auto", "internal", "off"], Tag("[word]")] | Annotated[TlsFiles, Tag("[object]")],
    Discriminator(lambda value: "[object]" if isinstance(value, (Mapping, TlsFiles)) else "[word]"),
]


class WebBlock(BaseModel):
    """The reverse proxy in front of Odoo, in the scenario server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: Annotated[f.Text, _checked(domain_problem)] = Field(description="The name of the server: shop.example")
    tls: Tls = Field(
        "auto",
        description="auto: a certificate by ACME; internal: of an authority of this stack; off: HTTP only; or files",
    )
    email: Annotated[f.Text, _checked(email_problem)] | None = Field(
        None, description="Where the certificate authority writes to"
    )
    allow: list[Annotated[f.Text, _checked(network_problem)]] = Field(
        default_factory=list, description="Addresses and networks that may use the database manager"
    )

    def value(self) -> Web:
        """The block as a value of a `Manifest`."""
        files: dict[str, Any] = {}
        if isinstance(self.tls, TlsFiles):
            files = {"certificate": self.tls.certificate, "key": self.tls.key}
        tls = "files" if isinstance(self.tls, TlsFiles) else self.tls
        return Web(domain=self.domain, tls=tls, email=self.email or "", allow=tuple(self.allow), **files)
