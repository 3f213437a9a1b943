"""`mod.scaffold`: the files of a new add-on, as the OCA lays them out."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odpm_tasks.core import templating
from odpm_tasks.errors import DescriptionError, UsageError

FOLDER = "addon"  # in the templates of odpm, and in `.odpm/templates` of a project
NAME_IN_PATHS = "__name__"
SUFFIX = ".j2"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True)
class NewAddon:
    """The variables of the templates, as `addon`. `series`: `19.0`."""

    name: str
    series: str
    depends: tuple[str, ...] = ("base",)
    summary: str = ""
    author: str = ""
    license: str = "LGPL-3"

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").strip().capitalize()

    @property
    def model(self) -> str:
        return self.name.strip("_").replace("_", ".")

    @property
    def class_name(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def list_view(self) -> str:
        """The tag of list views: `list` from 18.0 on."""
        return "list" if int(self.series.split(".")[0]) >= 18 else "tree"


def check_name(name: str) -> None:
    """Errors: DescriptionError for a name that is no Python module and model of Odoo."""
    if not _NAME.fullmatch(name) or "__" in name or name.endswith("_"):
        raise DescriptionError(
            f"{name!r} is not a name for an add-on",
            todo="lower case letters, digits and single underscores, a letter first: inv mod.scaffold sale_discount_limit",
        )


def scaffold(addon: NewAddon, templates: Mapping[str, str | None]) -> dict[str, str]:
    """Path in the add-on -> text. `templates`: the path of each template -> its text; None: a template of odpm.

    `__name__` in a path is the name of the add-on; the suffix `.j2` is removed. Errors: DescriptionError for an invalid
    template of the project.
    """
    found = {}
    for path, text in sorted(templates.items()):
        target = path.removesuffix(SUFFIX).replace(NAME_IN_PATHS, addon.name)
        if path.endswith(SUFFIX) or text is None:
            found[target] = templating.render(f"{FOLDER}/{path}", text, addon=addon)
        else:
            found[target] = text
    return found


def check_destination(words: Sequence[str], base: str, folders: Mapping[str, str]) -> str:
    """Check that `odoo scaffold` writes into the project. `words`: its arguments; `base`: the folder of the project in the
    container; `folders`: the writable folders of the project, path in the checkout -> path in the container.

    Returns the working directory for the program. Errors: UsageError for a destination that is not in one of the folders.
    """
    positional = [
        word
        for number, word in enumerate(words)
        if not word.startswith("-") and (number == 0 or words[number - 1] not in {"-t", "--template"})
    ]
    inside = posixpath.normpath(posixpath.join(base, positional[1] if len(positional) > 1 else "."))
    if any(inside == folder or inside.startswith(f"{folder}/") for folder in folders.values()):
        return base
    if not positional:
        return next(iter(folders.values()), "/")  # shows its help
    name = positional[0]
    known = [folder or "." for folder in folders]
    raise UsageError(
        "odoo scaffold would write to a folder of the container that is not in this project",
        where=inside,
        todo=f"inv exec -- odoo scaffold {name} {known[0]}" if known else f"inv mod.scaffold {name}",
    )
