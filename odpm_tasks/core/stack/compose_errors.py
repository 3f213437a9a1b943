"""Problems of services, with the path in the description where each can be fixed.

There are three checks: undefined names, the messages of Compose, and, where Compose is not installed, the schema of the
Compose Specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from odpm_tasks.core.manifest.compose_schema import type_problems
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path, spell
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.compose_file import DATABASE, ODOO
from odpm_tasks.core.stack.dependency_services import Fragments
from odpm_tasks.core.stack.services import names_in

_FILE = 'mount a file instead, "volumes": ["./FILE:/path/in/it:ro"]'


def undefined_names(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Names in the services of a compose file that are not defined."""
    services, secrets = data["services"], data["secrets"]
    for name, service in services.items():
        needs = service.get("depends_on")
        for other in names_in(service, "depends_on"):
            how = needs.get(other) if isinstance(needs, Mapping) else None
            if other not in services and not (isinstance(how, Mapping) and how.get("required") is False):
                near = get_close_matches(other, services, n=1, cutoff=0.5)
                hint = f"the nearest is `{near[0]}`" if near else f"available: {', '.join(services)}"
                yield Problem(("services", name, "depends_on"), f"there is no service `{other}`; {hint}")
        for other in names_in(service, "secrets"):
            if other not in secrets:
                yield Problem(
                    ("services", name, "secrets"), f"there is no secret `{other}`, only {', '.join(secrets)}; {_FILE}"
                )
        for key in ("configs", "models"):
            for other in names_in(service, key):
                yield Problem(("services", name, key), f"`{other}` cannot be declared here; {_FILE}")


def schema_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The violations of the schema of the Compose Specification in the services of a compose file."""
    for name, service in data["services"].items():
        yield from type_problems(service, ("services", name))


def compose_problem(lines: tuple[str, ...]) -> Problem:
    """A message of Compose as a problem: the path that it names, if any, and the message without common prefixes."""
    message = " ".join(line.strip() for line in lines if line.strip())
    message = re.sub(r"^validating \S+: ", "", message).removesuffix(": invalid compose project")
    message = re.sub(r"^decoding failed due to the following error\(s\): ", "", message)
    if found := re.search(r"services[.\[]'?([\w-]+)'?\]?((?:\.\w+|\[\d+\])*)", message):
        below = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", found[2])]
        return Problem(("services", found[1], *below), re.sub(r"^services\.\S+ (?=\S)", "", message))
    if found := re.search(r'service "([^"]+)"', message):
        keys = ("depends_on", "network_mode", "networks", "volumes", "secrets", "configs")
        words = {"depends on": "depends_on", "network": "networks", "volume": "volumes", "secret": "secrets"}
        key = next((key for word, key in words.items() if word in message), "")
        return Problem(("services", found[1], *([key] if key in keys else [])), message)
    return Problem((), message)


def written_at(path: Path, manifest: Manifest, fragments: Fragments, scenario: str) -> str:
    """The origin of a path of the compose file: `odpm.json: services.web.cpus`, `queue: odpm.json: services.redis`.

    `manifest` has the scenario's overlay merged.
    """
    if len(path) < 2 or path[0] != "services":
        return "odpm.json: services, service_patches"
    name, below = str(path[1]), path[2:]
    if _written(manifest.service_patches, name, below):
        return f"odpm.json: {spell(_placed(manifest, scenario, 'service_patches', name, below))}"
    for fragment in reversed(fragments.items):
        if _written(fragment.patches, name, below):
            return f"{fragment.source}: odpm.json: {spell(('service_patches', name, *below))}"
    if source := fragments.source_of(name):
        return f"{source}: odpm.json: {spell(path)}"
    if name in {DATABASE, ODOO}:
        return f"docker-compose.yml: {spell(path)}"
    return f"odpm.json: {spell(_placed(manifest, scenario, 'services', name, below))}"


def _written(block: Mapping[str, Any], name: str, below: Path) -> bool:
    """Whether a block sets this key of a service, or the service itself where no key is given."""
    entry = block.get(name)
    return isinstance(entry, Mapping) and (not below or below[0] in entry)


def _placed(manifest: Manifest, scenario: str, block: str, name: str, below: Path) -> Path:
    overlay = manifest.scenarios.get(scenario, {}).get(block, {})
    return (*(("scenarios", scenario) if _written(overlay, name, below) else ()), block, name, *below)
