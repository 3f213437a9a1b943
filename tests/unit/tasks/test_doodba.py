"""The command lines that users of doodba type are understood with `collection(words="doodba")`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from invoke.parser import Parser

from odpm_tasks import collection
from odpm_tasks.core.addons.graph import AddonGraph, AddonPlace
from odpm_tasks.core.addons.words import addon_above, of_kinds
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.errors import UsageError
from odpm_tasks.tasks import doodba
from odpm_tasks.tasks.namespace import TASKS

LINES: dict[str, dict[str, object]] = {
    "start": {"detach": True, "debugpy": False},
    "start --no-detach --debugpy --no-reload --port-prefix 19": {
        "detach": False, "debugpy": True, "reload": False, "port-prefix": 19,
    },
    "stop --purge": {"purge": True},
    "restart --no-quick": {"quick": False},
    "logs --container odoo,db --tail 20 --no-follow": {"container": ["odoo,db"], "tail": 20, "follow": False},
    "logs -c odoo -t 5": {"container": ["odoo"], "tail": 5, "follow": True},
    "install -m shop,web": {"modules": ["shop,web"]},
    "install --cur-file addons/shop/models/a.py": {"cur-file": "addons/shop/models/a.py"},
    "install --core --extra --private --enterprise": {
        "core": True, "extra": True, "private": True, "enterprise": True,
    },
    "uninstall --modules shop": {"modules": ["shop"]},
    "test --private --skip shop --tags /web": {"private": True, "skip": ["shop"], "tags": "/web"},
    "test -m shop --mode update --db-filter ^devel$": {"modules": ["shop"], "mode": "update"},
    "updatepot --all --no-msgmerge --no-purge-old-translations": {"all": True, "msgmerge": False},
    "updatepot -m shop": {"module": ["shop"]},
    "scaffold shop_limit --path addons": {"module-name": "shop_limit", "path": "addons"},
    "git-aggregate": {},
    "closed-prs": {},
    "img-build --no-pull": {"pull": False},
    "develop": {},
    "write-code-workspace-file --cw-path doodba.shop.code-workspace": {"cw-path": "doodba.shop.code-workspace"},
    "generate-idea-conf": {},
    "lint --verbose": {"verbose": True},
    "snapshot --source-db shop --destination-db before": {"source-db": "shop", "destination-db": "before"},
    "restore-snapshot --snapshot-name before": {"snapshot-name": "before", "destination-db": ""},
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_doodba_is_understood(line: str) -> None:
    parsed = Parser(contexts=collection(words="doodba").to_contexts()).parse_argv(shlex.split(line))
    (context,) = (found for found in parsed if found.name)
    values = {name: argument.value for name, argument in context.args.items()}
    assert {name: values[name] for name in LINES[line]} == LINES[line]


def test_words_are_added_and_replace_equal_names() -> None:
    assert {line.split()[0] for line in LINES} == {task.name.replace("_", "-") for task in doodba.WORDS}
    plain, with_words = collection(), collection(words="doodba")
    assert {*with_words.task_names} - {*plain.task_names} == {
        "start", "stop", "install", "uninstall", "updatepot", "scaffold", "git-aggregate", "closed-prs", "img-build", "develop",
        "write-code-workspace-file", "generate-idea-conf", "lint", "snapshot", "restore-snapshot",
    }  # fmt: skip
    assert with_words["logs"] is doodba.logs
    assert plain["logs"] is TASKS["logs"]
    assert "test" not in collection("test", words="doodba").task_names
    with pytest.raises(UsageError):
        collection(words="ddev")


def test_the_add_ons_of_a_kind() -> None:
    def facts(*names: str) -> Facts:
        return Facts(modules=tuple(Module(path=name, installable=name != "old") for name in names))

    graph = AddonGraph(
        [
            AddonPlace("this project", "developing", facts("shop", "old")),
            AddonPlace("enterprise", "dependency", facts("sign")),
            AddonPlace("web", "dependency", facts("web_x")),
            AddonPlace("odoo", "platform", facts("web")),
        ]
    )
    assert of_kinds(graph, ["private"]) == ("shop",)
    assert of_kinds(graph, ["extra", "enterprise"]) == ("sign", "web_x")
    assert of_kinds(graph, ["core"]) == ("web",)


def test_the_add_on_of_a_file() -> None:
    root, shop = Path("/p"), Path("/p/addons/shop")
    assert addon_above(shop / "models/a.py", root, shop.__eq__) == "shop"
    assert addon_above(shop, root, shop.__eq__) == "shop"
    assert addon_above(root / "docs/a", root, shop.__eq__) == ""
    assert addon_above(Path("/elsewhere"), root, shop.__eq__) == ""
