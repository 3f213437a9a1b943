"""What is checked on the machine of a target."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from odpm_tasks.deployment.targets.preflight import clock_offset

NOW = datetime(2026, 11, 27, 14, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("reported", "offset"),
    [
        ("2026-11-27T14:30:00Z", 0),
        ("2026-11-27T14:30:00.5Z", 0.5),
        ("2026-11-27T14:30:00.123456789Z", 0.123456),
        ("2026-11-27T15:30:00.25+01:00", 0.25),
        ("2026-11-27T04:28:00-10:00", -120),
        ("2026-11-27T15:30:00", None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_the_clock_of_a_machine_in_any_time_zone(reported: str, offset: float | None) -> None:
    found = clock_offset(reported, NOW)
    assert found == (None if offset is None else pytest.approx(offset, abs=1e-5))
