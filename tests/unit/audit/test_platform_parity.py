"""Differences between the platforms of an image, and their explanations."""

from __future__ import annotations

import pytest

from odpm_tasks.core.audit.census import Census, Package
from odpm_tasks.core.audit.parity import differences
from odpm_tasks.core.audit.parity_text import Comparison, as_text
from odpm_tasks.core.audit.platform_parity import COMPILED, OF_THE_BASE, REBUILT, platform_explanations
from odpm_tasks.core.locking.diff_packages import read_python_lock

AMD, ARM = "linux/amd64", "linux/arm64"


def debian(name: str, version: str = "1.0", *, depends: str = "", base: bool = False) -> Package:
    return Package(name=name, version=version, depends=tuple(depends.split()), base=base)


def census(arch: str, *system: Package, **packages: str) -> Census:
    rows = tuple(row.model_copy(update={"arch": row.arch or arch}) for row in system)
    python = tuple(Package(name=name, version=version) for name, version in packages.items())
    return Census(architecture=arch, python="3.11.2", system=rows, packages=python)


def reasons(amd: Census, arm: Census, lock: str = "") -> dict[str, str]:
    """The reason of each difference, by name; empty: not explained."""
    images = {AMD: amd, ARM: arm}
    known = platform_explanations(images, read_python_lock(lock))
    return {each.name: each.reason for each in differences(images, known, platforms=True)}


def test_packages_are_compared_by_name_and_not_by_processor() -> None:
    amd, arm = census("amd64", debian("tini")), census("arm64", debian("tini"))
    assert reasons(amd, arm) == {}
    assert {each.name for each in differences({AMD: amd, ARM: arm})} == {"tini:amd64", "tini:arm64"}


def test_package_of_another_processor_than_the_images_keeps_it() -> None:
    foreign = Package(name="wine", version="1", arch="i386")
    assert reasons(census("amd64", debian("tini"), foreign), census("arm64", debian("tini"))) == {"wine:i386": ""}


@pytest.mark.parametrize(
    ("amd", "arm", "reason"),
    [
        (debian("tini", "0.19-1+b3"), debian("tini", "0.19-1"), REBUILT),
        (debian("tini", "0.19-1+b3"), debian("tini", "0.19-1+b2"), REBUILT),
        (debian("tini", "0.19-1"), debian("tini", "0.19-2"), ""),
        (debian("tini", "0.19-1+deb12u1"), debian("tini", "0.19-1"), ""),
        (debian("tini", "1", base=True), debian("tini", "2", base=True), OF_THE_BASE),
        (debian("tini", "1", base=True), debian("tini", "2"), ""),
    ],
)
def test_versions_are_explained_by_rebuilds_and_by_the_base_image(amd: Package, arm: Package, reason: str) -> None:
    assert reasons(census("amd64", amd), census("arm64", arm)) == {"tini": reason}


def test_libraries_of_compiled_packages_are_explained_on_other_processors_than_amd64() -> None:
    library = debian("libxml2", depends="libicu72")
    assert reasons(census("amd64"), census("arm64", library, debian("libicu72"))) == {
        "libxml2": COMPILED,
        "libicu72": "libxml2 depends on it",
    }
    assert reasons(census("amd64", library), census("arm64")) == {"libxml2": ""}


def test_a_dependency_of_one_processor_is_explained_by_the_package_that_has_it() -> None:
    amd = census("amd64", debian("libc6", depends="libgcc-s1"), debian("libgcc-s1"))
    with_more = census("arm64", debian("libc6", depends="libgcc-s1 liblse"), debian("libgcc-s1"), debian("liblse"))
    assert reasons(amd, with_more) == {"liblse": "libc6 depends on it, on arm64 only"}
    on_both = census("amd64", debian("libc6", depends="libgcc-s1 liblse"), debian("libgcc-s1"))
    assert reasons(on_both, with_more) == {"liblse": ""}


def test_packages_that_depend_on_each_other_explain_nothing() -> None:
    circle = (debian("one", depends="two"), debian("two", depends="one"))
    assert reasons(census("amd64"), census("arm64", *circle)) == {"one": "", "two": ""}


def test_python_packages_are_explained_by_the_markers_of_the_lock() -> None:
    lock = "greenlet==3.0.3 ; platform_machine == 'x86_64' and python_version == '3.11'\nlxml==5.2.1\n"
    assert set(reasons(census("amd64", greenlet="3.0.3"), census("arm64"), lock).values()) == {
        "in requirements.lock for some processors only"
    }
    assert reasons(census("amd64", greenlet="3.0.3"), census("arm64")) == {"greenlet": ""}
    assert reasons(census("amd64"), census("arm64", greenlet="3.0.3"), lock) == {"greenlet": ""}
    assert reasons(census("amd64", greenlet="3.0.2"), census("arm64"), lock) == {"greenlet": ""}
    assert reasons(census("amd64", lxml="5.2.1"), census("arm64"), lock) == {"lxml": ""}


def test_text_counts_platforms_and_names_the_reason() -> None:
    images = {AMD: census("amd64", debian("tini", "1+b1")), ARM: census("arm64", debian("tini", "1"))}
    found = differences(images, platform_explanations(images), platforms=True)
    shown = as_text(Comparison(dict.fromkeys(images, "shop:1"), images, found, platforms=True), verbose=True)
    assert shown.splitlines() == [
        "parity: 2 platforms, 1 package, 0 fonts, 0 add-ons; 1 difference explained by the platform",
        "",
        "                      linux/amd64  linux/arm64",
        f"system package  tini  1+b1         1            {REBUILT}",
    ]
