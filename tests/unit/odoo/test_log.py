"""Why Odoo failed, by its log. The logs in tests/golden/odoo_logs are real ones, shortened."""

from __future__ import annotations

from pathlib import Path

import pytest

from odpm_tasks.core.odoo import log
from odpm_tasks.core.odoo.log import OdooFailure

GOLDEN = Path(__file__).parents[2] / "golden/odoo_logs"
PLATFORM = "/opt/odoo/src/odoo"
OWN = "/opt/odoo/src/project/addons"

EXPECTED = {
    "python-import": OdooFailure(
        "ImportError: cannot import name 'no_such_thing' from 'odoo.tools' (/opt/odoo/src/odoo/odoo/tools/__init__.py)",
        addon="acme_import",
        file=f"{OWN}/acme_import/models/thing.py",
        line=2,
    ),
    "python-syntax": OdooFailure(
        "SyntaxError: invalid syntax", addon="acme_syntax", file=f"{OWN}/acme_syntax/models/__init__.py", line=3
    ),
    "view": OdooFailure(
        "ParseError: Element '<field name=\"nope\">' cannot be located in parent view",
        addon="acme_xml",
        file=f"{OWN}/acme_xml/views/v.xml",
        line=2,
    ),
    "unknown-field": OdooFailure(
        "ValueError: Invalid field 'nothing' in 'res.partner'",
        addon="acme_field",
        file=f"{OWN}/acme_field/data/partner.xml",
        line=1,
    ),
    "xml-syntax": OdooFailure(
        "XMLSyntaxError: Premature end of data in tag record line 2, line 3, column 1",
        addon="acme_xml2",
        file=f"{OWN}/acme_xml2/views/v.xml",
        line=3,
    ),
    "external-program": OdooFailure(
        'UserError: Unable to install module "acme_bin" because an external dependency is not met: nosuchbin',
        addon="acme_bin",
    ),
    "external-python": OdooFailure(
        'UserError: Unable to install module "acme_py" because an external dependency is not met: nosuchpy',
        addon="acme_py",
    ),
    "csv": OdooFailure(
        "Exception: Module loading acme_csv failed: file acme_csv/views/ir.model.access.csv could not be processed: "
        "No matching record found for external id 'model_no_such' in field 'Model'",
        ("Missing required value for the field 'Model' (model_id).", "Model: 'Model Access' (ir.model.access)"),
        "acme_csv",
        "acme_csv/views/ir.model.access.csv",
    ),
    "missing-data-file": OdooFailure(
        f"FileNotFoundError: [Errno 2] No such file or directory: '{OWN}/acme_file/views/missing.xml'",
        addon="acme_file",
        file="acme_file/views/missing.xml",
    ),
    "hook": OdooFailure(
        "ValueError: Invalid field 'nope' in 'res.partner'",
        addon="acme_hook",
        file=f"{OWN}/acme_hook/__init__.py",
        line=2,
    ),
    "missing-model": OdooFailure("TypeError: Model 'acme.nowhere' does not exist in registry.", addon="acme_model"),
    "lock": OdooFailure(
        "LockNotAvailable: canceling statement due to lock timeout", file=f"{PLATFORM}/odoo/sql_db.py", line=433
    ),
}


def lines(case: str) -> list[str]:
    return (GOLDEN / case / "log").read_text(encoding="utf-8").splitlines()


def test_every_log_has_an_expected_failure() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("case", EXPECTED)
def test_the_failure_of_a_log(case: str) -> None:
    found = log.failure(lines(case), PLATFORM)
    assert found is not None
    expected = EXPECTED[case]
    assert (found.exception, found.addon, found.file, found.line) == (
        expected.exception,
        expected.addon,
        expected.file,
        expected.line,
    )
    if expected.details:
        assert found.details == expected.details


def test_a_log_without_an_error_has_no_failure() -> None:
    assert log.failure(lines("hook")[:8], PLATFORM) is None
    assert log.failure([], PLATFORM) is None


def test_an_error_without_a_traceback() -> None:
    found = log.failure(["2026-01-02 04:57:54,232 7 ERROR shop odoo.service.db: no rights", "DETAIL:  none"], PLATFORM)
    assert found == OdooFailure("no rights", ("DETAIL:  none",))


def test_a_lock_and_a_missing_dependency_are_recognized() -> None:
    failures = {case: log.failure(lines(case), PLATFORM) for case in EXPECTED}
    assert [case for case, found in failures.items() if found and found.locked] == ["lock"]
    missing = {case: log.missing_dependency(found) for case, found in failures.items() if found}
    assert {case: name for case, name in missing.items() if name} == {
        "external-program": "nosuchbin",
        "external-python": "nosuchpy",
    }


