"""The public names of `odpm_tasks` and `odpm_tasks.core`: they exist, are documented, and no submodule hides one."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import odpm_tasks
from odpm_tasks import core
from odpm_tasks.core.planning.steps import PREPARING
from odpm_tasks.tasks.namespace import TASKS, attribute

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tasks.md").read_text(encoding="utf-8").partition("### `odpm_tasks.core`\n")[2]
ROWS = re.findall(r"^\| `(\w+)` \| .* \| `(.*)` \|$", PAGE, re.MULTILINE)
PREPARED = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[:1])
MANIFEST = (ROOT / "docs/examples/shortest/odpm.json").read_text(encoding="utf-8")


def test_docs_list_the_names_of_core() -> None:
    assert sorted(name for name, _ in ROWS) == sorted(core.__all__)


def test_the_table_of_modules_and_the_imports_for_the_type_checker_name_the_same() -> None:
    tree = ast.parse(Path(str(core.__file__)).read_text(encoding="utf-8"))
    typed = {
        alias.asname: f"{node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("odpm_tasks.core")
        for alias in node.names
    }
    assert typed == core._MODULE_OF


@pytest.mark.parametrize("name", core.__all__)
def test_a_name_of_core_can_be_imported(name: str) -> None:
    assert getattr(importlib.import_module("odpm_tasks.core"), name) is not None
    assert name in dir(core)


def test_the_examples_of_core_run_in_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odpm.json").write_text(MANIFEST, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODPM_CACHE_DIR", str(tmp_path / "cache"))
    names: dict[str, object] = {name: getattr(core, name) for name in core.__all__}
    exec(PREPARED, names)
    for name, example in ROWS:
        assert re.search(rf"\b{name}\b", example) or name == "Rendered", f"the example of {name} does not use it"
        statement = ast.parse(example).body[0]
        if isinstance(statement, ast.Expr):
            assert eval(example, names), f"{example} is not true"
        else:
            exec(example, names)
    assert isinstance(names["rendered"], core.Rendered)
    assert not (tmp_path / ".odpm").exists(), "an example wrote into the project"


def test_an_unknown_name_is_an_attribute_error() -> None:
    for module in (odpm_tasks, core):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = module.nothing


def submodules() -> list[str]:
    found = pkgutil.walk_packages(odpm_tasks.__path__, "odpm_tasks.")
    return [info.name for info in found if ".templates" not in info.name and not info.name.endswith("__main__")]


def test_no_submodule_has_the_name_of_a_task_or_of_an_export() -> None:
    top = {name.split(".")[1] for name in submodules()}
    assert not top & ({attribute(name) for name in TASKS} | {"Project", "OdpmError", "collection"})
    inside = {name.split(".")[2] for name in submodules() if name.startswith("odpm_tasks.core.")}
    assert not inside & set(core.__all__)


def test_tasks_and_exports_stay_callable_after_every_submodule_is_imported() -> None:
    script = f"""
import importlib, odpm_tasks
from odpm_tasks import core
for name in {submodules()!r}:
    importlib.import_module(name)
for name in odpm_tasks.__all__:
    assert name == "core" or callable(getattr(odpm_tasks, name)), name
for name in core.__all__:
    assert not isinstance(getattr(core, name), type(odpm_tasks)), name
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_core_is_imported_without_its_modules() -> None:
    script = (
        "import sys, odpm_tasks.core; print(*[name for name in sys.modules if name.startswith('odpm_tasks.core.')])"
    )
    names = [sys.executable, "-c", script]
    assert isinstance(core, ModuleType)
    loaded = set(subprocess.run(names, capture_output=True, text=True, check=True).stdout.split())
    heavy = {"odpm_tasks.core.planning.planner", "odpm_tasks.core.manifest.reader", "odpm_tasks.core.stack.render"}
    assert not loaded & heavy
    assert PREPARING == core.PREPARING


@pytest.mark.parametrize("module", ["databases.early", "stack.prefetch", "tasks.namespace"])
def test_queries_of_docker_start_before_slow_imports(module: str) -> None:
    script = f"import sys, odpm_tasks.project, odpm_tasks.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {"pydantic", "jinja2", "packaging", "odpm_tasks.core.planning.observed"}
