"""A cache of compiled templates in the same folder, and with the same switches, as Python's byte code."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from odpm_tasks.adapters import files
from odpm_tasks.errors import OdpmError


class TemplateCache(jinja2.BytecodeCache):
    """Caches the compiled templates of a folder until their text changes; a folder that is not writable is ignored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OdpmError):
            if data := files.read(self._path(bucket)):
                bucket.load_bytecode(io.BytesIO(data))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OdpmError):
                files.write(self._path(bucket), bucket.bytecode_to_string(), derived=True)

    def _path(self, bucket: Bucket) -> Path:
        name = f"{bucket.key}-jinja-{jinja2.__version__}.py"
        return Path(importlib.util.cache_from_source(str(self._folder / name)))
