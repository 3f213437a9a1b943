"""Locks and messages, one folder per case: a description and a git host as input, the lock and the output as result.

A case is a folder of `tests/golden/lock`:

    odpm.json            the description
    env                  the `.env` of the project
    before.lock.json     the lock of the project before the first command
    host/OWNER/NAME/BRANCH[@DATE]/…   the files of a commit on that branch of https://github.com/OWNER/NAME;
                         several commits of one branch are ordered by date
    host/OWNER/NAME/BRANCH#N[@DATE]/… the files of a commit of pull request N, which starts at the first commit of that branch
    host/OWNER/NAME/git.txt           git commands after the commits, for example to create a tag or delete a branch
    commands             the commands to run in the project, one per line, `$CASE` is the folder of the case; default: `inv lock`
    output.txt           each command with its exit code and its output; lines of standard error start with `2> `
    lock.json            the lock at the end; missing if there is none

Only `odpm.json` and `output.txt` are required; files with other names are for the commands. A host without `odoo/odoo` gets
the platform of `failures`. Commit ids depend on content and date only, so locks are compared byte for byte, except `venv`,
the hash of the packages of the current index, and `merged_by`, the version of git. `output.txt` has no durations and no
`fetched` lines, whose order varies. To update the cases: `ODPM_GOLDEN=write pytest tests/e2e/locking/test_lock_cases.py`,
then review the difference.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, IDENTITY, LOCKS, PLATFORM, Workspace, publish, workspace_at
from tests.e2e.harness import git, inv_programs

GOLDEN = Path(__file__).parents[2] / "golden" / "lock"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if (folder / "odpm.json").exists())
PREFIXES = ("https://github.com/", "https://GitHub.com/", "ssh://git@github.com/", "git@github.com:")
DATE = "2025-09-18"
# closed ports: a case does not depend on the current digests of images and the current state of a Debian mirror
NO_REGISTRY = {"ODPM_IMAGE_MIRROR": "127.0.0.1:1/", "ODPM_APT_MIRROR": "http://127.0.0.1:1/debian"}
DATES = {"GIT_AUTHOR_DATE": f"{DATE}T00:00:00Z", "GIT_COMMITTER_DATE": f"{DATE}T00:00:00Z"}


def serve(host: Path, served: Path) -> None:
    """Create the repositories of a case from its folders."""
    if not (host / "odoo/odoo").exists():
        publish(served / PLATFORM, FILES[PLATFORM])
    for repository in sorted(host.glob("*/*")):
        bare = served / repository.relative_to(host).with_suffix(".git")
        commits = [(*folder.name.partition("@")[::2], folder) for folder in repository.iterdir() if folder.is_dir()]
        for branch, date, folder in sorted(commits, key=lambda commit: (commit[0], commit[1] or DATE)):
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            publish(bare, files, branch.partition("#")[0], date or DATE, branch.partition("#")[2])
        if (repository / "git.txt").exists():
            for line in (repository / "git.txt").read_text(encoding="utf-8").splitlines():
                git(*shlex.split(line), cwd=bare)


def prepare(case: Path, folder: Path) -> Workspace:
    workspace = workspace_at(folder, *PREFIXES)
    workspace.root.mkdir()
    serve(case / "host", workspace.host)
    git("init", "-q", "-b", "main", "--template=", cwd=workspace.root)
    (workspace.root / "tasks.py").write_text(
        "from odpm_tasks import collection\n\nns = collection()\n", encoding="utf-8"
    )
    for name, paths in (("odpm.json", "odpm.json"), ("env", ".env"), ("before.lock.json", LOCKS[0])):
        if (case / name).exists():
            (workspace.root / paths).parent.mkdir(exist_ok=True)
            shutil.copyfile(case / name, workspace.root / paths)
    return workspace


def run_line(workspace: Workspace, command: str, case: Path) -> str:
    """Run a line in a shell in the project; the line, its exit code, its standard output and standard error."""
    path = f"{inv_programs()}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = workspace.bench.environment({"PATH": path, "CASE": str(case), **IDENTITY, **DATES, **NO_REGISTRY})
    done = subprocess.run(
        ["sh", "-c", command], cwd=workspace.root, env=env, capture_output=True, text=True, check=False
    )
    messages = [f"2> {line}".rstrip() for line in done.stderr.splitlines() if not line.startswith("fetched ")]
    lines = [f"$ {command}", f"exit {done.returncode}", *done.stdout.splitlines(), *messages]
    return "".join(re.sub(r"  \d+\.\d s$", "", line) + "\n" for line in lines)


def outputs(workspace: Workspace, case: Path) -> dict[str, str | None]:
    """The resulting files of a case, None for a missing one, without local paths and without the hash of the packages."""
    commands = (case / "commands").read_text(encoding="utf-8") if (case / "commands").exists() else "inv lock\n"
    output = "\n".join(run_line(workspace, command, case) for command in commands.splitlines())
    assert "Traceback" not in output, output
    lock = workspace.root / LOCKS[0]
    text = lock.read_text(encoding="utf-8") if lock.exists() else None
    texts = {"output.txt": output, "lock.json": text and re.sub(r'("(?:venv|merged_by)": )"[\w.]+"', r'\1"…"', text)}
    return {name: text and text.replace(str(workspace.folder), "<tmp>") for name, text in texts.items()}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    case = GOLDEN / name
    got = outputs(prepare(case, tmp_path), case)
    for file, text in got.items():
        golden = case / file
        if os.environ.get("ODPM_GOLDEN") == "write":
            golden.write_text(text, encoding="utf-8") if text is not None else golden.unlink(missing_ok=True)
        assert text == (golden.read_text(encoding="utf-8") if golden.exists() else None), file
