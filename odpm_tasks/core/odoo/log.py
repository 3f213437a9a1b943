"""The log of Odoo: why it failed, with exception, add-on, file and line.

A record starts with a line that has a time; the lines after it, for instance a traceback, belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_START = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (?P<level>[A-Z]+) (?P<database>\S+) (?P<logger>[\w.]+): (?P<text>.*)"
)
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+)')
_DATA_FILE = re.compile(r"while parsing (?P<file>/[^\n]*?):(?P<line>\d+)(, somewhere inside)?")
_MODULE = (
    re.compile(r"Loading module (\w+) \("),
    re.compile(r"Couldn't load module (\w+)"),
)
_LOADED_FILE = re.compile(r"loading (?P<module>\w+)/(?P<path>\S+)$")
_IMPORTS_DATA = re.compile(r"in (load_data|convert_file|convert_csv_import|convert_xml_import)$")
_NOISE = re.compile(r"Error while parsing or validating view:?|View error context:?|[\[{]'.*|['<].*|\^+|None")
_LOCKED = re.compile(r"lock timeout|could not obtain lock|LockNotAvailable")
_NO_SPACE = re.compile(  # PostgreSQL says "wrote only 4096 of 8192 bytes", too, and then gives this hint
    r"no space left on device|disk quota exceeded|\.DiskFull: |HINT:  ?Check free disk space", re.IGNORECASE
)
_LOST_DATABASE = re.compile(
    r"server closed the connection unexpectedly|terminating connection because of crash|the database system is (?:in recovery|starting up|"
    r"shutting down|not yet accepting)|could not connect to server|connection to server .* failed"
)
_ERROR_500 = re.compile(r'"GET (?P<path>\S+) HTTP/[\d.]+" 500 ')


@dataclass(frozen=True)
class OdooFailure:
    """Why Odoo failed. `file`: the path in the container; `line` 0: unknown. `addon`: what was loaded, empty if unknown.

    `exception`: class and message in one line; `details`: further lines of the message.
    """

    exception: str
    details: tuple[str, ...] = ()
    addon: str = ""
    file: str = ""
    line: int = 0

    @property
    def locked(self) -> bool:
        """Whether another session of PostgreSQL held a lock for too long."""
        return bool(_LOCKED.search(" ".join((self.exception, *self.details))))


@dataclass(frozen=True)
class _Record:
    level: str
    text: str
    lines: tuple[str, ...]

    @property
    def failed(self) -> bool:
        return self.level in {"ERROR", "CRITICAL"}


def _records(log: Sequence[str]) -> Iterator[_Record]:
    """The records; lines before the first are a record without a level."""
    level, text = "", ""
    lines: list[str] = []
    for line in log:
        if start := _START.match(line):
            if text or lines:
                yield _Record(level, text, tuple(lines))
            level, text, lines = start["level"], start["text"].strip(), []
        else:
            lines.append(line.rstrip())
    if text or lines:
        yield _Record(level, text, tuple(lines))


def failure(log: Sequence[str], platform: str = "") -> OdooFailure | None:
    """The last failure of a log; None without an error. `platform`: the folder of Odoo's own sources.

    The last traceback counts, of chained exceptions the outermost. The location is the data file that the message names, else
    the last frame of the add-on, else the last one outside of Odoo's own sources, else the data file that was being loaded.
    """
    records = list(_records(log))
    failed = [number for number, record in enumerate(records) if record.failed or _TRACEBACK in record.lines]
    if not failed:
        return None
    with_traceback = [number for number in failed if _TRACEBACK in records[number].lines]
    chosen = (with_traceback or failed)[-1]
    record = records[chosen]
    addon, data_file = _loading(records[: chosen + 1])
    if _TRACEBACK not in record.lines:
        first, *rest = [record.text, *filter(None, map(str.strip, record.lines))]
        return OdooFailure(first, tuple(rest[:2]), addon)
    start = len(record.lines) - 1 - record.lines[::-1].index(_TRACEBACK)
    frames, message = _traceback(record.lines[start + 1 :])
    addon = addon or _addon_in(message)
    file, line = _location(frames, "\n".join(message), platform, addon, data_file)
    text = [_DATA_FILE.sub("", part).strip() for part in message]
    text = [part for part in text if part and not _NOISE.fullmatch(part)]
    first = re.sub(r"^(?:\w+\.)+(?=\w+(?::|$))", "", text[0]) if text else "unknown error"
    if first.endswith(":") and len(text) > 1:
        first, text = f"{first} {text[1]}", text[1:]
    if first.endswith(":"):  # "while parsing FILE:LINE, somewhere inside": the reason is the cause
        first = _cause(record.lines[:start]) or first
    return OdooFailure(first, tuple(text[1:3]), addon, file, line)


def _cause(lines: Sequence[str]) -> str:
    """The first line of the exception before, of chained ones."""
    if _TRACEBACK not in lines:
        return ""
    start = len(lines) - 1 - lines[::-1].index(_TRACEBACK)
    message = _traceback(lines[start + 1 :])[1]
    return re.sub(r"^(?:\w+\.)+(?=\w+(?::|$))", "", message[0]) if message else ""


def _loading(records: Sequence[_Record]) -> tuple[str, str]:
    """The add-on that was loaded last, and its data file that was loaded last as `ADDON/PATH`."""
    addon = data = ""
    for record in records:
        for pattern in _MODULE:
            if found := pattern.match(record.text):
                addon, data = found[1], ""
        if found := _LOADED_FILE.match(record.text):
            data = f"{found['module']}/{found['path']}"
    return addon, data


def _addon_in(message: Sequence[str]) -> str:
    found = re.search(r"module [\"']?(\w+)[\"'](?= )", " ".join(message))
    return found[1] if found else ""


def _traceback(lines: Sequence[str]) -> tuple[list[tuple[str, int, str]], list[str]]:
    """The frames as path, line and rest of the line, and the lines of the exception's message."""
    frames = []
    for number, line in enumerate(lines):
        if found := _FRAME.match(line):
            frames.append((found["file"], int(found["line"]), line[found.end() :].lstrip(", ")))
        elif line and not line.startswith(" "):
            return frames, list(lines[number:])
    return frames, []


