"""The SBOM: `tests/golden/sbom` has the census of an image and the expected result.

After a change that is meant: `ODPM_GOLDEN=write pytest tests/unit/audit/test_sbom.py`, then read the difference.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from odpm_tasks.core.audit.census import Addon, Census, Package
from odpm_tasks.core.audit.sbom import Repository, sbom
from tests.unit.builders import commit

GOLDEN = Path(__file__).parents[2] / "golden" / "sbom"
CONTENTS = Census.model_validate_json((GOLDEN / "contents.json").read_text(encoding="utf-8"))
DIGEST = f"sha256:{'5b' * 32}"
SOURCES = {
    "odoo": Repository("https://github.com/odoo/odoo", commit("odoo")),
    "web": Repository("https://github.com/OCA/web", commit("web")),
    "partner-contact": Repository("https://github.com/OCA/partner-contact", commit("partner-contact")),
    "shop": Repository("https://git.example.com:8443/team/shop", commit("shop")),
    "local": Repository("file:///srv/somebody/local", commit("local")),
}
OFFICIAL = JsonStrictValidator(SchemaVersion.V1_6)


def made(contents: Census = CONTENTS, **changed: Any) -> str:
    told: dict[str, Any] = {
        "name": "registry.example.com:5000/team/shop:1.0",
        "digest": DIGEST,
        "sources": SOURCES,
        "epoch": 1_760_000_000,
        "tool_version": "5.0.0",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sbom(contents, **{**told, **changed})


def component(text: str, name: str) -> dict[str, Any]:
    [found] = [one for one in json.loads(text)["components"] if one["name"] == name]
    return dict(found)


def test_the_distribution_has_the_state_of_its_archive() -> None:
    found = component(made(system="Debian bookworm 2026-07-11T10:16:37Z"), "debian")
    assert found["properties"] == [{"name": "odpm:system", "value": "Debian bookworm 2026-07-11T10:16:37Z"}]
    assert "properties" not in component(made(), "debian")


def test_golden_sbom() -> None:
    golden, text = GOLDEN / "sbom.cdx.json", made()
    if os.environ.get("ODPM_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_sbom_is_valid() -> None:
    assert OFFICIAL.validate_str(made()) is None
    assert OFFICIAL.validate_str(made(Census(), digest="", name="shop")) is None
    assert OFFICIAL.validate_str(made().replace('"type": "library"', '"type": "addon"')) is not None


def test_sbom_is_independent_of_the_census_order() -> None:
    turned = {key: tuple(reversed(getattr(CONTENTS, key))) for key in ("system", "packages", "node", "addons")}
    assert made(CONTENTS.model_copy(update=turned), sources=dict(reversed(SOURCES.items()))) == made()


def test_serial_number_depends_on_digest_and_content() -> None:
    texts = {
        made(),
        made(digest=f"sha256:{'5c' * 32}"),
        made(CONTENTS.model_copy(update={"packages": CONTENTS.packages[1:]})),
        made(sources={**SOURCES, "web": Repository("https://github.com/OCA/web", commit("newer"))}),
    }
    serials = {json.loads(text)["serialNumber"] for text in texts}
    assert len(serials) == 4
    assert not any(serial.startswith("urn:uuid:00000000") for serial in serials)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://somebody:hunter2@git.example.com/team/shop.git", "https://git.example.com/team/shop"),
        ("https://hunter2@github.com/team/shop", "https://github.com/team/shop"),
        ("ssh://somebody:hunter2@git.example.com/team/shop", "https://git.example.com/team/shop"),
        ("https://somebody:hunter2@/nowhere", None),
        ("https://somebody:hunter2@[odd/shop", None),
        ("file:///home/somebody/shop", None),
    ],
)
def test_sbom_contains_no_credentials_and_local_paths(url: str, told: str | None) -> None:
    text = made(sources={**SOURCES, "shop": Repository(url, commit("shop"))})
    assert "hunter2" not in text
    assert "somebody" not in text
    addon = component(text, "shop")
    assert addon.get("externalReferences") == ([{"type": "vcs", "url": told}] if told else None)
    assert {"name": "odpm:repository", "value": told or "shop"} in addon["properties"]
    assert {"name": "odpm:commit", "value": commit("shop")} in addon["properties"]


def test_a_python_package_from_git_names_repository_commit_and_folder() -> None:
    origin = Repository("https://git.example/team/tool", commit("tool"), "python")
    mine = component(
        made(Census(packages=(Package(name="Team_Tool", version="1.0"),)), packages={"team-tool": origin}), "Team_Tool"
    )
    assert mine["purl"].startswith("pkg:pypi/team-tool@1.0?vcs_url=git%2Bhttps://git.example/team/tool%40")
    assert {"name": "odpm:commit", "value": origin.commit} in mine["properties"]
    assert mine["externalReferences"] == [{"type": "vcs", "url": origin.url}]


def test_an_add_on_does_not_depend_on_itself() -> None:
    document = json.loads(made(Census(addons=(Addon(name="mail", path="/mail", depends=("mail",)),))))
    assert {"ref": "pkg:generic/mail#mail"} in document["dependencies"]


def test_add_ons_with_the_same_name_are_listed_and_the_first_is_the_dependency() -> None:
    def fork(source: str) -> Addon:
        return Addon(name="mail", path=f"/opt/odoo/src/{source}/mail", source=source)

    user = Addon(name="user", path="/opt/odoo/src/web/user", source="web", depends=("mail",))
    for first, second in (("web", "shop"), ("shop", "web")):
        document = json.loads(made(Census(addons=(fork(first), fork(second), user))))
        refs = {
            one["properties"][-1]["value"]: one["bom-ref"] for one in document["components"] if one["name"] == "mail"
        }
        [needs] = [one["dependsOn"] for one in document["dependencies"] if one["ref"].endswith("#user")]
        assert len(refs) == 2
        assert needs == [refs[SOURCES[first].url]]


@pytest.mark.parametrize(
    ("words", "licenses"),
    [
        ((), None),
        (("MIT",), [{"license": {"id": "MIT"}}]),
        (("mit",), [{"license": {"id": "MIT"}}]),
        (("MIT OR Apache-2.0",), [{"expression": "MIT OR Apache-2.0"}]),
        (("MIT OR Apache-2.0", "ISC"), [{"license": {"id": "ISC"}}, {"license": {"name": "MIT OR Apache-2.0"}}]),
        (
            ("(MIT OR GPL-2.0-or-later WITH Classpath-exception-2.0)",),
            [{"expression": "(MIT OR GPL-2.0-or-later WITH Classpath-exception-2.0)"}],
        ),
        (("GPL",), [{"license": {"name": "GPL"}}]),
        (("MIT OR GPL",), [{"license": {"name": "MIT OR GPL"}}]),
        (("GPL-2+ and/or  MIT",), [{"license": {"name": "GPL-2+ and/or MIT"}}]),
        (("", "  "), None),
        (("long " * 100,), [{"license": {"name": ("long " * 20)}}]),
    ],
)
def test_licences(words: tuple[str, ...], licenses: Any) -> None:
    text = made(Census(packages=(Package(name="some", version="1", licenses=words),)))
    assert component(text, "some").get("licenses") == licenses
    assert OFFICIAL.validate_str(text) is None


words = st.text(max_size=6) | st.sampled_from(["MIT", "a/b", "..", "@", "#", "odoo", "web", "a b"])
named = words.filter(lambda word: word.strip("/ \t\r\n").strip())
packages = st.lists(st.builds(Package, name=named, version=words, arch=words, licenses=st.lists(words, max_size=2)))
addons = st.lists(
    st.builds(
        Addon, name=named, path=words, source=words, version=words, license=words, depends=st.lists(words, max_size=2)
    )
)


@settings(max_examples=2 * settings().max_examples // 5)
@given(
    st.builds(
        Census,
        distribution=words,
        python=words,
        odoo=words,
        system=packages,
        packages=packages,
        node=st.lists(st.builds(Package, name=words, version=words, arch=words, licenses=st.lists(words, max_size=2))),
        addons=addons,
    ),
    st.dictionaries(words, st.builds(Repository, words, words), max_size=3),
)
def test_sbom_is_valid_for_any_census(contents: Census, sources: dict[str, Repository]) -> None:
    assert OFFICIAL.validate_str(made(contents, sources=sources)) is None


def test_a_repository_with_merges_has_its_pin_and_each_merge() -> None:
    merges = (f"refs/pull/1/head {commit('1')}", f"https://github.com/acme/web refs/heads/fix {commit('2')}")
    text = made(sources={**SOURCES, "web": Repository("https://github.com/OCA/web", commit("web"), merges=merges)})
    found = {
        (item["name"], item["value"])
        for component in json.loads(text)["components"]
        for item in component.get("properties", [])
        if item["name"] == "odpm:merge"
    }
    assert found == {("odpm:merge", merge) for merge in merges}
    assert f"pkg:github/OCA/web@{commit('web')}" in text or f"pkg:github/oca/web@{commit('web')}" in text
