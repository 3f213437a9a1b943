"""Add-ons that a stack lacks or has twice: reported by `lock`, `plan` and `validate`, an error in `server` and `ci`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, HOST, SALE, WEB, Workspace, failure
from tests.e2e.harness import git
from tests.standins.package_index import Index, only, wheel

pytest_plugins = ["tests.e2e.workspaces"]
MISSING = (
    "1 add-on is needed and in no source: contract (required by mine -> web_thing{}); mine cannot be installed; "
    "in server and ci this is an error"
)
TWICE = "1 add-on is in web and sale; web is used: sale_thing"
CONTRACT = "https://github.com/OCA/contract"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    for version, url in (("20.0.1.0.0", f"{CONTRACT}-20"), ("19.0.1.0.0", CONTRACT), ("18.0.9.0.0", f"{CONTRACT}-18")):
        data = wheel("odoo_addon_contract", version, f"Home-page: {url}\n")
        made.add("odoo-addon-contract", f"odoo_addon_contract-{version}-py3-none-any.whl", data)
    yield made
    made.close()


@pytest.fixture
def lacking(workspace: Workspace) -> Workspace:
    """`mine` needs `web_thing`, which needs `contract`, which no source has; `sale_thing` is in two sources."""
    needing = {"web_thing/__manifest__.py": "{'name': 'Web', 'depends': ['mail', 'contract']}\n"}
    workspace.publish(WEB, {**FILES[WEB], **needing, "sale_thing/__manifest__.py": "{}"})
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    (workspace.root / "mine").mkdir()
    (workspace.root / "mine/__manifest__.py").write_text("{'depends': ['base', 'web_thing']}", encoding="utf-8")
    git("add", "-A", cwd=workspace.root)
    git("commit", "-qm", "Add mine", cwd=workspace.root)
    return workspace


def warnings(text: str) -> list[str]:
    return [line.removeprefix("warning  ") for line in text.splitlines() if line.startswith("warning  ")]


def test_missing_and_duplicate_add_ons(lacking: Workspace, index: Index) -> None:
    inv = lacking.bench
    unlocked = inv.ok("validate")
    assert (unlocked.out, unlocked.err) == ("odpm.json is valid\n", "")

    assert warnings(inv.ok("lock").err) == [MISSING.format(""), TWICE]
    assert warnings(inv.ok("plan").err) == [MISSING.format(""), TWICE]
    assert warnings(inv.ok("validate").err) == [MISSING.format(""), TWICE]
    inv.ok("lock", "--check")
    uncached = inv.ok("validate", ODPM_CACHE_DIR=str(lacking.folder / "empty"))
    assert uncached.err == "add-ons of dependencies are not checked: the lock or the cache is incomplete (inv lock)\n"

    for words in (("plan",), ("validate",), ("render",)):
        failure(
            inv.inv(*words, ODPM_SCENARIO="server"),
            4,
            "1 add-on is needed and in no source",
            "contract (required by mine -> web_thing)",
        )

    asked = inv.ok("validate", "--ask-index", **only(index))
    assert warnings(asked.err) == [MISSING.format(f"; {CONTRACT}"), TWICE]
    assert warnings(inv.ok("plan").err) == [MISSING.format(f"; {CONTRACT}"), TWICE]  # from the cache
    assert f"{CONTRACT} has contract\n" in inv.ok("lock", "--ask-index").out


@pytest.mark.parametrize("kind", ["git", "file"])
def test_an_add_on_that_is_too_deep_in_a_dependency(lacking: Workspace, kind: str) -> None:
    """It is told where it is; add-ons inside of another one, in hidden folders and below five folders are not."""
    files = {
        "addons/team/contract/__manifest__.py": "{}",
        "addons/team/contract/tests/data/inner/__manifest__.py": "{}",
        ".hidden/a/b/c/__manifest__.py": "{}",
        "1/2/3/4/5/6/far/__manifest__.py": "{}",
    }
    lacking.publish(SALE, {**FILES[WEB], **files})
    link = f"{HOST}{SALE} 19.0"
    if kind == "file":
        folder = lacking.folder / "sale"
        git("clone", "-q", "-b", "19.0", str(lacking.host / SALE), str(folder), cwd=lacking.folder)
        link = f"file://{folder}"
    lacking.describe(dependencies=[f"{HOST}{WEB} 19.0", link])
    found = warnings(lacking.bench.ok("lock").err)
    assert any("contract (required by mine -> web_thing; in sale/addons/team/contract, where" in line for line in found)
    assert any(line.startswith("sale: 1 add-on is where Odoo does not look: addons/team/contract;") for line in found)


def test_facts_of_an_older_version_in_the_cache_are_read_again(lacking: Workspace) -> None:
    lacking.bench.ok("lock")
    stored = list((lacking.cache / "facts").rglob("*.json"))
    for path in stored:
        data = json.loads(path.read_text(encoding="utf-8"))
        for module in data["modules"]:
            del module["depends"]
        path.write_text(json.dumps(data), encoding="utf-8")
    assert warnings(lacking.bench.ok("plan").err) == [MISSING.format(""), TWICE]


def test_a_dependency_that_is_itself_an_add_on(workspace: Workspace) -> None:
    """Odoo finds it in a folder with the name of the repository, mounted or in the image; not under a name that it refuses."""
    inv, files = workspace.bench, {"__manifest__.py": "{'name': 'Print', 'depends': ['mail']}", "models.py": "A = 1\n"}
    for repository in ("acme/acme_print.git", "acme/odoo-labels.git"):
        workspace.publish(repository, files)
    workspace.describe(dependencies=[f"{HOST}acme/{name}.git 19.0" for name in ("acme_print", "odoo-labels")])
    (workspace.root / "mine").mkdir()
    (workspace.root / "mine/__manifest__.py").write_text("{'depends': ['acme_print']}", encoding="utf-8")
    git("add", "-A", cwd=workspace.root)
    git("commit", "-qm", "Add mine", cwd=workspace.root)
    for words in ("lock", "plan", "validate", "render"):
        found = warnings(inv.ok(words).err)
        assert [line.partition(",")[0] for line in found if "acme" in line or "labels" in line] == (
            ["odoo-labels is itself an add-on"] if words != "render" else []
        )
    where = "/opt/odoo/src/acme_print/acme_print"
    assert f"- ./.odpm/src/acme_print:{where}:ro\n" in (workspace.root / "docker-compose.yml").read_text("utf-8")
    conf = (workspace.root / ".odpm/build/odoo.conf").read_text("utf-8")
    assert "addons_path = /opt/odoo/src/project,/opt/odoo/src/acme_print,/opt/odoo/src/odoo/addons\n" in conf
    place = json.loads(inv.ok("mod.explain", "acme_print", "--format", "json").out)
    assert place["path"] == ".odpm/src/acme_print"
    inv.ok("render", ODPM_SCENARIO="ci")
    assert f'["files", "{where}"]' in (workspace.root / ".odpm/build/Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("words", [("-P", "-m", "invoke"), ("-m", "odpm_tasks")])
def test_add_ons_named_like_modules_of_python(workspace: Workspace, words: tuple[str, ...]) -> None:
    """invoke and `python -m` search the project's folder first; the library must not. `-P`: like the script `inv`."""
    for name in ("queue", "platform", "email", "json", "yaml"):
        (workspace.root / name).mkdir()
        for file in ("__init__.py", "__manifest__.py"):
            (workspace.root / name / file).write_text("{}", encoding="utf-8")
    argv, env = [sys.executable, *words, "validate"], workspace.bench.environment()
    ran = subprocess.run(argv, cwd=workspace.root, env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "odpm.json is valid\n"), ran.stderr
