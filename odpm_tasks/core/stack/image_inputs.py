"""The inputs of an image, one digest each; the inputs that differ from the last build are the reason to build."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from odpm_tasks.core import templating
from odpm_tasks.core.config.paths import ODOO_CONF
from odpm_tasks.core.image import dockerfile
from odpm_tasks.core.stack.render import Stack, render


def image_inputs(stack: Stack, own: str = "") -> dict[str, str]:
    """Digests by name, in the order of the image's layers; `own`: identity of the developing project's committed content.

    Sources that are mounted are no inputs.
    """
    spec, templates = stack.image, stack.templates
    found: dict[str, str | bytes] = {
        "Odoo version": spec.odoo_version,
        "base image": spec.base_image,
        "state of the Debian archive": spec.archive.text if spec.archive else "",
        "system packages": " ".join((*spec.runtime_packages, *spec.own_packages)),
        "Dockerfile template": templating.template_text(dockerfile.TEMPLATE, templates.get(dockerfile.TEMPLATE)),
        "Python packages": stack.locks[0],
    }
    if stack.packages:
        found["Python packages from git"] = "\n".join(f"{one.name} {one.url} {one.commit}" for one in stack.packages)
    if stack.scenario.developer:
        found["developer packages"] = stack.locks[1]
    for program in dockerfile.programs_of(stack.scenario.target):
        found[program.reason] = _bytes(found.get(program.reason, b"")) + stack.program(program)
    if not stack.scenario.mounts:
        found |= {source.name: source.commit for source in stack.resolution.sources}
        found["own add-ons"] = own
        found["configuration"] = render(stack).files[ODOO_CONF]
    return _digests(found)


def _digests(values: Mapping[str, str | bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(_bytes(value)).hexdigest()[:16] for name, value in values.items()}


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
