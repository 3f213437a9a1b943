"""The generated files: their inputs, their bytes as described, and their bytes on disk."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.template_cache import TemplateCache
from odpm_tasks.core import templating
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import (
    COMPOSE_FILE,
    PYTHON_LOCKS,
    ProjectPaths,
    template_file,
)
from odpm_tasks.core.image.dockerfile import PROGRAMS
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.planning.observed import RenderedState, ResolvedState, extend
from odpm_tasks.core.planning.obsolete_files import obsolete_files
from odpm_tasks.core.stack.render import TEMPLATES, Stack, render
from odpm_tasks.project_files import is_exported
from odpm_tasks.sources.own_code import OwnCode
from odpm_tasks.sources.project_names import Remotes, chosen_database, stack_name
from odpm_tasks.stack import editors

_FOLDER = Path(__file__).parents[1] / "templates"


def stack(
    paths: ProjectPaths,
    manifest: Manifest,
    known: Lock | None,
    resolved: Resolution,
    own: OwnCode,
    remotes: Remotes,
    packages: tuple[GitPackage, ...] = (),
) -> Stack:
    """The inputs of the generated files."""
    locks = [files.read(paths.root / path) or b"" for path in PYTHON_LOCKS]
    overrides = {
        template: text for template in TEMPLATES if (text := files.read_text(paths.template(template))) is not None
    }
    return Stack(
        name=stack_name(paths, manifest, remotes),
        scenario=paths.settings.scenario,
        manifest=manifest,
        resolution=resolved,
        own=own.facts,
        own_content=own.content,
        locks=(locks[0], locks[1]),
        programs={one.template: (_FOLDER / one.template).read_bytes() for one in PROGRAMS},
        templates=overrides,
        digests=known.images if known else {},
        renderer=known.renderer if known else None,
        system=known.system if known else None,
        packages=packages,
        profile=paths.settings.profile,
        mail=paths.settings.catches_mail,
        browser=paths.settings.browser,
    )


def with_files(paths: ProjectPaths, observed: ResolvedState, stack: Stack, database: str) -> RenderedState:
    """The state with its generated files, as described and as on disk. `database`: the name in the options."""
    templating.use_bytecode_cache(TemplateCache(_FOLDER))
    rendered = render(stack)
    current = {path: files.read(paths.root / path) for path in rendered.files}
    hashes, recorded = observed.recorded.get("files", {}), observed.recorded.get("editors", {})
    edited = {path for path, data in current.items() if data is not None and files.sha256(data) != hashes.get(path)}
    edited |= {path for path in current if (paths.root / path).is_symlink()}
    chosen = chosen_database(paths, observed.manifest, database)
    return extend(
        observed,
        RenderedState,
        stack=stack,
        rendered=rendered,
        current=current,
        edited=frozenset(edited),
        obsolete_files=obsolete_files(hashes, rendered.files, lambda path: files.digest_below(paths.root, path)),
        editor_files=editors.observe_files(paths, stack, recorded),
        editor_leftovers=editors.leftovers(paths, recorded),
        overrides={
            path: template_file(template) for template, path in TEMPLATES.items() if template in stack.templates
        },
        release_exported=not rendered.release or is_exported(paths, rendered.release),
        validated=observed.recorded.get("validated") == files.sha256(rendered.compose),
        image=expand(rendered.image, paths.settings.get, COMPOSE_FILE),
        database=chosen or paths.root.name,
        database_chosen=bool(chosen),
        modules=tuple(name for name in stack.modules if name not in observed.addons.left_out),
    )
