"""The versions of secrets in a Swarm."""

from __future__ import annotations

from odpm_tasks.core.targets.swarm_secrets import (
    SecretVersion,
    digest,
    has_value,
    newest,
    of_release,
    of_value,
    versions,
)

PREFIX = "shop-production_MAIL"


def test_a_digest_is_of_one_value_and_differs_by_its_salt() -> None:
    label = digest(b"4711", "a" * 32)
    assert has_value(label, b"4711")
    assert not has_value(label, b"4712")
    assert "4711" not in label
    assert digest(b"4711", "b" * 32).partition("$")[2] != label.partition("$")[2]


def test_a_secret_without_a_digest_has_no_known_value() -> None:
    assert not has_value("", b"4711")


def test_versions_are_those_of_one_name() -> None:
    existing = {f"{PREFIX}_v1": "", f"{PREFIX}_v10": "", f"{PREFIX}_v2": "", f"{PREFIX}_vx": "", f"{PREFIX}_OLD_v3": ""}
    assert sorted(versions(PREFIX, existing)) == [1, 2, 10]
    assert newest(PREFIX, existing) == f"{PREFIX}_v10"
    assert newest(PREFIX, {}) == ""


def test_a_changed_value_gets_the_next_version() -> None:
    existing = {f"{PREFIX}_v1": digest(b"one", "a"), f"{PREFIX}_v2": digest(b"two", "b")}
    assert of_value(PREFIX, {}, b"one") == SecretVersion(f"{PREFIX}_v1", new=True)
    assert of_value(PREFIX, existing, b"two") == SecretVersion(f"{PREFIX}_v2", new=False)
    # a value that returns: what the former version is used for is not known
    assert of_value(PREFIX, existing, b"one") == SecretVersion(f"{PREFIX}_v3", new=True)


def test_an_earlier_release_has_its_versions_or_the_newest() -> None:
    existing = {f"{PREFIX}_v2": "", f"{PREFIX}_v3": "", "shared": ""}
    prefixes = {"MAIL": PREFIX, "KEY": "shop-production_KEY"}
    assert of_release({"MAIL": f"{PREFIX}_v2", "KEY": "shared"}, prefixes, existing)["MAIL"] == f"{PREFIX}_v2"
    assert of_release({"MAIL": f"{PREFIX}_v1", "KEY": "shared"}, prefixes, existing) == {
        "MAIL": f"{PREFIX}_v3",
        "KEY": "shared",
    }
