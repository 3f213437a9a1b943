"""Asking an image what it really contains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters.docker import run_image
from odpm_tasks.core.audit.census import Census
from odpm_tasks.errors import ProgramError, UsageError

PROGRAM = Path(__file__).parents[1] / "templates" / "census.py"


def census(
    image: str,
    *,
    mounts: Sequence[tuple[Path, str]] = (),
    user: str = "",
    platform: str = "",
    imports: bool = False,
    smoke: bool = False,
) -> Census:
    """What an image contains, with `mounts` (place here, place in the container) in it; run as `user` (`UID:GID`).

    `platform`: which one of an image for several. `imports`: also try to import every Python package. `smoke`: tell only
    what `findings` looks at. Errors: UsageError where the engine has no such image, ProgramError where its Python does
    not tell.
    """
    environment = run_image.environment(image)
    if environment is None:
        raise UsageError(
            f"the engine has no image {image!r}",
            todo="inv build, or ODPM_SCENARIO=ci inv build-image, makes the project's own; docker pull fetches others",
        )
    words = [word for word, wanted in (("smoke", smoke), ("imports", imports)) if wanted]
    told = run_image.run_python(image, PROGRAM.read_bytes(), *words, mounts=mounts, user=user, platform=platform)
    try:
        return Census.model_validate({**json.loads(told), "environment": environment})
    except ValueError:
        raise ProgramError(
            f"{image} does not tell what it holds",
            details=told.decode(errors="replace").splitlines()[:2],
            todo=f"docker run --rm --entrypoint {run_image.PYTHON} {image} -c 1 should print nothing",
        ) from None
