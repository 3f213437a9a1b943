"""The files of VS Code: how to attach the debugger, tasks, settings, recommended extensions."""

from __future__ import annotations

from typing import Any

from odpm_tasks.core.editors.mappings import SourceFolders

LAUNCH, TASKS = ".vscode/launch.json", ".vscode/tasks.json"
SETTINGS, EXTENSIONS = ".vscode/settings.json", ".vscode/extensions.json"
ATTACH = "Odoo: attach"
COMMANDS = (
    ("up", "inv up"),
    ("up with debugger and reload", "inv up --debug --dev=reload"),
    ("restart", "inv restart"),
    ("logs", "inv logs"),
    ("test", "inv test"),
    ("status", "inv status"),
    ("shell", "inv shell"),
    ("down", "inv down"),
)
_WORKSPACE = "${workspaceFolder}"


def documents(folders: SourceFolders, port: int, *, odools: bool = False) -> dict[str, Any]:
    """The values of each file. `port`: where debugpy of the container is published. `odools`: with Odoo's language server."""
    return {
        LAUNCH: {"version": "0.2.0", "configurations": [_attach(folders, port)]},
        TASKS: {"version": "2.0.0", "tasks": [_task(name, command) for name, command in COMMANDS]},
        SETTINGS: {
            "python.analysis.extraPaths": [_local(folder) for folder in folders.search],
            "files.watcherExclude": {"**/.odpm/**": True},
            "search.exclude": {"**/.odpm": True},
        },
        EXTENSIONS: {
            "recommendations": ["ms-python.python", "ms-python.debugpy", *(["odoo.odoo"] if odools else [])],
        },
    }


def _attach(folders: SourceFolders, port: int) -> dict[str, Any]:
    return {
        "name": ATTACH,
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": port},
        "pathMappings": [{"localRoot": _local(folder), "remoteRoot": inside} for folder, inside in folders.mappings],
        "justMyCode": False,
    }


def _task(name: str, command: str) -> dict[str, Any]:
    value = {"label": f"odpm: {name}", "type": "shell", "command": command, "problemMatcher": []}
    return value | ({"group": {"kind": "test", "isDefault": True}} if name == "test" else {})


def _local(folder: str) -> str:
    return f"{_WORKSPACE}/{folder}" if folder else _WORKSPACE
