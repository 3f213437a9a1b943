"""The files of each editor, merged with what they contain now. Imported only where an editor is set up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from odpm_tasks.core.editors import jsonc, odools, pycharm, vscode
from odpm_tasks.core.editors.editor_file import EditorFile, Existing
from odpm_tasks.core.editors.mappings import SourceFolders
from odpm_tasks.core.editors.merge import MISSING, Merge, merge
from odpm_tasks.core.editors.names import VARIABLE
from odpm_tasks.errors import DescriptionError

_BOM = "\ufeff"


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
