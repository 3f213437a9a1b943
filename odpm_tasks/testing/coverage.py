"""The coverage of the project's add-ons: merged over the shards, with paths of the checkout, as HTML and as XML."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import SOURCE_ROOT, ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.testing.text import Coverage
from odpm_tasks.errors import ProgramError
from odpm_tasks.testing.shard import INSIDE, in_container
from odpm_tasks.testing.tools import TOOLS

FOLDER = ".odpm/coverage"
_SCRIPT = """\
set -e
export PYTHONPATH={tools}
cd {inside}
python3 -m coverage combine --quiet --keep --data-file=combined {data}
cd {own}
for kind in xml html json; do
    option=-o; [ $kind != html ] || option=-d
    python3 -m coverage $kind --quiet --ignore-errors --data-file={inside}/combined $option {inside}/coverage.$kind
done
"""


def measured_folders(observed: RenderedState) -> tuple[str, ...]:
    """The folders of the project's own add-ons in the container."""
    own = [f"{observed.stack.own_folder}/{module.path}".rstrip("/") for module in observed.stack.own.modules]
    own += [
        f"{SOURCE_ROOT}/{source.name}/{module.path}".rstrip("/")
        for source in observed.stack.resolution.sources
        if source.kind == "developing"
        for module in source.facts.modules
    ]
    return tuple(sorted(own))


def write_coverage(
    paths: ProjectPaths, observed: RenderedState, folder: Path, tools: Path, shards: Sequence[Path]
) -> Coverage | None:
    """Merge the data of all shards and write the reports below `.odpm/coverage`. None where nothing was measured."""
    data = [f"{INSIDE}/{shard.name}/coverage" for shard in shards if (shard / "coverage").is_file()]
    if not data:
        return None
    script = _SCRIPT.format(tools=TOOLS, inside=INSIDE, data=" ".join(data), own=observed.stack.own_folder)
    outcome = in_container(paths, observed, folder, tools, "sh", "-c", script)
    if not (folder / "coverage.json").is_file():
        raise ProgramError("coverage wrote no report", details=outcome.tail()[-3:], todo="inv test without --coverage")
    target = paths.root / FOLDER
    with files.disk_errors(target):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copytree(folder / "coverage.html", target / "html", copy_function=shutil.copyfile)
    where = observed.stack.container_paths
    for page in (target / "html").glob("*.html"):
        files.write(page, where.in_text(page.read_text(encoding="utf-8")).encode(), derived=True)
    xml = where.in_text((folder / "coverage.xml").read_text(encoding="utf-8"))
    xml = re.sub(r"(<source>).*?(</source>)", lambda found: f"{found[1]}{paths.root}{found[2]}", xml)
    files.write(target / "coverage.xml", xml.encode(), derived=True)
    total = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))["totals"]
    return Coverage(
        round(total["percent_covered"], 1),
        total["num_statements"],
        f"{FOLDER}/coverage.xml",
        f"{FOLDER}/html/index.html",
    )
