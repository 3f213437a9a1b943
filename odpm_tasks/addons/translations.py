"""Export the templates for translations of installed add-ons and write them into the add-ons, as the user."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.addons import translations
from odpm_tasks.core.config.paths import ProjectPaths, source_folder
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.up import container

# Odoo exports several add-ons at once as an archive only: NAME/i18n/NAME.pot
_EXPORT = 'f=$(mktemp -u).tgz; {command} >&2; code=$?; [ $code = 0 ] && cat "$f"; rm -f "$f"; exit $code'


def write(
    paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str], *, merge: bool, purge: bool
) -> list[str]:
    """Write `i18n/NAME.pot` of each add-on, with `merge` also its `.po` files; returns a line for each changed file.

    `names` empty: the installed add-ons of the developing project. Errors: DescriptionError for an add-on that is not installed
    or whose checkout follows the lock, or a `.po` file that is not valid; then nothing is written.
    """
    server = container(paths, observed, "db").id
    installed = addon_hashes.installed(server, database)
    chosen = tuple(names) or tuple(name for name in observed.modules if name in installed)
    if not chosen:
        raise DescriptionError("no add-on of this project is installed", where=database, todo="inv mod.install NAME")
    if missing := [name for name in chosen if name not in installed]:
        raise DescriptionError(
            f"{', '.join(missing)}: only terms of an installed add-on can be exported{nearest(missing[0], installed)}",
            where=database,
            todo=f"inv mod.install {','.join(missing)}",
        )
    folders = {name: paths.root / _own_folder(observed, name) for name in chosen}
    with terminal.activity() as show:
        show.note(database, f"export {', '.join(chosen)}")
        templates = _exported(paths, observed, database, chosen)
    texts: dict[Path, str] = {}
    for name in chosen:
        template = templates.get(name, "")
        if not translations.has_terms(template):
            terminal.message(f"{name} has nothing to translate")
            continue
        texts[folders[name] / "i18n" / f"{name}.pot"] = template
        for path in sorted((folders[name] / "i18n").glob("*.po")) if merge else ():
            texts[path] = _merged(path, template, purge=purge)
    lines = []
    for path, text in texts.items():
        if files.read(path) != text.encode():
            with files.disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                files.write(path, text.encode())
            lines.append(str(path.relative_to(paths.root)))
    if texts and not lines:
        terminal.message("the files are up to date")
    return lines


def _own_folder(observed: RenderedState, name: str) -> str:
    """The folder of an add-on whose files the user changes: of the project, of a link, of a checkout on the user's branch."""
    folder = addon_hashes.addon_folders(observed.stack)[name]
    for source in observed.resolution.sources:
        below = source_folder(source.name)
        if folder.startswith(f"{below}/") and observed.checkouts[source.name].kind not in {"link", "branch"}:
            raise DescriptionError(
                f"{name} is in {source.name}, whose checkout follows the lock",
                where=folder,
                todo=f"to work in it: git -C {below} switch -c translations, then run again",
            )
    return folder


def _exported(paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str]) -> dict[str, str]:
    """The text of the template of each add-on that has terms, by one run of Odoo. Errors: ProgramError."""
    if series(observed.manifest.odoo_version).own_commands:
        words = ["odoo", "i18n", "export", "-d", database, "-l", "pot", "-o", '"$f"', *names]
        # -l takes several values: the add-ons follow another option
    else:
        words = ["odoo", "-d", database, f"--modules={','.join(names)}", '--i18n-export="$f"', "--stop-after-init"]
        words += ["--no-http"]
    odoo = container(paths, observed, "odoo").id
    outcome = docker.execute(odoo, "sh", "-c", _EXPORT.format(command=" ".join(words)))
    if not outcome.ok:
        raise command.failure(outcome)
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(outcome.stdout)) as archive:
            for member in archive:
                name, _, rest = member.name.partition("/")
                if rest == f"i18n/{name}.pot" and (content := archive.extractfile(member)):
                    found[name] = translations.template_text(content.read().decode())
    except (tarfile.TarError, UnicodeDecodeError):
        raise ProgramError("Odoo exported no templates", details=outcome.tail()[-2:], todo="inv logs odoo") from None
    return found


def _merged(path: Path, template: str, *, purge: bool) -> str:
    try:
        return translations.merged(files.read_text(path) or "", template, purge=purge)
    except ValueError as error:
        raise DescriptionError(
            f"not a valid translation: {error}", where=str(path), todo="correct the file, then run again"
        ) from None
