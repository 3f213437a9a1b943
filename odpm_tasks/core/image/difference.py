"""The first difference of two images: in the configuration, in the layers, in the files of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.text import cut, plural

_SHOWN = 3  # files


@dataclass(frozen=True)
class LayerDifference:
    """The first layer that differs: its index, the number of layers, and the instruction that made it. `content`: whether its
    files differ; else they are only packed in another way."""

    index: int
    count: int
    instruction: str
    content: bool

    def __str__(self) -> str:
        return f"layer {self.index + 1} of {self.count}: {cut(self.instruction)}"


def different_layer(
    configurations: tuple[Mapping[str, Any], Mapping[str, Any]], layers: tuple[Sequence[str], Sequence[str]]
) -> LayerDifference | None:
    """The first layer that differs, None where all are equal. `layers`: the digests of the packed layers."""
    ids = [list(each.get("rootfs", {}).get("diff_ids", ())) for each in configurations]
    for packed, names in ((False, ids), (True, layers)):
        count = max(map(len, names))
        for index in range(count):
            one, two = (list(each)[index : index + 1] for each in names)
            if one != two:
                instructions = _instructions(configurations[0]) or _instructions(configurations[1])
                instruction = instructions[index] if index < len(instructions) else ""
                return LayerDifference(index, count, instruction, not packed)
    return None


def _instructions(configuration: Mapping[str, Any]) -> list[str]:
    """The instruction of each layer, without mounts and shell."""
    rows = [row for row in configuration.get("history", ()) if not row.get("empty_layer")]
    texts = (str(row.get("created_by", "")).removesuffix(" # buildkit") for row in rows)
    plain = (" ".join(word for word in text.split() if not word.startswith("--mount=")) for text in texts)
    return [text.replace("RUN /bin/sh -c ", "RUN ", 1) for text in plain]


def different_files(one: Mapping[str, Mapping[str, str]], two: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """The files that differ, a line each, at most three and the number of the others. Content before times."""
    lines = []
    for path in sorted(one.keys() | two.keys()):
        old, new = one.get(path), two.get(path)
        if old is None or new is None:
            lines.append((0, f"/{path}: only in the {'second' if old is None else 'first'} image"))
        elif facts := [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]:
            name = "content" if "content" in facts else facts[0]
            lines.append((facts == ["time"], f"/{path}: {name} {old.get(name) or '–'} | {new.get(name) or '–'}"))
    shown = [text for _, text in sorted(lines, key=lambda line: line[0])]
    if len(shown) > _SHOWN:
        return *shown[:_SHOWN], f"and {plural(len(shown) - _SHOWN, 'more file')} of this layer"
    return tuple(shown)


def different_settings(one: Mapping[str, Any], two: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the settings of two configurations that differ."""
    pairs = [
        (f"{prefix}{key}", a.get(key), b.get(key)) for prefix, a, b in _tables(one, two) for key in sorted({*a, *b})
    ]
    return tuple(f"{name}: {cut(str(old))} | {cut(str(new))}" for name, old, new in pairs if old != new)


def _tables(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The tables of the configuration, the innermost first."""
    inner = [(f"{key}.", one.get(key) or {}, two.get(key) or {}) for key in ("config",)]
    rest = [{key: value for key, value in each.items() if key != "config"} for each in (one, two)]
    return [*inner, ("", rest[0], rest[1])]
