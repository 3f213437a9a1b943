"""The address of a stack behind its reverse proxy."""

from __future__ import annotations

from odpm_tasks.core.config.interpolation import Lookup, expand
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.manifest.web import domain_problem, email_problem, network_problem
from odpm_tasks.errors import DescriptionError


def web_of(scenario: Scenario, manifest: Manifest) -> Web | None:
    """The built-in reverse proxy of a stack, which `server` has where the description has `web`; else None."""
    return manifest.web if scenario.releases else None


def address(web: Web, settings: Settings) -> str:
    """`https://DOMAIN`, with the port where it is not the usual one. Errors: those of `check`."""
    check(web, settings.get)
    scheme, name = ("http", "ODPM_HTTP_PORT") if web.tls == "off" else ("https", "ODPM_HTTPS_PORT")
    return without_usual_port(f"{scheme}://{_expanded(web.domain, settings.get, 'domain')}:{settings.port(name)}")


def without_usual_port(address: str) -> str:
    """An address without the port that its scheme implies."""
    return address.removesuffix(":80" if address.startswith("http:") else ":443")


def check(web: Web, lookup: Lookup) -> None:
    """Check the values with their variables expanded: they become words of the proxy's configuration.

    Errors: DescriptionError for a variable that is not set and for a value that the field does not accept.
    """
    problems = {"domain": [(web.domain, domain_problem)], "allow": [(text, network_problem) for text in web.allow]}
    problems["email"] = [(web.email, email_problem)] if web.email else []
    for key, values in problems.items():
        for text, problem in values:
            if reason := problem(_expanded(text, lookup, key)):
                raise DescriptionError(reason, where=f"odpm.json: web.{key}", todo="set the variable in .env")


def _expanded(text: str, lookup: Lookup, key: str) -> str:
    return expand(text, lookup, f"odpm.json: web.{key}")
