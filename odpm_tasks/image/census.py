"""Read the census of an image: run `templates/census.py` in a container."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters.docker import run_image
from odpm_tasks.core.audit.census import Census
from odpm_tasks.errors import ProgramError, UsageError

PROGRAM = Path(__file__).parents[1] / "templates" / "census.py"


def read_census(
    image: str,
    *,
    mounts: Sequence[tuple[Path, str]] = (),
    user: str = "",
    platform: str = "",
    imports: bool = False,
    smoke: bool = False,
) -> Census:
    """The census of an image.

    `mounts`: path on this machine, path in the container. `user`: `UID:GID` of the program. `platform`: one platform of a
    multi-platform image. `imports`: also import every Python package. `smoke`: only the fields that `problems` uses.
    Errors: UsageError if the image does not exist, MachineError if this machine does not run programs for the platform,
    ProgramError if the program fails in it.
    """
    environment = run_image.environment_of_platform(image, platform) if platform else run_image.environment(image)
    if environment is None and platform:
        raise UsageError(
            f"the engine does not have the image {image!r} for {platform}",
            todo=f"docker pull --platform {platform} {image}; or build it: inv build-image --platform {platform}",
        )
    if environment is None:
        raise UsageError(
            f"the engine has no image {image!r}",
            todo="build the project's image: inv build, in ci inv build-image; or get another one: docker pull",
        )
    arguments = [name for name, enabled in (("smoke", smoke), ("imports", imports)) if enabled]
    output = run_image.run_python(image, PROGRAM.read_bytes(), *arguments, mounts=mounts, user=user, platform=platform)
    try:
        return Census.model_validate({**json.loads(output), "environment": environment})
    except ValueError:
        raise ProgramError(
            f"cannot read the content of {image}",
            details=output.decode(errors="replace").splitlines()[:2],
            todo=f"check that this prints nothing: docker run --rm --entrypoint {run_image.PYTHON} {image} -c 1",
        ) from None
