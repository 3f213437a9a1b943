"""Parity: comparison of the content of images."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.core.audit.census import problems
from odpm_tasks.image.census import read_census
from tests.e2e.baked import Built
from tests.e2e.harness import Bench, CommandResult, docker, snapshot

pytestmark = pytest.mark.docker

SITE = "/opt/odoo/venv/lib/python3.11/site-packages"
FONT = "/usr/share/fonts/truetype/acme.ttf"
MANIFEST = "/opt/odoo/src/web/web_responsive/__manifest__.py"
# changes of each kind to a built image, without network access
TINKERED = f"""
USER 0:0
ENV ACME=1
RUN echo font > {FONT} \\
    && cp -r {SITE}/qrcode-*.dist-info {SITE}/acme-1.0.dist-info \\
    && sed -i 's/^Name: .*/Name: acme/' {SITE}/acme-1.0.dist-info/METADATA \\
    && dpkg --purge --force-depends fonts-liberation > /dev/null 2>&1 \\
    && sed -i "s/'version': *'[^']*'/'version': '0.0'/; s/\\"version\\": *\\"[^\\"]*\\"/\\"version\\": \\"0.0\\"/" {MANIFEST} \\
    && echo 'log_level = debug' >> /etc/odoo/odoo.conf \\
    && chmod u+s /usr/bin/env
USER 1000:1000
"""
BROKEN = """
USER 0:0
RUN rm /usr/lib/*/libldap-2.5.so.0* && mv /opt/odoo/src/mail /opt/odoo/src/moved
USER 1000:1000
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], ci_image: Built) -> Bench:
    """A clone with built images of all scenarios."""
    made = clone(tmp_path_factory.mktemp("parity") / "project")
    made.env["ODPM_IMAGE"] = ci_image.tag
    for scenario in ("developer", "server"):
        made.ok("build", ODPM_SCENARIO=scenario)
    return made


@pytest.fixture(scope="module")
def derive(bench: Bench) -> Iterator[Callable[[str, str], str]]:
    """Builds an image from that of ci with lines of a Dockerfile; returns its name."""
    names: list[str] = []

    def make(name: str, lines: str) -> str:
        names.append(f"{bench.prefix}/{name}:1")
        text = f"FROM {bench.env['ODPM_IMAGE']}\n{lines}"
        words = ["docker", "build", "--quiet", "--network=none", "--tag", names[-1], "-"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        return names[-1]

    yield make
    docker("image", "rm", "--force", *names)


@pytest.fixture(scope="module")
def tinkered(derive: Callable[[str, str], str]) -> str:
    return derive("tinkered", TINKERED)


def found(ran: CommandResult) -> dict[tuple[str, str], list[str | None]]:
    """The unexplained differences of a comparison."""
    data: dict[str, Any] = json.loads(ran.out)
    rows = [each for each in data["differences"] if each["reason"] is None]
    assert data["equal"] is (not rows)
    return {(each["what"], each["name"]): list(each["values"].values()) for each in rows}


# --- the scenarios of a project --------------------------------------------------------------------------------------


def test_images_of_all_scenarios_differ_only_as_explained(bench: Bench) -> None:
    before = snapshot(bench.root)
    ran = bench.ok("parity", "--verbose")
    assert before.changed(bench.root) == []
    equal = r"parity: 3 images, \d{3} packages, \d+ fonts, \d{3} add-ons; \d+ differences explained by the scenario\n"
    assert re.match(equal, ran.out), ran.output
    for name, why in (
        ("debugpy", "in .odpm/requirements.developer.lock"),
        ("PYTHONPYCACHEPREFIX", "byte code of mounted sources"),
        ("options.workers", "set by the scenario"),
    ):
        assert re.search(rf"  {re.escape(name)} .* {re.escape(why)}$", ran.out, re.MULTILINE), ran.out


def test_census_includes_mounted_sources_and_configuration(bench: Bench) -> None:
    """A change in a mounted add-on is found, so sources and configuration are mounted for the census."""
    manifest = bench.root / "addons/stack_info/__manifest__.py"
    before = manifest.read_text(encoding="utf-8")
    try:
        bench.set_version("19.0.9.9.9")
        ran = bench.inv("parity", "--format", "json")
    finally:
        manifest.write_text(before, encoding="utf-8")
    assert ran.code == 2, ran.output
    ((what, name), values) = next(iter(found(ran).items()))
    assert (what, name) == ("add-on", "/opt/odoo/src/project/addons/stack_info")
    assert values[0] == "19.0.9.9.9" != values[-1]
    assert len(found(ran)) == 1


def test_unexplained_differences_are_listed_and_give_exit_code_2(bench: Bench, tinkered: str) -> None:
    """A changed image of ci, compared by name and as the image of its scenario."""
    by_name = bench.inv("parity", "--image", bench.env["ODPM_IMAGE"], "--image", tinkered, "--format", "json")
    assert by_name.code == 2, by_name.output
    differ = found(by_name)
    versions = differ.pop(("add-on", MANIFEST.removesuffix("/__manifest__.py")))
    assert versions[0] != versions[1] == "0.0"
    ((package, removed),) = [(name, values) for (what, name), values in differ.items() if what == "system package"]
    assert package == "fonts-liberation:all"
    assert removed[0]
    assert removed[1] is None
    gone = {name: values for (what, name), values in differ.items() if what == "font" and name != FONT}
    assert gone
    assert all("liberation" in name and values[1] is None for name, values in gone.items())
    rest = {key: values for key, values in differ.items() if key[1] not in {package, *gone}}
    assert rest == {
        ("Python package", "acme"): [None, "7.4.2"],
        ("font", FONT): [None, rest["font", FONT][1]],
        ("environment", "ACME"): [None, "1"],
        ("configuration", "options.log_level"): [None, "debug"],
        ("runs as another user", "/usr/bin/env"): [None, "yes"],
    }

    ran = bench.inv("parity", ODPM_IMAGE=tinkered)
    assert ran.code == 2, ran.output
    assert re.search(rf"^font +{FONT} +–.* [0-9a-f]{{12}}$", ran.out, re.MULTILINE), ran.out
    assert re.search(r"^environment +ACME +–.* 1$", ran.out, re.MULTILINE), ran.out
    assert "debugpy" not in ran.out
    assert re.match(
        r"odpm: the images differ: \d+ differences that no scenario explains\n  next: ",
        ran.err[ran.err.index("odpm:") :],
    )


# --- errors -----------------------------------------------------------------------------------------


def test_missing_images_are_listed_with_the_commands_to_build_them(
    clone: Callable[[Path], Bench], engine: None, tmp_path: Path
) -> None:
    bench = clone(tmp_path / "project")
    bench.edit(system_packages=["of-an-environment-that-nobody-has-built"])
    ran = bench.inv("parity", ODPM_IMAGE="never:1")
    assert (ran.code, ran.out) == (8, ""), ran.output
    assert ran.err.splitlines()[-4:] == [
        "odpm: two images are needed for a comparison",
        "  developer: ODPM_SCENARIO=developer inv build",
        "  server: ODPM_SCENARIO=server inv build",
        "  ci: ODPM_SCENARIO=ci inv build-image",
    ]


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (("--image", "never:1", "--image", "never:2"), 1, "the engine has no image 'never:1'"),
        (("--image", "never:1"), 1, "parity needs at least two images"),
        (("--image", "a,a"), 1, "parity needs at least two images"),
        (("--format", "yaml"), 1, "unknown format 'yaml'"),
        (("--platform", "linux/amd64"), 1, "compares two platforms or more of one image"),
        (("--platform", "linux/amd64,linux/arm64", "--image", "a,b"), 1, "compares two platforms or more of one image"),
        (("--platform", "amd64,arm64"), 1, "'amd64' is not a platform"),
        (("--platform", "linux/riscv64,linux/amd64", "--image", "postgres:15"), 1, "'postgres:15' for linux/riscv64"),
        (("--image", "debian:bookworm-slim,postgres:15"), 5, "cannot read the content of debian:bookworm-slim"),
    ],
)
def test_invalid_arguments_give_a_short_message(bench: Bench, words: tuple[str, ...], code: int, output: str) -> None:
    ran = bench.inv("parity", *words)
    assert (ran.code, ran.out) == (code, ""), ran.output
    assert output in ran.err
    assert len(ran.err.splitlines()) <= 5
    assert "Traceback" not in ran.err


# --- the census --------------------------------------------------------------------------------------------


def test_all_packages_can_be_imported_and_odoo_starts(bench: Bench) -> None:
    contents = read_census(bench.env["ODPM_IMAGE"], imports=True)
    assert problems(contents) == ()
    assert contents.odoo.startswith("Odoo Server 19.0")
    assert contents == read_census(bench.env["ODPM_IMAGE"])
    names = {package.name.lower() for package in contents.packages}
    assert {"lxml", "psycopg2", "python-ldap", "gevent", "pillow"} <= names


def test_census_finds_missing_libraries_and_folders(derive: Callable[[str, str], str]) -> None:
    """A library of several packages and a folder of the addons path are missing."""
    output = "\n".join(problems(read_census(derive("broken", BROKEN), imports=True)))
    lost = r"ImportError: libldap-2\.5\.so\.0: cannot open shared object file"
    assert re.search(rf"^odoo --version fails: {lost}", output, re.MULTILINE), output
    assert re.search(rf"^python-ldap: import \w+: {lost}", output, re.MULTILINE), output
    assert re.search(rf"^psycopg2: import psycopg2: {lost}", output, re.MULTILINE), output
    assert "/opt/odoo/src/mail is on the addons path and contains no add-on" in output
