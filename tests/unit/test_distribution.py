"""How tests are distributed over workers: `tests/conftest.py`."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import FAMILIES, LONGEST, family
from tests.ports import PORTS, claim_port

ROOT = Path(__file__).resolve().parents[2]


def test_every_named_file_exists_once() -> None:
    assert [path for path in LONGEST if not (ROOT / path).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_files_of_a_family_stay_together() -> None:
    for name, paths in FAMILIES.items():
        assert {family(f"{path}::test_x[1]") for path in paths} == {name}
    assert family("tests/unit/test_style.py::test_x") == "tests/unit/test_style.py"


def test_no_port_is_given_twice() -> None:
    ports = [claim_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    assert {*ports} <= {*PORTS}
