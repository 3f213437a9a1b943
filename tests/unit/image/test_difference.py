"""The first difference of two images."""

from __future__ import annotations

from typing import Any

from odpm_tasks.core.image.difference import different_files, different_layer, different_settings


def configuration(*diff_ids: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"created_by": f"RUN --mount=type=tmpfs,target=/tmp /bin/sh -c make   {name} # buildkit"} for name in "abc"
    ]
    rows.insert(1, {"created_by": "USER 0:0", "empty_layer": True})
    return {"rootfs": {"diff_ids": list(diff_ids)}, "history": rows, "config": {"Labels": {"a": "1"}}}


def test_first_layer_with_other_content() -> None:
    one, two = configuration("1", "2", "3"), configuration("1", "x", "y")
    found = different_layer((one, two), (["1", "2", "3"], ["1", "x", "y"]))
    assert found
    assert found.content
    assert str(found) == "layer 2 of 3: RUN make b"


def test_a_layer_that_is_packed_in_another_way() -> None:
    found = different_layer((configuration("1", "2"), configuration("1", "2")), (["p", "q"], ["p", "r"]))
    assert found
    assert not found.content
    assert found.index == 1


def test_an_additional_layer_differs() -> None:
    found = different_layer((configuration("1"), configuration("1", "2")), (["1"], ["1", "2"]))
    assert found
    assert (found.index, found.count, found.content) == (1, 2, True)


def test_equal_layers() -> None:
    assert different_layer((configuration("1"), configuration("1")), (["p"], ["p"])) is None


def test_files_with_other_content_come_before_files_with_another_time() -> None:
    same = {"type": "-", "mode": "0644", "time": "t", "content": "1 bytes"}
    one = {"a": same, "b": same, "c": same, "d": same, "gone": same}
    two = {"a": {**same, "time": "u"}, "b": {**same, "mode": "0600"}, "c": {**same, "content": "2 bytes"}, "d": same}
    two["new"] = same
    assert different_files(one, two) == (
        "/b: mode 0644 | 0600",
        "/c: content 1 bytes | 2 bytes",
        "/gone: only in the first image",
        "and 2 more files of this layer",
    )
    assert different_files(one, {**one, "a": two["a"]}) == ("/a: time t | u",)
    assert different_files(one, one) == ()


def test_settings_that_differ() -> None:
    one, two = configuration("1"), configuration("1")
    assert different_settings(one, two) == ()
    two["config"] = {"Labels": {"a": "2"}}
    two["created"] = "now"
    assert different_settings(one, two) == ("config.Labels: {'a': '1'} | {'a': '2'}", "created: None | now")
