"""The files of editors: what they contain now, what a run writes, and what of it is odpm's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.editors import jsonc, odools, pycharm, vscode
from odpm_tasks.core.editors.mappings import SourceFolders
from odpm_tasks.core.editors.merge import MISSING, Merge, merge
from odpm_tasks.core.editors.names import VARIABLE
from odpm_tasks.errors import DescriptionError

_BOM = "\ufeff"
FOLDERS = (".vscode", ".run", ".idea", odools.FILE)
_BEGINS = {".vscode/": "vscode", ".run/": "pycharm", ".idea/": "pycharm", odools.FILE: "odools"}


@dataclass(frozen=True)
class Existing:
    """A file on disk. `data` None: absent. `tracked`: git tracks it. `refused`: why odpm does not touch it."""

    data: bytes | None = None
    tracked: bool = False
    refused: str = ""


@dataclass(frozen=True)
class EditorFile:
    """A file of an editor. `record`: what of the merged file is odpm's, for `.odpm/state.toml`; `recorded`: that of the last run.

    `kept`: where the user's values differ and stay. `problem`: why it cannot be merged; then `merged` is what exists.
    """

    path: str
    current: bytes | None
    merged: bytes | None
    record: str
    recorded: str | None
    tracked: bool = False
    kept: tuple[str, ...] = ()
    problem: DescriptionError | None = None

    @property
    def changes(self) -> bool:
        return self.merged != self.current

    @property
    def acts(self) -> bool:
        """Whether a run writes the file, or records what of it is odpm's for the first time."""
        return not self.tracked and (self.changes or self.recorded is None)


def editor_files(
    names: tuple[str, ...],
    folders: SourceFolders,
    port: int,
    recorded: Mapping[str, str],
    existing: Callable[[str], Existing],
    modules: tuple[str, ...] = (),
) -> tuple[EditorFile, ...]:
    """The files of the editors `names`. `recorded`: the records of the last run by path. `modules`: the files `.idea/*.iml`."""
    found: list[EditorFile] = []

    def add(path: str, merged: Callable[[str | None, Any], tuple[str, Any, list[str]]]) -> None:
        found.append(_file(path, existing(path), recorded.get(path), merged))

    if "vscode" in names:
        for path, wanted in vscode.documents(folders, port, odools="odools" in names).items():
            add(path, lambda text, base, path=path, wanted=wanted: _json(path, text, wanted, base))  # type: ignore[misc]
    if "pycharm" in names:
        for path, whole in pycharm.run_configurations(folders, port).items():
            add(path, lambda text, base, whole=whole: _whole(text, whole, base))  # type: ignore[misc]
        for path in modules:
            add(path, lambda text, base: _module(text or "", pycharm.module_entries(folders), base))
    if "odools" in names:
        add(odools.FILE, lambda text, base: _toml(text, odools.document(folders), base))
    return tuple(found)


def editor_of(path: str) -> str:
    """The editor that a file belongs to; empty for another file."""
    return next((name for begin, name in _BEGINS.items() if path.startswith(begin)), "")


def _file(
    path: str, now: Existing, recorded: str | None, merged: Callable[[str | None, Any], tuple[str, Any, list[str]]]
) -> EditorFile:
    def stays(problem: DescriptionError) -> EditorFile:
        return EditorFile(path, now.data, now.data, recorded or "", recorded, now.tracked, (), problem)

    if now.refused:
        return stays(
            DescriptionError(now.refused, where=path, todo=f"remove the link, or leave the editor out of {VARIABLE}")
        )
    try:
        text = None if now.data is None else now.data.decode("utf-8")
        mark = _BOM if text and text.startswith(_BOM) else ""
        new, written, kept = merged(None if text is None else text.removeprefix(_BOM), _loaded(recorded))
    except UnicodeDecodeError as error:
        return stays(DescriptionError(f"not UTF-8 text (byte {error.start})", where=path, todo="save it as UTF-8"))
    except DescriptionError as error:
        return stays(error)
    record = json.dumps(written, ensure_ascii=False, separators=(",", ":"))
    return EditorFile(path, now.data, (mark + new).encode(), record, recorded, now.tracked, tuple(kept))


def _loaded(recorded: str | None) -> Any:
    try:
        return MISSING if recorded is None else json.loads(recorded)
    except ValueError:
        return MISSING


def _json(path: str, text: str | None, wanted: Any, base: Any) -> tuple[str, Any, list[str]]:
    if text is None:
        return json.dumps(wanted, indent=4, ensure_ascii=False) + "\n", wanted, []
    result = merge(jsonc.read(text, path), wanted, base)
    return jsonc.edited(text, path, result.edits), result.written, _kept(result)


def _toml(text: str | None, wanted: Any, base: Any) -> tuple[str, Any, list[str]]:
    if text is None:
        result = merge({}, wanted)
        return odools.edited(odools.HEADER, odools.FILE, result.edits), wanted, []
    result = merge(odools.read(text, odools.FILE), wanted, base)
    return odools.edited(text, odools.FILE, result.edits), result.written, _kept(result)


def _whole(text: str | None, wanted: str, base: Any) -> tuple[str, Any, list[str]]:
    """A file that is odpm's as a whole, until the user edits it."""
    if text is None or text in {wanted, base}:
        return wanted, wanted, []
    return text, base if isinstance(base, str) else "", ["the file"]


def _module(text: str, entries: dict[str, str], base: Any) -> tuple[str, Any, list[str]]:
    result = merge(pycharm.module_urls(text), list(entries), base)
    added = [str(edit.value) for edit in result.edits if edit.kind == "add"]
    before = set(pycharm.module_urls(text))
    gone = [url for url in before if url not in result.value]
    new = pycharm.module_edited(text, entries, added, gone) if added or gone else text
    return new, result.written, _kept(result)


def _kept(result: Merge) -> list[str]:
    return [".".join(parts) for parts in result.kept]
