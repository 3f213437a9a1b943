"""The Python environment of a stack: who asks for which package, whether the locks answer that, and writing them."""

from __future__ import annotations

import re
from dataclasses import replace

from packaging.utils import canonicalize_name

from odpm_tasks import project_files
from odpm_tasks.adapters import files, terminal, uv
from odpm_tasks.core.config.paths import PYTHON_LOCKS, ProjectPaths
from odpm_tasks.core.locking import python_requirements
from odpm_tasks.core.locking.lockfile import Lock, PythonLocks, write_lock
from odpm_tasks.core.locking.resolve import Resolution
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.errors import DescriptionError
from odpm_tasks.sources.folders import folder_facts


def merged_requirements(manifest: Manifest, resolved: Resolution, own: Facts) -> python_requirements.MergedRequirements:
    """Which Python packages the stack asks for, and who asked."""
    mine = [python_requirements.RequirementLine(line, "odpm.json: requirements") for line in manifest.requirements]
    mine_others = [
        python_requirements.external_dependency(package, module.path)
        for module in own.modules
        if module.installable
        for package in module.python
    ]
    label = resolved.platform.link.name
    platform = python_requirements.requirement_lines(
        resolved.platform.facts.requirements or "", f"{label}: requirements.txt"
    )
    others = [asked for asked in resolved.requirements if asked not in platform]
    merged = python_requirements.merge(mine, platform, [*mine_others, *others])
    for asked in merged.unreadable:
        if asked in mine:
            raise DescriptionError(
                f"cannot read the requirement {asked.line!r}",
                where=asked.by,
                todo="write it as NAME, NAME==1.0 or NAME @ URL",
            )
    return merged


def read_python_locks(
    paths: ProjectPaths, manifest: Manifest, merged: python_requirements.MergedRequirements
) -> PythonLocks:
    texts = [files.read(paths.root / path) for path in PYTHON_LOCKS]
    wanted = python_requirements.inputs_digest(
        manifest.python, merged.text, "\n".join(python_requirements.DEVELOPER_TOOLS)
    )
    if texts[0] is None or texts[1] is None:
        return PythonLocks(wanted, None, None)
    made_from = [python_requirements.recorded_inputs(text.decode(errors="replace")) for text in texts if text]
    same = made_from[0] if len(made_from) == 2 and made_from[0] == made_from[1] else ""
    return PythonLocks(wanted, same, files.sha256(b"\0".join(text for text in texts if text)))


def write_locks(
    paths: ProjectPaths,
    manifest: Manifest,
    merged: python_requirements.MergedRequirements,
    known: Lock | None,
    *,
    fresh: bool = False,
) -> None:
    """Write both Python locks, and their hash into the lock where one is given; versions stay where they still fit unless `fresh`.

    Python locks that answer what is asked are taken as they are where the lock does not say which ones it means.
    """
    if merged.conflicts:
        raise DescriptionError(
            "Python requirements contradict each other",
            where="; ".join(dict.fromkeys(one.line for pair in merged.conflicts for one in pair)),
            details=[f"{one.line}: asked by {one.by}" for pair in merged.conflicts for one in pair],
            todo="name the version you want in the requirements of odpm.json: it wins over both",
        )
    for asked, chosen in merged.overridden:
        terminal.warn(f"{asked.by} asks for {asked.line}; {chosen.line} of {chosen.by} is taken")
    seen = read_python_locks(paths, manifest, merged)
    if known is not None and known.venv is None and seen.made_from == seen.wanted and not fresh:
        _record(paths, known, seen.digest)
        return
    header = python_requirements.python_lock_header(seen.wanted)
    targets = [paths.root / path for path in PYTHON_LOCKS]
    before = ["" if fresh else files.read_text(path) or "" for path in targets]
    try:
        main = uv.compile_lock(merged.text, manifest.python, previous=before[0])
    except DescriptionError as error:
        error.details = (*error.details, *_who_asked(merged, " ".join(error.details)))
        raise
    tools = "\n".join(python_requirements.DEVELOPER_TOOLS)
    developer = uv.compile_lock(tools, manifest.python, constraints=main, previous=before[1])
    texts = [(header + text).encode() for text in (main, developer)]
    for path, data in zip(targets, texts, strict=True):
        files.write(path, data)
    if known is not None:
        _record(paths, known, files.sha256(b"\0".join(texts)))


def _record(paths: ProjectPaths, known: Lock, digest: str | None) -> None:
    files.write(paths.lock, write_lock(replace(known, venv=digest)).encode())


def _who_asked(merged: python_requirements.MergedRequirements, said: str) -> list[str]:
    """Who asks for the packages that a message of the resolver names."""
    names = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*", said)}
    return [f"{one.line}: asked by {one.by}" for name in sorted(names) for one in merged.origins.get(name, ())]


def lock_python(paths: ProjectPaths, observed: ResolvedState, *, fresh: bool = False) -> None:
    """Lock the Python packages that this stack asks for; the repositories' lock, where it is read, learns their hash."""
    known = project_files.lock(paths) if observed.reads_lock else None
    merged = merged_requirements(observed.manifest, observed.resolution, folder_facts(paths.root))
    write_locks(paths, observed.manifest, merged, known, fresh=fresh)
