"""The Python locks of a stack: merge its requirements, compare the locks with them, write the locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from odpm_tasks import project_files
from odpm_tasks.adapters import files, index_settings, terminal
from odpm_tasks.adapters.command import redact
from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, ProjectPaths
from odpm_tasks.core.image.image_spec import base_image
from odpm_tasks.core.locking.addon_requirements import needed_addons, only_optional, with_need, without_system_modules
from odpm_tasks.core.locking.diff_packages import read_python_lock
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock, PythonLocks, write_lock
from odpm_tasks.core.locking.python_errors import LockContext, lock_error, required_by
from odpm_tasks.core.locking.python_lock import inputs_digest, python_lock_header, recorded_inputs, recorded_left_out
from odpm_tasks.core.locking.python_requirements import (
    DEVELOPER_TOOLS,
    MergedRequirements,
    RequirementLine,
    external_dependency,
    merge,
    repository_requirements,
)
from odpm_tasks.core.locking.uv_output import UvReason, host_of
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.python_names import system_package
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.errors import DescriptionError, LockError, OdpmError
from odpm_tasks.locking.git_packages import lock_packages
from odpm_tasks.locking.python_resolver import PythonResolver, Unresolvable
from odpm_tasks.sources.facts import folder_facts
from odpm_tasks.sources.git_packages import is_cached

_TOOLS = "\n".join(DEVELOPER_TOOLS)
_DESCRIBED = "odpm.json: requirements"  # the origin of the lines of the manifest


def merged_requirements(
    manifest: Manifest, resolved: Resolution, own: Facts, install: Sequence[str] = ()
) -> MergedRequirements:
    """The Python requirements of a stack with their origins.

    `own`: the facts of the project folder. `install`: further add-ons that the project needs.

    Errors: DescriptionError for a requirement of the manifest that cannot be locked.
    """
    described = [RequirementLine(line, _DESCRIBED) for line in manifest.requirements]
    own_addons = [
        line
        for module in own.modules
        if module.installable
        for package in module.python
        if (line := external_dependency(package, module.path, addon=module.name))
    ]
    platform = repository_requirements(resolved.platform.facts, resolved.platform.link.name)
    developing = [module for one in resolved.sources if one.kind == "developing" for module in one.facts.modules]
    modules = [module for one in resolved.sources for module in one.facts.modules]
    needed = needed_addons([*own.modules, *developing], modules, install)
    indexed, system = without_system_modules(
        with_need([*own_addons, *resolved.requirements], needed), manifest.system_packages
    )
    merged = merge(described, platform, indexed, manifest.requirements_ignore, python_of(manifest), system)
    for refused in merged.refused:
        if refused in described:
            raise DescriptionError(
                f"cannot lock the requirement {redact(refused.line)!r}: {refused.refusal}",
                where=refused.origin,
                todo="write it as NAME, NAME==1.0 or NAME @ git+URL@REF",
            )
    return merged


def python_of(manifest: Manifest) -> str:
    """The version of Python that is locked for, X.Y."""
    return ".".join(manifest.python.split(".")[:2])


def read_python_locks(
    paths: ProjectPaths, manifest: Manifest, merged: MergedRequirements, pinned: Sequence[GitPackage] = ()
) -> PythonLocks:
    """The state of both Python locks on disk, with the hash of their inputs as they are now.

    `pinned`: the packages from git in the lock. The hash contains them, so that a pin that is missing, moved or not required
    any more makes the Python locks out of date.
    """
    texts = [files.read(paths.root / path) for path in PYTHON_LOCKS]
    pins = sorted(one.text for one in pinned)
    inputs = inputs_digest(manifest.python, merged.text, _TOOLS, *merged.excluded, *pins)
    required = {one.name: one for one in merged.git}
    fitting = tuple(one for one in pinned if one.name in required and one.identity == required[one.name].identity)
    addresses = {name: one.url for name, one in required.items()}
    uncached = tuple(one.name for one in fitting if not is_cached(paths, one))
    if texts[0] is None or texts[1] is None:
        return PythonLocks(inputs, None, None, fitting, addresses, uncached)
    recorded = [recorded_inputs(text.decode(errors="replace")) for text in texts if text]
    same = recorded[0] if len(recorded) == 2 and recorded[0] == recorded[1] else ""
    left_out = recorded_left_out(texts[0].decode(errors="replace"))
    if any(not only_optional(merged.origins.get(name, ())) for name in left_out & merged.origins.keys()):
        same = ""  # an add-on that the project needs now requires a package that was left out
    if len(fitting) != len(required):
        same = ""  # a package from git has no pin
    digest = files.sha256(b"\0".join(text for text in texts if text))
    return PythonLocks(inputs, same, digest, fitting, addresses, uncached)


def write_python_locks(
    paths: ProjectPaths,
    manifest: Manifest,
    merged: MergedRequirements,
    known: Lock | None,
    *,
    fresh: bool = False,
    only: Collection[str] = (),
) -> None:
    """Write both Python locks, and into the lock where one is given, their hash and the packages from git.

    Versions are kept where they still satisfy the requirements, unless `fresh`; so are packages from git, unless `only` names
    them. Python locks that are up to date are kept
    where the lock records no hash: only the hash is written. Errors: as `core.locking.python_errors` words them.
    """
    if merged.conflicts:
        own = all(one.origin == _DESCRIBED for one in merged.conflicts[0])
        raise DescriptionError(
            "Python requirements contradict each other",
            where="; ".join(dict.fromkeys(one.shown for pair in merged.conflicts for one in pair)),
            details=[required_by(one) for pair in merged.conflicts for one in pair],
            todo="keep one of them in the requirements of odpm.json"
            if own
            else "add the version you want to the requirements of odpm.json: it overrides both",
        )
    pinned = known.python if known else ()
    locks = read_python_locks(paths, manifest, merged, pinned)
    if known is None and merged.git:
        raise LockError("packages from git need a lock, and there is none", where=LOCK_FILE, todo="inv lock")
    if known is not None and known.venv is None and locks.recorded_inputs == locks.inputs and not fresh:
        _record(paths, known, locks.digest, known.python)
        return
    targets = [paths.root / path for path in PYTHON_LOCKS]
    before = ["" if fresh else files.read_text(path) or "" for path in targets]
    mirror = paths.settings.get("ODPM_IMAGE_MIRROR") or ""
    _system_modules(merged)
    image = f"{mirror}{base_image(manifest.python, manifest.codename)}"
    packages = lock_packages(paths, merged.git, pinned, python=python_of(manifest), image=image, fresh=fresh, only=only)
    _warn_overridden(merged, packages)
    resolver = PythonResolver(paths, manifest.python, image)
    names = {package.name for package in packages}
    tools = "\n".join(tool for tool in DEVELOPER_TOOLS if canonicalize_name(Requirement(tool).name) not in names)
    try:
        main, left_out = _resolved(resolver, merged, before[0], packages)
        developer = resolver.lock(tools, constraints=main, previous=before[1])
    except Unresolvable as error:
        raise _explained(error.reason, resolver, merged, python_of(manifest)) from None
    inputs = read_python_locks(paths, manifest, merged, packages).inputs
    header = python_lock_header(inputs, left_out)
    texts = [(header + text).encode() for text in (main, developer)]
    for path, data in zip(targets, texts, strict=True):
        files.write(path, data)
    if new := _new_of_untrusted(merged, before[0], main):
        terminal.message(f"new Python packages that only add-ons of untrusted repositories require: {', '.join(new)}")
    if known is not None:
        _record(paths, known, files.sha256(b"\0".join(texts)), packages)


def _warn_overridden(merged: MergedRequirements, packages: Sequence[GitPackage]) -> None:
    """Report the requirements that have no effect. One that the version of a package from git satisfies needs no word."""
    versions = {package.name: package.version for package in packages}
    for ignored, chosen in merged.overridden:
        requirement = ignored.requirement
        version = versions.get(canonicalize_name(requirement.name))
        if version and not ignored.git and requirement.specifier.contains(version, prereleases=True):
            continue
        terminal.warn(f"{chosen.shown} of {chosen.origin} overrides {ignored.shown} of {ignored.origin}")


def _resolved(
    resolver: PythonResolver, merged: MergedRequirements, previous: str, packages: Sequence[GitPackage]
) -> tuple[str, frozenset[str]]:
    """The lock, and the packages that are left out because no index has them and no add-on that is needed requires them."""
    candidates = sorted(name for name, lines in merged.origins.items() if only_optional(lines))
    left_out: frozenset[str] = frozenset()
    pins = {package.name: package for package in packages}
    from_git = {one.text.partition(" @ ")[0]: pins[one.name] for one in merged.git}
    constraints = "".join(f"{line}\n" for line in merged.constraints)
    while True:
        lines = "".join(
            f"{line}\n" for line in merged.lines if canonicalize_name(Requirement(line).name) not in left_out
        )
        try:
            text = resolver.lock(
                lines, constraints=constraints, previous=previous, excluded=merged.excluded, packages=from_git
            )
            return text, left_out
        except Unresolvable as error:
            unknown = canonicalize_name(error.reason.package)
            if error.reason.kind != "unknown package" or unknown not in candidates or unknown in left_out:
                raise
            left_out = frozenset({unknown, *resolver.unknown(candidates)})
            for name in sorted(left_out):
                askers = ", ".join(dict.fromkeys(line.origin for line in merged.origins[name]))
                terminal.warn(
                    f"{name} is left out: the package index does not have it; this project does not need {askers}"
                )


def _system_modules(merged: MergedRequirements) -> None:
    """Report modules that only a Debian package has. Errors: DescriptionError where an add-on that is needed requires one."""
    for line in merged.system:
        package = system_package(line.line)
        if not line.optional:
            raise DescriptionError(
                f"{line.line} is in no package index, only in the Debian package {package}",
                where=line.origin,
                todo=f'add "{package}" to system_packages of odpm.json: it is then left out of the Python locks',
            )
        terminal.warn(
            f"{line.line} is left out: only the Debian package {package} has it; this project does not need {line.origin}"
        )


def _explained(reason: UvReason, resolver: PythonResolver, merged: MergedRequirements, python: str) -> OdpmError:
    """The error for a lock that cannot be resolved."""
    origin = "the tools of the scenario developer"
    tools = {Requirement(tool).name: (RequirementLine(tool, origin),) for tool in DEVELOPER_TOOLS}
    releases = resolver.releases(reason.package) if reason.kind in {"no version", "python"} else []
    settings = index_settings.index()
    hosts = [host_of(url) for url in index_settings.index_urls(settings)]
    context = LockContext(python, {**tools, **merged.origins}, releases, hosts, index_settings.index_names(settings))
    return lock_error(reason, context)


def _new_of_untrusted(merged: MergedRequirements, before: str, now: str) -> list[str]:
    """The packages that a lock gains for untrusted add-ons alone, with who requires them: the index may have others' code."""
    new = read_python_lock(now).keys() - read_python_lock(before).keys()
    return [
        f"{name} ({', '.join(dict.fromkeys(line.origin for line in merged.origins[name]))})"
        for name in sorted(new & merged.origins.keys())
        if not any(line.trusted for line in merged.origins[name])
    ]


def _record(paths: ProjectPaths, known: Lock, digest: str | None, packages: Sequence[GitPackage]) -> None:
    files.write(paths.lock, write_lock(replace(known, venv=digest, python=tuple(packages))).encode())


def lock_python(
    paths: ProjectPaths, observed: ResolvedState, *, fresh: bool = False, only: Collection[str] = ()
) -> None:
    """Write the Python locks of a resolved stack, and their hash into the lock where it is read."""
    merged = merged_requirements(observed.manifest, observed.resolution, folder_facts(paths.root), observed.install)
    known = project_files.lock(paths) if observed.reads_lock or merged.git else None
    write_python_locks(paths, observed.manifest, merged, known, fresh=fresh, only=only)
