"""System dependencies of add-ons as Debian packages, and their layer."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.core.image.dockerfile import dockerfile
from odpm_tasks.core.image.system_packages import SystemDependencies, system_dependencies
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.errors import DescriptionError
from tests.unit.image.test_dockerfile import CASES


def needs(**keys: tuple[str, ...]) -> SystemDependencies:
    return system_dependencies([Facts(modules=(Module(path="web/scan", **keys),))])


@pytest.mark.parametrize(
    ("keys", "packages"),
    [
        ({"deb": ("libzbar0", "poppler-utils")}, ("libzbar0", "poppler-utils")),
        ({"bin": ("pdftotext", "tesseract", "pdfinfo")}, ("poppler-utils", "tesseract-ocr")),
        ({"deb": ("libzbar0",), "bin": ("zbarimg",)}, ("libzbar0", "zbar-tools")),
        ({"bin": ("wkhtmltopdf", "rtlcss", "python3", "psql")}, ()),
        ({}, ()),
    ],
)
def test_packages(keys: dict[str, tuple[str, ...]], packages: tuple[str, ...]) -> None:
    assert needs(**keys) == SystemDependencies(packages)


def test_not_installable_add_ons_are_ignored() -> None:
    assert (
        system_dependencies([Facts(modules=(Module(path="a", deb=("hello",), installable=False),))])
        == SystemDependencies()
    )


def test_unknown_programs_give_warnings() -> None:
    found = needs(bin=("frobnicate",), deb=("--allow; rm",))
    assert found.packages == ()
    assert found.warnings == (
        "the add-on scan needs '--allow; rm', which is not a Debian package name",
        "the add-on scan needs the program 'frobnicate': name its Debian package in system_packages",
    )


def installed(text: str, stage: str) -> list[str]:
    """The packages that a stage installs."""
    part = re.search(rf"AS {stage}\n(.*?)\n\n", text, re.DOTALL)
    return re.findall(r"^        ([a-z0-9.+-]+)(?: \\|; \\)$", part[1], re.MULTILINE) if part else []


def test_packages_of_a_project_have_a_separate_layer() -> None:
    plain = CASES["17.0"]
    asking = replace(plain, system_packages=("git", "tini"), addon_packages=("poppler-utils",))
    before, text = dockerfile(plain), dockerfile(asking)
    assert installed(text, "base") == installed(before, "base")
    assert installed(text, "system") == ["git", "poppler-utils"]
    assert installed(before, "system") == []
    assert "FROM system AS runtime" in text
    assert "FROM base AS runtime" in before


@pytest.mark.parametrize(
    ("profile", "renderer", "node"), [("full", True, True), ("medium", True, False), ("ci", False, False)]
)
def test_profiles(profile: str, renderer: bool, node: bool) -> None:
    text = dockerfile(replace(CASES["17.0"], profile=profile, wkhtmltopdf=None))  # type: ignore[arg-type]
    assert ("wkhtmltopdf" in installed(text, "base")) is renderer
    assert ("nodejs" in installed(text, "base")) is node
    assert ("npm ci" in text) is node
    assert ("/opt/node/node_modules/.bin" in text) is node


def test_lessc_is_in_every_profile_if_the_series_needs_it() -> None:
    spec = replace(CASES["17.0"], odoo_version="12.0", profile="ci")
    assert "node-less" in installed(dockerfile(spec), "base")


def test_unknown_profile_is_refused() -> None:
    settings = Settings((Layer(".env", {"ODPM_BASE_IMAGE_PROFILE": "huge"}),))
    with pytest.raises(DescriptionError, match="'huge'"):
        _ = settings.profile
    assert Settings(()).profile == "medium"


def test_other_processors_get_packages_to_compile() -> None:
    text = dockerfile(CASES["17.0"])
    assert "$(unless_amd64 libjpeg62-turbo libxml2 libxslt1.1)" in text
    assert "unless_amd64" not in dockerfile(replace(CASES["17.0"], arch="amd64"))
    assert "libxml2-dev" in installed(dockerfile(replace(CASES["17.0"], arch="arm64")), "build")
