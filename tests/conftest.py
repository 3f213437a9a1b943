"""In what order tests run, and how often those with random cases try."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long a case takes says something of the machine, nothing of the code. The same cases each time, so that what fails was
# broken by a change; `--long` looks for new ones.
settings.register_profile("odpm", deadline=None, suppress_health_check=(HealthCheck.too_slow,), derandomize=True)
settings.register_profile("many", settings.get_profile("odpm"), max_examples=1000, derandomize=False)
settings.register_profile("few", settings.get_profile("odpm"), max_examples=20)
settings.load_profile("odpm")

# What takes longest comes first, so that no worker is left alone with it: the types, then whole stacks.
LONGEST = (
    "test_style.py",
    "test_converge.py",
    "test_project.py",
    "test_git.py",
    "test_ci.py",
    "test_developer.py",
    "test_image.py",
    "test_tasks.py",
    "test_closed_network.py",
    "test_ports_and_costs.py",
    "test_plan_touches_nothing.py",
    "test_services.py",
    "test_demo.py",
    "test_parity.py",
    "test_killed.py",
    "test_interrupted.py",
    "test_bad_machine.py",
    "test_server.py",
    "test_saved_plans.py",
    "test_offline.py",
    "test_library.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    paths = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: paths.get(item.path.name, len(paths)))