def test_a_missing_model_is_found_in_the_class_that_extends_it() -> None:
    failures = {case: log.failure(lines(case), PLATFORM) for case in EXPECTED}
    models = {case: log.missing_model(found) for case, found in failures.items() if found}
    assert {case: name for case, name in models.items() if name} == {"missing-model": "acme.nowhere"}
    for value in (
        '"acme.nowhere"',
        "['res.partner', 'acme.nowhere']",
        "{'acme.nowhere': 'x_id'}",
        '[\n "acme.nowhere"]',
    ):
        name = "_inherits" if value.startswith("{") else "_inherit"
        source = f"# acme.nowhere\nclass A(models.Model):\n    {name} = {value}\n"
        assert log.extension_line(source, "acme.nowhere") == 3 + value.count("\n")
        assert log.extension_line(source, "acme.now") == 0
    assert log.extension_line("    _name = 'acme.nowhere'\n", "acme.nowhere") == 0


def answer(code: int, path: str = "/web/health") -> str:
    return f'2026-01-02 05:01:27,496 6 INFO ? werkzeug: 127.0.0.1 - - [02/Jan/2026 05:01:27] "GET {path} HTTP/1.1" {code} - 15'


def test_the_failure_behind_answers_to_the_health_check() -> None:
    failing = [*lines("python-import"), answer(500)]
    assert log.answered_with_error(failing, "/web/health", PLATFORM) is None
    found = log.answered_with_error([*failing, *failing, answer(200)], "/web/health", PLATFORM)
    assert found
    assert found.line == 2
    other = [*lines("python-import"), answer(500, "/shop"), answer(500, "/shop"), answer(200)]
    assert log.answered_with_error(other, "/web/health", PLATFORM) is None


START = "2026-01-02 03:04:05,678 7"
FULL = 'psycopg2.errors.DiskFull: could not extend file "base/1/2": wrote only 4096 of 8192 bytes at block 507'


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ([f"{START} ERROR shop odoo.addons.acme: ERROR: TestAcme.test_it", log._TRACEBACK, FULL], FULL),
        ([f"{START} CRITICAL shop odoo.service.server: Failed", "OSError: [Errno 28] No space left on device: '/x'"],
         "OSError: [Errno 28] No space left on device: '/x'"),
        (["Error response from daemon: write /var/lib/x: no space left on device"],
         "Error response from daemon: write /var/lib/x: no space left on device"),
        (["2026-01-02 03:04:05.678 UTC [9] PANIC:  could not write to file \"pg_wal/x\": No space left on device"],
         "2026-01-02 03:04:05.678 UTC [9] PANIC:  could not write to file \"pg_wal/x\": No space left on device"),
        ([f"{START} INFO shop odoo.addons.acme: simulated: No space left on device"], ""),
        ([f"{START} ERROR shop odoo.addons.acme: ValueError"], ""),
    ],
)  # fmt: skip
def test_a_full_disk_is_found_in_errors_alone(written: list[str], reason: str) -> None:
    before = f"{START} INFO shop odoo.modules.loading: loading 1 modules..."
    assert log.full_disk([*([before] if START in written[0] else []), *written]) == reason


def test_the_end_of_a_connection_to_postgresql() -> None:
    assert log.lost_database(["", "psycopg2.OperationalError: server closed the connection unexpectedly"])
    assert log.lost_database(
        ['connection to server at "db" (10.0.0.2), port 5432 failed: FATAL:  the database system is in recovery mode']
    )
    assert not log.lost_database(["psycopg2.OperationalError: canceling statement due to lock timeout"])


def test_the_last_line_is_the_text_of_the_last_record() -> None:
    assert log.last_line(lines("hook")[:4]) == "loading: loading 1 modules..."
    assert log.last_line(["starting", ""]) == "starting"
    assert log.last_line([]) == ""


def test_the_registry_that_is_not_loaded() -> None:
    """Odoo logs it without the name of the database, and serves requests without a database after an AttributeError."""
    start = "2026-01-02 03:04:05,678 7"
    failed = [
        f"{start} CRITICAL ? odoo.modules.module: Couldn't load module acme",
        f"{start} ERROR ? odoo.registry: Failed to load registry ",
        f"{start} WARNING ? odoo.http: Database or registry unusable, trying without",
        "Traceback (most recent call last):",
        f'  File "{OWN}/acme/models.py", line 13, in <module>',
        "    http.nowhere",
        "AttributeError: module 'odoo.http' has no attribute 'nowhere'",
    ]
    loaded = f"{start} INFO ? odoo.registry: Registry loaded in 0.156s "
    error = f"{start} ERROR shop odoo.http: something else"
    expected = OdooFailure(failed[-1], addon="acme", file=f"{OWN}/acme/models.py", line=13)
    assert log.registry_failure([loaded, *failed, error], "shop", PLATFORM) == expected
    assert log.registry_failure([*failed, loaded], "shop") is None
    assert log.registry_failure([error], "shop") is None
    assert log.registry_failure([line.replace("?", "other") for line in failed], "shop") is None
