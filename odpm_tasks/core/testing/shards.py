"""Shards: parts of a test run that take about the same time, by the recorded durations of add-ons and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

UNKNOWN = 10.0  # seconds, of an add-on without a record where no other one has a record


@dataclass(frozen=True)
class AddonRecord:
    """The duration of an add-on's tests in seconds, by class, and of its installation."""

    install: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.classes.values())


Records = Mapping[str, AddonRecord]


@dataclass(frozen=True)
class Shard:
    """A part of a run: whole add-ons, and single classes of others. `without`: classes of its add-ons that other shards run."""

    addons: tuple[str, ...] = ()
    classes: tuple[tuple[str, str], ...] = ()
    without: tuple[tuple[str, str], ...] = ()

    @property
    def installs(self) -> tuple[str, ...]:
        """The add-ons to install."""
        return tuple(sorted({*self.addons, *(addon for addon, _ in self.classes)}))


def shards(
    addons: Sequence[str], number: int, records: Records, needed: Mapping[str, Iterable[str]]
) -> tuple[Shard, ...]:
    """At most `number` shards; the same input gives the same shards.

    The longest part goes to the shard that ends first, with the time that it adds there: its tests, and the installation of
    what `needed` names (of each add-on, those that the template lacks) where the shard does not install it already. An add-on
    that takes more than its part of the whole is divided by class: its first shard runs every class that no other shard runs,
    so that new classes are run, too. An add-on without a record takes as long as the others on average.
    """
    known = [records[name].seconds for name in addons if name in records]
    average = sum(known) / len(known) if known else UNKNOWN
    durations = {name: records[name].seconds if name in records else average for name in addons}
    part = sum(durations.values()) / number if number else 0.0
    pieces: list[tuple[float, str, str]] = []  # seconds, add-on, class; without a class: the rest of the add-on
    for name in addons:
        rest = durations[name]
        classes = sorted(records[name].classes.items(), key=lambda item: (-item[1], item[0])) if name in records else []
        if number > 1 and rest > part and len(classes) > 1:
            for class_, seconds in classes[1:]:
                pieces.append((seconds, name, class_))
                rest -= seconds
        pieces.append((rest, name, ""))
    pieces.sort(key=lambda piece: (-piece[0], piece[1], piece[2]))
    loads = [0.0] * number
    installed: list[set[str]] = [set() for _ in range(number)]
    contents: list[list[tuple[str, str]]] = [[] for _ in range(number)]
    for seconds, name, class_ in pieces:
        wanted = {name, *needed.get(name, ())}
        added = [
            seconds + sum(records[one].install for one in wanted - installed[index] if one in records)
            for index in range(number)
        ]
        best = min(range(number), key=lambda index: (loads[index] + added[index], index))
        loads[best] += added[best]
        installed[best] |= wanted
        contents[best].append((name, class_))
    return tuple(_shard(content, contents) for content in contents if content)


def _shard(content: Sequence[tuple[str, str]], all_contents: Sequence[Sequence[tuple[str, str]]]) -> Shard:
    whole = {name for name, class_ in content if not class_}
    elsewhere = {
        (name, class_)
        for other in all_contents
        if other is not content
        for name, class_ in other
        if class_ and name in whole
    }
    return Shard(
        tuple(sorted(whole)),
        tuple(sorted((name, class_) for name, class_ in content if class_ and name not in whole)),
        tuple(sorted(elsewhere)),
    )
