"""New."""

from __future__ import annotations

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.git import remote as access
from odpm_tasks.adapters.git.messages import Progress
from odpm_tasks.adapters.git.transport import ProgressCallback
from odpm_tasks.core.config.paths import ProjectPaths


def project_remote(paths: ProjectPaths, url: str) -> access.Remote:
    settings = paths.settings
    key = settings.get("PATH_TO_SSH_KEY")
    return access.remote(url, mirrors=settings.git_mirrors, ssh_key=key, timeout=settings.git_timeout)


def progress_watch(show: terminal.Activity, name: str) -> ProgressCallback:
    """Shows how far the fetch of a repository is."""

    def look(progress: Progress) -> None:
        if progress.failure:
            show.retrying(name, progress.failure, progress.phase)
        else:
            show.note(name, progress.phase.split()[0].lower(), progress.percent, progress.size, progress.rate)

    return look
