"""`python -m tests.standins PART [IMAGE ...]`: create the missing parts, report the existing ones.

Parts: browser, engine, images, odoo, oca, registry, wkhtmltopdf, all; `stop` stops the engine that a stand-in started.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from odpm_tasks.errors import OdpmError
from tests.standins.browser import ensure_browser
from tests.standins.common import line, seconds
from tests.standins.engine import ensure_engine, stop_engine
from tests.standins.images import DEFAULT, ensure_images
from tests.standins.oca import ensure_oca
from tests.standins.odoo import ensure_odoo
from tests.standins.registry import ensure_registry
from tests.standins.wkhtmltopdf import ensure_wkhtmltopdf

PARTS = ("browser", "engine", "images", "odoo", "oca", "registry", "wkhtmltopdf")


def say(text: str) -> None:
    print(text, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.standins", description=__doc__)
    parser.add_argument("part", choices=(*PARTS, "all", "stop"))
    parser.add_argument("images", nargs="*", help=f"for `images`: which ones (default: {' '.join(DEFAULT)})")
    options = parser.parse_args(words)
    parts: dict[str, Callable[[], object]] = {
        "browser": lambda: ensure_browser(say),
        "engine": lambda: ensure_engine(say),
        "images": lambda: ensure_images(options.images or DEFAULT, say),
        "odoo": lambda: ensure_odoo(say),
        "oca": lambda: ensure_oca(say),
        "registry": lambda: ensure_registry(say),
        "wkhtmltopdf": lambda: ensure_wkhtmltopdf(say),
    }
    begun = time.monotonic()
    try:
        if options.part == "stop":
            stop_engine(say)
            return 0
        if options.part == "all":
            parts["engine"]()
            with ThreadPoolExecutor() as pool:  # images are limited by network and disk, git by the processor
                for future in [pool.submit(parts[name]) for name in PARTS if name != "engine"]:
                    future.result()
        else:
            parts[options.part]()
    except OdpmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.part == "all":
        say(line("all", f"ready ({seconds(begun)})"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
