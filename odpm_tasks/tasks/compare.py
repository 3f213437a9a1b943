"""Tasks that compare: parity."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, task, words


@task(
    help={
        "image": "Compare these images instead (repeat or comma separate), without a scenario that explains anything.",
        "format": "text or json.",
        "verbose": "Also show the differences that the scenario explains, with the reasons.",
    },
    iterable=["image"],
)
def parity(c: Context, image: list[str] | None = None, format: str = "text", verbose: bool = False) -> None:
    """Compare what the images of the scenarios really contain; exit 2 on what the scenario does not explain."""
    import sys

    from odpm_tasks import comparing
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core import parity_text
    from odpm_tasks.errors import DriftError, UsageError
    from odpm_tasks.project import Project

    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    named = tuple(dict.fromkeys(words(image)))
    if len(named) == 1:
        raise UsageError("one image is compared with nothing", todo=f"inv parity --image {named[0]} --image ANOTHER")
    notes: tuple[str, ...] = ()
    if named:
        compared = comparing.of_images(named)
    else:
        compared, notes = comparing.of_scenarios(Project.find().root)
    for note in notes:
        terminal.say(note)
    if format == "json":
        terminal.tell(parity_text.as_json(compared))
    else:
        terminal.tell(
            parity_text.as_text(compared, lambda text, style: terminal.paint(text, style, sys.stdout), verbose=verbose)
        )
    if failing := len(compared.failing):
        raise DriftError(
            f"the images differ: {failing} difference{'s' if failing > 1 else ''} that no scenario explains",
            todo="build them anew from the same lock, or change what differs; then inv parity",
        )
