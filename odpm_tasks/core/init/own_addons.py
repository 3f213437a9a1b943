"""The add-ons of a project that is converted: those that odpm does not find where they are."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable
from shlex import quote

from odpm_tasks.core.init.remarks import Remark, action
from odpm_tasks.core.text import plural


def misplaced(addons: Iterable[str]) -> list[Remark]:
    """A remark with the command for each folder with add-ons that are not in the root or one folder below it.

    `addons`: folders of add-ons, relative to the project. If the root has add-ons, no subfolder is searched.
    """
    folders: dict[str, int] = defaultdict(int)
    for addon in addons:
        folders[posixpath.dirname(addon)] += 1
    lines = []
    taken = {folder for folder in folders if "/" not in folder}
    for folder, count in sorted(folders.items()):
        if not folder or ("/" not in folder and "" not in folders):
            continue
        if "" in folders:
            reason, target = "odpm finds add-ons in the root, so it searches no folder below it", "."
            command = f"git mv {quote(folder)}/* {target}"
        else:
            reason = "odpm finds add-ons in the root and one folder below"
            target = posixpath.basename(folder)
            from_, to = quote(folder), quote(target)
            command = f"git mv {from_}/* {to}/" if target in taken else f"git mv {from_} {to}"
            taken.add(target)
        lines.append(action(f"{folder}: {plural(count, 'add-on')}: {reason}; {command}"))
    return lines