def _location(
    frames: Sequence[tuple[str, int, str]], message: str, platform: str, addon: str, data_file: str
) -> tuple[str, int]:
    if found := _DATA_FILE.search(message):
        return found["file"], int(found["line"])
    own = [(file, line) for file, line, _ in frames if file.startswith("/") and not _of_platform(file, platform)]
    if own:
        return next(((file, line) for file, line in reversed(own) if f"/{addon}/" in file), own[-1])
    if data_file and any(_IMPORTS_DATA.search(rest) for _, _, rest in frames):
        return data_file, 0
    if addon:  # a check of Odoo itself, for instance of external dependencies
        return "", 0
    absolute = [(file, line) for file, line, _ in frames if file.startswith("/")]
    return absolute[-1] if absolute else ("", 0)


def _of_platform(file: str, platform: str) -> bool:
    """Whether a file is of Odoo's own sources or of a Python package."""
    return "/site-packages/" in file or "/lib/python3" in file or bool(platform and file.startswith(f"{platform}/"))


def answered_with_error(log: Sequence[str], path: str, platform: str = "", times: int = 2) -> OdooFailure | None:
    """The failure behind the last answer 500 to requests of `path`, if there were at least `times` of them."""
    answers = [
        number for number, line in enumerate(log) if (found := _ERROR_500.search(line)) and found["path"] == path
    ]
    return failure(log[: answers[-1]], platform) if len(answers) >= times else None


def registry_failure(log: Sequence[str], database: str, platform: str = "") -> OdooFailure | None:
    """The failure of the last attempt to load the add-ons of a database; None if it succeeded or if there was none.

    After an AttributeError Odoo serves requests without a database, and does not answer 500: its health check passes.
    """
    failed = 0
    for number, line in enumerate(log):
        if (found := _START.match(line)) and found["database"] in {database, "?"}:
            if found["text"].startswith("Registry loaded"):
                failed = 0
            elif found["text"].startswith("Failed to load registry"):
                failed = number + 1
    if not failed:
        return None
    # the record after it is by the caller and has the traceback
    later = [number for number in range(failed, len(log)) if _START.match(log[number])]
    return failure(log[: later[1] if len(later) > 1 else len(log)], platform)


def ignored_addons(log: Sequence[str]) -> str:
    """The last line in which Odoo says that it does not find add-ons, which it then leaves out; empty without one."""
    return next((line for line in reversed(log) if "invalid module names, ignored" in line), "")


def full_disk(log: Sequence[str]) -> str:
    """The last line of an error that says that a disk is full; empty without one. What a program outside of Odoo says counts, too."""
    found = ""
    for record in _records(log):
        if record.failed or not record.level or _TRACEBACK in record.lines:
            lines = (record.text, *record.lines)
            found = next((line.strip() for line in lines if _NO_SPACE.search(line)), found)
    return found


def lost_database(log: Sequence[str]) -> bool:
    """Whether PostgreSQL ended or refused a connection, as it does after a crash."""
    return any(_LOST_DATABASE.search(line) for line in log)


def missing_dependency(failed: OdooFailure) -> str:
    """The program or Python module that Odoo does not find in the image; empty if that is not the reason."""
    found = re.search(r"external dependency is not met: (?:Unable to find )?'?([\w.+-]+)", failed.exception)
    return found[1] if found else ""


def missing_model(failed: OdooFailure) -> str:
    """The model that a class extends and that no loaded add-on defines; empty if that is not the reason."""
    found = re.search(r"Model '([\w.]+)' does not exist in registry", failed.exception)
    return found[1] if found else ""


def extension_line(source: str, model: str) -> int:
    """The line of a Python file where a class names a model in `_inherit` or `_inherits`; 0 if there is none."""
    for found in re.finditer(
        r"^\s+_inherits? *=\s*(?:[\[({]\s*(?:[^\])}]*?,\s*)?)?['\"]([\w.]+)['\"]", source, re.MULTILINE
    ):
        if found[1] == model:
            return source.count("\n", 0, found.start(1)) + 1
    return 0


def last_line(log: Sequence[str]) -> str:
    """The text of the last record, without its time, process, level and database."""
    for line in reversed(log):
        if (found := _START.match(line)) and (text := found["text"].strip()):
            return f"{found['logger'].rpartition('.')[2]}: {text}"
    return next((line.strip() for line in reversed(log) if line.strip()), "")
