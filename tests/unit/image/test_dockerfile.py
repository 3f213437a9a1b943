"""The Dockerfile: complete texts for four series, and the rules."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.dockerfile import dockerfile, dockerignore, environment_digest
from odpm_tasks.core.image.image_spec import ImagePackage, ImageSource, ImageSpec, base_image, context_name
from odpm_tasks.core.image.wkhtmltopdf import published
from odpm_tasks.errors import DescriptionError

GOLDEN = Path(__file__).parents[2] / "golden" / "image"

SOURCES = (
    ImageSource("shop", "developing"),
    ImageSource("web", "dependency"),
    ImageSource("OCA-Partner_Contact", "dependency"),
    ImageSource("odoo", "platform"),
)

CASES = {
    "16.0": ImageSpec(base_image("3.10", "bullseye"), "bullseye", "16.0", "3.10"),
    "17.0": ImageSpec(
        base_image("3.10", "bookworm"), "bookworm", "17.0", "3.10", sources=SOURCES, wkhtmltopdf=published("bookworm")
    ),
    "18.0": ImageSpec(
        base_image("3.12", "bookworm") + "@sha256:" + "0" * 64,
        "bookworm",
        "18.0",
        "3.12",
        platform="OCB",
        system_packages=("git", "fonts-noto-cjk"),
        language="ja_JP",
        arch="arm64",
        sources=(ImageSource("OCB", "platform"),),
    ),
    "19.0": ImageSpec(
        base_image("3.13", "trixie"),
        "trixie",
        "19.0",
        "3.13",
        sources=SOURCES,
        archive=ArchiveState("trixie", "2026-07-11T10:16:37Z", "2026-11-25T02:22:30Z"),
    ),
    "packages": ImageSpec(
        base_image("3.12", "bookworm"),
        "bookworm",
        "18.0",
        "3.12",
        sources=SOURCES,
        packages=(
            ImagePackage("acme-client", "https://git.example/acme/client", "a" * 40, "2.1", "v2.1", "python"),
            ImagePackage("tool", "https://git.example/team/tool", "b" * 40, "0.1.dev3+gbbbbbbbbb"),
        ),
    ),
}


@pytest.mark.parametrize("version", CASES)
def test_dockerfile(version: str) -> None:
    path = GOLDEN / f"{version}.Dockerfile"
    assert dockerfile(CASES[version]) == path.read_text(encoding="utf-8")


def test_another_commit_of_a_package_changes_the_name_of_the_environment_and_one_stage_alone() -> None:
    spec = CASES["packages"]
    moved = replace(spec, packages=(spec.packages[0], replace(spec.packages[1], commit="c" * 40)))
    assert environment_digest(spec, programs=()) != environment_digest(moved, programs=())
    before, after = (re.split(r"(?m)^(?=FROM )", dockerfile(one)) for one in (spec, moved))
    changed = {part.split()[3] for part, other in zip(before, after, strict=True) if part != other}
    assert changed == {"origins", "git-tool"}


def test_chromium_is_a_stage_below_the_python_environment_and_changes_no_other_stage() -> None:
    """The steps of all stages are in the key of their cache: only what is added may differ."""
    spec = CASES["packages"]
    browser = replace(spec, browser=True)
    assert environment_digest(spec, programs=()) != environment_digest(browser, programs=())
    before, after = (re.split(r"(?m)^(?=FROM )", re.sub(r"(?m)^#.*\n", "", dockerfile(one))) for one in (spec, browser))
    added = [part for part in after if part not in before]
    assert [part.split()[1:4] for part in added] == [
        ["mounted", "AS", "browser"],
        ["browser", "AS", "dev"],
    ]
    assert "install_packages chromium" in added[0]
    assert "COPY --from=dev-venv" in added[1]


def test_a_template_of_the_project_that_installs_no_packages_from_git_is_refused() -> None:
    with pytest.raises(DescriptionError, match="does not install packages from git: acme-client, tool"):
        dockerfile(CASES["packages"], "FROM {{ spec.base_image }}\n")


def test_a_template_of_the_project_that_lacks_a_module_of_odoo_run_is_refused() -> None:
    """A template of an older odpm installs odoo-run alone, and the container would not start."""
    old = "FROM {{ spec.base_image }}\nCOPY build/odoo-run /usr/local/bin/\n"
    with pytest.raises(DescriptionError, match=r"without what it imports: build/odoo_run_conf\.py"):
        dockerfile(CASES["16.0"], old)
    assert dockerfile(CASES["16.0"], old + "COPY build/odoo_run_conf.py /usr/local/bin/\n")


def test_dockerignore() -> None:
    assert dockerignore() == (GOLDEN / "Dockerfile.dockerignore").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", CASES)
def test_no_continuation_is_broken(version: str) -> None:
    lines = dockerfile(CASES[version]).splitlines()
    assert not [line for line in lines if line != line.rstrip()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.endswith("\\"):
            assert following.startswith(" "), line


def test_least_frequently_changed_source_is_copied_first() -> None:
    text = dockerfile(CASES["17.0"])
    copies = re.findall(r'^COPY --from=(src-\S+) \["files", "(\S+)"\]$', text, re.MULTILINE)
    assert [path for _, path in copies] == [
        "/opt/odoo/src/odoo",
        "/opt/odoo/src/web",
        "/opt/odoo/src/OCA-Partner_Contact",
        "/opt/odoo/src/shop",
    ]
    assert [context for context, _ in copies] == [
        context_name(name) for name in ("odoo", "web", "OCA-Partner_Contact", "shop")
    ]


def test_runtime_has_no_compiler() -> None:
    for spec in CASES.values():
        assert not {"gcc", "g++", "make", "sudo"} & set(spec.runtime_packages)
        text = dockerfile(spec)
        assert text.index("        gcc") > text.index("AS build")


@pytest.mark.parametrize(
    ("name", "context"),
    [("web", "src-web"), ("server-tools", "src-server-tools"), ("0", "src-0")],
)
def test_context_of_a_plain_name(name: str, context: str) -> None:
    assert context_name(name) == context


def test_contexts_are_valid_and_unique() -> None:
    names = ["OCB", "ocb", "Ocb", "a.b", "a-b", "a_b", "a--b", "-a", "a b", "äö", "ä"]
    contexts = [context_name(name) for name in names]
    assert len(set(contexts)) == len(names)
    for context in contexts:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", context), context


def test_environment_digest_excludes_sources() -> None:
    spec = CASES["17.0"]

    def digest(
        spec: ImageSpec, lock: bytes = b"lock", programs: tuple[bytes, ...] = (b"run",), template: str | None = None
    ) -> str:
        return environment_digest(spec, lock, programs=programs, template=template)

    first = digest(spec)
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert digest(replace(spec, sources=())) == first
    others = [
        digest(spec, lock=b"other"),
        digest(spec, programs=(b"other",)),
        digest(spec, template="FROM scratch"),
        digest(replace(spec, system_packages=("git",))),
        digest(replace(spec, base_image="python:3.10.1-slim-bookworm")),
        digest(replace(spec, odoo_version="14.0")),
        digest(replace(spec, platform="OCB")),
    ]
    assert len({first, *others}) == len(others) + 1


def test_environment_digest_separates_its_parts() -> None:
    spec = CASES["16.0"]
    assert environment_digest(spec, b"ab", b"c", programs=()) != environment_digest(spec, b"a", b"bc", programs=())


@pytest.mark.parametrize("package", ["", "-y", "git; true", "Git", "$(x)", "a b", "--allow-downgrades"])
def test_invalid_package_name_is_refused(package: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        dockerfile(replace(CASES["16.0"], system_packages=(package,)))
    assert "system_packages" in caught.value.where


def test_python_3_7_gets_uv_from_debians_python() -> None:
    spec = ImageSpec(base_image("3.7", "bullseye"), "bullseye", "14.0", "3.7")
    text = dockerfile(spec)
    assert "/usr/bin/python3 -m pip install" in text
    assert "python3-pip" in text
    assert "setuptools<58" in text
    assert "ODOO_HEALTH_PATH= " in text


@pytest.mark.parametrize(
    ("version", "tools"),
    [
        ("13.0", "'cython<3.1' 'setuptools<58'"),
        ("16.0", "'cython<3.1' 'setuptools<82'"),
        ("17.0", "'cython<3.1' 'setuptools<82'"),
        ("18.0", "'setuptools<82'"),
        ("19.0", "'setuptools<82'"),
    ],
)
def test_pinned_packages_are_built_with_tools_of_their_time(version: str, tools: str) -> None:
    text = dockerfile(ImageSpec(base_image("3.11", "bookworm"), "bookworm", version, "3.11"))
    assert f"RUN printf '%s\\n' {tools} > /opt/uv/constraints.txt" in text
    assert "UV_BUILD_CONSTRAINT=/opt/uv/constraints.txt" in text


def test_no_syntax_line() -> None:
    assert not re.search(r"^#\s*syntax", dockerfile(CASES["19.0"]), re.MULTILINE)


@pytest.mark.parametrize(("python", "debian"), [("3.7", True), ("3.8", False), ("3.12.4", False)])
def test_only_python_before_3_8_gets_uv_from_debians_python(python: str, debian: bool) -> None:
    assert replace(CASES["16.0"], python=python).uv_needs_debian_python is debian


@pytest.mark.parametrize(
    ("arch", "python", "compiles"),
    [
        (None, "3.12", False),
        ("amd64", "3.12", False),
        ("x86_64", "3.12", False),
        ("arm64", "3.12", True),
        ("amd64", "3.13", True),
    ],
)
def test_packages_are_compiled_on_other_processors_and_for_new_pythons(
    arch: str | None, python: str, compiles: bool
) -> None:
    assert replace(CASES["16.0"], arch=arch, python=python).compiles_packages is compiles


def test_two_states_of_the_archive_differ_in_one_stage_and_in_the_name_of_the_environment() -> None:
    """No instruction contains the state, so the history of an image is the same for the same packages."""
    one = CASES["19.0"]
    other = replace(one, archive=ArchiveState("trixie", "2026-07-12T10:16:37Z"))
    assert environment_digest(one, programs=()) != environment_digest(other, programs=())
    texts = [dockerfile(spec).splitlines() for spec in (one, other)]
    assert set(texts[0]) ^ set(texts[1]) == {
        "archive 2026-07-11T10:16:37Z",
        "security 2026-11-25T02:22:30Z",
        "archive 2026-07-12T10:16:37Z",
    }


@pytest.mark.parametrize("version", CASES)
def test_every_step_that_uses_a_mirror_has_the_state_in_its_cache_key(version: str) -> None:
    spec = CASES[version]
    steps = re.findall(r"^RUN .*?[^\\]$", dockerfile(spec), re.MULTILINE | re.DOTALL)
    using = [step for step in steps if "install_packages" in step or "update_lists" in step]
    assert len(using) >= 3
    assert all(("from=archive" in step) == bool(spec.archive) for step in using)
    assert "target=/var/lib/apt/lists,sharing" not in dockerfile(spec)  # a cache mount is shared by all states


def stages(spec: ImageSpec) -> dict[str, str]:
    """The text of each stage by its name; the name of the stage that it starts from is in the text."""
    text = dockerfile(spec)
    return {
        part.split(maxsplit=3)[2].split("\n")[0]: part for part in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    }


@pytest.mark.parametrize("package", ["imagemagick", "fonts-noto-cjk", "libreoffice-calc", "poppler-utils=22.12.0-2"])
def test_a_package_of_the_project_does_not_install_the_python_packages_again(package: str) -> None:
    """The stages of the Python environment start from those before the project's own packages, and are equal."""
    plain, more = (stages(replace(CASES["17.0"], system_packages=own)) for own in ((), (package,)))
    assert package in more["system"]
    assert more["build"].startswith("base AS build\n")
    for name in ("base", "build", "venv", "dev-venv"):
        assert more[name] == plain[name] or more[name].partition("\n# The packages of this project")[0] in plain[name]


@pytest.mark.parametrize(
    "package", ["libcups2-dev", "pkg-config", "libxmlsec1-dev=1.2.37-2", "g++", "swig4.0", "cmake"]
)
def test_a_package_for_compiling_is_in_the_stage_that_compiles_and_in_the_image(package: str) -> None:
    found = stages(replace(CASES["17.0"], system_packages=(package,)))
    assert package in found["build"]
    assert package in found["system"]
