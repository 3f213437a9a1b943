"""The git remotes of a project with its settings, and the display of their progress."""

from __future__ import annotations

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.git.messages import Progress
from odpm_tasks.adapters.git.remote import Remote, remote
from odpm_tasks.adapters.git.transport import ProgressCallback
from odpm_tasks.core.config.paths import ProjectPaths


def project_remote(paths: ProjectPaths, url: str) -> Remote:
    """A remote with the mirrors, the ssh key and the timeout of the project's settings."""
    settings = paths.settings
    key = settings.get("PATH_TO_SSH_KEY")
    return remote(url, mirrors=settings.git_mirrors, ssh_key=key, timeout=settings.git_timeout)


def progress_callback(show: terminal.Activity, name: str) -> ProgressCallback:
    """A function that shows the progress of a fetch in the line of `name`."""

    def update(progress: Progress) -> None:
        if progress.failure:
            show.retrying(name, progress.failure, progress.phase)
        else:
            show.note(name, progress.phase.split()[0].lower(), progress.percent, progress.size, progress.rate)

    return update
