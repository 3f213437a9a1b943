"""Convert the text of a terminal with its colours into an SVG: `python docs/record.py TITLE < TEXT > docs/demo.svg`.

The text is the output of `tmux capture-pane -epS -`. The picture uses fonts of the reader's machine and loads none.
"""

import re
import sys

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text


def picture(text: str, title: str) -> str:
    lines = [Text.from_ansi(line) for line in text.rstrip().splitlines()]
    with open("/dev/null", "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        console = Console(
            record=True, width=max(line.cell_len for line in lines) + 3, file=nowhere, force_terminal=True
        )
        for line in lines:
            console.print(line, highlight=False, no_wrap=True, overflow="ignore")
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = re.sub(r"<!--.*?-->\s*", "", form, flags=re.DOTALL)
    form = form.replace(
        "Fira Code, monospace", "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    )
    return console.export_svg(title=title, code_format=form, unique_id="demo")


if __name__ == "__main__":
    sys.stdout.write(picture(sys.stdin.read(), sys.argv[1]) + "\n")
