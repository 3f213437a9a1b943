"""Checks of the add-ons of a stack before anything is built: missing, duplicate, hidden, and badly named ones.

The input is the facts of each repository in the order of the add-ons path: Odoo uses the first add-on of a name.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from odpm_tasks.core.odoo.addons import ADDON_NAME, Facts, Module
from odpm_tasks.core.text import clean, nearest
from odpm_tasks.errors import DescriptionError

SHOWN = 10
"""The most add-ons that one message names."""


@dataclass(frozen=True)
class AddonSource:
    """The add-ons of one repository. `own`: of the developing project; `platform`: the manifests are not read.

    `hidden`: folders of add-ons below the depth that facts contain.
    """

    name: str
    facts: Facts
    own: bool = False
    platform: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class MissingAddon:
    """An add-on that is required and cannot be used.

    `required_by`: from an add-on of the project down to the one that depends on it. `reason`: why the add-on cannot be used
    although a source has it. `repository`: the URL of the repository that has it, if known.
    """

    name: str
    required_by: tuple[str, ...]
    reason: str = ""
    repository: str = ""

    def __str__(self) -> str:
        notes = [f"required by {' -> '.join(self.required_by)}", self.reason, self.repository]
        return f"{self.name} ({'; '.join(filter(None, notes))})"


@dataclass(frozen=True)
class AddonFindings:
    """`missing`: an error in strict scenarios, if `own` add-ons need them; `warnings`: everything else.

    `requested`: what the add-ons that a command names need and no source has. `left_out`: the add-ons of the project that
    cannot be installed, because something they need is missing.
    """

    missing: tuple[MissingAddon, ...] = ()
    own: bool = True
    warnings: tuple[str, ...] = ()
    requested: tuple[MissingAddon, ...] = ()
    left_out: tuple[str, ...] = ()

    def texts(self, *, strict: bool) -> tuple[str, ...]:
        """All warnings. In strict scenarios, what `require_addons` reports as an error is no warning."""
        return self.warnings if strict and self.own else (*missing_warning(self), *self.warnings)


def check_addons(
    sources: Sequence[AddonSource],
    repository: Callable[[str], str] = lambda name: "",
    requested: Iterable[str] = (),
) -> AddonFindings:
    """Check the add-ons of a stack. `repository`: the URL of the repository that has an add-on, "" if unknown.

    What the developing project needs is checked; without add-ons of its own, what the add-ons of the dependencies need.
    What the add-ons in `requested` need is checked, too.
    """
    found: dict[str, list[tuple[AddonSource, Module]]] = defaultdict(list)
    hidden: dict[str, str] = {}
    warnings: list[str] = []
    for source in sources:
        visible = source.facts.addons
        unseen = []
        for module in source.facts.modules:
            if module.folder in visible:
                found[module.name].append((source, module))
            else:
                unseen.append(module.path)
        paths = () if source.platform else _outside_of_addons(source, (*unseen, *source.hidden))
        for path in paths:
            hidden.setdefault(path.rpartition("/")[2], f"{source.name}/{path}")
        warnings += [_hidden_warning(source, paths)] if paths else []
        warnings += (
            [_root_warning(source)] if source.facts.root and not (source.facts.folder or source.platform) else []
        )
    first = {name: places[0] for name, places in found.items()}
    own = any(source.own for source, _ in first.values())
    warnings += [*_names(first)]
    if not any(source.platform and source.facts.modules for source in sources):
        return AddonFindings((), own, (*_duplicates(found), *warnings))
    roots = [m.name for s, m in first.values() if m.installable and (s.own if own else not s.platform)]
    missing = tuple(_missing(roots, first, hidden, repository))
    asked = _missing((name for name in requested if name in first), first, hidden, repository)
    left_out = [name for name in sorted(roots) if missing and own and any(_missing([name], first, hidden, repository))]
    return AddonFindings(missing, own, (*_duplicates(found), *warnings), tuple(asked), tuple(left_out))


def _missing(
    roots: Iterable[str],
    first: Mapping[str, tuple[AddonSource, Module]],
    hidden: Mapping[str, str],
    repository: Callable[[str], str],
) -> Iterator[MissingAddon]:
    """What `roots` need, breadth first, so that the chain of each missing add-on is a shortest one."""
    chains: dict[str, tuple[str, ...]] = dict.fromkeys(sorted(roots), ())
    pending = deque(chains)
    while pending:
        name = pending.popleft()
        for needed in first[name][1].depends:
            if needed in chains or needed == "base":
                continue
            chains[needed] = (*chains[name], name)
            if needed in first and first[needed][1].installable:
                pending.append(needed)
            elif needed in first:
                yield MissingAddon(needed, chains[needed], f"not installable in {first[needed][0].name}")
            elif needed in hidden:
                yield MissingAddon(needed, chains[needed], f"in {hidden[needed]}, where Odoo does not look")
            elif not needed.startswith("test_"):  # those of Odoo are in odoo/addons, which facts do not contain
                yield MissingAddon(needed, chains[needed], repository=repository(needed))


def _duplicates(found: Mapping[str, Sequence[tuple[AddonSource, Module]]]) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, places in found.items():
        if len(places) == 1:
            continue
        used, *others = places
        labels = [_label(*place, places) for place in (used, *(other for other in others if other[1].installable))]
        if len(labels) > 1:
            groups[tuple(labels)].append(name)
    for (used_label, *labels), names in groups.items():
        yield f"{_are(len(names))} in {' and '.join((used_label, *labels))}; {used_label} is used: {names_text(names)}"


def _label(source: AddonSource, module: Module, places: Sequence[tuple[AddonSource, Module]]) -> str:
    """The name of the repository; with the folder where one repository has the add-on twice."""
    twice = sum(other.name == source.name for other, _ in places) > 1
    return f"{source.name}/{module.folder}".rstrip("/") if twice else source.name


def _outside_of_addons(source: AddonSource, paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that are not inside of an add-on: an add-on in another one is its test data."""
    if not paths:
        return ()
    addons = {module.path for module in source.facts.visible}
    return tuple(path for path in paths if not any(path.startswith(f"{addon}/") for addon in addons))


