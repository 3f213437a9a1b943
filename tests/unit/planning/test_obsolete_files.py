"""Files that are no longer generated: unedited ones are removed, edited ones are kept."""

from __future__ import annotations

import pytest

from odpm_tasks.core.planning.obsolete_files import KEEP, REMOVE, obsolete_files
from odpm_tasks.core.planning.planner import plan
from tests.unit.planning.test_planner import observed, said


def test_recorded_existing_and_no_longer_generated() -> None:
    recorded = {
        "ours": "1",
        "edited": "1",
        "gone": "1",
        "made": "1",
        "/etc/passwd": "1",
        "../up": "1",
        "a/../../up": "1",
    }
    on_disk = {
        "ours": "1",
        "edited": "2",
        "made": "1",
        "/etc/passwd": "1",
        "../up": "1",
        "a/../../up": "1",
        "mine": "1",
    }
    assert obsolete_files(recorded, {"made"}, on_disk.get) == {"ours": True, "edited": False}


@pytest.mark.parametrize(
    ("path", "step"),
    [
        (".odpm/build/entrypoint.sh", "template.dockerfile"),
        ("docker-compose.yml", "compose.generate"),
        (".vscode/launch.json", "ide.files"),
    ],
)
def test_the_step_that_wrote_a_file_removes_it(path: str, step: str) -> None:
    assert ("update", path, REMOVE) in said(observed(obsolete_files={path: True}), step)
    assert ("update", path, KEEP) in said(observed(obsolete_files={path: False}), step)


def test_an_obsolete_file_is_drift_unless_of_another_scenario() -> None:
    found = observed(obsolete_files={".odpm/build/old": True})
    assert [step.target for step in plan(found).drift] == [".odpm/build/old"]
    assert plan(observed(obsolete_files={".odpm/build/old": True}, last_scenario="ci")).drift == ()
