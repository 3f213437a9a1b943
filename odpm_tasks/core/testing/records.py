"""The file `.odpm/tests.json`: durations of tests for shards, and what `--failed` repeats."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.testing.results import Result
from odpm_tasks.core.testing.shards import AddonRecord
from odpm_tasks.core.testing.tags import parse
from odpm_tasks.errors import OdpmError

FILE = ".odpm/tests.json"
_LOADED = re.compile(
    r"odoo\.modules\.loading: Module (?P<addon>\w+) loaded in (?P<whole>[\d.]+)s(?: \(incl\. (?P<tests>[\d.]+)s test\))?"
)


@dataclass(frozen=True)
class TestRecords:
    """What earlier runs recorded. `failed`: test tags of the tests that failed when they last ran, sorted. `template`: the add-ons of
    the template of the last run, sorted."""

    addons: Mapping[str, AddonRecord] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    template: tuple[str, ...] = ()


TestRecords.__test__ = False  # type: ignore[attr-defined]


def read_records(text: str | None) -> TestRecords:
    """The content of the file. A missing or damaged one has no records."""
    try:
        data: Any = json.loads(text or "")
        addons = {
            str(name): AddonRecord(
                float(row["install"]), {str(class_): float(seconds) for class_, seconds in row["classes"].items()}
            )
            for name, row in data["addons"].items()
        }
        failed = tuple(sorted({str(tag) for tag in data["failed"]}))
        parse(",".join(failed))
        return TestRecords(addons, failed, tuple(sorted({str(name) for name in data.get("template", ())})))
    except (ValueError, KeyError, TypeError, AttributeError, OdpmError):
        return TestRecords()


def write_records(records: TestRecords) -> str:
    addons = {
        name: {
            "install": round(one.install, 2),
            "classes": {key: round(one.classes[key], 2) for key in sorted(one.classes)},
        }
        for name, one in sorted(records.addons.items())
    }
    data = {"version": 1, "addons": addons, "failed": list(records.failed), "template": list(records.template)}
    return json.dumps(data, indent=2) + "\n"


def install_times(log: Sequence[str]) -> dict[str, float]:
    """The seconds that Odoo took to load each add-on, without its tests, from its log (since Odoo 14)."""
    found = {}
    for line in log:
        if match := _LOADED.search(line):
            found[match["addon"]] = max(0.0, float(match["whole"]) - float(match["tests"] or 0))
    return found


def updated(
    before: TestRecords,
    results: Sequence[Result],
    installed: Mapping[str, float],
    complete: Collection[str],
    broken: Sequence[str],
    template: Sequence[str] = (),
) -> TestRecords:
    """The records after a run. `complete`: the add-ons all of whose tests were selected; their old classes and failures go.

    `broken`: add-ons that could not be installed. Of other add-ons, only what ran is replaced. `template`: its add-ons.
    """
    classes: dict[str, dict[str, float]] = {}
    for result in results:
        times = classes.setdefault(result.test.addon, {})
        times[result.test.class_] = times.get(result.test.class_, 0.0) + result.seconds + result.setup
    addons = dict(before.addons)
    for name in {*classes, *installed}:
        old = addons.get(name, AddonRecord())
        if name in classes:
            kept = (
                {} if name in complete else {key: old.classes[key] for key in old.classes if key not in classes[name]}
            )
            if name not in complete:  # single tests of a class do not tell the time of the class
                classes[name] = {key: max(seconds, old.classes.get(key, 0.0)) for key, seconds in classes[name].items()}
            old = AddonRecord(old.install, {**kept, **classes[name]})
        addons[name] = AddonRecord(installed.get(name, old.install), old.classes)
    ran = {result.test.tag for result in results}
    failed = {tag for tag in before.failed if tag not in ran and parse(tag)[0].addon not in complete}
    failed |= {result.test.tag for result in results if result.bad} | {f"/{name}" for name in broken}
    return TestRecords(addons, tuple(sorted(failed)), tuple(sorted(template)))
