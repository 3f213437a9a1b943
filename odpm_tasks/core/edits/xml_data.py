"""Edits of XML files: errors, whether a file has views only, and whether more than the content of views differs."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from odpm_tasks.core.edits.python_source import SourceError

_VIEW = "ir.ui.view"
_GROUPS = {"odoo", "openerp", "data"}


def xml_error(data: bytes) -> SourceError | None:
    """The error of a file that is not well-formed."""
    try:
        ET.fromstring(data)  # noqa: S314 - files of the user's own stack; expat limits expansion
    except ET.ParseError as error:
        message = str(error).partition(": line")[0]
        return SourceError(message, error.position[0])
    except ValueError as error:  # an unknown encoding
        return SourceError(str(error))
    return None


def has_views_only(data: bytes) -> bool:
    """Whether a data file defines views only."""
    records = _records(data)
    return bool(records) and all(record.tag == "template" or record.get("model") == _VIEW for record in records or ())


def differs_in_content_only(before: bytes, after: bytes) -> bool:
    """Whether two files define the same views, and only the content (`arch`) of some differs."""
    old, new = _records(before), _records(after)
    return old is not None and new is not None and [_outline(one) for one in old] == [_outline(one) for one in new]


def keeps_records(data: bytes) -> bool:
    """Whether a part of a file is loaded at the installation only (`noupdate`)."""
    try:
        root = ET.fromstring(data)  # noqa: S314
    except (ET.ParseError, ValueError):
        return False
    return any(node.get("noupdate") in {"1", "True", "true"} for node in root.iter())


def _records(data: bytes) -> list[ET.Element] | None:
    """The elements below the groups of a file; None if it cannot be read."""
    try:
        root = ET.fromstring(data)  # noqa: S314
    except (ET.ParseError, ValueError):
        return None
    found: list[ET.Element] = []
    pending = [root]
    while pending:
        node = pending.pop(0)
        pending += [child for child in node if child.tag in _GROUPS]
        found += [child for child in node if child.tag not in _GROUPS]
    return found


def _outline(record: ET.Element) -> bytes:
    """A record without the content of a view."""
    if record.tag == "template":
        return ET.tostring(ET.Element(record.tag, record.attrib))
    kept = ET.Element(record.tag, record.attrib)
    kept.extend(child for child in record if child.get("name") != "arch")
    for child in kept:
        child.tail = None
    kept.text = None
    return ET.tostring(kept)