def _hidden_warning(source: AddonSource, paths: Sequence[str]) -> str:
    read = "in the root only" if "" in source.facts.addons else "one folder below the root"
    return (
        f"{source.name}: {_are(len(paths))} where Odoo does not look: {names_text(paths)}; "
        f"Odoo finds the add-ons of this repository {read}"
    )


def _root_warning(source: AddonSource) -> str:
    if source.own:
        return (
            "this project is itself an add-on, with a manifest in its root: Odoo does not find it; "
            "move its files into a folder with the name of the add-on (git mv)"
        )
    return (
        f"{source.name} is itself an add-on, with a manifest in its root, and its name is no name of an add-on: Odoo does not "
        "find it; rename the repository, or name it as file:///PATH/ADDON, a clone in a folder with the name of the add-on"
    )


def _names(first: Mapping[str, tuple[AddonSource, Module]]) -> Iterator[str]:
    refused = [
        f"{s.name}/{m.path}" for name, (s, m) in first.items() if not s.platform and not ADDON_NAME.fullmatch(name)
    ]
    if refused:
        yield f"Odoo refuses names of add-ons with other characters than letters, digits and _: {names_text(refused)}"


def _are(count: int) -> str:
    return "1 add-on is" if count == 1 else f"{count} add-ons are"


def names_text(names: Sequence[str]) -> str:
    """The names in order; after ten, the count of the others."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more


def missing_warning(findings: AddonFindings) -> tuple[str, ...]:
    """One line about missing add-ons; none without any."""
    missing = findings.missing
    if not missing:
        return ()
    are = _are(len(missing))
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    shown = ", ".join(str(addon) for addon in missing[:SHOWN]) + more
    if not findings.own:
        return (f"{are} in no source, so add-ons of dependencies cannot be installed: {shown}",)
    left_out = f"; {names_text(findings.left_out)} cannot be installed" if findings.left_out else ""
    return (f"{are} needed and in no source: {shown}{left_out}; in server and ci this is an error",)


def require_addons(findings: AddonFindings) -> None:
    """Errors: DescriptionError if the developing project needs add-ons that are missing; it names all of them."""
    if not (findings.own and findings.missing):
        return
    raise _missing_error(findings.missing)


def require_requested(findings: AddonFindings) -> None:
    """Errors: DescriptionError if add-ons that a command names need others that are missing; it names all of them."""
    if findings.requested:
        raise _missing_error(findings.requested)


def _missing_error(missing: Sequence[MissingAddon]) -> DescriptionError:
    details = [str(addon) for addon in missing[:SHOWN]]
    if more := [addon.name for addon in missing[SHOWN:]]:
        details.append(f"and {len(more)} more: {', '.join(more)}")
    looked_up = all(addon.repository or addon.reason for addon in missing)
    return DescriptionError(
        f"{_are(len(missing))} needed and in no source",
        where="odpm.json: dependencies",
        details=details,
        todo="add the repositories to the dependencies"
        + ("" if looked_up else "; inv validate --ask-index looks them up"),
    )


def repository_lines(findings: AddonFindings) -> list[str]:
    """One line per repository with the missing add-ons it has; those of no known repository come last."""
    groups: dict[str, list[str]] = defaultdict(list)
    for addon in findings.missing:
        groups[addon.repository].append(clean(addon.name))
    unknown = groups.pop("", [])
    lines = [f"{repository} has {', '.join(sorted(names))}" for repository, names in sorted(groups.items())]
    return lines + ([f"no repository is known for {', '.join(sorted(unknown))}"] if unknown else [])


def require_known(names: Iterable[str], known: Collection[str], option: str) -> None:
    """Check the add-ons that an option names; `all` means every one.

    Errors: DescriptionError with each unknown one and the nearest add-on of the sources.
    """
    unknown = [name for name in names if name not in known and name != "all"]
    if unknown:
        raise DescriptionError(
            f"there is no add-on {unknown[0]!r} in the sources{nearest(unknown[0], known)}",
            where=option,
            details=[f"nor {name!r}{nearest(name, known)}" for name in unknown[1:]],
            todo="correct the name, or add the repository that has it to `dependencies` of odpm.json",
        )
