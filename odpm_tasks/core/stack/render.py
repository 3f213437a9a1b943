"""Render description, lock and scenario to the bytes of every generated file. The bytes are the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from odpm_tasks.core.config.paths import (
    COMPOSE_FILE,
    DOCKERFILE,
    ODOO_CONF,
    OWN_SOURCE,
    RUNTIME_SCRIPT,
    SOURCE_ROOT,
    source_folder,
)
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.config.settings import Profile
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.image import dockerfile as images
from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.image_spec import ImagePackage, ImageSource, ImageSpec, base_image
from odpm_tasks.core.image.system_packages import SystemDependencies, system_dependencies
from odpm_tasks.core.image.wkhtmltopdf import PatchedBuild, Renderer
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import with_digest
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.conf import ConfSpec, odoo_conf
from odpm_tasks.core.stack import mailcatcher
from odpm_tasks.core.stack.compose_file import ComposeSpec, Mount, compose_text

TEMPLATES = ("Dockerfile.j2", "odoo.conf.j2", "odoo_run.py")


@dataclass(frozen=True)
class Stack:
    """The inputs of the generated files. `manifest` has the scenario's overlay and the fragments of dependencies merged.

    `name`: the project. `own`: add-ons of the developing checkout. `templates`: the project's templates by name.
    `digests`: the locked digests of images. `renderer`: the locked package of wkhtmltopdf. `system`: the locked state of the
    Debian archive. `packages`: the locked Python packages from git. `mail`: the built-in mail catcher is not switched off.
    """

    name: str
    scenario: Scenario
    manifest: Manifest
    resolution: Resolution
    own: Facts
    locks: tuple[bytes, bytes]
    runtime: bytes
    templates: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    renderer: Renderer | None = None
    system: ArchiveState | None = None
    packages: tuple[GitPackage, ...] = ()
    profile: Profile = "medium"
    mail: bool = True
    tool_version: str = VERSION

    @property
    def own_name(self) -> str:
        """The folder of the developing checkout in the container; never that of another source.

        The project's name is not part of it: a clone without `origin`, in a renamed folder or of a fork has another name.
        """
        used = {source.name.lower() for source in self.resolution.sources}
        return OWN_SOURCE if OWN_SOURCE not in used else f"own-{OWN_SOURCE}"

    @property
    def own_folder(self) -> str:
        """The folder of the developing project in the container."""
        return _join(self.own_name, "")

    @property
    def addons_path(self) -> tuple[str, ...]:
        paths = [_join(self.own_name, folder) for folder in self.own.addons]
        paths += [_join(source.name, folder) for source in self.resolution.ordered for folder in source.facts.addons]
        return tuple(paths)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        own = [
            Mount(folder, _join(self.own_name, folder), writable=self.scenario.developer) for folder in self.own.addons
        ]
        rest = [
            Mount(source_folder(source.name), _join(source.name, source.facts.folder))
            for source in self.resolution.ordered
        ]
        return (*own, *rest)

    @property
    def needs(self) -> SystemDependencies:
        return system_dependencies(self.all_facts)

    @property
    def image(self) -> ImageSpec:
        sources = [ImageSource(source.name, source.kind, source.facts.folder) for source in self.resolution.sources]
        if self.own.addons:
            sources.append(ImageSource(self.own_name, "developing"))
        manifest = self.manifest
        return ImageSpec(
            base_image=with_digest(base_image(manifest.python, manifest.codename), self.digests),
            codename=manifest.codename,
            odoo_version=manifest.odoo_version,
            python=manifest.python,
            platform=self.resolution.platform.name,
            system_packages=manifest.system_packages,
            addon_packages=self.needs.packages,
            profile=self.profile,
            language=manifest.language,
            arch=manifest.arch,
            wkhtmltopdf=self.renderer if isinstance(self.renderer, PatchedBuild) else None,
            archive=self.system if self.system and self.system.release == manifest.codename else None,
            sources=tuple(sources),
            packages=tuple(
                ImagePackage(one.name, one.url, one.commit, one.version, one.ref, one.subdirectory)
                for one in self.packages
            ),
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """The installable add-ons of the developing project."""
        facts = [self.own, *(source.facts for source in self.resolution.sources if source.kind == "developing")]
        return tuple(sorted({module.name for fact in facts for module in fact.modules if module.installable}))

    @property
    def all_modules(self) -> frozenset[str]:
        """Every add-on on the addons path."""
        return frozenset(module.name for facts in self.all_facts for module in facts.modules) | {"base"}

    @property
    def all_facts(self) -> tuple[Facts, ...]:
        """The facts of the developing checkout, then of every source."""
        return (self.own, *(source.facts for source in self.resolution.sources))


def _join(name: str, folder: str) -> str:
    return f"{SOURCE_ROOT}/{name}/{folder}".rstrip("/")


def render(stack: Stack) -> Rendered:
    """Every generated file of a stack, the step that writes each, and the name of the stack's image."""
    spec = stack.image
    runtime = stack.templates.get("odoo_run.py", "").encode() or stack.runtime
    dockerfile = images.dockerfile(spec, stack.templates.get("Dockerfile.j2"))
    caught = stack.mail and mailcatcher.has_mail_catcher(stack.scenario, stack.manifest)
    conf = odoo_conf(
        ConfSpec(
            stack.scenario.name,
            stack.manifest.odoo_version,
            stack.addons_path,
            stack.manifest.odoo_conf,
            mailcatcher.odoo_options() if caught else {},
        ),
        stack.templates.get("odoo.conf.j2"),
    )
    if stack.scenario.mounts:
        digest = images.environment_digest(
            spec, *stack.locks, runtime=runtime, template=stack.templates.get("Dockerfile.j2")
        )
        image = f"odpm/environment:{stack.manifest.odoo_version}-{stack.scenario.target}-{digest}"
    else:
        image = f"${{ODPM_IMAGE:-{stack.name}:ci}}"
    sources = "".join(f"{source.name} {source.commit}\n" for source in stack.resolution.sources)
    root_is_mounted = "" in stack.own.addons
    text = compose_text(
        ComposeSpec(
            name=stack.name,
            scenario=stack.scenario,
            manifest=stack.manifest,
            image=image,
            conf_digest=hashlib.sha256((conf + sources).encode()).hexdigest()[:16],
            mounts=stack.mounts,
            masked=(f"{_join(stack.own_name, '')}/.odpm",) if root_is_mounted and stack.scenario.mounts else (),
            digests=stack.digests,
            mail=stack.mail,
            tool_version=stack.tool_version,
        )
    )
    files = {
        DOCKERFILE: (dockerfile.encode(), "template.dockerfile"),
        f"{DOCKERFILE}.dockerignore": (images.dockerignore().encode(), "template.dockerfile"),
        RUNTIME_SCRIPT: (runtime, "template.dockerfile"),
        ODOO_CONF: (conf.encode(), "template.odoo_conf"),
        COMPOSE_FILE: (text.encode(), "compose.generate"),
    }
    return Rendered(
        files={path: data for path, (data, _) in files.items()},
        steps={path: step for path, (_, step) in files.items()},
        image=image,
    )


@dataclass(frozen=True)
class Rendered:
    """The generated files: bytes by path, the step that writes each, and the name of the image."""

    files: Mapping[str, bytes]
    steps: Mapping[str, str]
    image: str

    @property
    def compose(self) -> bytes:
        """The compose file."""
        return self.files[COMPOSE_FILE]
