"""The files of a target: what they are rendered from on this machine, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import registry
from odpm_tasks.core.config.paths import LOCK_FILE, ProjectPaths
from odpm_tasks.core.manifest.server_model import Target
from odpm_tasks.core.odoo.conf import ConfSpec, odoo_conf
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.targets import compose_bundle, kubernetes, swarm
from odpm_tasks.core.targets.spec import TargetSpec
from odpm_tasks.errors import DescriptionError
from odpm_tasks.image.build import RESULT
from odpm_tasks.stack.observe import locked_versions

RECORD = ".odpm-{target}.json"  # the digests of what was written last for a target: several may share a folder
RENDERERS = {"compose": compose_bundle.files, "swarm": swarm.files, "kubernetes": kubernetes.files}
REGISTRY_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class TargetImage:
    """The image of a target, and what is to be said about it: it has no digest, or it was built from another lock."""

    reference: str
    warnings: tuple[str, ...] = ()


def image_of(paths: ProjectPaths, target: Target, named: str = "") -> TargetImage:
    """The image by its digest: the one that is named, that of the description, or the one that was pushed or built last.

    The digest is looked up in the record of the last build, then at the registry. Errors: DescriptionError where none is known.
    """
    built = json.loads(files.read_text(paths.odpm / RESULT) or "{}")
    pushed: Mapping[str, str] = built.get("pushed") or {}
    names = [*pushed, *built.get("names", ())]
    reference = named or target.image or (names[0] if names else "")
    if not reference:
        raise DescriptionError(
            "no image is known for this target",
            where=f"odpm.json: targets.{target.name}.image",
            todo="ODPM_SCENARIO=ci inv build-image --tag registry.example/team/odoo:19.0 --push, or --image REFERENCE",
        )
    warnings = []
    if reference in names and built.get("labels", {}).get("odpm.lock") != files.sha256(files.read(paths.lock) or b""):
        warnings.append(f"{reference} was built from another lock than {LOCK_FILE}: ODPM_SCENARIO=ci inv build-image")
    if "@" not in reference:
        queries = {} if reference in pushed else {reference: reference}
        digest = pushed.get(reference) or registry.digests(queries, REGISTRY_TIMEOUT)().get(reference, "")
        if digest:
            reference = f"{reference}@{digest}"
        else:
            warnings.append(
                f"{reference} has no digest that is known here: its content may change; push it, or name it with @sha256:…"
            )
    return TargetImage(reference, tuple(warnings))


def target_spec(
    paths: ProjectPaths, observed: RenderedState, target: Target, image: str, *, versions: bool = False
) -> TargetSpec:
    """What the files of a target are rendered from. `observed`: the state in the scenario of the target.

    `versions`: also read those of all add-ons, which no file needs.
    """
    stack = observed.stack
    manifest = stack.manifest.for_target(target)
    conf = odoo_conf(
        ConfSpec(
            f"target {target.name}",
            manifest.odoo_version,
            stack.addons_path,
            manifest.odoo_conf,
            proxied=manifest.web is not None,
            manager=bool(manifest.web and manifest.web.allow),
        ),
        stack.templates.get("odoo.conf.j2"),
    )
    return TargetSpec(
        project=stack.name,
        target=target,
        manifest=manifest,
        image=image,
        conf=conf,
        lock=files.sha256(files.read(paths.lock) or b""),
        digests=stack.digests,
        templates=stack.templates,
        versions=locked_versions(paths, stack) if versions else {},
    )


def target_files(spec: TargetSpec) -> dict[str, bytes]:
    """The files of a target by their relative paths. Errors: DescriptionError for what the target cannot have."""
    return RENDERERS[spec.target.kind](spec)


def notes(spec: TargetSpec) -> tuple[str, ...]:
    """What is to be said about the files of a target: what they leave out, and what runs on one node."""
    if spec.target.kind == "kubernetes":
        return kubernetes.notes(spec)
    if spec.target.kind == "swarm" and not spec.target.filestore.driver:
        return (
            "one node: without filestore.driver everything with a volume runs on the node with the label odpm.data",
        )
    return ()


def secret_values(paths: ProjectPaths, target: Target) -> dict[str, bytes]:
    """The values of the secrets that this machine provides, by name. Errors: DescriptionError where one is not here."""
    found = {}
    for name, secret in target.secrets.items():
        if secret.source == "existing":
            continue
        value = (
            files.read(paths.root / Path(secret.value).expanduser())
            if secret.source == "file"
            else (paths.settings.get(secret.value) or "").encode()
        )
        if not value:
            what = (
                f"the file {secret.value} is missing or empty"
                if secret.source == "file"
                else f"{secret.value} is not set"
            )
            raise DescriptionError(
                what, where=f"odpm.json: targets.{target.name}.secrets.{name}", todo="provide it on this machine"
            )
        found[name] = value
    return found


@dataclass(frozen=True)
class WrittenFiles:
    """What `write` did: files that changed, copies of edited ones, and files of an earlier run that were removed."""

    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def write(folder: Path, target: str, rendered: Mapping[str, bytes]) -> WrittenFiles:
    """Write the files of a target into a folder. Only what differs is written; other files of the folder are not touched.

    A file that was not written by an earlier run is kept as `.orig`; what earlier runs wrote and this one does not is removed.
    """
    record = folder / RECORD.format(target=target)
    records = {path: json.loads(files.read_text(path) or "{}") for path in folder.glob(RECORD.format(target="*"))}
    known: dict[str, str] = records.pop(record, {})
    of_others = {(path, digest) for each in records.values() for path, digest in each.items()}
    changed, kept, removed = [], [], []
    for path, data in rendered.items():
        current = files.read(folder / path)
        if current == data:
            continue
        if current is not None and (path, files.sha256(current)) not in {*known.items(), *of_others}:
            kept.append(str(files.keep_original(folder / path).relative_to(folder)))
        files.write(folder / path, data, 0o755 if data.startswith(b"#!") else 0o644)
        changed.append(path)
    for path in sorted(known.keys() - rendered.keys() - {path for path, _ in of_others}):
        if files.digest_below(folder, path) == known[path]:
            files.remove(folder / path)
            removed.append(path)
    digests = {path: files.sha256(data) for path, data in sorted(rendered.items())}
    files.write(record, (json.dumps(digests, indent=2) + "\n").encode())
    return WrittenFiles(tuple(changed), tuple(kept), tuple(removed))
