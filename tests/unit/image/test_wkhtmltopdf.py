"""Which package of wkhtmltopdf the lock records and the image has."""

from __future__ import annotations

import json

import pytest

from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.image.dockerfile import dockerfile, environment_digest
from odpm_tasks.core.image.image_spec import ImageSpec, base_image
from odpm_tasks.core.image.wkhtmltopdf import DISTRIBUTION, PatchedBuild, Renderer
from odpm_tasks.core.locking.changes import lock_changes
from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock, write_lock
from odpm_tasks.errors import DescriptionError, LockError

OWN = PatchedBuild("0.12.3-1.own", {"amd64": "a" * 64})
ODOO = Pin("https://github.com/odoo/odoo", "a" * 40, "19.0")


def published(codename: str) -> PatchedBuild:
    build = wkhtmltopdf.published(codename)
    assert build is not None
    return build


@pytest.mark.parametrize("codename", ["buster", "bullseye", "bookworm", "trixie"])
def test_published_packages_are_for_the_release(codename: str) -> None:
    build = published(codename)
    assert build.version.endswith({"trixie": "bookworm"}.get(codename, codename))
    assert all(len(sum_) == 64 for sum_ in build.sha256.values())
    assert build.folder.startswith("https://github.com/wkhtmltopdf/")
    assert build.filename("amd64") == f"wkhtmltox_{build.version}_amd64.deb"


def test_a_processor_without_a_package() -> None:
    assert wkhtmltopdf.published("buster", "arm64") is None
    assert wkhtmltopdf.published("bookworm", "aarch64") == published("bookworm")
    assert wkhtmltopdf.published("sid") is None


@pytest.mark.parametrize(
    ("renderer", "codename", "arch", "fits"),
    [
        (published("bookworm"), "bookworm", None, True),
        (published("bookworm"), "trixie", "arm64", True),
        (published("bookworm"), "bullseye", None, False),
        (published("buster"), "buster", "arm64", False),
        (DISTRIBUTION, "bookworm", None, True),
        (OWN, "bullseye", None, True),
        (OWN, "bullseye", "x86_64", True),
        (OWN, "bullseye", "arm64", False),
    ],
)
def test_an_entry_of_another_release_or_processor_does_not_fit(
    renderer: Renderer, codename: str, arch: str | None, fits: bool
) -> None:
    assert wkhtmltopdf.fits(renderer, codename, arch) is fits


def test_the_name_of_a_file_tells_version_and_processor() -> None:
    build = wkhtmltopdf.of_file("wkhtmltox_0.12.6.1-3.jammy_arm64.deb", "b" * 64)
    assert build == PatchedBuild("0.12.6.1-3.jammy", {"arm64": "b" * 64})
    for name in ("wkhtmltox.deb", "wkhtmltox_1_amd64.rpm", "x_1_amd64.deb.txt"):
        with pytest.raises(DescriptionError, match="version and processor"):
            wkhtmltopdf.of_file(name, "b" * 64)


def test_the_warning_says_what_reports_lack() -> None:
    assert wkhtmltopdf.warning(OWN, "bookworm") is None
    assert "no header" in str(wkhtmltopdf.warning(DISTRIBUTION, "bookworm"))
    assert "no header" in str(wkhtmltopdf.warning(None, "bookworm"))
    assert "cannot be printed" in str(wkhtmltopdf.warning(DISTRIBUTION, "trixie"))


# --- the lock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("renderer", [OWN, published("bookworm"), DISTRIBUTION, None])
def test_the_lock_keeps_it(renderer: Renderer | None) -> None:
    lock = Lock(ODOO, renderer=renderer)
    read = read_lock(write_lock(lock))
    assert read == lock
    assert isinstance(read.renderer, PatchedBuild) is (renderer not in (DISTRIBUTION, None))
    if isinstance(renderer, PatchedBuild) and isinstance(read.renderer, PatchedBuild):
        assert read.renderer.folder == renderer.folder


def test_tools_of_a_later_version_survive() -> None:
    data = json.loads(write_lock(Lock(ODOO, renderer=OWN)))
    data["tools"]["later"] = {"version": 1}
    assert json.loads(write_lock(read_lock(json.dumps(data))))["tools"] == data["tools"]


@pytest.mark.parametrize(
    "entry",
    [
        "newest",
        {"version": "1"},
        {"version": "1", "sha256": {}},
        {"version": "1", "sha256": {"amd64": "short"}},
        {"version": "1; rm -rf", "sha256": {"amd64": "a" * 64}},
        {"version": "1", "sha256": {"../x": "a" * 64}},
    ],
)
def test_invalid_entries_are_refused(entry: object) -> None:
    data = json.loads(write_lock(Lock(ODOO)))
    with pytest.raises(LockError, match="the lock is not valid"):
        read_lock(json.dumps({**data, "tools": {"wkhtmltopdf": entry}}))


def test_changes_name_it() -> None:
    assert lock_changes(Lock(ODOO), Lock(ODOO, renderer=OWN)) == ("wkhtmltopdf 0.12.3-1.own",)
    assert lock_changes(Lock(ODOO, renderer=OWN), Lock(ODOO, renderer=DISTRIBUTION)) == (
        "wkhtmltopdf of the distribution",
    )
    assert lock_changes(Lock(ODOO, renderer=OWN), Lock(ODOO, renderer=OWN)) == ()


# --- the image ------------------------------------------------------------------------------------------------------


def spec(build: PatchedBuild | None, **values: object) -> ImageSpec:
    return ImageSpec(base_image("3.11", "bookworm"), "bookworm", "19.0", "3.11", wkhtmltopdf=build, **values)  # type: ignore[arg-type]


def test_the_image_has_one_of_both() -> None:
    patched, debian = dockerfile(spec(OWN)), dockerfile(spec(None))
    assert "wkhtmltopdf" in spec(None).runtime_packages
    assert "wkhtmltopdf" not in spec(OWN).runtime_packages
    assert f"*/amd64.deb) sum={'a' * 64} ;;" in patched
    assert "from=wkhtmltopdf" in patched
    assert "from=wkhtmltopdf" not in debian
    assert "wkhtmltopdf" not in dockerfile(spec(OWN, profile="ci")).replace("ODPM_WKHTMLTOPDF", "")


def test_another_package_is_another_environment() -> None:
    digests = {
        environment_digest(spec(build), b"", programs=())
        for build in (None, OWN, PatchedBuild(OWN.version, {"amd64": "b" * 64}), published("bookworm"))
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("language", "profile", "tools"),
    [
        ("ar_001", "medium", True),
        ("he_IL", "medium", True),
        ("de_DE", "medium", False),
        (None, "medium", False),
        ("de_DE", "full", True),
        ("fa_IR", "ci", False),
    ],
)
def test_languages_from_right_to_left_get_rtlcss(language: str | None, profile: str, tools: bool) -> None:
    assert spec(None, language=language, profile=profile).has_node_tools is tools


def test_fonts_by_profile_and_language() -> None:
    assert "fonts-wqy-microhei" in spec(None).runtime_packages
    assert "fonts-noto-cjk" not in spec(None).runtime_packages
    assert "fonts-noto-cjk" in spec(None, language="zh_HK").runtime_packages
    assert {"fonts-noto-cjk", "fonts-noto-core"} <= set(spec(None, profile="full").runtime_packages)
    assert "fonts-wqy-microhei" not in spec(None, profile="ci").runtime_packages
