"""The files of editors for a stack, and how they are written into a project."""

from __future__ import annotations

import json
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.core.editors import pycharm
from odpm_tasks.core.editors.editor_file import EditorFile
from odpm_tasks.core.editors.names import editors
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_state import read_state
from odpm_tasks.stack import editors as editor_files
from tests.e2e.harness import git
from tests.unit.builders import OCA, ODOO, PROGRAMS, manifest, module, resolution, source
from tests.unit.planning.test_planner import observed

VSCODE = [f".vscode/{name}.json" for name in ("launch", "tasks", "settings", "extensions")]
GRAPH = resolution(
    source(f"{ODOO} 19.0", "platform", facts=Facts(modules=(module("addons/web"), module("odoo/addons/base")))),
    source(f"{OCA}/web 19.0", facts=Facts(modules=(module("web_thing"),))),
    source(f"{OCA}/deep 19.0", facts=Facts(modules=(module("addons/deep_thing"),))),
)
MODULE = """\
<?xml version="1.0" encoding="UTF-8"?>
<module type="PYTHON_MODULE" version="4">
  <component name="NewModuleRootManager">
    <content url="file://$MODULE_DIR$">
      <excludeFolder url="file://$MODULE_DIR$/.venv" />
    </content>
    <orderEntry type="inheritedJdk" />
  </component>
</module>
"""


