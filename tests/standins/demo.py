"""`python3 tasks.py demo`: set up everything from an empty machine to the login page of Odoo."""

from __future__ import annotations

import time
from pathlib import Path

from invoke.context import Context

import odpm_tasks
from odpm_tasks.adapters import terminal
from odpm_tasks.core.image.wkhtmltopdf import VARIABLE
from odpm_tasks.errors import MachineError
from odpm_tasks.project import PREPARING, Project
from odpm_tasks.tasks import output
from tests.standins.common import line
from tests.standins.engine import ensure_engine
from tests.standins.githost import ensure_git_host
from tests.standins.images import ensure_images
from tests.standins.wkhtmltopdf import ensure_wkhtmltopdf, publisher_answers


def run(c: Context, root: Path, *, install: bool) -> None:
    """Git host or stand-in repositories, lock, checkouts and files; then engine, base images and `up`.

    Steps that need no engine run first: their result exists even if Docker is missing. Errors: MachineError.
    """
    started = time.monotonic()
    project = with_renderer(with_git_host(Project.at(root)))
    terminal.message(line("prepare", "lock, check out, render"))
    project.apply(project.plan(PREPARING))
    try:
        ensure_engine(terminal.message, install=install)
    except MachineError as error:
        terminal.output(output.plan_text(project.plan(), verbose=True))
        terminal.message("lock, checkouts and files exist; containers need Docker")
        error.todo = (
            "as root on Debian: python3 tasks.py demo --yes; else install Docker Engine with Compose and Buildx"
        )
        error.message = error.render()
        raise
    ensure_images(base_images(project), terminal.message)
    terminal.message(line("up", "image, services, database"))
    odpm_tasks.up(c)
    terminal.message(line("ready", f"after {time.monotonic() - started:.0f} s; stop it with: python3 tasks.py down"))


def with_git_host(project: Project) -> Project:
    """The project. If its git host does not respond and no mirror is set, a mirror rule is written to `.env`."""
    manifest = project.manifest
    if project.paths.settings.get("ODPM_GIT_MIRROR"):
        return project
    urls = [link.url for link in (manifest.platform, *manifest.dependencies)]
    rule = ensure_git_host(urls, terminal.message)
    if rule is None:
        return project
    return with_setting(project, "git", "ODPM_GIT_MIRROR", rule)


def with_renderer(project: Project) -> Project:
    """The project. If the publisher of wkhtmltopdf does not respond and no place is set, a stand-in is named in `.env`."""
    if project.paths.settings.get(VARIABLE) or publisher_answers(project.manifest.codename):
        return project
    package = ensure_wkhtmltopdf(terminal.message)
    return with_setting(project, "pdf", VARIABLE, str(package)) if package else project


def with_setting(project: Project, part: str, name: str, value: str) -> Project:
    """The project with one more setting in its `.env`."""
    env = project.root / ".env"
    text = env.read_text(encoding="utf-8") if env.exists() else ""
    separator = "" if not text or text.endswith("\n") else "\n"
    env.write_text(f"{text}{separator}{name}={value}\n", encoding="utf-8")
    terminal.message(line(part, f"{name} written to .env; odpm.json is not changed"))
    return Project.at(project.root)


def base_images(project: Project) -> list[str]:
    """The base images of the project: Python, PostgreSQL, images of its services."""
    manifest = project.manifest
    named = [str(service["image"]) for service in manifest.services.values() if "image" in service]
    return [f"python:{manifest.python}-slim-{manifest.codename}", f"postgres:{manifest.postgres}", *named]
