"""The Python environment of a stack: who asks for which package, whether the locks answer that, and writing them."""

from __future__ import annotations

import re
from dataclasses import replace

from packaging.utils import canonicalize_name

from odpm_tasks.adapters import files, packages, terminal
from odpm_tasks.core import requirements
from odpm_tasks.core.addons import Facts
from odpm_tasks.core.lock import Lock, write_lock
from odpm_tasks.core.manifest import Manifest
from odpm_tasks.core.order import PYTHON_LOCKS
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Resolution
from odpm_tasks.core.world import PythonLocks
from odpm_tasks.errors import DescriptionError


def asked_packages(manifest: Manifest, resolved: Resolution, own: Facts) -> requirements.Merged:
    """Which Python packages the stack asks for, and who asked."""
    mine = [requirements.Asked(line, "odpm.json: requirements") for line in manifest.requirements]
    mine_others = [
        requirements.external_dependency(package, module.path)
        for module in own.modules
        if module.installable
        for package in module.python
    ]
    label = resolved.platform.link.name
    platform = requirements.requirement_lines(resolved.platform.facts.requirements or "", f"{label}: requirements.txt")
    others = [asked for asked in resolved.requirements if asked not in platform]
    merged = requirements.merge(mine, platform, [*mine_others, *others])
    for asked in merged.unreadable:
        if asked in mine:
            raise DescriptionError(
                f"cannot read the requirement {asked.line!r}",
                where=asked.by,
                todo="write it as NAME, NAME==1.0 or NAME @ URL",
            )
    return merged


def seen_locks(place: Place, manifest: Manifest, merged: requirements.Merged) -> PythonLocks:
    texts = [files.read(place.root / path) for path in PYTHON_LOCKS]
    wanted = requirements.inputs_digest(manifest.python, merged.text, "\n".join(requirements.DEVELOPER_TOOLS))
    if texts[0] is None or texts[1] is None:
        return PythonLocks(wanted, None, None)
    made_from = [requirements.locked_digest(text.decode(errors="replace")) for text in texts if text]
    same = made_from[0] if len(made_from) == 2 and made_from[0] == made_from[1] else ""
    return PythonLocks(wanted, same, files.sha256(b"\0".join(text for text in texts if text)))


def write_locks(
    place: Place, manifest: Manifest, merged: requirements.Merged, known: Lock | None, *, fresh: bool = False
) -> None:
    """Write both Python locks, and their hash into the lock where one is given; versions stay where they still fit unless `fresh`.

    Python locks that answer what is asked are taken as they are where the lock does not say which ones it means.
    """
    if merged.contradictions:
        raise DescriptionError(
            "Python requirements contradict each other",
            where="; ".join(dict.fromkeys(one.line for pair in merged.contradictions for one in pair)),
            details=[f"{one.line}: asked by {one.by}" for pair in merged.contradictions for one in pair],
            todo="name the version you want in the requirements of odpm.json: it wins over both",
        )
    for asked, chosen in merged.set_aside:
        terminal.warn(f"{asked.by} asks for {asked.line}; {chosen.line} of {chosen.by} is taken")
    seen = seen_locks(place, manifest, merged)
    if known is not None and known.venv is None and seen.made_from == seen.wanted and not fresh:
        _record(place, known, seen.digest)
        return
    header = requirements.locked_header(seen.wanted)
    paths = [place.root / path for path in PYTHON_LOCKS]
    before = ["" if fresh else files.read_text(path) or "" for path in paths]
    try:
        main = packages.compile_lock(merged.text, manifest.python, previous=before[0])
    except DescriptionError as error:
        error.details = (*error.details, *_who_asked(merged, " ".join(error.details)))
        raise
    tools = "\n".join(requirements.DEVELOPER_TOOLS)
    developer = packages.compile_lock(tools, manifest.python, constraints=main, previous=before[1])
    texts = [(header + text).encode() for text in (main, developer)]
    for path, data in zip(paths, texts, strict=True):
        files.write(path, data)
    if known is not None:
        _record(place, known, files.sha256(b"\0".join(texts)))


def _record(place: Place, known: Lock, digest: str | None) -> None:
    files.write(place.lock, write_lock(replace(known, venv=digest)).encode())


def _who_asked(merged: requirements.Merged, said: str) -> list[str]:
    """Who asks for the packages that a message of the resolver names."""
    names = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*", said)}
    return [f"{one.line}: asked by {one.by}" for name in sorted(names) for one in merged.askers.get(name, ())]