def stack(*own: str, scenario: str = "developer", graph: Any = GRAPH) -> Stack:
    described = manifest(f"{OCA}/web 19.0", scenario=scenario)
    return Stack(
        "shop", SCENARIOS[scenario], described, graph, Facts(modules=tuple(map(module, own))), (b"", b""), PROGRAMS
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in a git repository."""
    root = tmp_path / "shop"
    root.mkdir()
    git("init", "-q", cwd=root)
    return root


class Desk:
    """A project with the editors of `settings`."""

    def __init__(
        self, root: Path, own: tuple[str, ...] = ("addons/shop",), graph: Any = GRAPH, **settings: str
    ) -> None:
        self.root = root
        values = {"ODPM_IDE": "vscode", **settings}
        self.paths = ProjectPaths(root, root.parent / "cache", Settings((Layer(".env", values),)))
        self.stack = stack(*own, scenario=values.get("ODPM_SCENARIO", "developer"), graph=graph)

    def state(self) -> RenderedState:
        recorded = read_state(self.paths).get("editors", {})
        return replace(
            observed(self.stack.scenario.name),
            editor_files=editor_files.observe_files(self.paths, self.stack, recorded),
            editor_leftovers=editor_files.leftovers(self.paths, recorded),
        )

    def plan(self) -> Plan:
        return plan(self.state(), ["ide.files"])

    def steps(self) -> list[tuple[str, str, str]]:
        return [(step.action, step.target, step.detail) for step in self.plan().steps]

    def up(self) -> list[Step]:
        decided = self.plan()
        assert isinstance(decided.observed, RenderedState)
        acting = [step for step in decided.steps if step.acts]
        if acting:
            editor_files.write_files(self.paths, decided.observed, [step.target for step in acting])
        assert not [step for step in self.plan().steps if step.acts]
        return acting

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def put(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


def attach(desk: Desk) -> Mapping[str, Any]:
    found: Mapping[str, Any] = desk.json(".vscode/launch.json")["configurations"][0]
    return found


# --- which editors


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ()),
        ("", ()),
        ("none", ()),
        ("both", ("vscode", "pycharm")),
        ("odools, VSCode", ("vscode", "odools")),
        ("pycharm odools pycharm", ("pycharm", "odools")),
    ],
)
def test_names_of_editors(text: str | None, names: tuple[str, ...]) -> None:
    assert editors(text, "here") == names


def test_an_unknown_editor_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DescriptionError) as raised:
        editors("vscode,pycharms", "ODPM_IDE in .env")
    assert raised.value.what == "unknown editor 'pycharms'; the nearest is pycharm"
    assert raised.value.where == "ODPM_IDE in .env"


# --- what is written


def test_a_mapping_for_each_source_as_it_is_mounted(root: Path) -> None:
    desk = Desk(root, ("addons/shop", "extra/shop_more"), DEBUGGER_PORT="5699")
    desk.up()
    assert attach(desk)["connect"] == {"host": "127.0.0.1", "port": 5699}
    mappings = {one["localRoot"]: one["remoteRoot"] for one in attach(desk)["pathMappings"]}
    assert mappings == {f"${{workspaceFolder}}/{mount.host}": mount.inside for mount in desk.stack.mounts}
    assert len(mappings) == 5


def test_a_project_with_add_ons_in_its_root_is_mapped_after_what_it_contains(root: Path) -> None:
    desk = Desk(root, ("shop",))
    desk.up()
    folders = [one["localRoot"] for one in attach(desk)["pathMappings"]]
    assert folders == [f"${{workspaceFolder}}/.odpm/src/{name}" for name in ("web", "deep", "odoo")] + [
        "${workspaceFolder}"
    ]


def test_search_paths_excludes_tasks_and_extensions(root: Path) -> None:
    desk = Desk(root, ODPM_IDE="vscode,odools")
    desk.up()
    names = (".odpm/src/odoo", "addons", ".odpm/src/web", ".odpm/src/deep/addons", ".odpm/src/odoo/addons")
    settings = desk.json(".vscode/settings.json")
    assert settings["python.analysis.extraPaths"] == [f"${{workspaceFolder}}/{name}" for name in names]
    assert settings["files.watcherExclude"] == {"**/.odpm/**": True}
    assert settings["search.exclude"] == {"**/.odpm": True}
    commands = {task["command"] for task in desk.json(".vscode/tasks.json")["tasks"]}
    assert {"inv up", "inv restart", "inv test"} <= commands
    assert "odoo.odoo" in desk.json(".vscode/extensions.json")["recommendations"]
    assert tomllib.loads((root / "odools.toml").read_text(encoding="utf-8")) == {
        "config": [
            {
                "name": "default",
                "odoo_path": "./.odpm/src/odoo",
                "addons_paths": ["./addons", "./.odpm/src/web", "./.odpm/src/deep/addons"],
            }
        ]
    }


def test_run_configurations_of_pycharm(root: Path) -> None:
    desk = Desk(root, ODPM_IDE="pycharm")
    desk.up()
    found = {path.name: ET.parse(path).getroot() for path in (root / ".run").iterdir()}
    configuration = found["Odoo attach.run.xml"].find("configuration")
    assert configuration is not None
    assert configuration.attrib == {"default": "false", "name": "Odoo: attach", "type": "PythonDapAttachConfiguration"}
    address = configuration.find("option[@name='remoteAddress']")
    assert address is not None
    assert address.get("value") == "127.0.0.1:5678"
    mappings = {one.get("local-root"): one.get("remote-root") for one in configuration.iter("mapping")}
    assert mappings == {f"$PROJECT_DIR$/{mount.host}": mount.inside for mount in desk.stack.mounts}
    script = found["odpm test.run.xml"].find("configuration/option[@name='SCRIPT_TEXT']")
    assert script is not None
    assert script.get("value") == "inv test"
    assert not (root / ".idea").exists()


def test_the_module_of_pycharm_gets_source_folders(root: Path) -> None:
    desk = Desk(root, ODPM_IDE="pycharm")
    file = desk.put(".idea/shop.iml", MODULE)
    desk.put(".idea/other.iml", MODULE.replace("$MODULE_DIR$", "$MODULE_DIR$/other"))
    desk.up()
    text = file.read_text(encoding="utf-8")
    ET.fromstring(text.partition("?>")[2])
    assert text.startswith(MODULE.partition("    </content>")[0])
    assert text.endswith(MODULE.partition("    </content>")[2])
    urls = pycharm.module_urls(text)
    assert urls[0] == "file://$MODULE_DIR$/.venv"
    assert "file://$MODULE_DIR$/.odpm/src/odoo" in urls
    assert "other.iml" not in {Path(step[1]).name for step in desk.steps()}
    again = Desk(root, graph=resolution(GRAPH.sources[0]), ODPM_IDE="pycharm")
    again.up()
    assert "src/web" not in file.read_text(encoding="utf-8")
    assert pycharm.module_urls(file.read_text(encoding="utf-8"))[0] == "file://$MODULE_DIR$/.venv"


@pytest.mark.parametrize(
    "body", ['<content url="file://$MODULE_DIR$" />', '<content url="file://$MODULE_DIR$"></content>']
)
def test_an_empty_module_of_pycharm(body: str) -> None:
    entries = {"u": '<sourceFolder url="u" isTestSource="false" />'}
    assert pycharm.module_urls(pycharm.module_edited(f"<m>\n  {body}\n</m>", entries, ["u"], [])) == ["u"]


# --- what stays


def test_everything_is_kept_after_a_run(root: Path) -> None:
    desk = Desk(root, ODPM_IDE="vscode,pycharm,odools")
    assert {action for action, _, _ in desk.steps()} == {"create"}
    assert desk.plan().drift == ()
    desk.up()
    assert {action for action, _, _ in desk.steps()} == {"keep"}


def test_another_port_and_another_source_are_drift_and_follow(root: Path) -> None:
    Desk(root).up()
    desk = Desk(root, graph=resolution(*GRAPH.sources[:2]), DEBUGGER_PORT="5679")
    assert [step.target for step in desk.plan().drift] == [".vscode/launch.json", ".vscode/settings.json"]
    desk.up()
    assert attach(desk)["connect"]["port"] == 5679
    assert len(attach(desk)["pathMappings"]) == 3


def test_a_changed_value_stays_and_is_named(root: Path) -> None:
    desk = Desk(root)
    desk.up()
    text = (root / ".vscode/launch.json").read_text(encoding="utf-8")
    desk.put(".vscode/launch.json", text.replace("5678", "15678 /* tunnel */"))
    kept = "your value stays: configurations.Odoo: attach.connect.port"
    assert ("keep", ".vscode/launch.json", kept) in desk.steps()
    desk.up()
    other = Desk(root, DEBUGGER_PORT="5679", graph=resolution(*GRAPH.sources[:2]))
    other.up()
    text = (root / ".vscode/launch.json").read_text(encoding="utf-8")
    assert "15678 /* tunnel */" in text
    assert "src/deep" not in text


def test_an_existing_file_is_added_to_once_and_is_no_drift(root: Path) -> None:
    desk = Desk(root)
    file = desk.put(".vscode/settings.json", '{\n  // mine\n  "editor.rulers": [88],\n}\n')
    file.chmod(0o600)
    assert ("update", ".vscode/settings.json", "add to your file") in desk.steps()
    assert desk.plan().drift == ()
    desk.up()
    assert file.read_text(encoding="utf-8").startswith('{\n  // mine\n  "editor.rulers": [88],\n')
    assert file.stat().st_mode & 0o777 == 0o600


def test_deleted_files_are_made_again(root: Path) -> None:
    desk = Desk(root)
    desk.up()
    for path in VSCODE:
        (root / path).unlink()
    assert [(step.action, step.target) for step in desk.up()] == [("create", path) for path in VSCODE]


def test_a_lost_record_is_written_again(root: Path) -> None:
    desk = Desk(root)
    desk.up()
    before = (root / ".vscode/launch.json").read_bytes()
    desk.paths.state.unlink()
    desk.up()
    assert (root / ".vscode/launch.json").read_bytes() == before
    other = Desk(root, DEBUGGER_PORT="5679")
    other.up()
    assert attach(other)["connect"]["port"] == 5679


@pytest.mark.parametrize("record", ["{", "[]", '"text"', "{}"])
def test_a_damaged_record_is_ignored(root: Path, record: str) -> None:
    desk = Desk(root)
    desk.up()
    text = desk.paths.state.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "launch.json" in line)
    desk.paths.state.write_text(text.replace(line, f"\".vscode/launch.json\" = '{record}'"), encoding="utf-8")
    desk.up()


def test_an_edited_run_configuration_stays(root: Path) -> None:
    desk = Desk(root, ODPM_IDE="pycharm")
    desk.up()
    path = ".run/odpm up.run.xml"
    desk.put(path, (root / path).read_text(encoding="utf-8").replace("inv up", "inv up -u shop"))
    assert ("keep", path, "your value stays: the file") in desk.steps()
    desk.up()
    assert "inv up -u shop" in (root / path).read_text(encoding="utf-8")


def test_files_of_an_editor_that_is_switched_off_stay_and_are_named_once(root: Path) -> None:
    Desk(root, ODPM_IDE="vscode,odools").up()
    desk = Desk(root, ODPM_IDE="vscode")
    assert desk.steps()[0] == ("update", "odools.toml", "the file stays: ODPM_IDE does not name its editor")
    assert [step.target for step in desk.plan().drift] == [".vscode/extensions.json"]
    desk.up()
    assert (root / "odools.toml").exists()
    assert "odools.toml" not in {target for _, target, _ in desk.steps()}
    assert Desk(root, ODPM_IDE="none", ODPM_SCENARIO="server").steps() == [("skip", "", "ODPM_IDE names no editor")]


def test_other_scenarios_write_nothing(root: Path) -> None:
    desk = Desk(root, ODPM_SCENARIO="server")
    assert desk.steps() == [("skip", "", "ODPM_IDE names no editor")]


# --- git


def test_new_files_are_hidden_from_git(root: Path) -> None:
    Desk(root, ODPM_IDE="vscode,odools,pycharm").up()
    shown = git("status", "--porcelain", "--untracked-files=all", cwd=root)
    assert [line for line in shown.splitlines() if ".odpm" not in line] == []


def test_a_file_that_git_tracks_is_never_changed(root: Path) -> None:
    desk = Desk(root)
    file = desk.put(".vscode/settings.json", "{}\n")
    git("add", ".vscode/settings.json", cwd=root)
    desk.up()
    assert file.read_text(encoding="utf-8") == "{}\n"
    step = ("skip", ".vscode/settings.json", "git tracks it; inv ide prints what to add")
    assert step in desk.steps()
    file.unlink()
    desk.up()
    assert not file.exists()
    assert (root / ".vscode/launch.json").exists()


def test_a_tracked_file_that_has_everything_says_only_that(root: Path) -> None:
    desk = Desk(root)
    desk.up()
    git("add", "-f", ".vscode/launch.json", cwd=root)
    assert ("skip", ".vscode/launch.json", "git tracks it") in desk.steps()


# --- what is refused


def state_of(desk: Desk, path: str) -> EditorFile:
    return next(file for file in desk.state().editor_files if file.path == path)


def test_a_broken_file_blocks_the_step_and_the_others_are_written(root: Path) -> None:
    desk = Desk(root)
    file = desk.put(".vscode/launch.json", '{\n  "version": "0.2.0"\n  "configurations": []\n}\n')
    decided = desk.plan()
    assert [(step.action, step.target) for step in decided.drift] == [("blocked", ".vscode/launch.json")]
    before = file.read_bytes()
    with pytest.raises(DescriptionError, match="line 3, column 3") as raised:
        desk.up()
    assert raised.value.exit_code == 4
    assert raised.value.where == ".vscode/launch.json"
    assert file.read_bytes() == before
    assert (root / ".vscode/settings.json").exists()


@pytest.mark.parametrize("name", [".vscode", ".vscode/settings.json"])
def test_a_link_that_leads_out_of_the_project_is_refused(root: Path, name: str) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    link = root / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside if name == ".vscode" else outside / "settings.json")
    desk = Desk(root)
    with pytest.raises(DescriptionError, match="a symbolic link leads out of the project") as raised:
        desk.up()
    assert raised.value.exit_code == 4
    assert list(outside.iterdir()) == []


def test_a_link_inside_of_the_project_is_followed(root: Path) -> None:
    (root / "config").mkdir()
    (root / ".vscode").symlink_to("config")
    Desk(root).up()
    assert (root / ".vscode").is_symlink()
    assert (root / "config/launch.json").exists()
    git("add", ".vscode", cwd=root)
    assert "config" not in git("status", "--porcelain", "--untracked-files=all", cwd=root)
    git("add", "-f", "config/launch.json", cwd=root)
    assert ("skip", ".vscode/launch.json", "git tracks it") in Desk(root).steps()


def test_a_folder_in_place_of_a_file_and_bytes_that_are_no_text(root: Path) -> None:
    (root / ".vscode/tasks.json").mkdir(parents=True)
    (root / ".vscode/settings.json").write_bytes(b'{"a": "\xff"}')
    desk = Desk(root)
    blocked = {target: detail for action, target, detail in desk.steps() if action == "blocked"}
    assert blocked == {
        ".vscode/tasks.json": "a folder exists where a file is needed",
        ".vscode/settings.json": "not UTF-8 text (byte 7)",
    }


def test_a_byte_order_mark_stays(root: Path) -> None:
    desk = Desk(root)
    desk.put(".vscode/settings.json", "\ufeff{}\n")
    desk.up()
    assert (root / ".vscode/settings.json").read_bytes().startswith(b"\xef\xbb\xbf{\n")
