"""Continues a project of odpm 4: its `odpm.json` stays, with what odpm 4 keeps in other files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.converters import reading
from odpm_tasks.core.config.paths import LOCK_FILE, MANIFEST_FILE
from odpm_tasks.core.init.conversion import excerpt
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.manifest import odpm4
from odpm_tasks.core.manifest.personal_settings import SECRETS, USER_SETTINGS, json_object, with_personal_settings
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_files import env_file

KIND = "odpm4"
ENV = ".env"
_COPIED = (ENV, LOCK_FILE)


@dataclass(frozen=True)
class ElderProject:
    """A project of odpm 4. `manifest`: the text for odpm.json; `copied`: the texts of files that this folder lacks."""

    manifest: str
    remarks: tuple[Remark, ...] = ()
    copied: Mapping[str, str] = field(default_factory=dict)


def folder(source: str) -> Path | None:
    """The folder of the project of odpm 4 that `--from` names: PATH with a user_settings.json, `odpm4` or `odpm4:PATH`.

    None for anything else.
    """
    path = Path(source).expanduser()
    if not source or path.exists():
        path = path.parent if path.name == USER_SETTINGS else path
        return path if source and (path / USER_SETTINGS).is_file() else None
    word, _, rest = source.partition(":")
    return Path(rest or ".").expanduser() if word == KIND else None


def read(root: Path, elder: Path) -> ElderProject:
    """Read a project of odpm 4. The odpm.json of `root` is used, otherwise that of `elder`.

    Errors: DescriptionError if neither has one, or if a file cannot be read.
    """
    here = root.resolve() == elder.resolve()
    own, other = reading.text(root, MANIFEST_FILE), None if here else reading.text(elder, MANIFEST_FILE)
    text = own if own is not None else other
    if text is None:
        raise DescriptionError(
            "there is no odpm.json, in this folder or there",
            where=str(elder),
            todo="run it in the checkout of the developing project, which has the odpm.json",
        )
    settings = json_object(reading.text(elder, USER_SETTINGS), USER_SETTINGS)
    secrets = json_object(reading.text(elder, SECRETS), SECRETS).get("secrets")
    manifest, changed = with_personal_settings(text, settings, developing=here)
    env = env_file(elder / ENV)
    lines: list[Remark] = [action(line) for line in changed]
    if other is not None and other != text and with_personal_settings(other, settings, developing=False)[0] != manifest:
        lines.append(action(f"odpm.json of {elder} differs from that of this folder, which is kept"))
    lines += [action(line) for line in odpm4.settings_notes(settings, USER_SETTINGS)]
    lines += [action(line) for line in odpm4.secret_notes(secrets if isinstance(secrets, dict) else {}, SECRETS)]
    lines += [note(line) for line in odpm4.variable_notes(env, ENV)]
    if not env.get("ODPM_DATABASE"):
        lines.append(
            action("the name of the database (-d): ODPM_DATABASE=NAME in .env; the default is that of the folder")
        )
    texts = {} if here else reading.texts(elder, _COPIED)
    copied = {name: text for name, text in texts.items() if not (root / name).exists()}
    return ElderProject(manifest, tuple(Remark(excerpt(line, 400), line.importance) for line in lines), copied)
