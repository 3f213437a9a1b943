"""The order of tests, their distribution over workers, and how often tests with random cases try."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long a case takes says something of the machine, nothing of the code. The same cases each time, so that what fails was
# broken by a change; `--long` looks for new ones.
settings.register_profile("odpm", deadline=None, suppress_health_check=(HealthCheck.too_slow,), derandomize=True)
settings.register_profile("many", settings.get_profile("odpm"), max_examples=1000, derandomize=False)
settings.register_profile("few", settings.get_profile("odpm"), max_examples=20)
settings.load_profile("odpm")

# Files of a family run one after the other on one worker, because they share what takes long to make: a stack that runs,
# an image. Every test that uses the fixture of a family is in its files.
E2E = "tests/e2e/"
FAMILIES: dict[str, tuple[str, ...]] = {
    "developer": tuple(
        f"{E2E}{name}.py"
        for name in (
            "stack/test_developer",
            "stack/test_browser",
            "stack/test_mail",
            "stack/test_failing_add_ons",
            "stack/test_debugger",
            "stack/test_running_stack",
            "stack/test_ports_and_costs",
            "stack/test_doodba",
            "databases/test_snapshots",
            "databases/test_backups",
            "databases/test_neutralize",
            "databases/test_copies",
            "databases/test_restore",
            "databases/test_reset",
            "databases/test_pull",
            "databases/test_database_page",
            "databases/test_other_tools",
            "databases/test_random_kills",
            "databases/test_large",
            "databases/test_large_files",
            "stack/test_prune",
            "stack/test_recipes",
            "stack/test_tasks",
            "stack/test_addon_tests",
            "stack/test_failing_tests",
            "edits/test_watch",
            "project/test_completion",
        )
    ),
    "server_stack": (
        f"{E2E}server/test_nginx.py",
        f"{E2E}server/test_audit.py",
        f"{E2E}server/test_server.py",
        f"{E2E}server/test_hardening.py",
        f"{E2E}server/test_roles.py",
        f"{E2E}stack/test_installed_addons.py",
        f"{E2E}server/test_backups.py",
        f"{E2E}server/test_backup_failures.py",
        f"{E2E}server/test_backup_schedule.py",
        f"{E2E}server/test_backup_sftp.py",
    ),
    "web_stack": (f"{E2E}server/web/test_web.py", f"{E2E}server/web/test_deployments.py"),
    "ci_image": (
        f"{E2E}targets/test_bundle.py",
        f"{E2E}targets/test_kubernetes_pods.py",
        f"{E2E}targets/test_swarm.py",
        f"{E2E}targets/test_deploy.py",
        f"{E2E}targets/test_deployed.py",
        f"{E2E}targets/test_second_engine.py",
        f"{E2E}targets/test_air_gapped.py",
        f"{E2E}targets/test_ci_deploy.py",
        f"{E2E}targets/test_swarm_deploy.py",
        f"{E2E}image/test_ci.py",
        f"{E2E}image/test_parity.py",
        f"{E2E}image/test_published.py",
    ),
    "small_image": (f"{E2E}image/test_image.py", f"{E2E}image/test_closed_network.py"),
}
# What takes longest comes first, so that no worker is left alone with it; other files come in pytest's order.
LONGEST = (
    *FAMILIES["developer"],
    *FAMILIES["ci_image"],
    *FAMILIES["server_stack"],
    *FAMILIES["web_stack"],
    "tests/unit/test_style.py",
    *(f"tests/unit/{name}.py" for name in ("test_project", "odoo/test_odoo_run")),
    *FAMILIES["small_image"],
    *(
        f"{E2E}{name}.py"
        for name in (
            "server/test_deployment",
            "project/test_library",
            "init/test_bad_input",
            "planning/test_interrupted",
            "databases/test_upgrade_postgres",
            "project/test_demo",
            "stack/test_bad_machine",
            "sources/test_killed",
            "stack/test_services",
            "planning/test_plan_touches_nothing",
        )
    ),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {path: number for number, path in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(_path(item.nodeid), len(order)))
    for item in items:
        if item.nodeid.startswith(E2E):
            # Engines, registries and git servers fail by chance under the load of four workers. The summary names what was
            # repeated ("RERUN"): a defect to look for, but not one of the change that is tested.
            item.add_marker(pytest.mark.flaky(reruns=1))
        for fixture in {*getattr(item, "fixturenames", ())} & {*FAMILIES}:
            if _path(item.nodeid) not in FAMILIES[fixture]:
                raise pytest.UsageError(
                    f"{item.nodeid} uses `{fixture}`: name its file in FAMILIES of tests/conftest.py"
                )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test was repeated: pytest shows failures only, and the second run may have passed."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_sep("_", f"repeated: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


def _path(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def family(nodeid: str) -> str:
    """The family that a test belongs to; the path of its file where it belongs to none."""
    path = _path(nodeid)
    return next((name for name, paths in FAMILIES.items() if path in paths), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One family, else one file, to one worker."""
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = family
    return scheduler
