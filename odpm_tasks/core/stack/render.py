"""Render description, lock and scenario to the bytes of every generated file. The bytes are the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from odpm_tasks.core import templating
from odpm_tasks.core.config.container_paths import ContainerPaths
from odpm_tasks.core.config.paths import (
    CADDYFILE,
    COMPOSE_FILE,
    DOCKERFILE,
    MAINTENANCE_PAGE,
    ODOO_CONF,
    OWN_SOURCE,
    SOURCE_ROOT,
    release_folder,
    release_source,
    source_folder,
)
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.config.settings import Profile
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.deployment.releases import release_id
from odpm_tasks.core.image import dockerfile as images
from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.image_spec import ImagePackage, ImageSource, ImageSpec, base_image
from odpm_tasks.core.image.system_packages import SystemDependencies, system_dependencies
from odpm_tasks.core.image.wkhtmltopdf import PatchedBuild, Renderer
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import with_digest
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.conf import ConfSpec, odoo_conf
from odpm_tasks.core.stack import mailcatcher
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.stack.compose_file import ComposeSpec, Mount, compose_text
from odpm_tasks.core.stack.web import caddy
from odpm_tasks.core.stack.web.address import web_of

# The templates that a project can override, and the file that is made from each.
TEMPLATES = {
    images.TEMPLATE: DOCKERFILE,
    "odoo.conf.j2": ODOO_CONF,
    **{program.template: program.path for program in images.PROGRAMS},
    caddy.TEMPLATE: CADDYFILE,
    caddy.PAGE: MAINTENANCE_PAGE,
}


@dataclass(frozen=True)
class Stack:
    """The inputs of the generated files. `manifest` has the scenario's overlay and the fragments of dependencies merged.

    `name`: the project. `own`: add-ons of the developing checkout. `templates`: the project's templates by name.
    `programs`: those of the image, as odpm has them, by template.
    `digests`: the locked digests of images. `renderer`: the locked package of wkhtmltopdf. `system`: the locked state of the
    Debian archive. `packages`: the locked Python packages from git. `mail`: the built-in mail catcher is not switched off.
    `browser`: browser tests are switched on. `own_content`: the identity of the committed add-ons of the developing checkout.
    """

    name: str
    scenario: Scenario
    manifest: Manifest
    resolution: Resolution
    own: Facts
    locks: tuple[bytes, bytes]
    programs: Mapping[str, bytes]
    templates: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    renderer: Renderer | None = None
    system: ArchiveState | None = None
    packages: tuple[GitPackage, ...] = ()
    profile: Profile = "medium"
    mail: bool = True
    browser: bool = False
    own_content: str = ""
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

    def release_mounts(self, release: str) -> tuple[Mount, ...]:
        """The folders of a release where `mounts` has those of the checkout."""
        own = [
            Mount(f"{release_source(release, self.own_name)}/{folder}".rstrip("/"), _join(self.own_name, folder))
            for folder in self.own.addons
        ]
        rest = [
            Mount(release_source(release, source.name), _join(source.name, source.facts.folder))
            for source in self.resolution.ordered
        ]
        return (*own, *rest)

    @property
    def container_paths(self) -> ContainerPaths:
        """Where the checkout has the files of the container."""
        return ContainerPaths([("", self.own_folder), *((mount.host, mount.inside) for mount in self.mounts)])

    def program(self, one: images.Program) -> bytes:
        """A program of the image: the project's template, else that of odpm."""
        return self.templates.get(one.template, "").encode() or self.programs.get(one.template, b"")

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
            browser=self.browser and self.scenario.developer,
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
    template = stack.templates.get(images.TEMPLATE)
    dockerfile = images.dockerfile(spec, template)
    caught = stack.mail and mailcatcher.has_mail_catcher(stack.scenario, stack.manifest)
    proxy = web_of(stack.scenario, stack.manifest)
    proxy_files = _proxy_files(stack, proxy) if proxy else {}
    conf = odoo_conf(
        ConfSpec(
            stack.scenario.name,
            stack.manifest.odoo_version,
            stack.addons_path,
            stack.manifest.odoo_conf,
            mailcatcher.odoo_options() if caught else {},
            proxied=bool(proxy),
            manager=bool(proxy and proxy.allow),
        ),
        stack.templates.get("odoo.conf.j2"),
    )
    if stack.scenario.mounts:
        programs = [stack.program(one) for one in images.programs_of(stack.scenario.target)]
        digest = images.environment_digest(spec, *stack.locks, programs=programs, template=template)
        image = f"odpm/environment:{stack.manifest.odoo_version}-{stack.scenario.target}-{digest}"
    else:
        image = f"${{ODPM_IMAGE:-{stack.name}:ci}}"
    sources = "".join(f"{source.name} {source.commit}\n" for source in stack.resolution.sources)
    has_release = stack.scenario.releases
    root_is_mounted = "" in stack.own.addons and stack.scenario.mounts and not has_release
    spec_of_services = ComposeSpec(
        name=stack.name,
        scenario=stack.scenario,
        manifest=stack.manifest,
        image=image,
        conf_digest=hashlib.sha256((conf + sources).encode()).hexdigest()[:16],
        mounts=stack.mounts,
        masked=(f"{_join(stack.own_name, '')}/.odpm",) if root_is_mounted else (),
        digests=stack.digests,
        mail=stack.mail,
        web_digest=hashlib.sha256(proxy_files.get(CADDYFILE, b"")).hexdigest()[:16],
        tool_version=stack.tool_version,
    )
    release = ""
    if has_release:
        # other backups are no other release: Odoo goes on
        without = replace(stack.manifest, backup=None)
        described = compose_text(replace(spec_of_services, name="project", manifest=without, tool_version=""))
        release = release_id((described.encode(), conf.encode(), sources.encode(), stack.own_content.encode()))
        spec_of_services = replace(
            spec_of_services, mounts=stack.release_mounts(release), release=release_folder(release), conf_digest=release
        )
    text = compose_text(spec_of_services)
    files = {
        DOCKERFILE: (dockerfile.encode(), "template.dockerfile"),
        f"{DOCKERFILE}.dockerignore": (images.dockerignore().encode(), "template.dockerfile"),
        **{one.path: (stack.program(one), "template.dockerfile") for one in images.PROGRAMS},
        ODOO_CONF: (conf.encode(), "template.odoo_conf"),
        **{path: (data, "compose.generate") for path, data in proxy_files.items()},
        COMPOSE_FILE: (text.encode(), "compose.generate"),
    }
    if backup_service.backup_of(stack.scenario, stack.manifest):
        files |= {path: (data, "compose.generate") for path, data in backup_service.scripts().items()}
    return Rendered(
        files={path: data for path, (data, _) in files.items()},
        steps={path: step for path, (_, step) in files.items()},
        image=image,
        release=release,
    )


def _proxy_files(stack: Stack, web: Web) -> dict[str, bytes]:
    """The files of the reverse proxy: its configuration, and the page that it shows while an update runs."""
    return {
        CADDYFILE: caddy.caddyfile(stack.manifest, web, stack.templates.get(caddy.TEMPLATE)).encode(),
        MAINTENANCE_PAGE: templating.template_text(caddy.PAGE, stack.templates.get(caddy.PAGE)).encode(),
    }


@dataclass(frozen=True)
class Rendered:
    """The generated files: bytes by path, the step that writes each, and the name of the image.

    `release`: the id of the release that they start; empty outside of the scenario `server`.
    """

    files: Mapping[str, bytes]
    steps: Mapping[str, str]
    image: str
    release: str = ""

    @property
    def compose(self) -> bytes:
        """The compose file."""
        return self.files[COMPOSE_FILE]
