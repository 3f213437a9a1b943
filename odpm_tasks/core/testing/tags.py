"""The selection of tests: Odoo's test tags for a set of add-ons, `[-][tag][/file.py | /addon][:class][.method][[parameters]]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from odpm_tasks.errors import DescriptionError

_SPEC = re.compile(
    r"(?P<sign>[+-]?)(?P<tag>\*|\w*)(?P<file>/[\w/.-]+\.py)?(?:/(?P<addon>\w+))?"
    r"(?P<rest>(?::\w*)?(?:\.\w*)?(?:\[.*\])?)"
)


@dataclass(frozen=True)
class TestTag:
    """One part of test tags. `addon`: of `/addon` or of the path of a file; empty where it is for all add-ons."""

    text: str
    exclude: bool
    tag: str
    addon: str
    rest: str


TestTag.__test__ = False  # type: ignore[attr-defined]


def parse(text: str) -> tuple[TestTag, ...]:
    """The parts of test tags. Errors: DescriptionError for one that Odoo ignores with a line in its log."""
    found = []
    for part in (part.strip() for part in re.split(r",(?![^\[]*\])", text)):
        if not part:
            continue
        match = _SPEC.fullmatch(part)
        if match is None:
            raise DescriptionError(
                f"{part!r} is no test tag of Odoo",
                where="--tags",
                todo="a part is [-][tag][/addon][:class][.method], for example: inv test --tags /sale:TestSale.test_it",
            )
        addon = match["addon"] or _addon_of_file(match["file"] or "")
        found.append(TestTag(part, match["sign"] == "-", match["tag"], addon, match["rest"]))
    return tuple(found)


def _addon_of_file(path: str) -> str:
    before = path.partition("/tests/")[0]
    return before.rpartition("/")[2] if before != path else ""


def named_addons(tags: Sequence[TestTag]) -> tuple[str, ...]:
    """The add-ons that tags include by name."""
    return tuple(dict.fromkeys(tag.addon for tag in tags if tag.addon and not tag.exclude))


def for_addons(tags: Sequence[TestTag], addons: Sequence[str]) -> str:
    """Odoo's test tags for these add-ons only: a part without an add-on becomes one for each, exclusions stay.

    Without a part that includes something, all tests of the add-ons that are not excluded.
    """
    included = [tag for tag in tags if not tag.exclude]
    parts = [f"/{addon}" for addon in addons] if not included else []
    for tag in included:
        if tag.addon:
            parts += [tag.text] if tag.addon in addons else []
        else:
            parts += [f"{tag.tag}/{addon}{tag.rest}" for addon in addons]
    return ",".join([*parts, *(tag.text for tag in tags if tag.exclude)])
