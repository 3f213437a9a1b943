"""The text of a Python lock: markers for Linux on both processors, hashes of source distributions."""

from __future__ import annotations

import pytest

from odpm_tasks.core.locking.python_lock import Stub, exact_pins, for_target, locked_text, wheel_fits

A, B, C = "a" * 64, "b" * 64, "c" * 64
BOTH = "(python_full_version < '3.12' and platform_machine == 'aarch64') or (python_full_version < '3.12' and platform_machine == 'x86_64')"


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (f" ; {BOTH}", ""),
        (" ; platform_machine == 'x86_64' and sys_platform == 'linux'", " ; platform_machine == 'x86_64'"),
        (
            " ; python_full_version < '3.11.5' and sys_platform == 'linux'",
            " ; python_full_version < '3.11.5'",
        ),
        ("", ""),
    ],
)
def test_a_marker_says_what_still_decides_on_linux(marker: str, expected: str) -> None:
    text = f"six==1.16.0{marker} \\\n    --hash=sha256:{A}\n"
    assert locked_text(text, "3.11", {}) == f"six==1.16.0{expected} \\\n    --hash=sha256:{A}\n"


def test_a_wheel_at_an_address_keeps_its_hash_and_what_decides_of_its_marker() -> None:
    text = f"x @ https://host.example/x-1-py3-none-any.whl{{}} \\\n    --hash=sha256:{A}\n"
    assert locked_text(text.format(f" ; {BOTH}"), "3.11", {}) == text.format("")


def test_the_hash_of_a_stub_becomes_those_of_its_release() -> None:
    text = f"docopt==0.6.2 \\\n    --hash=sha256:{B}\npy-x[e]==1 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n"
    stubs = {("docopt", "0.6.2"): Stub(B, frozenset({C})), ("py-x", "1"): Stub(B, frozenset({A, C}))}
    assert locked_text(text, "3.11", stubs) == (
        f"docopt==0.6.2 \\\n    --hash=sha256:{C}\npy-x[e]==1 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{C}\n"
    )


def test_requirements_of_other_systems_and_pythons_are_left_out() -> None:
    lines = [
        "pywin32 ; sys_platform == 'win32'",
        "gevent==21.8.0 ; sys_platform != 'win32' and python_version == '3.10'",
        "gevent==22.10.2 ; sys_platform != 'win32' and python_version > '3.10'",
        "six",
        "uvloop ; platform_machine == 'x86_64' and sys_platform == 'linux'",
    ]
    assert for_target(lines, "3.10") == ["gevent==21.8.0", "six", 'uvloop; platform_machine == "x86_64"']


@pytest.mark.parametrize(
    ("filename", "machines"),
    [
        ("six-1.16.0-py2.py3-none-any.whl", "both"),
        ("x-1-py2-none-any.whl", ""),
        ("x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "x86_64"),
        ("x-1-cp311-cp311-musllinux_1_1_x86_64.whl", ""),
        ("x-1-cp37-abi3-manylinux_2_28_aarch64.whl", "aarch64"),
        ("x-1-cp312-abi3-manylinux_2_28_aarch64.whl", ""),
        ("x-1-cp310-cp310-manylinux_2_17_x86_64.whl", ""),
        ("x-1-cp311-cp311-win_amd64.whl", ""),
        ("x-1-py3-none-manylinux_2_17_x86_64.whl", "x86_64"),
        ("not a wheel", ""),
    ],
)
def test_which_wheels_fit_python_3_11_on_linux(filename: str, machines: str) -> None:
    expected = {"both": {"x86_64", "aarch64"}, "": set()}.get(machines, {machines})
    assert {machine for machine in ("x86_64", "aarch64") if wheel_fits(filename, "3.11", machine)} == expected


def test_exact_pins_of_requirements_and_locks() -> None:
    assert exact_pins(
        "Six==1.16.0\nx>=2\ny==1.*\n", f"a_b[c]==2 ; python_version > '3' \\\n    --hash=sha256:{A}\n"
    ) == {
        ("six", "1.16.0"),
        ("a-b", "2"),
    }
