"""Debian's formats: versions in order, the files of an index, the packages of a list."""

from __future__ import annotations

import itertools

import pytest

from odpm_tasks.core.image.debian import compare_versions, newest, newest_versions, packages_file

# each version is older than the next one
ORDER = (
    "1.0~~", "1.0~rc1", "1.0", "1.0-1~deb12u1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0-2", "1.0a-1",
    "1.0+dfsg-1", "1.0.1-1", "1.2-1", "1.10-1", "1:0.1-1", "2:0.1",
)  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(itertools.pairwise(ORDER)))
def test_order_of_versions(older: str, newer: str) -> None:
    assert compare_versions(older, newer) < 0 < compare_versions(newer, older)
    assert compare_versions(older, older) == 0


@pytest.mark.parametrize(("one", "two"), [("1.0", "0:1.0"), ("1.01", "1.1"), ("1.0-0", "1.0-00")])
def test_equal_versions(one: str, two: str) -> None:
    assert compare_versions(one, two) == 0


def test_the_smallest_list_of_a_processor_is_used() -> None:
    sums = {f"main/binary-{arch}/Packages{end}": f"{n:064}" for n, (arch, end) in enumerate(
        [("amd64", ""), ("amd64", ".gz"), ("amd64", ".xz"), ("arm64", "")])}  # fmt: skip
    rows = "".join(f" {digest}   123 {path}\n" for path, digest in sums.items())
    index = f"Label: Debian\nMD5Sum:\n {'0' * 32} 1 main/binary-amd64/Packages.xz\nSHA256:\n{rows}-----BEGIN"
    assert packages_file(index, "amd64") == ("main/binary-amd64/Packages.xz", f"{2:064}")
    assert packages_file(index, "arm64") == ("main/binary-arm64/Packages", f"{3:064}")
    assert packages_file(index, "s390x") is None
    assert packages_file("<html>", "amd64") is None


def test_newest_versions() -> None:
    text = "".join(f"Package: {name}\nArchitecture: all\nVersion: {version}\nDescription: x\n\n" for name, version in (
        ("tini", "0.9"), ("tini", "0.19"), ("libpq5", "15.1"), ("none", "1")))  # fmt: skip
    found = newest_versions(text)
    assert found == {"tini": "0.19", "libpq5": "15.1", "none": "1"}
    assert newest(found, {"tini": "0.2", "libpq5": "15.10"}) == {"tini": "0.19", "libpq5": "15.10", "none": "1"}
