"""The restrictions of services: limits that follow from the processes of Odoo, and what a description replaces."""

from __future__ import annotations

from typing import Any

import pytest

from odpm_tasks.core.stack import hardening
from odpm_tasks.core.stack.hardening import GIB, Processes
from tests.unit.builders import manifest


def with_options(**options: str) -> Any:
    return manifest(odoo_conf={"options": options})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Processes(2, 1, GIB, 0)),
        ({"workers": "0", "max_cron_threads": "0"}, Processes(0, 0, GIB, 0)),
        ({"Workers": "8", "limit_memory_soft": "3000", "limit_time_real": "900"}, Processes(8, 1, 3000, 900)),
        ({"workers": "${WORKERS}", "limit_memory_soft": "-1"}, Processes(2, 1, GIB, 0)),
    ],
)
def test_processes_are_read_from_the_configuration(options: dict[str, str], expected: Processes) -> None:
    assert hardening.processes(with_options(**options)) == expected


def test_limits_grow_with_the_processes() -> None:
    small, large = hardening.odoo(with_options()), hardening.odoo(with_options(workers="8", limit_time_real="900"))
    assert small["mem_limit"] == f"{512 + 4 * 1024}m"
    assert large["mem_limit"] == f"{512 + 10 * 1024}m"
    assert large["pids_limit"] - small["pids_limit"] == 6 * 64
    assert (small["stop_grace_period"], large["stop_grace_period"]) == ("60s", "900s")
    database = hardening.database(with_options(workers="8"))
    assert database["mem_limit"] == f"{2048 + 10 * 256}m"


def test_limits_of_deploy_replace_those_of_the_service() -> None:
    limits = {"memory": "1g", "pids": 99}
    services: dict[str, dict[str, Any]] = {
        "odoo": {**hardening.odoo(with_options()), "deploy": {"resources": {"limits": limits}}},
        "db": {**hardening.database(with_options()), "deploy": {"resources": {"limits": {"cpus": "2"}}}},
        "own": {"image": "x", "deploy": None, "logging": {"driver": "journald"}},
    }
    hardening.finish(services)
    assert not {"mem_limit", "pids_limit"} & services["odoo"].keys()
    assert {"mem_limit", "pids_limit"} <= services["db"].keys()
    assert services["own"]["logging"] == {"driver": "journald"}
    assert services["odoo"]["logging"] == services["db"]["logging"] == hardening.LOG
    assert services["odoo"]["logging"]["options"] is not hardening.LOG["options"]
