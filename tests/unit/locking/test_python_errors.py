"""What uv 0.13.8 wrote, in `output`, and the whole error that is made of it, in `error`."""

from __future__ import annotations

from pathlib import Path

import pytest

from odpm_tasks.core.locking.python_errors import LockContext, Release, access_error, lock_error
from odpm_tasks.core.locking.python_requirements import RequirementLine
from odpm_tasks.core.locking.uv_output import access_reason, host_of, source_only, understand

GOLDEN = Path(__file__).parents[2] / "golden/uv_errors"
RELEASES = {
    "six": ("1.16.0", "1.15.0"),
    "pre": ("2.0a1",),
    "newpy": ("2.0", "1.0"),
}
PYTHONS = {("newpy", "2.0"): ">=3.12", ("newpy", "1.0"): ">=3.11"}
LINES = {
    "nowhere-to-be": "nowhere-to-be==1.0",
    "needs": "needs",
    "deep": "deep",
    "deepver": "deepver>=1",
    "onlynew": "onlynew",
    "newpy": "newpy==2.0",
    "broken": "broken",
    "gitpkg": "gitpkg @ git+https://no-such-host.invalid/x.git",
    "sdonly": "sdonly @ http://index.test:8080/simple/sdonly/sdonly-1.0.tar.gz",
    "winonly": "winonly",
}
ORIGINS = {name: (RequirementLine(line, "web: requirements.txt"),) for name, line in LINES.items()} | {
    "six": (
        RequirementLine("six==1.16.0", "sale: requirements.txt"),
        RequirementLine("six==1.15.0", "web: requirements.txt"),
    )
}


def rendered(case: Path) -> str:
    reason = understand((case / "output").read_text(encoding="utf-8"))
    releases = [Release(v, PYTHONS.get((reason.package, v), "")) for v in RELEASES.get(reason.package, ())]
    error = lock_error(reason, LockContext("3.11", ORIGINS, releases, ["index.test:8080"], {"named.test": "corp"}))
    return f"exit {error.exit_code}\n{error}\n"


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_the_error_of_a_message_of_uv(case: str) -> None:
    assert rendered(GOLDEN / case) == (GOLDEN / case / "error").read_text(encoding="utf-8")


def test_the_login_of_a_named_index_has_variables_of_its_name() -> None:
    reason = access_reason("https://me:hunter2@named.test/simple/six/", 401, "")
    error = access_error(reason, {"named.test": "corp.one"}, "six")
    assert str(error).splitlines() == [
        "odpm: the package index named.test refuses access for six: HTTP 401",
        "  it needs a login, or the login that it got is wrong",
        "  next:  set UV_INDEX_CORP_ONE_USERNAME and UV_INDEX_CORP_ONE_PASSWORD",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "SSLError: HTTPSConnectionPool(host='h'): certificate verify failed: self-signed certificate",
            "is not trusted",
        ),
        ("ConnectionError: NameResolutionError(\"Failed to resolve 'h'\")", "its name cannot be resolved"),
        ("ConnectTimeout: https://me:hunter2@h/ timed out", "it does not answer in time"),
        ("ConnectionError: Network is unreachable", "there is no network route to it"),
        ("ConnectionError: ('Connection aborted.', RemoteDisconnected())", "it ends the connection"),
        ("OtherError: https://me:hunter2@h/simple", "does not answer: OtherError"),
    ],
)
def test_the_text_of_the_library_in_plain_words(text: str, words: str) -> None:
    message = str(access_error(access_reason("https://me:hunter2@h/simple/", 0, text), {}))
    assert words in message
    assert "hunter2" not in message


def test_packages_without_a_wheel_are_named() -> None:
    assert source_only("hint: Wheels are required for `Suds_Jurko` because building is disabled") == {"suds-jurko"}
    assert source_only("  ╰─▶ Because vatnumber==1.2 has no usable\n      wheels and you require vatnumber") == {
        "vatnumber"
    }
    assert source_only("Building source distributions for `feedparser` is disabled") == {"feedparser"}
    assert source_only("nothing of the kind") == frozenset()


def test_the_host_of_an_address_has_no_login() -> None:
    assert host_of("https://me:hunter2@index.test:8080/simple") == "index.test:8080"
