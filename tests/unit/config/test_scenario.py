"""The three scenarios, as the contract lists them."""

from __future__ import annotations

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS, Scenario, scenario
from odpm_tasks.core.manifest.v2 import Scenarios
from odpm_tasks.errors import DescriptionError


@pytest.mark.parametrize(
    ("name", "strict", "mounts", "target", "publishes", "restart"),
    [
        ("developer", False, True, "dev", True, None),
        ("server", True, True, "server", False, "unless-stopped"),
        ("ci", True, False, "ci", False, None),
    ],
)
def test_properties_of_a_scenario(
    name: str, strict: bool, mounts: bool, target: str, publishes: bool, restart: str | None
) -> None:
    assert scenario(name) == Scenario(name, strict, mounts, target, publishes, restart)
    assert scenario(name).developer is (name == "developer")


def test_the_manifest_has_an_overlay_for_each_scenario() -> None:
    assert tuple(SCENARIOS) == tuple(Scenarios.model_fields)


@pytest.mark.parametrize("name", ["prod", "", "Developer", " ci"])
def test_an_unknown_scenario_lists_the_valid_ones(name: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        scenario(name, "ODPM_SCENARIO in .env")
    assert str(caught.value) == (
        f"odpm: unknown scenario {name!r}\n"
        "  where: ODPM_SCENARIO in .env\n"
        "  next:  set ODPM_SCENARIO to one of: developer, server, ci"
    )
    assert caught.value.exit_code == 4
