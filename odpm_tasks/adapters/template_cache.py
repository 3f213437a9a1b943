"""Compiled templates, kept where Python keeps compiled modules: with the same trust, by the same switches."""

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
    """Keeps what the templates of a folder were compiled to, as long as their text is the same; where it may not, nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OdpmError):
            if data := files.read(self._place(bucket)):
                bucket.load_bytecode(io.BytesIO(data))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OdpmError):
                files.write(self._place(bucket), bucket.bytecode_to_string(), derived=True)

    def _place(self, bucket: Bucket) -> Path:
        name = f"{bucket.key}-jinja-{jinja2.__version__}.py"
        return Path(importlib.util.cache_from_source(str(self._folder / name)))
